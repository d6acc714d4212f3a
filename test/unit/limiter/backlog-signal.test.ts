import { bbr } from 'keelson/limiter';
import { type BacklogSignalOptions, backlogSignal } from 'keelson/limiter/load';
import { describe, expect, it } from 'vitest';

describe('backlogSignal', () => {
  it.each([
    { backlogMs: 0, budgetMs: 40, or: undefined, value: 0, waiting: 0 },
    { backlogMs: 10, budgetMs: 40, or: undefined, value: 0.25, waiting: 0.25 },
    { backlogMs: 100, budgetMs: 40, or: { value: 0.9 }, value: 2.5, waiting: 2.5 },
    { backlogMs: 10, budgetMs: 40, or: { value: 0.9 }, value: 0.9, waiting: 0.25 },
    { backlogMs: 10, budgetMs: 20, or: { value: Number.NaN }, value: 0.5, waiting: 0.5 },
  ])(
    '$backlogMs ms of $budgetMs, beside $or: $value, of which waits $waiting',
    ({ backlogMs, budgetMs, or, value, waiting }) => {
      const signal = backlogSignal({ backlogMs }, { budgetMs, or });
      expect(signal.value).toBe(value);
      expect(signal.waiting).toBe(waiting);
    },
  );

  it('follows the meter, and makes a limiter refuse what is never in flight', () => {
    const meter = { backlogMs: 0 };
    const limiter = bbr({ load: backlogSignal(meter) });
    const passes = (now: number): boolean => {
      const permit = limiter.tryAcquire(now);
      permit?.release('success', now);
      return permit !== null;
    };
    expect(passes(0)).toBe(true);
    meter.backlogMs = 39;
    expect(passes(1)).toBe(true);
    meter.backlogMs = 41;
    expect(passes(2)).toBe(false);
    meter.backlogMs = 5;
    expect(passes(3)).toBe(true);
  });

  it.each([
    [{ budgetMs: 0 }, /backlogSignal\.budgetMs/],
    [{ budgetMs: Number.NaN }, /backlogSignal\.budgetMs/],
    [{ target: 1 }, /backlogSignal\.target is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => backlogSignal({ backlogMs: 0 }, options as BacklogSignalOptions)).toThrow(message);
  });
});
