import { attempt, isGovernanceError, type Permit } from 'keelson/core';
import { type ConcurrencyOptions, concurrency } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';

describe('concurrency', () => {
  it('lets the limit in, and another one when one is over', () => {
    const limiter = concurrency({ limit: 2 });
    const first = limiter.tryAcquire(0);
    const second = limiter.tryAcquire(0);
    expect(second).not.toBeNull();
    expect(limiter.tryAcquire(0)).toBeNull();
    first?.release('success', 1);
    expect(limiter.tryAcquire(1)).not.toBeNull();
    expect(limiter.snapshot(1)).toEqual({ inflight: 2, limit: 2 });
  });

  it.each(['success', 'failure', 'overload', 'ignored', 'unsent'] as const)(
    'frees the place once, however often and however it is released: %s',
    (outcome) => {
      const limiter = concurrency({ limit: 2 });
      limiter.tryAcquire(0);
      const permit = limiter.tryAcquire(0);
      permit?.observe('success', 1);
      expect(limiter.snapshot(1).inflight).toBe(2);
      permit?.release(outcome, 2);
      permit?.release(outcome, 3);
      expect(limiter.snapshot(3).inflight).toBe(1);
    },
  );

  it.each([
    { limit: 10, costs: [4, 4], next: 2, passes: true },
    { limit: 10, costs: [4, 4], next: 3, passes: false },
    { limit: 10, costs: [], next: 11, passes: false },
    { limit: 10, costs: [10], next: 0, passes: true },
    { limit: 0.5, costs: [], next: 0.5, passes: true },
    { limit: 1, costs: [], next: -5, passes: true },
    { limit: 1, costs: [-5], next: 1, passes: false },
    { limit: 1, costs: [Number.NaN], next: 1, passes: false },
    { limit: 2, costs: [Number.POSITIVE_INFINITY], next: 1, passes: true },
    { limit: Number.POSITIVE_INFINITY, costs: [1e9], next: 1e9, passes: true },
  ])('of $limit with $costs in flight, a call of $next: $passes', ({ limit, costs, next, passes }) => {
    const limiter = concurrency({ limit });
    for (const cost of costs) expect(limiter.tryAcquire(0, { cost })).not.toBeNull();
    expect(limiter.tryAcquire(0, { cost: next }) !== null).toBe(passes);
  });

  it('has nothing left of fractions that do not add up', () => {
    const limiter = concurrency({ limit: 1 });
    const permits = [0.1, 0.2, 0.3].map((cost) => limiter.tryAcquire(0, { cost }) as Permit);
    for (const permit of permits) permit.release('success', 1);
    expect(limiter.snapshot(1).inflight).toBe(0);
  });

  it('follows a new limit at once, in both directions', () => {
    const limiter = concurrency({ limit: 1 });
    const permits = [limiter.tryAcquire(0)];
    expect(limiter.tryAcquire(0)).toBeNull();
    limiter.reconfigure({ limit: 3 });
    permits.push(limiter.tryAcquire(0), limiter.tryAcquire(0));
    expect(permits).not.toContain(null);
    limiter.reconfigure({ limit: 2 });
    permits[0]?.release('success', 1);
    expect(limiter.tryAcquire(1)).toBeNull();
    permits[1]?.release('success', 1);
    expect(limiter.tryAcquire(1)).not.toBeNull();
  });

  it('keeps its limit when the new one is wrong', () => {
    const limiter = concurrency({ limit: 1 });
    expect(() => limiter.reconfigure({ limit: -1 })).toThrow(RangeError);
    expect(limiter.snapshot(0).limit).toBe(1);
  });

  it.each([
    [{ limit: 0 }, /concurrency\.limit must be a number > 0 or Infinity, got 0/],
    [{ limit: Number.NaN }, /got NaN/],
    [{ limit: '5' }, /got "5"/],
    [{}, /got undefined/],
    [{ limit: 1, max: 2 }, /concurrency\.max is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => concurrency(options as ConcurrencyOptions)).toThrow(message);
  });

  it('is a gate for attempt()', async () => {
    const limiter = concurrency({ limit: 1 });
    let finish: (value: string) => void = () => undefined;
    const running = attempt(limiter, () => new Promise<string>((resolve) => (finish = resolve)));
    const refused = await attempt(limiter, () => 'never').catch((error: unknown) => error);
    expect(isGovernanceError(refused) && refused.code).toBe('OVERLOADED');
    finish('done');
    await expect(running).resolves.toBe('done');
    await expect(attempt(limiter, () => 'next')).resolves.toBe('next');
  });
});
