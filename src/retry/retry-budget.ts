import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';

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
   * @defaultValue `0.1`
   */
  readonly ratio?: number | undefined;
  /**
   * Further tries per second that need no success; 0 or more. Less than one in `ttlMs` is none: a try in part is no try, and
   * fades as it grows. A new client starts with what it would have saved up of
   * them. A larger value helps clients with little traffic, and is the load that retries add while everything is down: of
   * each client, however many there are.
   *
   * @defaultValue `0.3`
   */
  readonly minPerSecond?: number | undefined;
  /**
   * Most tries that can be saved up; 1 or more. A larger value covers a longer burst of failures after a good time.
   *
   * @defaultValue `100`
   */
  readonly maxTries?: number | undefined;
  /**
   * How long a try that was earned can be saved up; milliseconds, above 0: after so long a third of it is left. It keeps
   * what an outage meets in proportion to the traffic: of steady traffic no more is saved than a share of `ratio` of the
   * calls in that time. A larger value covers longer bursts of failures, and adds more to the first load on a service
   * that is down.
   *
   * @defaultValue `10_000`
   */
  readonly ttlMs?: number | undefined;
}

/** Defaults of {@link RetryBudgetOptions}. */
export const retryBudgetDefaults = { ratio: 0.1, minPerSecond: 0.3, maxTries: 100, ttlMs: 10_000 } as const;

interface Settings {
  readonly ratio: number;
  readonly minPerSecond: number;
  readonly maxTries: number;
  readonly ttlMs: number;
}

/** Sums of many small inflows end a hair below the whole try that they are. */
const slack = 1e-9;

class Budget implements RetryBudget {
  private level: number;
  /** What was earned since the time was last told. */
  private earned = 0;
  private lookedAt = Number.NaN;
  private withdrawn = 0;
  private refused = 0;
  /** What comes in by itself while one saved try fades away. */
  private readonly reserve: number;

  constructor(private readonly settings: Settings) {
    const { minPerSecond, maxTries, ttlMs } = settings;
    this.reserve = (minPerSecond * ttlMs) / 1000;
    this.level = Math.min(this.reserve, maxTries);
  }
  deposit(): void {
    this.earned += this.settings.ratio;
  }
  withdraw(now: number): boolean {
    this.look(now);
    const allowed = this.level + slack >= 1;
    if (allowed) {
      this.level = Math.max(0, this.level - 1);
      this.withdrawn++;
    } else this.refused++;
    return allowed;
  }
  snapshot(now: number): RetryBudgetSnapshot {
    this.look(now);
    return {
      available: Math.floor(this.level + slack),
      withdrawn: this.withdrawn,
      refused: this.refused,
    };
  }

  private look(now: number): void {
    const { maxTries, ttlMs } = this.settings;
    const sinceMs = now - this.lookedAt;
    this.lookedAt = now;
    // A clock that stepped back counts as no time passed.
    const passed = sinceMs > 0 ? sinceMs / ttlMs : 0;
    const faded = -Math.expm1(-passed);
    // As if what was earned had come evenly: the older part of it has faded too.
    const fresh = passed > 0 ? this.earned * (faded / passed) : this.earned;
    this.earned = 0;
    this.level = Math.min(maxTries, this.level * (1 - faded) + this.reserve * faded + fresh);
  }
}

/**
 * Checks an option that has to be a budget; without it, makes one.
 *
 * @param field - full name for the message: `retry.budget`
 * @param now - when it begins: what is earned before a budget was ever told the time does not fade
 * @throws TypeError when it is none, for example the options of one
 */
export function budgetOf(field: string, budget: RetryBudget | undefined, now?: number): RetryBudget {
  const given = budget === undefined ? retryBudget() : budget;
  if (typeof given?.withdraw === 'function' && typeof given.deposit === 'function') {
    // Of somebody else's no more is asked than is needed.
    if (now !== undefined && typeof given.snapshot === 'function') given.snapshot(now);
    return given;
  }
  throw aboutOption(new TypeError(`${field} must be a RetryBudget, as retryBudget() makes it`));
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
 * Why these defaults. What an outage meets is what was saved up, and then `minPerSecond`: of a client with 10 calls per
 * second 18 further tries in the first 20 s, which is 9 %; of one with a single call per second 9, so that for such clients
 * it is the breaker that has to bound them. The 3 that a new client starts with are all tries that one call may ask for.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const budget = retryBudget({ ratio: 0.2 });
 * const middlewares = [retry({ protocol, budget }), hedge({ protocol, budget })];
 * ```
 *
 * Source: the retry budget of Finagle, `RetryBudget.scala`: a share of the calls (there a fifth), a reserve (there 10 per
 * second) and their time to live. A deposit is made by a success, as in gRPC's retry throttling (proposal A6), not by every
 * call: then a chain of services that is down multiplies nothing. The tenth is that of "Site Reliability Engineering",
 * chapter 21.
 */
export function retryBudget(options?: RetryBudgetOptions): RetryBudget {
  return new Budget(
    resolveOptions<Settings>('retryBudget', retryBudgetDefaults, options, {
      ratio: { min: 0, max: 1 },
      minPerSecond: { min: 0 },
      maxTries: { min: 1 },
      ttlMs: { above: 0 },
    }),
  );
}
