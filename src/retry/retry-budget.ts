import { resolveOptions } from '../core/options.js';
import { TokenBucket } from '../stats/token-bucket.js';

/** What a {@link RetryBudget} can tell of itself. */
export interface RetryBudgetSnapshot {
  /** Further tries that it would allow at this moment. */
  readonly available: number;
  /** Tries that it allowed so far. */
  readonly withdrawn: number;
  /** Tries that it refused so far. */
  readonly refused: number;
}

/** How many further tries a client may make, all its calls together. `retry` and `hedge` draw on the same one. */
export interface RetryBudget {
  /** A call succeeded. Needs no time, so that a success costs no look at the clock. */
  deposit(): void;
  /**
   * Takes one further try, if there is one.
   *
   * @param now - monotonic milliseconds; a clock that steps back adds nothing
   */
  withdraw(now: number): boolean;
  /** What it holds, for panels and metrics. */
  snapshot(now: number): RetryBudgetSnapshot;
}

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /**
   * Further tries that each success earns; 0 to 1. A larger value retries more of the failures of a service that is
   * partly down, and adds as much load to it.
   *
   * @defaultValue `0.2`
   */
  readonly ratio?: number | undefined;
  /**
   * Further tries per second that need no success; 0 or more. They also are what a new client starts with. A larger
   * value helps clients with little traffic, and is the load that retries add while everything is down.
   *
   * @defaultValue `3`
   */
  readonly minPerSecond?: number | undefined;
  /**
   * Most tries that can be saved up; 1 or more. A larger value covers a longer burst of failures after a good time.
   *
   * @defaultValue `100`
   */
  readonly maxTries?: number | undefined;
}

/** Defaults of {@link RetryBudgetOptions}. */
export const retryBudgetDefaults = { ratio: 0.2, minPerSecond: 3, maxTries: 100 } as const;

interface Settings {
  readonly ratio: number;
  readonly minPerSecond: number;
  readonly maxTries: number;
}

class Budget implements RetryBudget {
  private readonly bucket: TokenBucket;
  private withdrawn = 0;
  private refused = 0;

  constructor(private readonly settings: Settings) {
    const { minPerSecond, maxTries } = settings;
    this.bucket = new TokenBucket(minPerSecond, maxTries, Math.min(minPerSecond, maxTries));
  }
  deposit(): void {
    this.bucket.put(this.settings.ratio);
  }
  withdraw(now: number): boolean {
    const allowed = this.bucket.take(1, now);
    if (allowed) this.withdrawn++;
    else this.refused++;
    return allowed;
  }
  snapshot(now: number): RetryBudgetSnapshot {
    return {
      available: Math.floor(this.bucket.level(now)),
      withdrawn: this.withdrawn,
      refused: this.refused,
    };
  }
}

/**
 * Checks an option that has to be a budget; without it, makes one.
 *
 * @param field - full name for the message: `retry.budget`
 * @throws TypeError when it is none, for example the options of one
 */
export function budgetOf(field: string, budget: RetryBudget | undefined): RetryBudget {
  if (budget === undefined) return retryBudget();
  if (typeof budget?.withdraw === 'function' && typeof budget.deposit === 'function') return budget;
  throw new TypeError(`${field} must be a RetryBudget, as retryBudget() makes it`);
}

/**
 * Bounds the tries beyond the first to a share of the calls that succeed, so that retries cannot become the load that
 * keeps a service down.
 *
 * Give one budget to the `retry` and the `hedge` of a client. Not for use across services: a service that is down would
 * use up the tries of the others.
 *
 * Over any time of `t` seconds it allows at most `maxTries + minPerSecond * t + ratio * successes` tries.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const budget = retryBudget({ ratio: 0.1 });
 * const middlewares = [retry({ protocol, budget }), hedge({ protocol, budget })];
 * ```
 *
 * Source: the retry budget of Finagle, `RetryBudget.scala`, whose ratio is ours and whose reserve of tries per second
 * we keep at 3 for 10. A deposit is made by a success, as in gRPC's retry throttling (proposal A6), not by every call:
 * then a chain of services that is down multiplies nothing.
 */
export function retryBudget(options?: RetryBudgetOptions): RetryBudget {
  return new Budget(
    resolveOptions<Settings>('retryBudget', retryBudgetDefaults, options, {
      ratio: { min: 0, max: 1 },
      minPerSecond: { min: 0 },
      maxTries: { min: 1 },
    }),
  );
}
