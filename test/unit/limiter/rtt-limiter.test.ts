import type { Outcome } from 'keelson/core';
import { gradient, type RttLimiter, vegas } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
import { acquire, traffic } from './rtt-traffic.js';

// What the limiters that follow rtt have in common, whatever their law is.

const makers: Record<string, (minSamples?: number) => RttLimiter> = {
  'gradient()': (minSamples = 10) => gradient({ windowMs: 999, minSamples }),
  'vegas()': (minSamples = 10) => vegas({ windowMs: 999, minSamples, random: () => 0.5 }),
};

describe.each(Object.entries(makers))('%s', (_name, make) => {
  it.each<Outcome>(['success', 'failure', 'overload', 'ignored', 'unsent'])(
    'frees a place once, however it ends and however often: %s',
    (outcome) => {
      const limiter = make();
      const [first, second] = acquire(limiter, 0, 2);
      for (let again = 0; again < 3; again++) first?.release(outcome, 10);
      expect(limiter.snapshot(10).inflight).toBe(1);
      second?.release(outcome, 20);
      expect(limiter.snapshot(20).inflight).toBe(0);
    },
  );

  it('holds a place until the end, whatever the first response says', () => {
    const limiter = make();
    const [call] = acquire(limiter, 0, 1);
    call?.observe('success', 5);
    expect(limiter.snapshot(5).inflight).toBe(1);
  });

  it('says a mean per window, when the window is over', () => {
    const limiter = make(3);
    limiter.tryAcquire(0)?.release('success', 10);
    for (const [at, rttMs] of [
      [100, 10],
      [200, 20],
      [300, 60],
    ] as const)
      limiter.tryAcquire(at)?.release('success', at + rttMs);
    expect(limiter.snapshot(1000).rttMs).toBeUndefined();
    limiter.tryAcquire(1010)?.release('success', 1040);
    expect(limiter.snapshot(1040).rttMs).toBe(30);
  });

  it('drops windows of few calls, and does not add them to the next', () => {
    const limiter = make(3);
    for (let second = 0; second < 20; second++)
      for (const at of [second * 1000, second * 1000 + 400])
        limiter.tryAcquire(at)?.release('success', at + 10);
    expect(limiter.snapshot(20_000)).toMatchObject({ rttMs: undefined, baseRttMs: undefined, limit: 20 });
  });

  it('what was not sent teaches nothing, even if somebody claims to have seen an answer', () => {
    const limiter = make(1);
    for (const at of [0, 1000, 2000, 3000]) {
      const permit = limiter.tryAcquire(at);
      permit?.observe('success', at + 5);
      permit?.release('unsent', at + 10);
    }
    expect(limiter.snapshot(4000).rttMs).toBeUndefined();
  });

  it('after the clock stepped back, windows go on from there', () => {
    const limiter = make(1);
    limiter.tryAcquire(3_600_000)?.release('success', 3_600_010);
    limiter.tryAcquire(0)?.release('success', 30);
    expect(limiter.snapshot(30).rttMs).toBe(30);
    limiter.tryAcquire(100)?.release('success', 190);
    expect(limiter.snapshot(190).rttMs).toBe(30);
  });

  it('learns nothing of calls during which the clock jumped ahead by days', () => {
    const limiter = make();
    const play = traffic(limiter);
    play({ seconds: 20, rttMs: 10, together: 20 });
    const before = limiter.snapshot(0);
    const calls = acquire(limiter, 21_000, 20);
    for (const call of calls) call.release('success', 2 * 86_400_000);
    expect(limiter.snapshot(2 * 86_400_000)).toEqual(before);
  });

  it('counts costs, and refuses what does not fit', () => {
    const limiter = make();
    const heavy = limiter.tryAcquire(0, { cost: 15 });
    expect(limiter.tryAcquire(0, { cost: 6 })).toBeNull();
    expect(limiter.tryAcquire(0, { cost: 5 })).not.toBeNull();
    heavy?.release('success', 10);
    expect(limiter.snapshot(10).inflight).toBe(5);
  });

  it('says that it refuses from where it refuses the least important', () => {
    const limiter = make();
    acquire(limiter, 0, 9);
    expect(limiter.refusing).toBe(false);
    acquire(limiter, 0, 1);
    expect(limiter.refusing).toBe(true);
    expect(limiter.refuseEarly(0, { priority: -1 })).toBe(true);
    expect(limiter.refuseEarly(0, {})).toBe(false);
  });

  it('has a limit after any traffic', () => {
    const limiter = make(1);
    const play = traffic(limiter);
    for (const rttMs of [10, 1e-9, 1e9, 0, 99, 10]) play({ seconds: 3, rttMs, together: 300 });
    const { limit, inflight } = limiter.snapshot(0);
    expect(limit).toBeGreaterThanOrEqual(1);
    expect(limit).toBeLessThanOrEqual(1000);
    expect(inflight).toBe(0);
  });
});
