import type { Clock } from '../core/clock.js';

/** One moment on both scales. The registry's state is told it and never asks. */
export interface Instant {
  /** Monotonic milliseconds. Decides what has expired: a wall clock that is set must not expire anybody. */
  readonly ms: number;
  /** Nanoseconds since 1970, as the protocol writes them. */
  readonly ns: bigint;
}

/** The largest timestamp on the wire: clients in Go read int64, and a larger one would cost them the whole list. */
export const maxNs = 2n ** 63n - 1n;

/** What a clock says now. */
export function instantOf(clock: Clock): Instant {
  return { ms: clock.now(), ns: BigInt(Math.floor(clock.wallMs())) * 1_000_000n };
}
