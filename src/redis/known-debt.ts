/** Costs add up by fractions; the same tolerance as in the script. */
const tolerance = 1e-6;

/**
 * After that long Redis is asked again even if nothing can have come in: somebody may have deleted the key to let a
 * caller in again, or raised the limit elsewhere.
 */
const rememberMs = 1000;

/**
 * What Redis last said of a key: others may only have taken more since, so what could not pass then cannot pass before
 * it has drained. That is how refused calls cost no round trip.
 */
export class KnownDebt {
  private debt = 0;
  private seenAt = Number.NaN;
  private pausedUntil = Number.NaN;

  constructor(
    private readonly perMs: number,
    private readonly burst: number,
  ) {}

  /** Redis said so. */
  learn(debt: number, now: number): void {
    this.debt = debt;
    this.seenAt = now;
    this.pausedUntil = now;
  }

  /** Nothing is to be asked for a while after the last word. */
  pause(ms: number): void {
    this.pausedUntil = this.seenAt + ms;
  }

  /** Whether it is such a while. */
  isPaused(now: number): boolean {
    return now >= this.seenAt && now < this.pausedUntil;
  }

  /** The most that Redis can have now. */
  free(now: number): number {
    const drained = now > this.seenAt ? (now - this.seenAt) * this.perMs : 0;
    return this.burst - Math.max(0, this.debt - drained);
  }

  /** How long one who needs so much has to stay away; 0: it is worth asking. */
  waitMs(now: number, need: number): number {
    // A clock that stepped back: nothing is known.
    if (!(now >= this.seenAt && now - this.seenAt < rememberMs)) return 0;
    const missing = need - this.free(now);
    const drainMs = missing > tolerance ? missing / this.perMs : 0;
    return Math.max(drainMs, this.pausedUntil - now, 0);
  }
}
