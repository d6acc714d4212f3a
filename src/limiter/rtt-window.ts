/** What a window of calls comes to. */
export interface RttSample {
  /** Mean time that a call took; milliseconds. */
  readonly rttMs: number;
  /** The most that was in flight at once, when a call had been let in. */
  readonly peak: number;
  /** Share of the calls that ended because their time ran out. */
  readonly lostRatio: number;
}

/**
 * Calls gathered into one sample per window, for laws that would follow the noise of single ones.
 *
 * Source: Netflix/concurrency-limits `WindowedLimit`, `ImmutableAverageSampleWindow`. We differ: the peak is of the calls
 * let in during the window, there of those that ended in it; and a window knows how many were lost, not just whether.
 */
export class RttWindow {
  private endsAt = Number.NaN;
  private sumMs = 0;
  private count = 0;
  private lost = 0;
  private peak = 0;

  constructor(
    private readonly windowMs: number,
    private readonly minSamples: number,
  ) {}

  /** A call was let in. */
  enter(inflight: number): void {
    if (inflight > this.peak) this.peak = inflight;
  }

  /** A call ended. */
  add(rttMs: number, lost: boolean): void {
    this.sumMs += rttMs;
    this.count++;
    if (lost) this.lost++;
  }

  /**
   * Ends the window if it is time to. Few calls say little: then what they say is dropped.
   *
   * @param inflight - how much is in flight now, where the next window begins
   * @returns what the window says, if it is over and says anything
   */
  close(now: number, inflight: number): RttSample | undefined {
    const leftMs = this.endsAt - now;
    // More than a window is left: the clock stepped back.
    if (leftMs >= 0 && leftMs <= this.windowMs) return undefined;
    const { count, sumMs, lost, peak } = this;
    this.endsAt = now + this.windowMs;
    this.sumMs = 0;
    this.count = 0;
    this.lost = 0;
    this.peak = inflight;
    if (count < this.minSamples) return undefined;
    return { rttMs: sumMs / count, peak, lostRatio: lost / count };
  }
}
