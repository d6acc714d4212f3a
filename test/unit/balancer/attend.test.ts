import {
  type Balancer,
  filtered,
  leastLoad,
  outlierEjection,
  p2c,
  rendezvous,
  roundRobin,
  standardBalancer,
  type Witness,
  weightedRandom,
} from 'keelson/balancer';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints } from './endpoint-makers.js';

/** Writes down what it is told. */
function listener(): Witness & { readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    began: () => told.push('began'),
    heard: (outcome, now) => told.push(`${outcome} ${now}`),
    ended: () => told.push('ended'),
  };
}

const kinds: readonly (readonly [string, () => Balancer])[] = [
  ['leastLoad', () => leastLoad()],
  ['p2c', () => p2c()],
  ['rendezvous', () => rendezvous()],
  ['roundRobin', () => roundRobin()],
  ['weightedRandom', () => weightedRandom()],
  ['filtered', () => filtered(p2c(), [(list) => list])],
  ['outlierEjection', () => outlierEjection(roundRobin())],
  ['standardBalancer', () => standardBalancer()],
];

describe.each(kinds)('attend of %s', (_, make) => {
  const one = (): { balancer: Balancer; witness: ReturnType<typeof listener> } => {
    const balancer = make();
    const witness = listener();
    balancer.update(endpoints(1), 0);
    balancer.attend?.('e0', witness);
    return { balancer, witness };
  };

  it('tells of each call once: its begin, its first response, its end', () => {
    const { balancer, witness } = one();
    const lease = balancer.pick(1);
    lease?.observe('success', 2);
    lease?.observe('failure', 3);
    lease?.release('failure', 4);
    lease?.release('failure', 5);
    expect(witness.told).toEqual(['began', 'success 2', 'ended']);
  });

  it('tells of the end of one that nobody observed', () => {
    const { balancer, witness } = one();
    const lease = balancer.pick(1);
    lease?.release('unsent', 2);
    lease?.observe('success', 3);
    expect(witness.told).toEqual(['began', 'ended', 'unsent 2']);
  });

  it('tells whoever heard of the begin, though another has come since', () => {
    const { balancer, witness } = one();
    const second = listener();
    const before = balancer.pick(1);
    balancer.attend?.('e0', second);
    balancer.pick(2)?.release('success', 3);
    before?.release('failure', 4);
    expect(witness.told).toEqual(['began', 'ended', 'failure 4']);
    expect(second.told).toEqual(['began', 'ended', 'success 3']);
  });

  it('tells nobody of endpoints that it does not know', () => {
    const { balancer, witness } = one();
    balancer.attend?.('stranger', witness);
    balancer.update([endpoint('e1')], 1);
    balancer.pick(2)?.release('success', 3);
    expect(witness.told).toEqual([]);
  });
});

describe('filtered', () => {
  it('offers no more than the balancer it is around', () => {
    const own: Balancer = { update: () => undefined, pick: () => null };
    expect(filtered(own, [(list) => list]).attend).toBeUndefined();
  });
});
