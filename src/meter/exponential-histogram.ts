import type { ExponentialBuckets } from './metric-data.js';

/** Finest scale: buckets that are 0.00007 % wide. Also the one in which indices are found before they are shifted. */
const maxScale = 20;

const words = new DataView(new ArrayBuffer(8));
const tinyFactor = 2 ** 54;

/**
 * Index of the bucket of the finest scale. All coarser ones are shifts of it, so that histograms of different scales never
 * disagree about a value, wherever rounding puts it. Fits 31 bits.
 *
 * @param value - finite, greater than zero
 */
function finestIndex(value: number): number {
  words.setFloat64(0, value);
  let high = words.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  if (exponent === -1023) {
    // Below the normal numbers the exponent says nothing; times a power of two it does, exactly.
    words.setFloat64(0, value * tinyFactor);
    high = words.getUint32(0);
    exponent = (high >>> 20) - 1023 - 54;
  }
  const whole = exponent * 2 ** maxScale;
  // The upper bound belongs to the bucket: an exact power of two is the last of the one before.
  if ((high & 0xfffff) === 0 && words.getUint32(4) === 0) return whole - 1;
  words.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  const part = Math.ceil(Math.log2(words.getFloat64(0)) * 2 ** maxScale) - 1;
  return whole + Math.min(Math.max(part, 0), 2 ** maxScale - 1);
}

/** Counts of neighbouring buckets. */
class Buckets {
  first = 0;
  counts: number[] = [];

  get last(): number {
    return this.first + this.counts.length - 1;
  }

  /** Adds to a bucket; those between it and the others come into being. */
  add(index: number, count: number): void {
    const { counts } = this;
    if (counts.length === 0) this.first = index;
    while (index < this.first) {
      counts.unshift(0);
      this.first--;
    }
    while (index > this.last) counts.push(0);
    counts[index - this.first] = (counts[index - this.first] as number) + count;
  }

  /** By how many steps the scale has to fall before buckets from one index to another are no more than `size`. */
  static excess(low: number, high: number, size: number): number {
    let steps = 0;
    while ((high >> steps) - (low >> steps) >= size) steps++;
    return steps;
  }

  excessWith(low: number, high: number, size: number): number {
    if (this.counts.length === 0) return Buckets.excess(low, high, size);
    return Buckets.excess(Math.min(low, this.first), Math.max(high, this.last), size);
  }

  coarsen(steps: number): void {
    if (this.counts.length === 0) return;
    const { first, counts } = this;
    this.counts = [];
    for (const [at, count] of counts.entries()) this.add((first + at) >> steps, count);
  }

  copy(): ExponentialBuckets {
    return { offset: this.first, counts: this.counts.slice() };
  }
}

/**
 * Counts values between powers of a base that fits itself to their range: the finest that needs no more than so many
 * buckets. Two of them merge into what one would hold that had recorded the values of both, whatever the order.
 *
 * Source: OpenTelemetry data model, "ExponentialHistogram". Where the SDKs find an index anew in each scale, here it is
 * found in the finest and shifted, so that merging is exact also for values next to a bound.
 */
export class ExponentialHistogram {
  scale = maxScale;
  zeroCount = 0;
  private readonly positive = new Buckets();
  private readonly negative = new Buckets();

  /** @param size - most buckets of either sign; at least 4, with which every number fits at scale -10 */
  constructor(private readonly size: number) {}

  /** @param value - finite */
  record(value: number): void {
    if (value === 0) {
      this.zeroCount++;
      return;
    }
    const finest = finestIndex(Math.abs(value));
    const buckets = value > 0 ? this.positive : this.negative;
    const index = finest >> (maxScale - this.scale);
    const steps = buckets.excessWith(index, index, this.size);
    if (steps > 0) this.coarsen(steps);
    buckets.add(index >> steps, 1);
  }

  /** Adds what another one holds, which stays as it is. */
  merge(other: ExponentialHistogram): void {
    if (other.scale < this.scale) this.coarsen(this.scale - other.scale);
    const pairs = [
      [this.positive, other.positive],
      [this.negative, other.negative],
    ] as const;
    for (const [own, { first, last, counts }] of pairs) {
      if (counts.length === 0) continue;
      const shift = other.scale - this.scale;
      this.coarsen(own.excessWith(first >> shift, last >> shift, this.size));
    }
    const shift = other.scale - this.scale;
    for (const [own, { first, counts }] of pairs)
      for (const [at, count] of counts.entries()) if (count > 0) own.add((first + at) >> shift, count);
    this.zeroCount += other.zeroCount;
  }

  /** A copy that stays as it is. */
  snapshot(): ExponentialSnapshot {
    const { scale, zeroCount } = this;
    return { scale, zeroCount, positive: this.positive.copy(), negative: this.negative.copy() };
  }

  private coarsen(steps: number): void {
    if (steps === 0) return;
    this.scale -= steps;
    this.positive.coarsen(steps);
    this.negative.coarsen(steps);
  }
}

/** The buckets of an {@link ExponentialHistogram} at one moment. */
export interface ExponentialSnapshot {
  readonly scale: number;
  readonly zeroCount: number;
  readonly positive: ExponentialBuckets;
  readonly negative: ExponentialBuckets;
}
