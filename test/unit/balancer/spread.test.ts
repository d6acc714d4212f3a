import { rendezvous, roundRobin, weightedRandom } from 'keelson/balancer';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints, sequence, shares } from './endpoint-makers.js';

const weighted = (weights: readonly number[]) =>
  endpoints(weights.length, (at) => ({ weight: weights[at] ?? 0 }));

describe.each([
  ['roundRobin', () => roundRobin(), undefined],
  ['weightedRandom', () => weightedRandom({ random: seededRandom(7) }), undefined],
  ['rendezvous', () => rendezvous({ random: seededRandom(7) }), { key: 'k' }],
  ['rendezvous without a key', () => rendezvous({ random: seededRandom(7) }), undefined],
])('%s', (_, make, hint) => {
  it('has nobody to pick from an empty set', () => {
    const balancer = make();
    expect(balancer.pick(0, hint)).toBeNull();
    balancer.update([], 0);
    expect(balancer.pick(0, hint)).toBeNull();
  });

  it('passes over avoided endpoints while there are others', () => {
    const balancer = make();
    balancer.update(endpoints(4), 0);
    const avoid = new Set(['e0', 'e1', 'e3']);
    for (let call = 0; call < 20; call++) {
      expect(balancer.pick(0, { ...hint, avoid })?.endpoint.id).toBe('e2');
    }
    expect(balancer.pick(0, { ...hint, avoid: new Set([...avoid, 'e2']) })).not.toBeNull();
  });

  it.each([undefined, null, 'heavy', Number.NaN])('takes a weight of %s for the usual one', (weight) => {
    const balancer = make();
    balancer.update([endpoint('a', { weight: weight as unknown as number }), endpoint('b')], 0);
    expect(balancer.snapshot?.(0).map((entry) => entry.weight)).toEqual([100, 100]);
    const seen = new Set(Array.from({ length: 200 }, () => balancer.pick(0, hint)?.endpoint.id));
    expect([...seen].sort()).toEqual(hint?.key === undefined ? ['a', 'b'] : [[...seen][0]]);
  });

  it('shows who holds what', () => {
    const balancer = make();
    balancer.update([endpoint('a', { weight: 7 })], 0);
    const lease = balancer.pick(0, hint);
    balancer.pick(0, hint);
    lease?.release('success', 0);
    lease?.release('success', 0);
    expect(balancer.snapshot?.(0)).toEqual([
      { id: 'a', url: 'http://a', weight: 7, inflight: 1, load: 1, ejectedUntil: undefined },
    ]);
  });
});

describe('roundRobin', () => {
  const turns = (balancer: ReturnType<typeof roundRobin>, count: number) =>
    Array.from({ length: count }, () => balancer.pick(0)?.endpoint.id).join(' ');

  it.each([
    { weights: [5, 1, 1], expected: 'e0 e0 e1 e0 e2 e0 e0' },
    { weights: [1, 1, 1], expected: 'e0 e1 e2 e0 e1 e2' },
    { weights: [2, 1], expected: 'e0 e1 e0 e0 e1 e0' },
    { weights: [1], expected: 'e0 e0' },
  ])('with weights $weights goes $expected', ({ weights, expected }) => {
    const balancer = roundRobin();
    balancer.update(weighted(weights), 0);
    expect(turns(balancer, expected.split(' ').length)).toBe(expected);
  });

  it('goes on where it was when the set changes', () => {
    const balancer = roundRobin();
    balancer.update(endpoints(4), 0);
    expect(turns(balancer, 2)).toBe('e0 e1');
    balancer.update(endpoints(4), 0);
    expect(turns(balancer, 2)).toBe('e2 e3');
    expect(turns(balancer, 1)).toBe('e0');
    balancer.update(endpoints(4).slice(0, 3), 0);
    expect(turns(balancer, 2)).toBe('e1 e2');
  });
});

describe('weightedRandom', () => {
  // 10^5 draws: one standard deviation is at most 0.0016, the tolerance 0.005.
  it.each([[[1, 1]], [[100, 300]], [[1, 2, 3, 4, 90]], [[10, 10, 10, 0.5, 1000, 3]]])(
    'gives %j their shares',
    (weights) => {
      const balancer = weightedRandom({ random: seededRandom(1) });
      balancer.update(weighted(weights), 0);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const found = shares(balancer, 100_000);
      weights.forEach((weight, at) => {
        expect(found.get(`e${at}`) ?? 0).toBeCloseTo(weight / total, 2);
      });
    },
  );

  it.each([0, 1, Number.NaN])('survives a generator stuck at %s', (stuck) => {
    const balancer = weightedRandom({ random: () => stuck, slowStart: {} });
    balancer.update(weighted([1, 2, 3]), 0);
    balancer.update(weighted([1, 2, 3, 4]), 0);
    expect(balancer.pick(1, { avoid: new Set(['e0']) })?.endpoint.id).toMatch(/e[123]/);
  });
});

describe('rendezvous', () => {
  const keys = Array.from({ length: 20_000 }, (_, at) => `user-${at}`);
  const homes = (list: Parameters<ReturnType<typeof rendezvous>['update']>[0]) => {
    const balancer = rendezvous();
    balancer.update(list, 0);
    return keys.map((key) => balancer.pick(0, { key })?.endpoint.id ?? '');
  };
  const count = (list: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const id of list) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  };

  it('keeps a key, in every client and whatever the order of the list', () => {
    expect(homes(endpoints(10).reverse())).toEqual(homes(endpoints(10)));
  });

  it('says why', () => {
    const balancer = rendezvous({ random: sequence([0]) });
    balancer.update(endpoints(3), 0);
    expect(balancer.pick(0, { key: '' })?.reason).toBe('hash');
    expect(balancer.pick(0)?.reason).toBe('random');
  });

  // 20 000 keys over 10: mean 2000, one standard deviation 42; six of them are 252.
  it('spreads keys evenly', () => {
    const counts = count(homes(endpoints(10)));
    expect(counts.size).toBe(10);
    for (const found of counts.values()) expect(Math.abs(found - 2000)).toBeLessThan(252);
  });

  it('spreads keys by weight', () => {
    const counts = count(homes(weighted([100, 100, 300])));
    expect((counts.get('e2') ?? 0) / keys.length).toBeCloseTo(0.6, 1.7);
  });

  it('moves only the keys of an endpoint that leaves, over all others', () => {
    const before = homes(endpoints(10));
    const after = homes(endpoints(10).filter(({ id }) => id !== 'e4'));
    const moved = keys.filter((_, at) => before[at] !== after[at]);
    expect(moved).toHaveLength(count(before).get('e4') ?? 0);
    const receivers = count(after.filter((_, at) => before[at] === 'e4'));
    expect(receivers.size).toBe(9);
  });

  it('sends a key to its second home while the first is avoided', () => {
    const balancer = rendezvous();
    balancer.update(endpoints(10), 0);
    const first = balancer.pick(0, { key: 'a' })?.endpoint.id ?? '';
    const second = balancer.pick(0, { key: 'a', avoid: new Set([first]) })?.endpoint.id;
    balancer.update(
      endpoints(10).filter(({ id }) => id !== first),
      0,
    );
    expect(balancer.pick(0, { key: 'a' })?.endpoint.id).toBe(second);
  });
});
