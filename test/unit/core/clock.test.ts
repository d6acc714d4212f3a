import { systemClock } from 'keelson/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const month = 31 * 24 * 3600 * 1000;

describe('systemClock', () => {
  it('never runs backwards, and tells the wall time', () => {
    let last = systemClock.now();
    for (let i = 0; i < 1000; i++) {
      const now = systemClock.now();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
    expect(systemClock.wallMs()).toBeGreaterThan(1_700_000_000_000);
  });

  it('does not hold the process', () => {
    const made = vi.spyOn(globalThis, 'setTimeout');
    const timer = systemClock.after(1e6, () => undefined);
    const handle = made.mock.results[0]?.value as NodeJS.Timeout;
    made.mockRestore();
    expect(handle.hasRef()).toBe(false);
    timer.cancel();
  });
});

describe('systemClock under fake timers, which it was imported before', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 5_000_000 }));
  afterEach(() => void vi.useRealTimers());

  it('goes by them', () => {
    const [now, wall] = [systemClock.now(), systemClock.wallMs()];
    vi.advanceTimersByTime(1234);
    expect(systemClock.now() - now).toBe(1234);
    expect(systemClock.wallMs()).toBe(wall + 1234);
    expect(wall).toBe(5_000_000);
  });

  it.each([
    [0, 0],
    [-5, 0],
    [1, 1],
    [250, 250],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 31, 2 ** 31],
    [3 * month, 3 * month],
  ])('after %d ms runs once, after %d', (ms, at) => {
    const start = systemClock.now();
    const ran: number[] = [];
    systemClock.after(ms, () => ran.push(systemClock.now() - start));
    expect(ran).toEqual([]);
    if (at > 0) vi.advanceTimersByTime(at - 1);
    expect(ran).toEqual([]);
    vi.advanceTimersByTime(at > 0 ? 1 : 0);
    expect(ran).toEqual([at]);
    vi.advanceTimersByTime(month);
    expect(ran).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('never runs after Infinity', () => {
    let ran = 0;
    const timer = systemClock.after(Number.POSITIVE_INFINITY, () => ran++);
    vi.advanceTimersByTime(3 * month);
    expect(ran).toBe(0);
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([0, 10, 2 ** 31 + 5])('can be told not to, %d ms into a long wait', (ms) => {
    let ran = 0;
    const timer = systemClock.after(3 * month, () => ran++);
    vi.advanceTimersByTime(ms);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(4 * month);
    expect([ran, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('may be cancelled after it ran', () => {
    const timer = systemClock.after(1, () => undefined);
    vi.advanceTimersByTime(1);
    expect(() => timer.cancel()).not.toThrow();
  });
});
