import {
  type Ejection,
  inflightMeter,
  type OutlierEjectionOptions,
  outlierEjection,
  p2c,
  rendezvous,
  roundRobin,
  standardBalancer,
  weightedRandom,
} from 'keelson/balancer';
import type { Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints } from './endpoint-makers.js';

/** A balancer over turns, so that a test can count calls; `bad` says what an endpoint answers. */
function scene(size: number, options: OutlierEjectionOptions = {}) {
  const told: string[] = [];
  const balancer = outlierEjection(roundRobin(), {
    onEjection: ({ endpoint: { id }, ejected, reason, now }: Ejection) =>
      told.push(`${now} ${id} ${ejected ? 'out' : 'in'}: ${reason}`),
    ...options,
  });
  balancer.update(endpoints(size), 0);
  const outcomes: Record<string, Outcome> = {};
  const picked = new Map<string, number>();
  const call = (now: number) => {
    const lease = balancer.pick(now);
    const id = lease?.endpoint.id ?? 'nobody';
    picked.set(id, (picked.get(id) ?? 0) + 1);
    lease?.release(outcomes[id] ?? 'success', now);
    return lease;
  };
  const calls = (count: number, now: number) => {
    for (let at = 0; at < count; at++) call(now);
  };
  /** Calls of each endpoint since this was last asked. */
  const tally = () => {
    const seen = Object.fromEntries(picked);
    picked.clear();
    return seen;
  };
  return { balancer, outcomes, call, calls, tally, told };
}

