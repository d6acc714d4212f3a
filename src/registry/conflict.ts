import { maxNs } from './instant.js';

/**
 * How nodes of one cluster come to agree, whatever was lost, late, repeated or decided on both sides of a cut.
 *
 * 1. **Version.** Each write about an instance (register, set, cancel) gets a version in nanoseconds, `dirty_timestamp`
 *    on the wire: the time of the cluster, and more than any version that the writing node knows of this instance. The
 *    larger version prevails, on every node, in whatever order they hear of them.
 * 2. **A tie.** Of equal versions a cancellation prevails over a description, and of two descriptions the one whose text
 *    sorts higher. No node needs to know who wrote first.
 * 3. **Clocks.** The time of the cluster is that of its fastest clock, up to an hour ahead of the own one: nodes tell
 *    each other the time, and remember the difference while they are cut off, of a node that was not given as a peer for
 *    an hour after its registration expired. So a clock that is ten minutes behind does not lose its node's writes. A
 *    node that starts has nothing but its own, and keeps what clients write to it until all have told it the time: then
 *    what was taken from a clock that is behind gets the version that it should have had. A version more than a year
 *    ahead is refused: nothing could ever be newer.
 * 4. **The cancelled are remembered** as long as any node may still list them, self-protection included. A copy of
 *    theirs that a node kept through a cut is older than its cancellation and stays out; who registers again is newer.
 * 5. **The dead do not renew.** A renewal that comes more than a minute after the cancellation lifts it, although the
 *    version is older: that is a node of the original whose clock is behind, and a client that lives. It is taken back
 *    with a version just above the cancellation, so that nodes that did not hear the renewal believe it too.
 * 6. **Age travels.** With each copy goes the time since its instance was last heard of, as a span, so that clocks do
 *    not matter. A copy older than what the receiving node would itself evict is not taken: what one node evicted
 *    cannot come back from another that still protects it. Who was heard of by anybody was heard of by all, whichever
 *    of them had the newer description.
 * 7. **Evictions are local** and no version: whoever renews anywhere is listed everywhere again.
 * 8. **About itself only a node itself is believed**: hearing that it is gone, or other than it is, it registers anew.
 *
 * Hence for any interleaving: once cuts are healed, all nodes list the same after one renewal and one comparison, no
 * instance that renews is missing, and no instance that neither registers nor renews stays longer than its expiry.
 *
 * Source: last writer wins over hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014), death
 * certificates (Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987). The original has
 * rule 1 with the bare wall clock, and nothing of the others.
 */
export interface Claim {
  /** Version; nanoseconds. */
  readonly dirtyNs: bigint;
  /** Whether it says that the instance is gone. */
  readonly cancelled: boolean;
  /** Canonical text of the description; empty for a cancellation. */
  readonly content: string;
}

/** Which of two claims about one instance prevails: positive for the first, negative for the second, 0 for the same. */
export function compareClaims(one: Claim, other: Claim): number {
  if (one.dirtyNs !== other.dirtyNs) return one.dirtyNs > other.dirtyNs ? 1 : -1;
  if (one.cancelled !== other.cancelled) return one.cancelled ? 1 : -1;
  if (one.content === other.content) return 0;
  return one.content > other.content ? 1 : -1;
}

/**
 * The version of a new write.
 *
 * @param nowNs - time of the cluster
 * @param known - versions known of this instance
 */
export function freshVersion(nowNs: bigint, ...known: readonly (bigint | undefined)[]): bigint {
  let version = nowNs;
  for (const before of known) if (before !== undefined && before >= version) version = before + 1n;
  return version > maxNs ? maxNs : version;
}

/** How far ahead a version from another node may be. Far more than clocks err, far less than all that is left. */
const believedAheadNs = 366n * 86_400n * 1_000_000_000n;

/** Whether a version from another node can be lived with. */
export function believable(dirtyNs: bigint, nowNs: bigint): boolean {
  return dirtyNs >= 0n && dirtyNs <= nowNs + believedAheadNs;
}

/** Whether a cancellation is lifted by a renewal that comes so long after it; milliseconds. Two renewals, and it is no straggler. */
export function renewalLifts(sinceCancelledMs: number): boolean {
  return sinceCancelledMs > lateRenewalMs;
}

/** Time in which a renewal that crossed the cancellation may still arrive. */
const lateRenewalMs = 60_000;
