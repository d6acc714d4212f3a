import type { Clock } from '../core/clock.js';

/** One moment on both scales. The registry's state is told it and never asks. */
export interface Instant {
  /** Monotonic milliseconds. Decides what has expired: a wall clock that is set must not expire anybody. */
  readonly ms: number;
  /** Nanoseconds since 1970, as the protocol writes them. */
  readonly ns: bigint;
  /** The same by the fastest clock of the cluster, of which versions are taken. Absent: `ns`. */
  readonly clusterNs?: bigint | undefined;
}

/** The moment by the clock of the cluster. */
export function clusterNsOf({ ns, clusterNs = ns }: Instant): bigint {
  return clusterNs;
}

/** The largest timestamp on the wire: clients in Go read int64, and a larger one would cost them the whole list. */
export const maxNs = 2n ** 63n - 1n;

/**
 * What a clock says now.
 *
 * @param aheadMs - how far the clock of the cluster is ahead of it
 */
export function instantOf(clock: Clock, aheadMs = 0): Instant {
  const ns = BigInt(Math.floor(clock.wallMs())) * 1_000_000n;
  const clusterNs = aheadMs > 0 ? ns + BigInt(Math.floor(aheadMs)) * 1_000_000n : ns;
  return { ms: clock.now(), ns, clusterNs };
}
