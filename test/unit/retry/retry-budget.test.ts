import { retryBudget } from 'keelson/retry';
import { describe, expect, it } from 'vitest';

type Step = [now: number, action: 'take' | 'refused' | 'earn', times: number];

describe('retryBudget', () => {
  it.each<[string, Parameters<typeof retryBudget>[0], Step[]]>([
    [
      'starts with a second of its inflow',
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
        [999, 'take', 2],
        [999, 'refused', 1],
        [1000, 'take', 1],
      ],
    ],
    [
      'earns a fifth of the successes',
      {},
      [
        [0, 'take', 3],
        [0, 'earn', 4],
        [0, 'refused', 1],
        [0, 'earn', 1],
        [0, 'take', 1],
      ],
    ],
    [
      'earns before it ever saw the time',
      { minPerSecond: 0 },
      [
        [0, 'earn', 10],
        [5000, 'take', 2],
        [5000, 'refused', 1],
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
      'saves time up to its bound',
      { maxTries: 10 },
      [
        [0, 'take', 3],
        [1e9, 'take', 10],
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
        [332, 'refused', 1],
        [334, 'take', 1],
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
    budget.deposit();
    expect(budget.snapshot(500)).toEqual({ available: 1, withdrawn: 3, refused: 2 });
  });

  it.each([
    [{ ratio: -0.1 }, RangeError],
    [{ ratio: 1.1 }, RangeError],
    [{ minPerSecond: -1 }, RangeError],
    [{ maxTries: 0 }, RangeError],
    [{ tries: 1 }, TypeError],
  ])('refuses %j', (options, kind) => {
    expect(() => retryBudget(options as object)).toThrow(kind);
  });
});
