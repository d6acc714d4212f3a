/** Each power of two is cut into so many equal parts; an estimate is the middle of one, at most 1/64 of itself away. */
const parts = 32;
const partBits = 5;
/** What of the upper word of a double is dropped: all of its mantissa but `partBits`. */
const dropped = 20 - partBits;

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
/** Which half of a double holds its exponent, by the order of bytes of the machine. */
const upper = new Uint32Array(Float64Array.of(1).buffer)[1] === 0 ? 0 : 1;

/** Exponent and first bits of the mantissa of a number above 0: neighbours of it have neighbouring keys. */
function keyOf(value: number): number {
  float[0] = value;
  return (words[upper] as number) >>> dropped;
}

/** The middle of a bucket. */
function middleOf(key: number): number {
  words[upper] = key << dropped;
  words[1 - upper] = 0;
  const from = float[0] as number;
  words[upper] = (key + 1) << dropped;
  return (from + (float[0] as number)) / 2;
}

const least = keyOf(2 ** -10);
/** The last bucket: what is longer counts as this. */
const most = keyOf(2 ** 23) - 1;
const none = new Float64Array(0);

/**
 * Quantiles of durations, to within 1.6 % of themselves, in memory that does not grow with their number. It covers a
 * microsecond to two hours if told milliseconds; what is shorter counts as 0, what is longer as two hours. Sketches can
 * be added up without losing anything.
 *
 * A value finds its bucket by the first bits of its own representation: no logarithm, no search. Buckets are kept for
 * the powers of two that were seen, 256 bytes for each; all of them are 8 KiB.
 *
 * Source: the buckets are those of HdrHistogram (powers of two in equal parts), which has the guarantee of DDSketch
 * (Masson, Rim, Lee, VLDB 2019) at a few more buckets and without its logarithm.
 */
export class LatencySketch {
  /** Of the buckets from `first` on. */
  private counts = none;
  private first = 0;
  /** Of values too short for a bucket. */
  private zeros = 0;

  /** Takes one value. One below 0, or no number, counts as 0: a clock stepped back. */
  add(value: number): void {
    float[0] = value;
    const at = ((words[upper] as number) >>> dropped) - this.first;
    const { counts } = this;
    if (at >= 0 && at < counts.length) counts[at] = (counts[at] as number) + 1;
    else this.addBeyond(value);
  }

  /** Adds all that another one has. */
  merge(other: LatencySketch): void {
    this.zeros += other.zeros;
    const { first, counts } = other;
    if (counts.length === 0) return;
    this.cover(first, first + counts.length - 1);
    const offset = first - this.first;
    for (let at = 0; at < counts.length; at++)
      this.counts[offset + at] = (this.counts[offset + at] as number) + (counts[at] as number);
  }

  /** Forgets everything. */
  clear(): void {
    this.zeros = 0;
    this.counts.fill(0);
  }

  /** The value that a share `q` of all did not exceed; `NaN` without values. */
  quantile(q: number): number {
    const { counts, first, zeros } = this;
    let total = zeros;
    for (let at = 0; at < counts.length; at++) total += counts[at] as number;
    if (total === 0) return Number.NaN;
    // The margin keeps a product such as 0.07 * 100 from asking for one value more than is meant.
    let left = Math.min(total, Math.max(1, q * total - 1e-9)) - zeros;
    if (left <= 0) return 0;
    let at = -1;
    while (left > 0 && at < counts.length - 1) {
      at++;
      left -= counts[at] as number;
    }
    return middleOf(first + at);
  }

  private addBeyond(value: number): void {
    if (!(value >= 2 ** -10)) {
      this.zeros++;
      return;
    }
    const key = Math.min(keyOf(value), most);
    this.cover(key, key);
    const at = key - this.first;
    this.counts[at] = (this.counts[at] as number) + 1;
  }

  /** Makes room for the buckets from one to another. */
  private cover(from: number, to: number): void {
    const { counts, first } = this;
    const empty = counts.length === 0;
    // Whole powers of two, so that room is made a few times and not for each bucket.
    const low = Math.max(least, from - (from % parts));
    const high = Math.min(most, to - (to % parts) + parts - 1);
    const newFirst = empty ? low : Math.min(first, low);
    const newLast = empty ? high : Math.max(first + counts.length - 1, high);
    if (!empty && newFirst === first && newLast === first + counts.length - 1) return;
    const wider = new Float64Array(newLast - newFirst + 1);
    if (!empty) wider.set(counts, first - newFirst);
    this.counts = wider;
    this.first = newFirst;
  }
}