describe('outlierEjection', () => {
  it('takes a dead endpoint out after five failures, and tries it with one call at a time', () => {
    const { balancer, outcomes, call, calls, tally, told } = scene(3);
    outcomes['e1'] = 'failure';
    calls(15, 1);
    expect(tally()).toEqual({ e0: 5, e1: 5, e2: 5 });
    calls(100, 2);
    expect(tally()).toEqual({ e0: 50, e2: 50 });
    calls(100, 3000);
    expect(tally()['e1']).toBeUndefined();
    // 3000 ms after the ejection at 1.
    expect([call(3001)?.endpoint.id, call(3001)?.reason]).toEqual(['e1', 'turn']);
    tally();
    calls(100, 9000);
    expect(tally()['e1']).toBeUndefined();
    delete outcomes['e1'];
    const probe = balancer.pick(9001);
    expect([probe?.endpoint.id, probe?.reason]).toEqual(['e1', 'probe']);
    calls(10, 9002);
    expect(tally()['e1']).toBeUndefined();
    probe?.observe('success', 9003);
    calls(30, 9004);
    expect(tally()['e1']).toBe(10);
    expect(told).toEqual(['1 e1 out: run', '9003 e1 in: probe']);
  });

  it('doubles the term up to the longest, and lives it down in service', () => {
    const { balancer, outcomes, calls } = scene(3, {
      baseEjectionMs: 1000,
      maxEjectionMs: 5000,
      windowMs: 10_000,
    });
    const until = () => balancer.snapshot?.(0).find(({ id }) => id === 'e0')?.ejectedUntil;
    outcomes['e0'] = 'failure';
    calls(30, 0);
    const terms = [until()];
    for (let trial = 0; trial < 4; trial++) {
      const at = until() ?? Number.NaN;
      balancer.pick(at)?.release('failure', at);
      terms.push((until() ?? Number.NaN) - at);
    }
    expect(terms).toEqual([1000, 2000, 4000, 5000, 5000]);
    const back = until() ?? Number.NaN;
    balancer.pick(back)?.release('success', back);
    expect(until()).toBeUndefined();
    // Two windows in service live down two of the three strikes: 1000 * 2 ** 1.
    calls(30, back + 20_000);
    expect(until()).toBe(back + 22_000);
  });

  it.each([
    ['success', 'breaks'],
    ['overload', 'breaks'],
    ['ignored', 'does not touch'],
    ['unsent', 'does not touch'],
  ] as const)('%s %s a run of failures', (outcome, effect) => {
    const { balancer, calls, told } = scene(2);
    calls(100, 0);
    const one = (verdict: Outcome) => {
      for (;;) {
        const lease = balancer.pick(1);
        const hit = lease?.endpoint.id === 'e0';
        lease?.release(hit ? verdict : 'success', 1);
        if (hit) return;
      }
    };
    for (let at = 0; at < 4; at++) one('failure');
    one(outcome);
    expect(told).toEqual([]);
    one('failure');
    expect(told).toEqual(effect === 'breaks' ? [] : ['1 e0 out: run']);
  });

  it('takes out one that fails too often, though never often in a row', () => {
    const { balancer, told } = scene(4);
    let served = 0;
    for (let at = 0; at < 400 && told.length === 0; at++) {
      const lease = balancer.pick(at);
      const bad = lease?.endpoint.id === 'e2' && served++ % 3 === 0;
      lease?.release(bad ? 'failure' : 'success', at);
    }
    // A third of the calls fail: it is out with the first failure after 20 calls.
    expect(told).toEqual([expect.stringMatching(/e2 out: ratio/)]);
    expect(served).toBe(22);
  });

  it('judges one that came back by what it does from then on', () => {
    const { balancer, outcomes, calls, told } = scene(3, { consecutiveFailures: 50 });
    calls(300, 0);
    outcomes['e0'] = 'failure';
    calls(150, 1);
    expect(told).toEqual(['1 e0 out: ratio']);
    delete outcomes['e0'];
    balancer.pick(3001)?.release('success', 3001);
    outcomes['e0'] = 'failure';
    calls(3 * 19, 3002);
    expect(told).toHaveLength(2);
    calls(3, 3002);
    expect(told.slice(1)).toEqual(['3001 e0 in: probe', '3002 e0 out: ratio']);
  });

  it('leaves everybody in when all fail alike, by whatever part', () => {
    for (const failing of [0.3, 0.6, 1]) {
      const random = seededRandom(11);
      const { balancer, told } = scene(5);
      for (let at = 0; at < 5000; at++) {
        balancer.pick(at)?.release(random() < failing ? 'failure' : 'success', at);
      }
      expect(told.length).toBeLessThanOrEqual(1);
    }
  });

  it.each([
    { size: 1, options: {}, out: 0 },
    { size: 2, options: {}, out: 1 },
    { size: 3, options: {}, out: 2 },
    { size: 10, options: {}, out: 7 },
    { size: 10, options: { maxEjectedRatio: 0.25 }, out: 2 },
    { size: 10, options: { maxEjectedRatio: 0 }, out: 0 },
    { size: 3, options: { maxEjectedRatio: 1, panicRatio: 0 }, out: 2 },
  ])('takes out at most $out of $size with $options', ({ size, options, out }) => {
    const { balancer, outcomes, calls } = scene(size, options);
    const ejected = () => balancer.snapshot?.(0).filter((entry) => entry.ejectedUntil !== undefined).length;
    calls(size * 50, 0);
    // One after the other, so that there are others that do well.
    for (let at = 0; at < size; at++) {
      outcomes[`e${at}`] = 'failure';
      calls(size * 30, 1);
      expect(ejected()).toBeLessThanOrEqual(out);
    }
    expect(ejected()).toBe(out);
  });

  it('lets back in what is above the ceiling of a smaller set, the next due first', () => {
    const { balancer, outcomes, calls, told } = scene(6, { maxEjectedRatio: 0.5 });
    calls(300, 0);
    for (const [at, id] of ['e0', 'e1', 'e2'].entries()) {
      outcomes[id] = 'failure';
      calls(120, at + 1);
    }
    expect(told.map((line) => line.slice(2))).toEqual(['e0 out: run', 'e1 out: run', 'e2 out: run']);
    balancer.update(endpoints(4), 10);
    expect(told.slice(3)).toEqual(['10 e0 in: ceiling']);
    balancer.update(endpoints(1), 11);
    expect(balancer.pick(11)?.endpoint.id).toBe('e0');
    expect(balancer.snapshot?.(11)).toMatchObject([{ id: 'e0', ejectedUntil: undefined }]);
  });

  it('passes nobody over when those that are left fail as well', () => {
    const { outcomes, calls, tally, told, balancer } = scene(3);
    calls(90, 0);
    outcomes['e0'] = 'failure';
    calls(60, 1);
    outcomes['e1'] = 'failure';
    calls(60, 2);
    tally();
    calls(10, 3);
    expect(tally()).toEqual({ e2: 10 });
    outcomes['e2'] = 'failure';
    calls(5, 4);
    tally();
    calls(30, 5);
    expect(tally()).toEqual({ e0: 10, e1: 10, e2: 10 });
    // One recovers: a call that panic sends lets it in, panic ends, and now the last one is the outlier.
    delete outcomes['e0'];
    calls(6, 6);
    expect(told.slice(2)).toEqual(['6 e0 in: panic', '6 e2 out: run']);
    tally();
    calls(10, 7);
    expect(tally()).toEqual({ e0: 10 });
    expect(balancer.snapshot?.(7).map(({ ejectedUntil }) => ejectedUntil !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('sends no trial to one that the caller wants to avoid', () => {
    const { balancer, outcomes, calls } = scene(3);
    outcomes['e0'] = 'failure';
    calls(30, 0);
    expect(balancer.pick(5000, { avoid: new Set(['e0']) })?.endpoint.id).not.toBe('e0');
    expect(balancer.pick(5000)?.reason).toBe('probe');
  });

  it.each(['unsent', 'ignored'] as const)('repeats a trial that ended as %s a little later', (outcome) => {
    const { balancer, outcomes, calls } = scene(3);
    outcomes['e0'] = 'failure';
    calls(30, 0);
    balancer.pick(3000)?.release(outcome, 3000);
    expect(balancer.pick(3050)?.reason).toBe('turn');
    expect(balancer.pick(3100)?.reason).toBe('probe');
  });

  it('does not cut a term short for a call that was cancelled in a panic', () => {
    const { balancer, outcomes, calls } = scene(4);
    const until = () => balancer.snapshot?.(0).map(({ ejectedUntil }) => ejectedUntil);
    outcomes['e0'] = outcomes['e1'] = 'failure';
    calls(60, 1);
    expect(until()).toEqual([3001, 3001, undefined, undefined]);
    outcomes['e2'] = outcomes['e3'] = 'failure';
    calls(60, 2);
    for (const id of ['e0', 'e1', 'e2', 'e3']) outcomes[id] = 'ignored';
    calls(40, 3);
    expect(until()).toEqual([3001, 3001, undefined, undefined]);
  });

  it('looks for no trial any more when the last has come back, or left', () => {
    for (const leaves of [false, true]) {
      const { balancer, outcomes, calls } = scene(3);
      // Nothing else shows which way a pick goes.
      const nextTrialAt = () => (balancer as unknown as { nextTrialAt: number }).nextTrialAt;
      outcomes['e0'] = 'failure';
      calls(30, 0);
      expect(nextTrialAt()).toBe(3000);
      if (leaves) balancer.update(endpoints(3).slice(1), 100);
      else balancer.pick(3000)?.release('success', 3000);
      calls(3, 3001);
      expect(nextTrialAt()).toBe(Number.POSITIVE_INFINITY);
    }
  });

  it('repeats a trial that never ended, and then does not listen to it', () => {
    const { balancer, outcomes, calls } = scene(3);
    outcomes['e0'] = 'failure';
    calls(30, 0);
    const lost = balancer.pick(3000);
    expect(balancer.pick(62_999)?.reason).toBe('turn');
    const second = balancer.pick(63_000);
    expect(second?.reason).toBe('probe');
    lost?.release('success', 63_001);
    expect(balancer.pick(63_002)?.reason).toBe('turn');
    expect(balancer.snapshot?.(0)[0]?.ejectedUntil).toBe(123_000);
    second?.release('success', 63_003);
    expect(balancer.snapshot?.(0)[0]?.ejectedUntil).toBeUndefined();
  });

  it('does not hold against an endpoint what began before it was ejected', () => {
    const { balancer, calls, outcomes } = scene(2);
    calls(100, 0);
    const before = Array.from({ length: 20 }, () => balancer.pick(0));
    outcomes['e0'] = 'failure';
    calls(20, 1);
    const until = balancer.snapshot?.(1)[0]?.ejectedUntil;
    expect(until).toBe(3001);
    for (const lease of before) lease?.release(lease.endpoint.id === 'e0' ? 'failure' : 'success', 2);
    expect(balancer.snapshot?.(2)[0]?.ejectedUntil).toBe(until);
  });

  it('remembers those that stay and starts leavers afresh', () => {
    const { balancer, outcomes, calls } = scene(3);
    outcomes['e0'] = 'failure';
    calls(30, 0);
    const held = balancer.pick(3000);
    balancer.update(endpoints(3), 3001);
    expect(balancer.snapshot?.(3001)[0]).toMatchObject({ id: 'e0', inflight: 1, weight: 0 });
    expect(balancer.snapshot?.(3001)[0]?.ejectedUntil).toBeGreaterThan(3001);
    balancer.update(endpoints(3).slice(1), 3002);
    held?.release('failure', 3003);
    balancer.update(endpoints(3), 3004);
    expect(balancer.snapshot?.(3004)[0]).toMatchObject({ inflight: 0, ejectedUntil: undefined });
  });

  it('does not let a listener that throws reach a call', () => {
    const { outcomes, calls, balancer } = scene(2, {
      onEjection: () => {
        throw new Error('listener');
      },
    });
    outcomes['e0'] = 'failure';
    expect(() => calls(50, 0)).not.toThrow();
    expect(balancer.snapshot?.(0)[0]?.ejectedUntil).toBeDefined();
  });

  it('takes a clock that steps back', () => {
    const { outcomes, calls, call, balancer } = scene(3);
    outcomes['e0'] = 'failure';
    calls(30, 10_000);
    calls(30, 0);
    delete outcomes['e0'];
    expect(call(13_000)?.reason).toBe('probe');
    expect(balancer.snapshot?.(0)[0]?.ejectedUntil).toBeUndefined();
  });

  it('lets an inner balancer pick whom it likes', () => {
    const stranger = endpoint('stranger');
    const balancer = outlierEjection({
      update: () => undefined,
      pick: () => ({
        endpoint: stranger,
        reason: 'mine',
        observe: () => undefined,
        release: () => undefined,
      }),
    });
    expect(balancer.pick(0)?.endpoint).toBe(stranger);
    expect(balancer.snapshot?.(0)).toEqual([]);
    balancer.update([stranger], 0);
    balancer.pick(0);
    expect(balancer.snapshot?.(0)).toEqual([
      {
        id: 'stranger',
        url: 'http://stranger',
        weight: 0,
        inflight: 1,
        load: undefined,
        ejectedUntil: undefined,
      },
    ]);
  });

  it.each([
    ['p2c', () => p2c({ meter: inflightMeter(), random: seededRandom(5) })],
    ['weightedRandom', () => weightedRandom({ random: seededRandom(5) })],
    ['rendezvous', () => rendezvous({ random: seededRandom(5) })],
    ['standardBalancer', () => standardBalancer({ random: seededRandom(5), ejection: false })],
  ])('works around %s', (_, inner) => {
    const balancer = outlierEjection(inner());
    balancer.update(endpoints(5), 0);
    let failures = 0;
    for (let at = 0; at < 2000; at++) {
      const lease = balancer.pick(at, { key: `${at}` });
      const dead = lease?.endpoint.id === 'e3';
      if (dead) failures++;
      lease?.release(dead ? 'failure' : 'success', at + 1);
    }
    expect(failures).toBeLessThanOrEqual(5);
    expect(failures).toBeGreaterThan(0);
  });

  it('works around another one, and neither takes the calls away from the other', () => {
    const told: string[] = [];
    const inner = outlierEjection(roundRobin(), { onEjection: ({ endpoint: { id } }) => told.push(id) });
    const outer = outlierEjection(inner, { consecutiveFailures: 100, minRequests: 1000 });
    outer.update(endpoints(4), 0);
    for (let at = 0; at < 100; at++) {
      const lease = outer.pick(at);
      const outcome = lease?.endpoint.id === 'e1' ? 'failure' : 'success';
      if (at % 2 === 0) lease?.observe(outcome, at);
      lease?.release(outcome, at);
    }
    expect(told).toEqual(['e1']);
    const left = [outer, inner].flatMap((balancer) => balancer.snapshot?.(100) ?? []);
    expect(left.map(({ inflight }) => inflight)).toEqual(left.map(() => 0));
  });

  it('counts calls in flight right though a meter throws', () => {
    const faulty = {
      start: () => undefined,
      answer: () => {
        throw new Error('meter');
      },
      end: () => undefined,
      load: () => 1,
    };
    const balancer = outlierEjection(p2c({ meter: () => faulty }));
    balancer.update(endpoints(2), 0);
    for (let at = 0; at < 4; at++) expect(() => balancer.pick(at)?.release('success', at)).toThrow('meter');
    expect(balancer.snapshot?.(4).map(({ inflight }) => inflight)).toEqual([0, 0]);
  });

  it.each([
    [{ consecutiveFailures: 0 }, 'consecutiveFailures'],
    [{ failureRatio: 0 }, 'failureRatio'],
    [{ minRequests: 1.5 }, 'minRequests'],
    [{ windowMs: 0 }, 'windowMs'],
    [{ baseEjectionMs: 0 }, 'baseEjectionMs'],
    [{ baseEjectionMs: 100, maxEjectionMs: 99 }, 'maxEjectionMs'],
    [{ maxEjectedRatio: 1.1 }, 'maxEjectedRatio'],
    [{ panicRatio: -1 }, 'panicRatio'],
  ])('refuses %j', (options, field) => {
    expect(() => outlierEjection(roundRobin(), options)).toThrow(RangeError);
    expect(() => outlierEjection(roundRobin(), options)).toThrow(`outlierEjection.${field}`);
  });
});

describe('standardBalancer', () => {
  it('starts slowly, filters and ejects', () => {
    const balancer = standardBalancer({
      filters: [(list) => list.filter(({ id }) => id !== 'e0')],
      random: seededRandom(1),
    });
    balancer.update(endpoints(4), 0);
    balancer.update(endpoints(5), 10);
    expect(balancer.snapshot?.(10).find(({ id }) => id === 'e4')?.weight).toBe(10);
    for (let at = 0; at < 300; at++) {
      const lease = balancer.pick(10_000 + at);
      expect(lease?.endpoint.id).not.toBe('e0');
      lease?.release(lease.endpoint.id === 'e1' ? 'failure' : 'success', 10_000 + at);
    }
    for (let at = 0; at < 50; at++) expect(balancer.pick(0)?.endpoint.id).not.toBe('e0');
  });

  it('passes options on, and keeps out of ejection when told so', () => {
    expect(() => standardBalancer({ toleranceRatio: -1 })).toThrow('standardBalancer.toleranceRatio');
    expect(() => standardBalancer({ ejection: { minRequests: 0 } })).toThrow(
      'standardBalancer.ejection.minRequests',
    );
    expect(() => standardBalancer({ eject: false } as object)).toThrow(TypeError);
    const balancer = standardBalancer({ ejection: false, meter: inflightMeter() });
    balancer.update(endpoints(2), 0);
    for (let at = 0; at < 100; at++) balancer.pick(at)?.release('failure', at);
    expect(balancer.snapshot?.(100).every(({ ejectedUntil }) => ejectedUntil === undefined)).toBe(true);
  });
});
