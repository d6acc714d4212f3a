import {
  type BreakerState,
  type SreOptions,
  sre,
  sreDefaults,
  sreKratosV1,
  sreKratosV2,
  sreKratosV3,
} from 'keelson/breaker';
import type { Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { acquire, feed, lucky, unlucky } from './feed.js';

const infinity = Number.POSITIVE_INFINITY;

describe('sre presets', () => {
  it.each([
    ['v1', sreKratosV1, 1.5, 100],
    ['v2', sreKratosV2, 1 / 0.6, 100],
    ['v3', sreKratosV3, 2, 20],
  ])('kratos %s', (_, preset, k, minRequests) => {
    expect(preset).toEqual({ k, minRequests, windowMs: 3000, buckets: 10, maxRequests: infinity });
    expect(() => sre(preset)).not.toThrow();
  });

  it.each([
    // share of success at 1000 requests, chance to be refused by v1, v2, v3
    [0, 0.999, 0.999, 0.999],
    [0.25, 0.624, 0.583, 0.5],
    [0.4, 0.4, 0.333, 0.2],
    [0.5, 0.25, 0.167, 0],
    [0.6, 0.1, 0, 0],
    [0.67, 0, 0, 0],
  ])('at %d success refuse %d, %d, %d', (success, ...expected) => {
    const found = [sreKratosV1, sreKratosV2, sreKratosV3].map((preset) => {
      const breaker = sre({ ...preset, random: lucky });
      feed(breaker, 1000 * success, ['success', 0]);
      feed(breaker, 1000 * (1 - success), ['failure', 0]);
      expect(breaker.snapshot(0).requests).toBe(1000);
      return breaker.snapshot(0).refusalRatio;
    });
    for (const [i, ratio] of found.entries()) expect(ratio).toBeCloseTo(expected[i] as number, 3);
  });

  it.each([
    ['v1', sreKratosV1, 99],
    ['v2', sreKratosV2, 99],
    ['v3', sreKratosV3, 19],
  ])('kratos %s lets %#. the last call before its minimum pass, and the next not', (_, preset, minimum) => {
    const breaker = sre({ ...preset, random: unlucky });
    expect(feed(breaker, minimum, ['failure', 0])).toBe(minimum);
    expect(breaker.snapshot(0).state).toBe('closed');
    expect(feed(breaker, 1, ['failure', 0])).toBe(1);
    expect(feed(breaker, 1, ['failure', 0])).toBe(0);
  });

  it('kratos v3 lets exactly half pass, and refuses after one more failure', () => {
    const breaker = sre({ ...sreKratosV3, random: unlucky });
    feed(breaker, 20, ['success', 0]);
    expect(feed(breaker, 20, ['failure', 0])).toBe(20);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', refusalRatio: 0 });
    expect(feed(breaker, 1, ['failure', 0])).toBe(1);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'open', refusalRatio: 1 / 42 });
    expect(breaker.tryAcquire(0)).toBeNull();
  });
});

describe('sre as kratos tests it', () => {
  it('stays closed on successes', () => {
    const breaker = sre({ ...sreKratosV2, random: unlucky });
    expect(feed(breaker, 200, ['success', 0])).toBe(200);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', requests: 200, successes: 200 });
  });

  it('opens after 100 successes and ten million failures', () => {
    const breaker = sre({ ...sreKratosV2, random: lucky });
    feed(breaker, 100, ['success', 0]);
    feed(breaker, 1e7, ['failure', 0]);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'open', requests: 1e7 + 100, successes: 100 });
    expect(breaker.snapshot(0).refusalRatio).toBeGreaterThan(0.9999);
  });

  it('closes by itself once the window has passed', () => {
    const breaker = sre({ ...sreKratosV2, random: lucky });
    feed(breaker, 100, ['success', 0]);
    feed(breaker, 10_000, ['failure', 0]);
    expect(breaker.snapshot(2999).state).toBe('open');
    expect(breaker.snapshot(3000)).toMatchObject({
      state: 'closed',
      requests: 0,
      successes: 0,
      refusalRatio: 0,
    });
  });

  it('never refuses below the minimum, nor while requests are fewer than k times accepts', () => {
    const few = sre({ ...sreKratosV2, random: unlucky });
    expect(feed(few, 99, ['failure', 0])).toBe(99);
    const good = sre({ ...sreKratosV2, random: unlucky });
    feed(good, 1000, ['success', 0]);
    expect(feed(good, 666, ['failure', 0])).toBe(666);
  });

  it('sums over parts of the window', () => {
    const breaker = sre({ ...sreKratosV2, random: lucky });
    const sums = [];
    for (let part = 0; part < 14; part++) {
      feed(breaker, 10, [part % 2 === 0 ? 'success' : 'failure', part * 300]);
      const { requests, successes } = breaker.snapshot(part * 300);
      sums.push([requests, successes]);
    }
    expect(sums[0]).toEqual([10, 10]);
    expect(sums[3]).toEqual([40, 20]);
    expect(sums[9]).toEqual([100, 50]);
    expect(sums[13]).toEqual([100, 50]);
    expect(breaker.snapshot(14_000)).toMatchObject({ requests: 0, successes: 0 });
  });

  it('refuses as often as it says', () => {
    const breaker = sre({ ...sreKratosV3, random: seededRandom(5) });
    let expected = 0;
    let refused = 0;
    for (let i = 0; i < 100_000; i++) {
      const now = i * 2;
      expected += breaker.snapshot(now).refusalRatio;
      const permit = breaker.tryAcquire(now);
      if (permit === null) refused++;
      else permit.release(i % 4 === 0 ? 'success' : 'failure', now);
    }
    // The deviation of a sum of 1e5 draws is below sqrt(1e5 / 4) = 158, which is under half a percent of it.
    expect(expected).toBeGreaterThan(30_000);
    expect(Math.abs(refused / expected - 1)).toBeLessThan(0.05);
  });
});

