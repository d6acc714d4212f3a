import type { Gate } from '../core/gate.js';

/** What a limiter of calls in flight says of itself. */
export interface LimiterSnapshot {
  /** How much is in flight now: the sum of the costs of the calls that hold a permit. */
  readonly inflight: number;
  /** How much may be in flight; `Infinity` for no limit. */
  readonly limit: number;
}

/**
 * A gate that bounds how much is in flight at once.
 *
 * Put it on a server, or in front of a resource of one process: a pool, a file, a library that is not reentrant.
 * What a limiter refuses has to be cheap, so it refuses at once and never queues.
 */
export interface Limiter extends Gate {
  /** For metrics and panels; costs little, changes no decision. */
  snapshot(now: number): LimiterSnapshot;
}
