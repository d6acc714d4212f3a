import { inflightMeter, p2c, roundRobin, type SlowStartOptions, weightedRandom } from 'keelson/balancer';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints } from './endpoint-makers.js';

const makers = [
  ['roundRobin', (slowStart: SlowStartOptions) => roundRobin({ slowStart })],
  ['weightedRandom', (slowStart: SlowStartOptions) => weightedRandom({ slowStart, random: seededRandom(3) })],
  [
    'p2c',
    (slowStart: SlowStartOptions) =>
      p2c({
        slowStart,
        random: seededRandom(3),
        meter: inflightMeter(),
        forcePickMs: Number.POSITIVE_INFINITY,
      }),
  ],
] as const;

describe.each(makers)('slow start of %s', (_, make) => {
  const weightOf = (balancer: ReturnType<typeof make>, id: string, now: number) =>
    balancer.snapshot?.(now).find((entry) => entry.id === id)?.weight;

  it.each([
    { slowStart: {}, age: 0, weight: 10 },
    { slowStart: {}, age: 500, weight: 10 },
    { slowStart: {}, age: 2500, weight: 50 },
    { slowStart: {}, age: 5000, weight: 100 },
    { slowStart: {}, age: -100, weight: 10 },
    { slowStart: { rampMs: 1000, floorRatio: 0.5 }, age: 250, weight: 50 },
    { slowStart: { rampMs: 1000 }, age: 999, weight: 99.9 },
    { slowStart: { aggression: 2 }, age: 1250, weight: 50 },
    { slowStart: { floorRatio: 1 }, age: 0, weight: 100 },
  ])('after $age ms of $slowStart counts $weight', ({ slowStart, age, weight }) => {
    const balancer = make(slowStart);
    balancer.update(endpoints(3), 0);
    balancer.update(endpoints(4), 10_000);
    expect(weightOf(balancer, 'e3', 10_000 + age)).toBeCloseTo(weight, 9);
    expect(weightOf(balancer, 'e0', 10_000 + age)).toBe(100);
  });

  it('does not begin with the first endpoints ever, late as they may come', () => {
    const balancer = make({});
    balancer.update([], 0);
    balancer.update(endpoints(3), 10_000);
    for (let at = 0; at < 3; at++) expect(weightOf(balancer, `e${at}`, 10_000)).toBe(100);
  });

  it('is called off when most are new', () => {
    const balancer = make({});
    balancer.update(endpoints(2), 0);
    balancer.update(endpoints(4), 100);
    expect(weightOf(balancer, 'e3', 100)).toBe(10);
    balancer.update(endpoints(5), 200);
    for (let at = 0; at < 5; at++) expect(weightOf(balancer, `e${at}`, 200)).toBe(100);
  });

  it('is not repeated by an update, nor by a return before the last lease ended', () => {
    const balancer = make({});
    const held = [endpoint('a')];
    balancer.update([...held, endpoint('b')], 0);
    balancer.update([...held, endpoint('b'), endpoint('c')], 100);
    balancer.update([...held, endpoint('b'), endpoint('c', { weight: 200 })], 2600);
    expect(weightOf(balancer, 'c', 2600)).toBe(100);
  });

  it('sends a newcomer less than its share, and then its share', () => {
    const balancer = make({ rampMs: 1000, floorRatio: 0.1 });
    balancer.update(endpoints(3), 0);
    balancer.update(endpoints(4), 1000);
    const share = (now: number) => {
      let hits = 0;
      for (let call = 0; call < 4000; call++) {
        const lease = balancer.pick(now);
        if (lease?.endpoint.id === 'e3') hits++;
        lease?.release('success', now);
      }
      return hits / 4000;
    };
    // At the floor its weight is 10 of 310; two choices while idle send it nothing.
    expect(share(1000)).toBeLessThan(0.05);
    expect(share(2000)).toBeCloseTo(0.25, 1);
  });
});

describe('slow start', () => {
  it('lets load overrule the ramp', () => {
    const balancer = p2c({
      slowStart: { floorRatio: 0.2 },
      toleranceRatio: 0,
      meter: inflightMeter(),
      forcePickMs: Number.POSITIVE_INFINITY,
    });
    balancer.update([endpoint('old')], 0);
    balancer.update([endpoint('old'), endpoint('new')], 1);
    const picked = Array.from({ length: 12 }, () => balancer.pick(1)?.endpoint.id);
    // A fifth of the weight: the newcomer gets its first call when the other holds four or five, its second at nine
    // or ten.
    expect(picked.filter((id) => id === 'new')).toHaveLength(2);
  });

  it.each([{ rampMs: 0 }, { floorRatio: 0 }, { floorRatio: 1.1 }, { aggression: 0 }])(
    'refuses %j',
    (slowStart) => {
      expect(() => roundRobin({ slowStart })).toThrow(RangeError);
    },
  );
});
