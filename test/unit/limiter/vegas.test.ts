import { type RttLimiter, type VegasOptions, vegas } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
import { acquire, traffic, windowMs } from './rtt-traffic.js';

const made = (options: VegasOptions = {}): RttLimiter => vegas({ windowMs, random: () => 0.5, ...options });
const timedOut = { outcome: 'failure', feedback: { timedOut: true } } as const;

describe('the limit of vegas', () => {
  it('grows by six while nothing queues', () => {
    // The first window begins, the second tells the rtt without load.
    expect(traffic(made())({ seconds: 6, rttMs: 10, together: 100 })).toEqual([20, 20, 26, 32, 38, 44]);
  });

  it('by twice that from a hundred on', () => {
    expect(traffic(made({ initialLimit: 200 }))({ seconds: 3, rttMs: 10, together: 300 }).at(-1)).toBe(212);
  });

  it.each([
    // Of 20 in flight at 10 ms without load the queue is 20 (1 - 10/rtt), rounded up.
    { rttMs: 10.4, queue: 1, change: 6 },
    { rttMs: 11, queue: 2, change: 1 },
    { rttMs: 11.5, queue: 3, change: 0 },
    { rttMs: 14, queue: 6, change: 0 },
    { rttMs: 15, queue: 7, change: -1 },
    { rttMs: 100, queue: 18, change: -1 },
  ])('changes by $change for a queue of $queue', ({ rttMs, change }) => {
    const limiter = made({ minSamples: 1 });
    // One call a second is a window each: the first says 10 ms, the second is what matters.
    for (const [at, ms] of [
      [0, 10],
      [1000, rttMs],
    ] as const) {
      const calls = acquire(limiter, at, 20);
      calls[0]?.release('success', at + ms);
      for (const call of calls.slice(1)) call.release('ignored', at + ms);
    }
    expect(limiter.snapshot(1200).limit).toBe(20 + change);
  });

  it('stands while less than half of it is in use', () => {
    expect(traffic(made({ initialLimit: 100 }))({ seconds: 6, rttMs: 10, together: 49 }).at(-1)).toBe(100);
  });

  it('stays between the least and the most', () => {
    const play = traffic(made({ minLimit: 15, maxLimit: 30 }));
    expect(Math.max(...play({ seconds: 10, rttMs: 10, together: 100 }))).toBe(30);
    expect(Math.min(...play({ seconds: 40, rttMs: 90, together: 100 }))).toBe(15);
  });

  it('moves by less when smoothed', () => {
    const limits = traffic(made({ smoothing: 0.5 }))({ seconds: 4, rttMs: 10, together: 100 });
    expect(limits).toEqual([20, 20, 23, 26]);
  });
});

describe('what vegas takes for the rtt without load', () => {
  it('the shortest window', () => {
    const limiter = made();
    const play = traffic(limiter);
    play({ seconds: 3, rttMs: 20, together: 10 });
    expect(limiter.snapshot(0).baseRttMs).toBe(20);
    play({ seconds: 3, rttMs: 5, together: 10 });
    play({ seconds: 3, rttMs: 50, together: 10 });
    expect(limiter.snapshot(0)).toMatchObject({ baseRttMs: 5, rttMs: 50 });
  });

  it('and any window once in a while, jittered', () => {
    const probedAfter = (random: () => number): number => {
      const limiter = made({ random, probeMultiplier: 1, initialLimit: 20 });
      const play = traffic(limiter);
      play({ seconds: 3, rttMs: 10, together: 5 });
      for (let second = 1; ; second++) {
        play({ seconds: 1, rttMs: 50, together: 5 });
        if (limiter.snapshot(0).baseRttMs === 50) return second;
      }
    };
    // 20 windows at most, 10 at the least; two went by before.
    expect(probedAfter(() => 0)).toBe(8);
    expect(probedAfter(() => 1 - 1e-9)).toBe(18);
  });

  it('never anew if told so', () => {
    const limiter = made({ probeMultiplier: Number.POSITIVE_INFINITY });
    const play = traffic(limiter);
    play({ seconds: 3, rttMs: 10, together: 5 });
    play({ seconds: 2000, rttMs: 50, together: 2 });
    expect(limiter.snapshot(0).baseRttMs).toBe(10);
  });
});

