import type { Random } from '../core/random.js';
import { mostAwayMs } from './retry-after.js';

/** How waits between tries grow. */
export interface RetryPace {
  /** Upper end of the first wait; milliseconds. */
  readonly firstMs: number;
  /** Upper end of all waits; milliseconds. */
  readonly maxMs: number;
}

/**
 * How long to wait after so many failures in a row: anything up to a bound that doubles each time, so that those who failed
 * together do not come back together.
 *
 * Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015: "full jitter".
 *
 * @param failures - 1 after the first
 */
export function backoffMs(failures: number, { firstMs, maxMs }: RetryPace, random: Random): number {
  return random() * Math.min(maxMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
}

/**
 * When a collector may be asked again, and how much at once. After a failure nobody asks until the wait is over, and then a
 * single request tries: a collector that comes back is not met by all that has gathered.
 */
export class Pace {
  private failures = 0;
  private turn = 0;
  private backoffUntil = Number.NEGATIVE_INFINITY;
  private askedUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly retry: RetryPace,
    private readonly random: Random,
  ) {}

  /** Whether the last answer was none. */
  get failing(): boolean {
    return this.failures > 0;
  }

  /** Requests that begin in the same round fail together: one event, however many they are. */
  get round(): number {
    return this.turn;
  }

  /** How long to wait until anything may be sent; 0 for not at all. */
  waitMs(now: number): number {
    const until = Math.max(this.backoffUntil, this.askedUntil);
    // A clock that stepped back must not lengthen the wait.
    return Math.min(Math.max(0, until - now), Math.max(mostAwayMs, this.retry.maxMs));
  }

  /** How many requests may be under way. */
  width(most: number): number {
    return this.failures > 0 ? 1 : most;
  }

  /** What the collector has asked for meanwhile stays: it takes a part, and wants no more than that. */
  succeeded(): void {
    this.failures = 0;
    this.backoffUntil = Number.NEGATIVE_INFINITY;
  }

  /**
   * @param afterMs - how long the collector asked to stay away, if it did
   * @param round - that in which the request began
   */
  failed(now: number, afterMs: number | undefined, round: number): void {
    if (afterMs !== undefined)
      this.askedUntil = Math.max(this.askedUntil, now + Math.min(afterMs, mostAwayMs));
    if (round !== this.turn) return;
    this.turn++;
    this.failures++;
    // Also when it was asked for less: `Retry-After: 0` must not make a loop.
    this.backoffUntil = now + backoffMs(this.failures, this.retry, this.random);
  }

  /** The wait is called off: there is no time for it. */
  hurry(): void {
    this.backoffUntil = Number.NEGATIVE_INFINITY;
    this.askedUntil = Number.NEGATIVE_INFINITY;
  }
}
