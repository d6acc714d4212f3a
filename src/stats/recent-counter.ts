/**
 * Counts marks, and the hits among them, over a sliding window that ends at whichever comes first: an age, or a
 * number of marks. A window by age alone holds two marks of a quiet caller and a hundred thousand of a busy one,
 * and then takes as many again to change its mind.
 *
 * A ring of buckets; a bucket is closed when its time is over or when it is full. Totals are kept up to date as
 * buckets fall out, so reading one is a load: nothing is scanned when a call comes.
 */
export class RecentCounter {
  /** Marks in the window, as of the last {@link advance}. */
  marks = 0;
  /** Marks that were hits. */
  hits = 0;
  private readonly bucketMs: number;
  private readonly bucketFull: number;
  private readonly places: number;
  private readonly slots: Float64Array;
  private readonly bucketMarks: Float64Array;
  private readonly bucketHits: Float64Array;
  private slot = Number.MIN_SAFE_INTEGER;
  /** When that slot began: a comparison tells that it goes on, where a division would take longer than all the rest. */
  private beganAt = Number.NaN;
  private newest = 0;
  private live = 0;
  /** How many more marks the newest bucket takes; none once its time is over. */
  private room = 0;
  /** So many marks make the oldest bucket one too many. */
  private tooMany = Number.POSITIVE_INFINITY;

  /**
   * @param windowMs - greatest age, to within one bucket
   * @param buckets - parts of the window, 2 or more; it moves in steps of one part
   * @param maxMarks - at least so many of the newest marks are kept while young enough, and less than one bucket
   * more; `Infinity` for a window by age alone
   */
  constructor(
    windowMs: number,
    private readonly buckets: number,
    private readonly maxMarks: number,
  ) {
    this.bucketMs = windowMs / buckets;
    this.bucketFull = Math.ceil(maxMarks / (buckets - 1));
    // As many as are full, and as many that were closed by time before they were.
    this.places = 2 * buckets + 1;
    this.slots = new Float64Array(this.places);
    this.bucketMarks = new Float64Array(this.places);
    this.bucketHits = new Float64Array(this.places);
  }

  /**
   * Lets go of what is too old. A clock that steps back counts as no time passed; by a whole window, as a restart.
   *
   * @returns whether that was anything
   */
  advance(now: number): boolean {
    const sinceMs = now - this.beganAt;
    return !(sinceMs >= 0 && sinceMs < this.bucketMs) && this.turn(now);
  }

  /** Adds one mark. */
  add(now: number, hit: boolean): void {
    this.advance(now);
    if (this.room === 0) this.open();
    this.room--;
    const at = this.newest;
    this.bucketMarks[at] = (this.bucketMarks[at] as number) + 1;
    this.marks++;
    if (hit) {
      this.bucketHits[at] = (this.bucketHits[at] as number) + 1;
      this.hits++;
    }
    if (this.marks >= this.tooMany) this.drop();
  }

  /** Forgets everything. */
  reset(): void {
    this.live = 0;
    this.room = 0;
    this.marks = 0;
    this.hits = 0;
  }

  private turn(now: number): boolean {
    const slot = Math.floor(now / this.bucketMs);
    if (slot === this.slot || !Number.isSafeInteger(slot)) return false;
    const before = this.live;
    if (slot < this.slot) {
      if (slot > this.slot - this.buckets) return false;
      this.reset();
    }
    this.slot = slot;
    this.beganAt = slot * this.bucketMs;
    this.room = 0;
    while (this.live > 0 && (this.slots[this.oldest()] as number) <= slot - this.buckets) this.drop();
    return this.live < before;
  }

  private oldest(): number {
    const at = this.newest - this.live + 1;
    return at < 0 ? at + this.places : at;
  }

  private open(): void {
    this.newest = this.newest + 1 === this.places ? 0 : this.newest + 1;
    this.live++;
    this.room = this.bucketFull;
    this.slots[this.newest] = this.slot;
    this.bucketMarks[this.newest] = 0;
    this.bucketHits[this.newest] = 0;
    this.bound();
  }

  private drop(): void {
    const at = this.oldest();
    this.marks -= this.bucketMarks[at] as number;
    this.hits -= this.bucketHits[at] as number;
    this.live--;
    this.bound();
  }

  /** While there is but one bucket, it is the newest, and still grows. */
  private bound(): void {
    this.tooMany =
      this.live > 1 ? this.maxMarks + (this.bucketMarks[this.oldest()] as number) : Number.POSITIVE_INFINITY;
  }
}