describe('sre', () => {
  const small: SreOptions = { minRequests: 2, maxRequests: infinity, windowMs: 1000 };

  it.each<[Outcome, number, number]>([
    ['success', 1, 1],
    ['failure', 1, 0],
    ['overload', 1, 0],
    ['ignored', 0, 0],
    ['unsent', 0, 0],
  ])('%s adds %d requests and %d accepts', (outcome, requests, successes) => {
    const breaker = sre();
    acquire(breaker, 0).release(outcome, 1);
    expect(breaker.snapshot(1)).toMatchObject({ requests, successes, inflight: 0 });
    acquire(breaker, 1).observe(outcome, 2);
    expect(breaker.snapshot(2)).toMatchObject({
      requests: 2 * requests,
      successes: 2 * successes,
      inflight: 1,
    });
  });

  it('counts its own refusals as requests', () => {
    const breaker = sre({ ...small, random: unlucky });
    feed(breaker, 2, ['failure', 0]);
    expect(feed(breaker, 3, ['success', 0])).toBe(0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 5, successes: 0, refusalRatio: 5 / 6 });
  });

  it('hears each call once, at its verdict, whatever comes after', () => {
    const breaker = sre();
    const permit = acquire(breaker, 0);
    permit.observe('success', 1);
    permit.observe('failure', 2);
    permit.release('failure', 3);
    permit.release('success', 4);
    permit.observe('success', 5);
    expect(breaker.snapshot(5)).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it('does not take calls in flight for evidence: a burst to a quiet healthy callee passes whole', () => {
    const breaker = sre({ random: unlucky });
    const burst = Array.from({ length: 1000 }, () => acquire(breaker, 0));
    expect(breaker.snapshot(0)).toMatchObject({ inflight: 1000, requests: 0, refusalRatio: 0 });
    for (const permit of burst) permit.release('success', 50);
    expect(breaker.snapshot(50)).toMatchObject({ inflight: 0, refusalRatio: 0 });
  });

  it('remembers a storm of failures no longer than any others', () => {
    const breaker = sre({ random: lucky });
    const storm = Array.from({ length: 100_000 }, () => acquire(breaker, 0));
    for (const permit of storm) permit.release('failure', 100);
    const { requests } = breaker.snapshot(100);
    expect(requests).toBeGreaterThanOrEqual(200);
    expect(requests).toBeLessThanOrEqual(222);
    // As many successes again, and all of the storm is forgotten.
    feed(breaker, requests, ['success', 101]);
    expect(breaker.snapshot(101).refusalRatio).toBe(0);
  });

  it('counts each call in the moment of its verdict, in whatever order calls end', () => {
    const breaker = sre(small);
    const [a, b, c] = [acquire(breaker, 0), acquire(breaker, 10), acquire(breaker, 20)];
    c.release('failure', 30);
    b.release('unsent', 40);
    expect(breaker.snapshot(999)).toMatchObject({ requests: 1, inflight: 1 });
    a.release('success', 1500);
    expect(breaker.snapshot(1500)).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it.each([
    [2, 3, 0],
    [2, 2, 0],
    [2, 1, (4 - 2) / 5],
    [1, 3, (4 - 3) / 5],
    [4, 1, 0],
    [4, 0, 4 / 5],
  ])('with k = %d and %d accepts of 4 refuses %d', (k, accepts, ratio) => {
    const breaker = sre({ ...small, k, random: lucky });
    feed(breaker, accepts, ['success', 0]);
    feed(breaker, 4 - accepts, ['failure', 0]);
    expect(breaker.snapshot(0).refusalRatio).toBeCloseTo(ratio, 12);
  });

  it.each([3, 30, 300, 3000])('opens by its defaults at %d calls per second', (perSecond) => {
    const breaker = sre({ random: unlucky });
    const step = 1000 / perSecond;
    let now = 0;
    for (; now < 10_000; now += step) expect(feed(breaker, 1, ['success', now])).toBe(1);
    let failed = 0;
    while (feed(breaker, 1, ['failure', now]) === 1) {
      failed++;
      now += step;
      expect(failed).toBeLessThanOrEqual(120);
    }
    // Half of what the window holds has to fail: of 4.5 to 5 s, for it moves by half a second, or of 200 to 222 requests.
    expect(failed).toBeGreaterThanOrEqual(Math.floor(Math.min(4.5 * perSecond, 200) / 2));
    expect(failed).toBeLessThanOrEqual(Math.min(5 * perSecond, 222) / 2 + 1);
  });

  it('tells each change of state once, also one that only time brings', () => {
    const told: [BreakerState, BreakerState, number][] = [];
    const breaker = sre({ ...small, random: lucky, onTransition: (...change) => told.push(change) });
    feed(breaker, 3, ['failure', 5]);
    feed(breaker, 3, ['success', 6]);
    feed(breaker, 2, ['failure', 7]);
    breaker.snapshot(999);
    breaker.snapshot(2000);
    breaker.snapshot(2001);
    expect(told).toEqual([
      ['closed', 'open', 5],
      ['open', 'closed', 6],
      ['closed', 'open', 7],
      ['open', 'closed', 2000],
    ]);
  });

  it.each<[string, () => void]>([
    [
      'throws',
      () => {
        throw new Error('hook');
      },
    ],
    ['rejects', () => void 0],
  ])('lets no call feel that its hook %s', async (what, hook) => {
    const onTransition = what === 'rejects' ? () => Promise.reject(new Error('hook')) as never : hook;
    const breaker = sre({ ...small, random: unlucky, onTransition });
    expect(feed(breaker, 3, ['failure', 0])).toBe(2);
    expect(breaker.snapshot(0).state).toBe('open');
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('may be used from inside its hook', () => {
    const breaker = sre({
      ...small,
      random: unlucky,
      onTransition: (_, to, now) => to === 'open' && breaker.force('closed', now),
    });
    feed(breaker, 5, ['failure', 0]);
    expect(breaker.snapshot(0)).toMatchObject({ mode: 'closed', state: 'closed', requests: 5 });
  });

  it('survives a clock that steps back, and times that are none', () => {
    const breaker = sre({ ...small, random: lucky });
    feed(breaker, 4, ['failure', 10_000]);
    feed(breaker, 1, ['success', 9_900]);
    expect(breaker.snapshot(9_900)).toMatchObject({ requests: 5, successes: 1 });
    feed(breaker, 1, ['failure', Number.NaN]);
    expect(breaker.snapshot(Number.NaN).refusalRatio).toBeCloseTo(4 / 7, 12);
    // By a whole window: the clock was restarted, and so is the breaker.
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, state: 'closed' });
  });
});

describe('sre, ruled by hand', () => {
  const failing = (options: SreOptions = {}) => {
    const breaker = sre({ minRequests: 2, random: unlucky, ...options });
    feed(breaker, 4, ['failure', 0]);
    return breaker;
  };

  it('open refuses everything, and learns nothing from that', () => {
    const breaker = sre({ random: lucky });
    const inFlight = acquire(breaker, 0);
    breaker.force('open', 1);
    expect(feed(breaker, 10, ['success', 1])).toBe(0);
    inFlight.release('success', 2);
    expect(breaker.snapshot(2)).toEqual({
      state: 'open',
      mode: 'open',
      refusalRatio: 1,
      requests: 1,
      successes: 1,
      inflight: 0,
    });
    breaker.force('auto', 3);
    expect(breaker.snapshot(3)).toMatchObject({ state: 'closed', mode: 'auto', refusalRatio: 0 });
  });

  it('closed lets everything pass, and goes on learning', () => {
    const breaker = failing();
    breaker.force('closed', 0);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', mode: 'closed', refusalRatio: 0 });
    const { requests } = breaker.snapshot(0);
    expect(feed(breaker, 100, ['failure', 0])).toBe(100);
    expect(breaker.snapshot(0).requests).toBe(requests + 100);
    breaker.force('auto', 0);
    expect(breaker.snapshot(0).state).toBe('open');
    expect(breaker.tryAcquire(0)).toBeNull();
  });

  it('observe lets everything pass, and says what it would do', () => {
    const breaker = failing({ mode: 'observe' });
    expect(feed(breaker, 96, ['failure', 0])).toBe(96);
    const { state, refusalRatio, requests } = breaker.snapshot(0);
    expect({ state, requests, refusalRatio }).toEqual({
      state: 'open',
      requests: 100,
      refusalRatio: 100 / 101,
    });
  });

  it('is told to change state by hand as by itself', () => {
    const told: string[] = [];
    const breaker = sre({ onTransition: (from, to, now) => told.push(`${from}>${to}@${now}`) });
    breaker.force('open', 1);
    breaker.force('open', 2);
    breaker.force('auto', 3);
    expect(told).toEqual(['closed>open@1', 'open>closed@3']);
  });

  it('reset forgets everything, and keeps count of what is in flight', () => {
    const breaker = failing();
    breaker.force('closed', 0);
    const permit = acquire(breaker, 0);
    breaker.reset(0);
    breaker.force('auto', 0);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', requests: 0, inflight: 1 });
    permit.release('success', 1);
    expect(breaker.snapshot(1)).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it('reconfigure keeps what was learned while the window stays the same', () => {
    const breaker = failing();
    breaker.reconfigure({ k: 5, minRequests: 4 }, 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 4, state: 'open' });
    breaker.reconfigure({ minRequests: 5 }, 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 4, state: 'closed' });
    breaker.reconfigure({ minRequests: undefined }, 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 4, state: 'closed' });
  });

  it.each([{ windowMs: 6000 }, { buckets: 5 }, { maxRequests: 300 }])('and begins anew with %o', (change) => {
    const breaker = failing();
    const permit = acquire(sre(), 0);
    breaker.reconfigure(change, 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, state: 'closed' });
    permit.release('success', 0);
  });

  it('changes nothing when an option is refused', () => {
    const breaker = failing();
    const before = breaker.snapshot(0);
    expect(() => breaker.reconfigure({ windowMs: 9000, k: 0 }, 0)).toThrow(RangeError);
    expect(() => breaker.force('shut' as never, 0)).toThrow(RangeError);
    expect(breaker.snapshot(0)).toEqual(before);
  });
});

describe('options of sre', () => {
  it.each([
    [{ k: 0.99 }, RangeError, 'sre.k must be a number >= 1, got 0.99'],
    [{ k: Number.NaN }, RangeError, 'sre.k'],
    [{ minRequests: 0 }, RangeError, 'sre.minRequests'],
    [{ minRequests: 1.5 }, RangeError, 'sre.minRequests'],
    [{ maxRequests: 9 }, RangeError, 'sre.maxRequests must be >= sre.minRequests (10), got 9'],
    [{ windowMs: 0 }, RangeError, 'sre.windowMs'],
    [{ windowMs: infinity }, RangeError, 'sre.windowMs'],
    [{ buckets: 1 }, RangeError, 'sre.buckets'],
    [{ buckets: 1e9 }, RangeError, 'sre.buckets'],
    [{ k: '2' }, TypeError, 'sre.k'],
    [{ random: 4 }, TypeError, 'sre.random must be a function'],
    [{ onTransition: 'log' }, TypeError, 'sre.onTransition must be a function'],
    [{ mode: 'half-open' }, RangeError, 'sre.mode must be one of "auto", "open", "closed", "observe"'],
    [{ K: 2 }, TypeError, 'sre.K is not an option'],
    [null, TypeError, 'sre: options must be an object'],
  ])('%o is refused', (options, kind, message) => {
    expect(() => sre(options as SreOptions)).toThrow(kind);
    expect(() => sre(options as SreOptions)).toThrow(message);
  });

  it('are never written to, and shared by nobody', () => {
    const options = Object.freeze({ minRequests: 2, random: unlucky });
    const [one, other] = [sre(options), sre(options)];
    feed(one, 10, ['failure', 0]);
    expect(one.snapshot(0).state).toBe('open');
    expect(other.snapshot(0)).toMatchObject({ state: 'closed', requests: 0 });
    one.reconfigure({ k: 9 }, 0);
    expect(sreDefaults.k).toBe(2);
  });
});
