/** Clocks farther ahead are broken, and not followed. */
const followedMs = 3_600_000;
/** How long the last word of a peer that is none any more counts, and of how many of them. */
const keptMs = 3_600_000;
const maxGone = 64;

/**
 * How far the fastest clock of the cluster is ahead of the own one. Versions are taken from that, so that who writes
 * later has the larger one although the clocks differ. Told what others say; their last word counts, also once they can
 * no longer be reached: for a peer that was given as long as this node runs, for one that only registered an hour more.
 */
export class ClusterTime {
  private readonly readings = new Map<string, number>();
  /** When each peer left that is none any more, longest ago first; monotonic milliseconds. */
  private readonly gone = new Map<string, number>();

  /** Milliseconds, 0 or more. */
  get aheadMs(): number {
    let ahead = 0;
    for (const reading of this.readings.values()) if (reading > ahead) ahead = reading;
    return ahead;
  }

  /** Whether a peer told its time. */
  knows(peer: string): boolean {
    return this.readings.has(peer);
  }

  /**
   * A peer told its time.
   *
   * @param peerMs - its wall clock; milliseconds since 1970
   * @param ownMs - the own one when that was received: the way took time, so the difference is rather more
   */
  heard(peer: string, peerMs: number, ownMs: number): void {
    const ahead = peerMs - ownMs;
    this.readings.set(peer, ahead > 0 && ahead <= followedMs ? ahead : 0);
    this.gone.delete(peer);
  }

  /** A peer is none any more: it left, or is cut off for so long that its registration expired. */
  left(peer: string, nowMs: number): void {
    if (!this.readings.get(peer)) {
      this.readings.delete(peer);
      return;
    }
    this.gone.set(peer, nowMs);
    const [oldest] = this.gone.keys();
    if (oldest !== undefined && this.gone.size > maxGone) this.forget(oldest);
  }

  /** Forgets those that left too long ago. */
  expire(nowMs: number): void {
    for (const [peer, leftMs] of this.gone) if (nowMs - leftMs > keptMs) this.forget(peer);
  }

  private forget(peer: string): void {
    this.readings.delete(peer);
    this.gone.delete(peer);
  }
}
