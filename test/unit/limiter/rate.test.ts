import { type RateOptions, rate } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';

const passes = (options: RateOptions, times: readonly number[], cost?: number): number[] => {
  const limiter = rate(options);
  return times.filter((now) => limiter.tryAcquire(now, { cost }) !== null);
};
const many = (count: number, now: number): number[] => Array.from({ length: count }, () => now);

describe('rate', () => {
  it.each<{ name: string; options: RateOptions; times: number[]; expected: number[]; cost?: number }>([
    {
      name: 'a burst at once, then one each interval',
      options: { perSecond: 10, burst: 3 },
      times: [...many(4, 0), 99, 100, 100, 199, 200],
      expected: [0, 0, 0, 100, 200],
    },
    {
      name: 'without burst they are spaced',
      options: { perSecond: 10, burst: 1 },
      times: [0, 50, 100, 150, 200],
      expected: [0, 100, 200],
    },
    {
      name: 'a rest fills the burst, and no more',
      options: { perSecond: 10, burst: 2 },
      times: [0, 0, ...many(4, 60_000)],
      expected: [0, 0, 60_000, 60_000],
    },
    {
      name: 'the burst is one second by default',
      options: { perSecond: 3 },
      times: many(5, 7),
      expected: many(3, 7),
    },
    {
      name: 'and at least one call',
      options: { perSecond: 0.5 },
      times: [0, 0, 1999, 2000],
      expected: [0, 2000],
    },
    {
      name: 'a cost is so many calls',
      options: { perSecond: 10, burst: 4 },
      times: [0, 0, 0, 199, 200],
      cost: 2,
      expected: [0, 0, 200],
    },
    {
      name: 'what costs more than the burst never passes',
      options: { perSecond: 10, burst: 4 },
      times: [0, 1e9],
      cost: 5,
      expected: [],
    },
    {
      name: 'a cost that is no cost counts as one',
      options: { perSecond: 10, burst: 1 },
      times: [0, 0, 100],
      cost: -3,
      expected: [0, 100],
    },
    {
      name: 'a cost of nothing needs nothing',
      options: { perSecond: 10, burst: 1 },
      times: many(3, 0),
      cost: 0,
      expected: many(3, 0),
    },
    {
      name: 'thirds of a second add up',
      options: { perSecond: 3, burst: 3 },
      times: [...many(3, 0), ...many(2, 1000 / 3), ...many(2, 2000 / 3)],
      expected: [...many(3, 0), 1000 / 3, 2000 / 3],
    },
    {
      name: 'a clock that starts late',
      options: { perSecond: 1000, burst: 2 },
      times: [...many(3, 1.7e12), 1.7e12 + 1],
      expected: [...many(2, 1.7e12), 1.7e12 + 1],
    },
    {
      name: 'a clock that steps back: time goes on from there',
      options: { perSecond: 10, burst: 2 },
      times: [3_600_000, 3_600_040, 10, 69, 70, 71, 170],
      expected: [3_600_000, 3_600_040, 70, 170],
    },
    {
      name: 'callers that read the clock early find that no time has passed',
      options: { perSecond: 10, burst: 1 },
      times: [1000, 950, 1050, 900, 1050, 150, 1099, 1100],
      expected: [1000, 1100],
    },
    {
      name: 'at a time that is no number, time stands still',
      options: { perSecond: 10, burst: 1 },
      times: [Number.NaN, 0, Number.NaN, 50, 100],
      expected: [Number.NaN, 100],
    },
    {
      name: 'and at an endless one',
      options: { perSecond: 10, burst: 1 },
      times: [0, Number.POSITIVE_INFINITY, 99, Number.NEGATIVE_INFINITY, 100, 200],
      expected: [0, 100, 200],
    },
  ])('$name', ({ options, times, expected, cost }) => {
    expect(passes(options, times, cost)).toEqual(expected);
  });

  it.each([
    { perSecond: 10, burst: 1, cost: 1 },
    { perSecond: 3, burst: 5, cost: 2 },
    { perSecond: 7.3, burst: 9, cost: 0.7 },
    { perSecond: 1e5, burst: 100, cost: 3 },
  ])('says exactly when the next one passes: $perSecond/s, burst $burst, cost $cost', (options) => {
    const { cost, ...rest } = options;
    const limiter = rate(rest);
    let now = 1234.5;
    for (let round = 0; round < 50; round++) {
      while (limiter.tryAcquire(now, { cost }) !== null);
      const wait = limiter.retryAfterMs(now, { cost }) as number;
      expect(wait).toBeGreaterThan(0);
      expect(limiter.tryAcquire(now + wait * 0.99, { cost })).toBeNull();
      now += wait;
      expect(limiter.tryAcquire(now, { cost })).not.toBeNull();
    }
  });

  it('says 0 when one would pass, and nothing when it never will', () => {
    const limiter = rate({ perSecond: 10, burst: 2 });
    expect(limiter.retryAfterMs(0)).toBe(0);
    expect(limiter.retryAfterMs(0, { cost: 3 })).toBeUndefined();
  });

  it.each(['success', 'failure', 'overload', 'ignored'] as const)('keeps what was spent: %s', (outcome) => {
    const limiter = rate({ perSecond: 10, burst: 1 });
    limiter.tryAcquire(0)?.release(outcome, 1);
    expect(limiter.tryAcquire(1)).toBeNull();
  });

  it.each([
    ['as they came', [0, 1, 2]],
    ['the other way round', [2, 1, 0]],
  ])('leaves no trace of calls that were not sent, given back %s', (_, order) => {
    for (const by of [undefined, 'key'] as const) {
      const limiter = rate({ perSecond: 10, burst: 9, by });
      limiter.tryAcquire(0, { key: '0' });
      const permits = order.map((_, key) => limiter.tryAcquire(0, { cost: key + 1, key: String(key) }));
      for (const at of order) permits[at]?.release('unsent', 0);
      const left = order.map((_, key) => limiter.snapshot(0, { key: String(key) }).available);
      expect(left).toEqual(by === 'key' ? [8, 9, 9] : [8, 8, 8]);
    }
  });

  it('gives back what was not sent, once', () => {
    const limiter = rate({ perSecond: 10, burst: 2 });
    limiter.tryAcquire(0);
    const permit = limiter.tryAcquire(0);
    permit?.observe('success', 0);
    permit?.release('unsent', 0);
    permit?.release('unsent', 0);
    expect(limiter.snapshot(0).available).toBe(1);
    permit?.release('success', 0);
    expect(limiter.snapshot(0).available).toBe(1);
  });

  it('gives back no more than the call still costs', () => {
    const limiter = rate({ perSecond: 10, burst: 2 });
    const first = limiter.tryAcquire(0);
    limiter.tryAcquire(50);
    // Without the first call the burst would have been full at 50, and half a call would have been lost.
    first?.release('unsent', 50);
    expect(limiter.snapshot(50).available).toBeCloseTo(1, 9);
  });

  it('nor, after another one was given back, more than is left of it then', () => {
    const limiter = rate({ perSecond: 10, burst: 3 });
    const first = limiter.tryAcquire(0);
    const second = limiter.tryAcquire(50);
    first?.release('unsent', 60);
    limiter.tryAcquire(155);
    second?.release('unsent', 160);
    // Had there been only the one at 155, there would be 3 - 1 + 5 ms * 0.01 per ms.
    expect(limiter.snapshot(160).available).toBeLessThanOrEqual(2.05);
    expect(limiter.snapshot(160).available).toBeGreaterThan(1.95);
  });

  it('gives back nothing that has come back by itself', () => {
    const limiter = rate({ perSecond: 10, burst: 2 });
    const first = limiter.tryAcquire(0);
    limiter.tryAcquire(10_000);
    first?.release('unsent', 10_000);
    expect(limiter.snapshot(10_000).available).toBe(1);
  });

  describe('by key', () => {
    it.each<[RateOptions['by'], { key?: string; operation?: string }, { key?: string; operation?: string }]>([
      ['key', { key: 'a' }, { key: 'b' }],
      ['operation', { operation: 'a' }, { operation: 'b' }],
      [(ask) => `${ask?.key}/${ask?.operation}`, { key: 'a', operation: 'x' }, { key: 'a', operation: 'y' }],
    ])('%s: each has its own', (by, one, other) => {
      const limiter = rate({ perSecond: 1, burst: 1, by });
      expect(limiter.tryAcquire(0, one)).not.toBeNull();
      expect(limiter.tryAcquire(0, one)).toBeNull();
      expect(limiter.retryAfterMs(0, one)).toBe(1000);
      expect(limiter.tryAcquire(0, other)).not.toBeNull();
      expect(limiter.snapshot(0, one)).toEqual({ available: 0, keys: 2 });
    });

    it('counts what has no key together', () => {
      const limiter = rate({ perSecond: 1, burst: 1, by: 'key' });
      expect(limiter.tryAcquire(0)).not.toBeNull();
      expect(limiter.tryAcquire(0, {})).toBeNull();
    });

    it('takes names of the prototype for keys like any other', () => {
      const limiter = rate({ perSecond: 1, burst: 1, by: 'key' });
      for (const key of ['__proto__', 'constructor']) {
        expect(limiter.tryAcquire(0, { key })).not.toBeNull();
        expect(limiter.tryAcquire(0, { key })).toBeNull();
      }
    });

    it('forgets the keys that owe nothing, long before it has to', () => {
      const limiter = rate({ perSecond: 10, burst: 1, by: 'key', maxKeys: 100_000 });
      // One new key per ms, each in debt for 100 ms.
      for (let now = 0; now < 10_000; now++) limiter.tryAcquire(now, { key: `k${now}` });
      expect(limiter.snapshot(10_000).keys).toBeLessThan(300);
    });

    it('never has more than maxKeys, and then forgives one', () => {
      const limiter = rate({ perSecond: 0.001, burst: 1, by: 'key', maxKeys: 3 });
      for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
        expect(limiter.tryAcquire(0, { key })).not.toBeNull();
        expect(limiter.snapshot(0).keys).toBeLessThanOrEqual(3);
        expect(limiter.tryAcquire(0, { key })).toBeNull();
      }
      const forgiven = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].filter(
        (key) => limiter.snapshot(0, { key }).available === 1,
      );
      expect(forgiven).toHaveLength(4);
      expect(forgiven).not.toContain('g');
    });

    it('does not bring a forgotten key back when its call was not sent', () => {
      const limiter = rate({ perSecond: 0.001, burst: 1, by: 'key', maxKeys: 1 });
      const permit = limiter.tryAcquire(0, { key: 'a' });
      limiter.tryAcquire(0, { key: 'b' });
      permit?.release('unsent', 0);
      expect(limiter.snapshot(0)).toEqual({ available: 1, keys: 1 });
      expect(limiter.tryAcquire(0, { key: 'b' })).toBeNull();
    });
  });

  it.each([
    [{}, /rate\.perSecond must be a number > 0, got undefined/],
    [{ perSecond: 0 }, /rate\.perSecond/],
    [{ perSecond: Number.POSITIVE_INFINITY }, /rate\.perSecond/],
    [{ perSecond: 1, burst: 0.5 }, /rate\.burst must be a number >= 1, got 0.5/],
    [{ perSecond: 1, maxKeys: 0 }, /rate\.maxKeys/],
    [{ perSecond: 1, by: 'user' }, /rate\.by must be one of "key", "operation", got "user"/],
    [{ perSecond: 1, by: 'toString' }, /rate\.by/],
    [{ perSecond: 1, rate: 2 }, /rate\.rate is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => rate(options as RateOptions)).toThrow(message);
  });
});

it('takes back in reverse order without a trace, also where fractions do not add up exactly', () => {
  const limiter = rate({ perSecond: 20, burst: 5 });
  limiter.tryAcquire(1000);
  const held = Array.from({ length: 4 }, () => limiter.tryAcquire(1669));
  for (const permit of held.reverse()) permit?.release('unsent', 1669);
  expect(limiter.snapshot(1669).available).toBeCloseTo(5, 6);
});
