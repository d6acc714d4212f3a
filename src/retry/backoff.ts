import type { Random } from '../core/random.js';

/** How waits between tries grow. */
export interface Backoff {
  /** Most that the first wait can be; milliseconds. */
  readonly baseMs: number;
  /** Most that any wait can be; milliseconds. */
  readonly maxMs: number;
  /** By how much the most grows from one wait to the next. */
  readonly factor: number;
}

/**
 * How long to wait before a further try: anything from nothing to a bound that grows, each as likely ("full jitter"),
 * so that callers who failed at the same moment do not come back at the same moment.
 *
 * Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015; Envoy's retry back-off, whose base
 * of 25 ms and bound of ten times that are our defaults.
 *
 * @param backoff - how it grows
 * @param failed - how many tries failed so far, 1 or more
 * @param random - uniform in [0, 1)
 */
export function fullJitter(backoff: Backoff, failed: number, random: Random): number {
  return random() * Math.min(backoff.maxMs, backoff.baseMs * backoff.factor ** (failed - 1));
}