describe('what vegas takes for loss', () => {
  it('windows in which calls time out, and not those in which they fail', () => {
    const play = traffic(made());
    expect(play({ seconds: 3, rttMs: 10, together: 20 }).at(-1)).toBe(26);
    expect(play({ seconds: 4, rttMs: 10, together: 20, ...timedOut }).at(-1)).toBeLessThan(32);
    const [, low] = play({ seconds: 2, rttMs: 10, together: 20, outcome: 'failure' }) as [number, number];
    expect(play({ seconds: 2, rttMs: 10, together: 20, outcome: 'failure' }).at(-1)).toBeGreaterThan(low);
  });

  it.each([
    { lost: 4, change: 6 },
    { lost: 5, change: -1 },
  ])('$lost of fifty: $change', ({ lost, change }) => {
    const limiter = made({ initialLimit: 50 });
    const end = (at: number, outcomes: number): void => {
      const permits = acquire(limiter, at, 49);
      permits.forEach((permit, index) => {
        if (index < outcomes) permit.release('failure', at + 10, { timedOut: true });
        else permit.release('success', at + 10);
      });
    };
    limiter.tryAcquire(0)?.release('success', 10);
    end(100, 0);
    limiter.tryAcquire(1100)?.release('success', 1110);
    end(1200, lost);
    const before = limiter.snapshot(1300).limit;
    // Ends the window, of which it is the last call.
    limiter.tryAcquire(2200)?.release('success', 2210);
    expect(limiter.snapshot(2300).limit - before).toBe(change);
  });

  it('a trickle of timeouts does not close it', () => {
    const limiter = made();
    for (let second = 0; second < 100; second++)
      for (let tenth = 0; tenth < 10; tenth++) {
        const at = second * 1000 + tenth * 100;
        const permits = acquire(limiter, at, 20);
        permits.forEach((permit, index) => {
          const hangs = tenth === 5 && index === 0;
          permit.release(hangs ? 'failure' : 'success', at + 10, hangs ? { timedOut: true } : undefined);
        });
      }
    expect(limiter.snapshot(1e5).limit).toBeGreaterThan(20);
  });
});

describe('whom vegas refuses', () => {
  it('who finds the limit reached, and never who finds nothing in flight', () => {
    const limiter = made({ initialLimit: 1 });
    const [only] = acquire(limiter, 0, 5);
    expect(limiter.snapshot(0).inflight).toBe(1);
    expect(limiter.refuseEarly(0, {})).toBe(true);
    only?.release('ignored', 1);
    expect(limiter.tryAcquire(1, { priority: -1, cost: 9 })).not.toBeNull();
  });
});

describe('options of vegas', () => {
  it.each([
    [{ initialLimit: 2000 }, /vegas\.initialLimit/],
    [{ minLimit: 0.5 }, /vegas\.minLimit/],
    [{ probeMultiplier: 0 }, /vegas\.probeMultiplier/],
    [{ smoothing: 0 }, /vegas\.smoothing/],
    [{ lossRatio: 0 }, /vegas\.lossRatio/],
    [{ windowMs: Number.NaN }, /vegas\.windowMs/],
    [{ minSamples: 1.5 }, /vegas\.minSamples/],
    [{ failures: true }, /vegas\.failures/],
    [{ priorityRatio: -1 }, /vegas\.priorityRatio/],
    [{ random: 1 }, /vegas\.random must be a function/],
    [{ alpha: 3 }, /vegas\.alpha is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => vegas(options as VegasOptions)).toThrow(message);
  });
});
