import { retryBudget } from 'keelson/retry';
import { describe, expect, it } from 'vitest';

type Step = [now: number, action: 'take' | 'refused' | 'earn', times: number];

describe('a reserve of less than one try in its time to live', () => {
  it('is none', () => {
    const budget = retryBudget({ minPerSecond: 0.05, ttlMs: 10_000 });
    for (let now = 0; now < 1_000_000; now += 1000) expect(budget.withdraw(now)).toBe(false);
  });
});

describe('retryBudget', () => {
  it.each<[string, Parameters<typeof retryBudget>[0], Step[]]>([
    [
      'starts with what it would have saved up',
      {},
      [
        [0, 'take', 3],
        [0, 'refused', 1],
      ],
    ],
    [
      'flows in',
      {},
      [
        [0, 'take', 3],
        // 3 * (1 - exp(-t / 10 s)) is 1 after 4.055 s.
        [4054, 'refused', 1],
        [4056, 'take', 1],
        [1e9, 'take', 3],
        [1e9, 'refused', 1],
      ],
    ],
    [
      'earns a tenth of the successes',
      {},
      [
        [0, 'take', 3],
        [0, 'earn', 9],
        [0, 'refused', 1],
        [0, 'earn', 1],
        [0, 'take', 1],
      ],
    ],
    [
      'earns before it ever saw the time',
      { minPerSecond: 0 },
      [
        [0, 'earn', 20],
        [5000, 'take', 2],
        [5000, 'refused', 1],
      ],
    ],
    [
      'forgets what it saved up',
      { minPerSecond: 0 },
      [
        [0, 'earn', 1000],
        // exp(-50 s / 10 s) of 100 is 0.67.
        [0, 'take', 1],
        [50_000, 'refused', 1],
      ],
    ],
    [
      'saves no more than the share of the calls in its time to live',
      { minPerSecond: 0, maxTries: 1000 },
      [
        [0, 'refused', 1],
        [0, 'earn', 100_000],
        // 10 000 tries that came evenly in 1000 s: 10 each second, and those of the last 10 s are left.
        [1_000_000, 'take', 100],
        [1_000_000, 'refused', 1],
      ],
    ],
    [
      'goes on with a clock that says nothing',
      { minPerSecond: 0 },
      [
        [Number.NaN, 'earn', 10],
        [Number.NaN, 'take', 1],
        [Number.NaN, 'refused', 1],
      ],
    ],
    [
      'saves up to its bound',
      { maxTries: 10 },
      [
        [0, 'earn', 1000],
        [0, 'take', 10],
        [0, 'refused', 1],
      ],
    ],
    [
      'saves time up to its reserve',
      { maxTries: 10 },
      [
        [0, 'take', 3],
        [1e9, 'take', 3],
        [1e9, 'refused', 1],
      ],
    ],
    [
      'never starts above its bound',
      { maxTries: 1, minPerSecond: 50 },
      [
        [0, 'take', 1],
        [0, 'refused', 1],
      ],
    ],
    [
      'gives nothing for nothing',
      { minPerSecond: 0, ratio: 0 },
      [
        [0, 'earn', 1000],
        [1e9, 'refused', 1],
      ],
    ],
    [
      'gains nothing from a clock that steps back',
      {},
      [
        [5000, 'take', 3],
        [0, 'refused', 1],
        [4054, 'refused', 1],
        [4056, 'take', 1],
      ],
    ],
  ])('%s', (_, options, steps) => {
    const budget = retryBudget(options);
    for (const [now, action, times] of steps) {
      for (let i = 0; i < times; i++) {
        if (action === 'earn') budget.deposit();
        else expect(budget.withdraw(now), `${action} ${i + 1} at ${now}`).toBe(action === 'take');
      }
    }
  });

  it('tells what it did', () => {
    const budget = retryBudget();
    for (let i = 0; i < 5; i++) budget.withdraw(0);
    for (let i = 0; i < 10; i++) budget.deposit();
    expect(budget.snapshot(0)).toEqual({ available: 1, withdrawn: 3, refused: 2 });
  });

  it.each([
    [{ ratio: -0.1 }, RangeError],
    [{ ratio: 1.1 }, RangeError],
    [{ minPerSecond: -1 }, RangeError],
    [{ maxTries: 0 }, RangeError],
    [{ ttlMs: 0 }, RangeError],
    [{ tries: 1 }, TypeError],
  ])('refuses %j', (options, kind) => {
    expect(() => retryBudget(options as object)).toThrow(kind);
  });
});
