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

  /** Moves the window to `now`. @returns the slot to give to {@link undo} */
  advance(now: number): number {
    const slot = Math.floor(now / this.bucketMs);
    // Beyond that a slot number plus one is itself; and NaN is no time at all.
    if (slot === this.slot || !Number.isSafeInteger(slot)) return this.slot;
    if (slot > this.slot || slot <= this.slot - this.buckets) this.turn(slot);
    return this.slot;
  }

  /** Adds to the newest bucket. @returns the slot it went to */
  add(now: number, channel: number, amount = 1): number {
    const slot = this.advance(now);
    const at = this.index(slot, channel);
    this.counts[at] = (this.counts[at] as number) + amount;
    this.totals[channel] = (this.totals[channel] as number) + amount;
    return slot;
  }

  /** Takes back what was added to a slot, unless the window has left it behind. */
  undo(slot: number, channel: number, amount = 1): void {
    if (slot > this.slot || slot <= this.slot - this.buckets) return;
    const at = this.index(slot, channel);
    // A slot from before a restart of the clock may bear the number of one that never held this.
    const taken = Math.min(amount, this.counts[at] as number);
    this.counts[at] = (this.counts[at] as number) - taken;
    this.totals[channel] = (this.totals[channel] as number) - taken;
  }

  /** The sum over the window that ends now, the current partial bucket included. */
  total(now: number, channel: number): number {
    this.advance(now);
    return this.totals[channel] as number;
  }

  /** Forgets everything. */
  reset(): void {
    this.counts.fill(0);
    this.totals.fill(0);
    this.slot = Number.MIN_SAFE_INTEGER;
  }

  private index(slot: number, channel: number): number {
    const bucket = ((slot % this.buckets) + this.buckets) % this.buckets;
    return bucket * this.channels + channel;
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
  }

  private clear(slot: number): void {
    for (let channel = 0; channel < this.channels; channel++) {
      const at = this.index(slot, channel);
      this.totals[channel] = (this.totals[channel] as number) - (this.counts[at] as number);
      this.counts[at] = 0;
    }
  }
}
