import type { Random } from '../core/random.js';

/** How delays grow. */
export interface Backoff {
  /** Upper end of the first delay; milliseconds. */
  readonly firstMs: number;
  /** Upper end of all delays; milliseconds. */
  readonly maxMs: number;
}

/**
 * How long to wait after so many failures in a row: anything between 0 and a bound that doubles each time, so that
 * clients that failed together do not come back together.
 *
 * Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015: "full jitter".
 *
 * @param failures - 1 after the first
 */
export function fullJitterMs(failures: number, random: Random, { firstMs, maxMs }: Backoff): number {
  // Beyond 2^30 the bound has long been reached; a power that overflows would make it NaN with a first delay of 0.
  return random() * Math.min(maxMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
}
