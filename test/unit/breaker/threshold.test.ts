import { type BreakerState, type ThresholdOptions, threshold, thresholdDefaults } from 'keelson/breaker';
import type { Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { acquire, feed } from './feed.js';

const infinity = Number.POSITIVE_INFINITY;

/** Small numbers, no jitter. */
const small: ThresholdOptions = {
  minRequests: 4,
  windowMs: 1000,
  openMs: 100,
  maxOpenMs: 1000,
  jitterRatio: 0,
  probes: 2,
  probeSuccessRatio: 1,
  probeTimeoutMs: 50,
};

/** Opened at 0. */
function opened(options: ThresholdOptions = {}) {
  const breaker = threshold({ ...small, ...options });
  feed(breaker, 4, ['failure', 0]);
  expect(breaker.snapshot(0).state).toBe('open');
  return breaker;
}

describe('threshold, closed', () => {
  it.each<[string, ThresholdOptions, [Outcome, number][], BreakerState]>([
    ['below the minimum', {}, [['failure', 3]], 'closed'],
    ['at the minimum', {}, [['failure', 4]], 'open'],
    [
      'exactly at the ratio',
      {},
      [
        ['success', 2],
        ['failure', 2],
      ],
      'open',
    ],
    [
      'just below the ratio',
      {},
      [
        ['success', 3],
        ['failure', 2],
      ],
      'closed',
    ],
    [
      'with a ratio of 1 and one success',
      { failureRatio: 1 },
      [
        ['success', 1],
        ['failure', 9],
      ],
      'closed',
    ],
    ['with a ratio of 1 and none', { failureRatio: 1 }, [['failure', 4]], 'open'],
    ['without a ratio', { failureRatio: infinity }, [['failure', 99]], 'closed'],
    [
      'a ratio that rounds badly',
      { failureRatio: 0.07, minRequests: 100 },
      [
        ['success', 93],
        ['failure', 7],
      ],
      'open',
    ],
    [
      'one less than that',
      { failureRatio: 0.07, minRequests: 100 },
      [
        ['success', 94],
        ['failure', 6],
      ],
      'closed',
    ],
    ['overloads are failures', {}, [['overload', 4]], 'open'],
    [
      'ignored is nothing',
      {},
      [
        ['ignored', 99],
        ['failure', 3],
      ],
      'closed',
    ],
    [
      'unsent is nothing',
      {},
      [
        ['unsent', 99],
        ['failure', 3],
      ],
      'closed',
    ],
    ['enough in a row', { consecutiveFailures: 3 }, [['failure', 3]], 'open'],
    ['one too few in a row', { consecutiveFailures: 3 }, [['failure', 2]], 'closed'],
    [
      'a row of two kinds',
      { consecutiveFailures: 3 },
      [
        ['failure', 1],
        ['overload', 2],
      ],
      'open',
    ],
    [
      'a row that a success breaks',
      { consecutiveFailures: 3, failureRatio: infinity },
      [
        ['failure', 2],
        ['success', 1],
        ['failure', 2],
      ],
      'closed',
    ],
    [
      'a row that nothing breaks',
      { consecutiveFailures: 3, failureRatio: infinity },
      [
        ['failure', 2],
        ['ignored', 5],
        ['unsent', 5],
        ['failure', 1],
      ],
      'open',
    ],
  ])('%s', (_, options, calls, state) => {
    const breaker = threshold({ ...small, ...options });
    for (const [outcome, count] of calls) feed(breaker, count, [outcome, 0]);
    expect(breaker.snapshot(0).state).toBe(state);
  });

  it('forgets what is older than its window', () => {
    const breaker = threshold(small);
    feed(breaker, 3, ['failure', 0]);
    feed(breaker, 3, ['failure', 1000]);
    expect(breaker.snapshot(1000)).toMatchObject({ state: 'closed', requests: 3, successes: 0 });
    feed(breaker, 1, ['failure', 1999]);
    expect(breaker.snapshot(1999).state).toBe('open');
  });

  it('remembers failures in a row for longer than its window', () => {
    const breaker = threshold({ ...small, consecutiveFailures: 2 });
    feed(breaker, 1, ['failure', 0]);
    feed(breaker, 1, ['failure', 60_000]);
    expect(breaker.snapshot(60_000).state).toBe('open');
  });

  it.each([
    [4, 0, 100, 'open'],
    [2, 2, 100, 'open'],
    [2, 3, 100, 'closed'],
    [4, 0, 99.9, 'closed'],
  ])('with %d slow and %d quick calls of %d ms is then %4$s', (slow, quick, tookMs, state) => {
    const breaker = threshold({ ...small, slowMs: 100, slowRatio: 0.5 });
    for (let i = 0; i < quick; i++) feed(breaker, 1, ['success', tookMs]);
    for (let i = 0; i < slow; i++) acquire(breaker, 0).release('success', tookMs);
    expect(breaker.snapshot(tookMs).state).toBe(state);
  });

  it('takes the first response for the measure of slowness, not the end', () => {
    const breaker = threshold({ ...small, slowMs: 100 });
    for (let i = 0; i < 10; i++) {
      const permit = acquire(breaker, 0);
      permit.observe('success', 99);
      permit.release('success', 5000);
    }
    expect(breaker.snapshot(5000).state).toBe('closed');
  });

  it('counts calls once, and those in flight not at all', () => {
    const breaker = threshold(small);
    const flying = Array.from({ length: 50 }, () => acquire(breaker, 0));
    const permit = acquire(breaker, 0);
    permit.observe('failure', 1);
    permit.release('failure', 2);
    permit.release('failure', 3);
    permit.observe('failure', 4);
    expect(breaker.snapshot(4)).toMatchObject({ requests: 1, successes: 0, inflight: 50 });
    for (const one of flying) one.release('ignored', 5);
    expect(breaker.snapshot(5)).toMatchObject({ requests: 1, inflight: 0 });
  });
});

describe('threshold, open', () => {
  it('refuses, and says for how long', () => {
    const breaker = opened();
    expect([0, 30, 99.5].map((now) => breaker.retryAfterMs?.(now))).toEqual([100, 70, 0.5]);
    expect(breaker.tryAcquire(99.9)).toBeNull();
    expect(breaker.snapshot(99.9)).toMatchObject({ state: 'open', refusalRatio: 1 });
    expect(breaker.snapshot(100)).toMatchObject({ state: 'half-open', refusalRatio: 0 });
    expect(breaker.retryAfterMs?.(100)).toBeUndefined();
  });

  it('is not told apart from one that has a timer: a snapshot says what is true now', () => {
    expect(opened().snapshot(1e9).state).toBe('half-open');
  });

  it('does not count its refusals', () => {
    const breaker = opened();
    feed(breaker, 1000, ['success', 50]);
    expect(breaker.snapshot(50)).toMatchObject({ requests: 4, successes: 0 });
  });

  it('stays open longer each time that probes fail, up to a limit, and starts over after a close', () => {
    const breaker = opened({ probes: 1 });
    const lengths = [];
    let now = 0;
    for (let round = 0; round < 6; round++) {
      const wait = breaker.retryAfterMs?.(now) as number;
      lengths.push(wait);
      expect(breaker.tryAcquire(now + wait - 0.001)).toBeNull();
      now += wait;
      acquire(breaker, now).release('failure', now);
    }
    expect(lengths).toEqual([100, 200, 400, 800, 1000, 1000]);
    now += 1000;
    acquire(breaker, now).release('success', now);
    expect(breaker.snapshot(now).state).toBe('closed');
    feed(breaker, 4, ['failure', now]);
    expect(breaker.retryAfterMs?.(now)).toBe(100);
  });

  it('grows no further than to openMs when that is above the limit', () => {
    const breaker = opened({ openMs: 5000, maxOpenMs: 1000, probes: 1 });
    acquire(breaker, 5000).release('failure', 5000);
    expect(breaker.retryAfterMs?.(5000)).toBe(5000);
  });

  it('adds jitter within its share, never takes any away', () => {
    const random = seededRandom(1);
    const waits = Array.from(
      { length: 500 },
      () => opened({ jitterRatio: 0.5, random }).retryAfterMs?.(0) as number,
    );
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(100);
    expect(Math.min(...waits)).toBeLessThan(105);
    expect(Math.max(...waits)).toBeLessThan(150);
    expect(Math.max(...waits)).toBeGreaterThan(145);
  });

  it('is not kept open by a random that is no number', () => {
    expect(opened({ jitterRatio: 1, random: () => Number.NaN }).snapshot(100).state).toBe('half-open');
  });
});

describe('threshold, half open', () => {
  it('lets the probes pass and refuses all others', () => {
    const breaker = opened();
    const probes = [acquire(breaker, 100), acquire(breaker, 101)];
    expect(breaker.tryAcquire(102)).toBeNull();
    expect(breaker.snapshot(102)).toMatchObject({ state: 'half-open', refusalRatio: 1, inflight: 2 });
    for (const probe of probes) probe.release('success', 110);
    expect(breaker.snapshot(110)).toEqual({
      state: 'closed',
      mode: 'auto',
      refusalRatio: 0,
      requests: 0,
      successes: 0,
      inflight: 0,
    });
  });

  it.each<[number, number, string, BreakerState]>([
    [1, 1, 's', 'closed'],
    [1, 1, 'f', 'open'],
    [1, 1, 'o', 'open'],
    [3, 1, 'ss', 'half-open'],
    [3, 1, 'sss', 'closed'],
    [3, 1, 'f', 'open'],
    [3, 1, 'ssf', 'open'],
    [3, 0.5, 's', 'half-open'],
    [3, 0.5, 'ss', 'closed'],
    [3, 0.5, 'sfs', 'closed'],
    [3, 0.5, 'f', 'half-open'],
    [3, 0.5, 'ff', 'open'],
    [4, 0.5, 'ss', 'closed'],
    [4, 0.5, 'fff', 'open'],
    [4, 0.5, 'ff', 'half-open'],
    [5, 0.001, 's', 'closed'],
    [5, 0.001, 'ffff', 'half-open'],
    [5, 0.001, 'fffff', 'open'],
    [100, 0.07, 'sssssss', 'closed'],
    [100, 0.07, 'ssssss', 'half-open'],
    [2, 1, 'iuiuiu', 'half-open'],
    [2, 1, 'iuisuis', 'closed'],
  ])(
    'with %d probes of which %d has to succeed, %s makes it %s',
    (probes, probeSuccessRatio, results, state) => {
      const breaker = opened({ probes, probeSuccessRatio });
      const outcomes = { s: 'success', f: 'failure', o: 'overload', i: 'ignored', u: 'unsent' } as const;
      for (const result of results)
        acquire(breaker, 100).release(outcomes[result as keyof typeof outcomes], 101);
      expect(breaker.snapshot(101).state).toBe(state);
    },
  );

  it('takes a slow success for a failed probe', () => {
    const breaker = opened({ slowMs: 20, probes: 1 });
    acquire(breaker, 100).release('success', 120);
    expect(breaker.snapshot(120).state).toBe('open');
  });

  it('ignores probes of a round that is over', () => {
    const breaker = opened({ probes: 3, probeSuccessRatio: 0.5 });
    const [a, b, late] = [acquire(breaker, 100), acquire(breaker, 100), acquire(breaker, 100)];
    a.release('failure', 101);
    b.release('failure', 101);
    expect(breaker.snapshot(301).state).toBe('half-open');
    late.release('success', 302);
    const [c] = [acquire(breaker, 303)];
    c.release('success', 304);
    expect(breaker.snapshot(304).state).toBe('half-open');
    acquire(breaker, 305).release('success', 306);
    expect(breaker.snapshot(306).state).toBe('closed');
  });

  it('gives probes up that hang, as of the moment when their time was over', () => {
    const breaker = opened();
    acquire(breaker, 100).release('success', 101);
    const hung = acquire(breaker, 120);
    expect(breaker.snapshot(169)).toMatchObject({ state: 'half-open', refusalRatio: 1 });
    expect(breaker.tryAcquire(170)).toBeNull();
    expect(breaker.snapshot(170).state).toBe('open');
    expect(breaker.retryAfterMs?.(190)).toBe(180);
    expect(breaker.snapshot(370).state).toBe('half-open');
    // The one that hung comes back after all: it says nothing of now, and holds nothing.
    hung.release('success', 371);
    expect(breaker.snapshot(371)).toMatchObject({ state: 'half-open', inflight: 0 });
  });

  it('finds out in one look that hung probes were given up and the time after that is over too', () => {
    const breaker = opened({ probes: 1 });
    acquire(breaker, 100);
    expect(breaker.snapshot(1e6)).toMatchObject({ state: 'half-open', refusalRatio: 0, inflight: 1 });
    acquire(breaker, 1e6).release('success', 1e6);
    expect(breaker.snapshot(1e6).state).toBe('closed');
  });

  it('does not give probes up while there is room for another', () => {
    const breaker = opened();
    acquire(breaker, 100);
    expect(breaker.snapshot(1e6)).toMatchObject({ state: 'half-open', refusalRatio: 0 });
  });

  it('decides at once when fewer probes are asked for than are back', () => {
    const breaker = opened({ probes: 5, probeSuccessRatio: 0.6 });
    acquire(breaker, 100).release('success', 100);
    acquire(breaker, 100).release('success', 100);
    expect(breaker.snapshot(100).state).toBe('half-open');
    breaker.reconfigure({ probes: 2 }, 101);
    expect(breaker.snapshot(101).state).toBe('closed');
  });
});

describe('threshold over time', () => {
  it('counts a result only in the period in which its call began', () => {
    const breaker = threshold({ ...small, probes: 1 });
    const old = Array.from({ length: 20 }, () => acquire(breaker, 0));
    feed(breaker, 4, ['failure', 0]);
    for (const permit of old.slice(0, 5)) permit.release('success', 10);
    expect(breaker.snapshot(10).state).toBe('open');
    acquire(breaker, 100).release('success', 101);
    expect(breaker.snapshot(101).state).toBe('closed');
    for (const permit of old) permit.release('failure', 102);
    expect(breaker.snapshot(102)).toMatchObject({ state: 'closed', requests: 0, inflight: 0 });
  });

  it('tells each change of state', () => {
    const told: string[] = [];
    const onTransition = (from: BreakerState, to: BreakerState, now: number) =>
      told.push(`${from}>${to}@${now}`);
    const breaker = opened({ onTransition, probes: 1 });
    breaker.snapshot(150);
    acquire(breaker, 151).release('failure', 152);
    acquire(breaker, 400).release('success', 401);
    expect(told).toEqual([
      'closed>open@0',
      'open>half-open@150',
      'half-open>open@152',
      'open>half-open@400',
      'half-open>closed@401',
    ]);
  });

  it('lets no call feel that its hook throws', () => {
    const breaker = opened({
      onTransition: () => {
        throw new Error('hook');
      },
    });
    expect(breaker.tryAcquire(50)).toBeNull();
    acquire(breaker, 100).release('failure', 100);
    expect(breaker.snapshot(100).state).toBe('open');
  });

  it('does not stay open for ever when the clock steps back', () => {
    const breaker = threshold(small);
    feed(breaker, 4, ['failure', 1e9]);
    expect(breaker.tryAcquire(50)).toBeNull();
    expect(breaker.retryAfterMs?.(50)).toBe(100);
    expect(breaker.snapshot(149).state).toBe('open');
    expect(breaker.snapshot(150).state).toBe('half-open');
  });

  it('does not wait for ever for hung probes when the clock steps back', () => {
    const breaker = threshold({ ...small, probes: 1 });
    feed(breaker, 4, ['failure', 1e9]);
    acquire(breaker, 1e9 + 100);
    expect(breaker.snapshot(10).state).toBe('half-open');
    expect(breaker.snapshot(60).state).toBe('open');
  });

  it('takes a time that is none for no time', () => {
    const breaker = opened();
    expect(breaker.tryAcquire(Number.NaN)).toBeNull();
    expect(breaker.snapshot(100).state).toBe('half-open');
  });
});

describe('threshold, ruled by hand', () => {
  it('observe changes state as it would, and refuses nothing', () => {
    const breaker = opened({ mode: 'observe' });
    expect(feed(breaker, 10, ['success', 50])).toBe(10);
    expect(breaker.snapshot(50)).toMatchObject({ state: 'open', mode: 'observe', refusalRatio: 1 });
    expect(feed(breaker, 10, ['failure', 100])).toBe(10);
    expect(breaker.snapshot(100).state).toBe('open');
    expect(feed(breaker, 10, ['success', 300])).toBe(10);
    // The first two were the probes; the other eight came into a closed breaker.
    expect(breaker.snapshot(300)).toMatchObject({ state: 'closed', requests: 8, successes: 8 });
    expect(breaker.retryAfterMs?.(300)).toBeUndefined();
  });

  it('open refuses for as long as it is forced, while time runs on beneath', () => {
    const breaker = threshold(small);
    breaker.force('open', 0);
    expect(breaker.tryAcquire(1e6)).toBeNull();
    expect(breaker.retryAfterMs?.(1e6)).toBeUndefined();
    expect(breaker.snapshot(1e6)).toMatchObject({
      state: 'open',
      mode: 'open',
      refusalRatio: 1,
      requests: 0,
    });
    breaker.force('auto', 1e6);
    expect(breaker.snapshot(1e6)).toMatchObject({ state: 'closed', refusalRatio: 0 });
  });

  it('closed lets everything pass for as long as it is forced, and then goes by what it learned', () => {
    const breaker = threshold(small);
    breaker.force('closed', 0);
    expect(feed(breaker, 50, ['failure', 0])).toBe(50);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', refusalRatio: 0 });
    breaker.force('auto', 10);
    expect(breaker.snapshot(10)).toMatchObject({ state: 'open', refusalRatio: 1 });
    expect(breaker.retryAfterMs?.(10)).toBe(90);
  });

  it('reset closes and forgets, the growth of the open time included', () => {
    const breaker = opened({ probes: 1 });
    acquire(breaker, 100).release('failure', 100);
    breaker.reset(101);
    expect(breaker.snapshot(101)).toMatchObject({ state: 'closed', requests: 0 });
    feed(breaker, 4, ['failure', 102]);
    expect(breaker.retryAfterMs?.(102)).toBe(100);
  });

  it('reconfigure keeps the window while its geometry stays, and the open time that runs', () => {
    const breaker = threshold(small);
    feed(breaker, 3, ['failure', 0]);
    breaker.reconfigure({ minRequests: 10, openMs: 300 }, 0);
    feed(breaker, 6, ['failure', 0]);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', requests: 9 });
    feed(breaker, 1, ['failure', 0]);
    expect(breaker.retryAfterMs?.(0)).toBe(300);
    breaker.reconfigure({ openMs: 50 }, 0);
    expect(breaker.retryAfterMs?.(0)).toBe(300);
  });

  it.each<[ThresholdOptions, number]>([
    // Openings of 100 and 200 ms are over.
    [{}, 400],
    [{ maxOpenMs: 250 }, 250],
    [{ openMs: 10 }, 40],
    [{ openMs: 500, maxOpenMs: 100 }, 500],
    [{ openMs: 500, openFactor: 1 }, 500],
  ])('the next opening is as long as the options of that moment say: %o, %d ms', (change, openMs) => {
    const breaker = opened({ probes: 1 });
    acquire(breaker, 100).release('failure', 100);
    breaker.reconfigure(change, 150);
    expect(breaker.retryAfterMs?.(150)).toBe(150);
    acquire(breaker, 300).release('failure', 300);
    expect(breaker.retryAfterMs?.(300)).toBe(openMs);
  });

  it.each([{ windowMs: 2000 }, { buckets: 7 }])('and begins the window anew with %o', (change) => {
    const breaker = threshold(small);
    feed(breaker, 3, ['failure', 0]);
    breaker.reconfigure(change, 0);
    expect(breaker.snapshot(0).requests).toBe(0);
  });

  it('changes nothing when an option is refused', () => {
    const breaker = opened();
    const before = breaker.snapshot(0);
    expect(() => breaker.reconfigure({ windowMs: 9, probes: 0 }, 0)).toThrow(RangeError);
    expect(breaker.snapshot(0)).toEqual(before);
  });
});

describe('options of threshold', () => {
  it.each([
    [{ failureRatio: 0 }, RangeError],
    [{ failureRatio: 1.1 }, RangeError],
    [{ failureRatio: 50 }, RangeError],
    [{ minRequests: 0 }, RangeError],
    [{ windowMs: 0 }, RangeError],
    [{ buckets: 0 }, RangeError],
    [{ consecutiveFailures: 0 }, RangeError],
    [{ slowMs: 0 }, RangeError],
    [{ slowRatio: 0 }, RangeError],
    [{ openMs: 0 }, RangeError],
    [{ openMs: infinity }, RangeError],
    [{ openFactor: 0.9 }, RangeError],
    [{ maxOpenMs: Number.NaN }, RangeError],
    [{ jitterRatio: 1.01 }, RangeError],
    [{ jitterRatio: -0.1 }, RangeError],
    [{ probes: 0 }, RangeError],
    [{ probeSuccessRatio: 0 }, RangeError],
    [{ probeTimeoutMs: 0 }, RangeError],
    [{ mode: 'metrics' }, RangeError],
    [{ random: 1 }, TypeError],
    [{ onTransition: 1 }, TypeError],
    [{ resetTimeout: 30_000 }, TypeError],
  ])('%o is refused, by name', (options, kind) => {
    expect(() => threshold(options as ThresholdOptions)).toThrow(kind);
    expect(() => threshold(options as ThresholdOptions)).toThrow(`threshold.${Object.keys(options)[0]}`);
  });

  it('may all be the defaults', () => {
    expect(() => threshold(thresholdDefaults)).not.toThrow();
  });
});
