/**
 * Counts over a sliding window, in a ring of buckets. Totals are kept up to date as buckets fall out, so reading
 * one is a load, and writing is one addition: nothing is scanned or sorted when a call comes.
 *
 * Buckets carry absolute slot numbers, `floor(now / bucketMs)`. A clock that steps back writes to the newest one; by
 * a whole window or more, it was restarted, and so is the counter: it would stand still until the clock caught up.
 */
export class RollingCounter {
  private readonly counts: Float64Array;
  private readonly totals: Float64Array;
  private readonly bucketMs: number;
  private slot = Number.MIN_SAFE_INTEGER;
  /** When that slot began: a comparison tells that it goes on, where a division would take longer than all the rest. */
  private beganAt = Number.NaN;
  /** Where the counts of that slot stand. */
  private at = 0;

  /**
   * @param windowMs - length of the window
   * @param buckets - into how many parts it is cut; the window moves in steps of one part
   * @param channels - how many things are counted side by side
   */
  constructor(
    windowMs: number,
    private readonly buckets: number,
    private readonly channels: number,
  ) {
    this.bucketMs = windowMs / buckets;
    this.counts = new Float64Array(buckets * channels);
    this.totals = new Float64Array(channels);
  }

  /** Adds to the newest bucket. */
  add(now: number, channel: number, amount = 1): void {
    this.advance(now);
    const at = this.at + channel;
    this.counts[at] = (this.counts[at] as number) + amount;
    this.totals[channel] = (this.totals[channel] as number) + amount;
  }

  /** The sum over the window that ends now, the current partial bucket included. */
  total(now: number, channel: number): number {
    this.advance(now);
    return this.latest(channel);
  }

  /** The same as of the last look or addition, for whoever has just made one. */
  latest(channel: number): number {
    return this.totals[channel] as number;
  }

  /** Forgets everything. */
  reset(): void {
    this.counts.fill(0);
    this.totals.fill(0);
    this.slot = Number.MIN_SAFE_INTEGER;
    this.beganAt = Number.NaN;
  }

  /** Moves the window to `now`. */
  private advance(now: number): void {
    const sinceMs = now - this.beganAt;
    if (!(sinceMs >= 0 && sinceMs < this.bucketMs)) this.leave(now);
  }

  private leave(now: number): void {
    const slot = Math.floor(now / this.bucketMs);
    // Beyond that a slot number plus one is itself; and NaN is no time at all.
    if (slot === this.slot || !Number.isSafeInteger(slot)) return;
    if (slot > this.slot || slot <= this.slot - this.buckets) this.turn(slot);
  }

  /** Where the counts of a slot stand. */
  private place(slot: number): number {
    return (((slot % this.buckets) + this.buckets) % this.buckets) * this.channels;
  }

  private turn(slot: number): void {
    const passed = slot - this.slot;
    if (passed >= this.buckets || passed < 0) {
      this.counts.fill(0);
      this.totals.fill(0);
    } else {
      for (let old = this.slot + 1; old <= slot; old++) this.clear(old);
    }
    this.slot = slot;
    this.beganAt = slot * this.bucketMs;
    this.at = this.place(slot);
  }

  private clear(slot: number): void {
    const place = this.place(slot);
    for (let channel = 0; channel < this.channels; channel++) {
      const at = place + channel;
      this.totals[channel] = (this.totals[channel] as number) - (this.counts[at] as number);
      this.counts[at] = 0;
    }
  }
}
