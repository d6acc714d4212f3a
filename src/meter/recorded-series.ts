import type { Attributes } from '@opentelemetry/api';
import { bucketOf } from './bounds.js';
import { type ExemplarSlots, exemplarsOf } from './exemplars.js';
import { ExponentialHistogram } from './exponential-histogram.js';
import type { ExponentialPoint, HistogramPoint, NumberPoint } from './metric-data.js';
import type { Series } from './series-table.js';

/** One attribute set of an instrument that is told values as they come. */
export abstract class RecordedSeries implements Series {
  touched = true;
  /** When it was last seen to be touched; monotonic. */
  touchedAt = 0;
  readonly slots: ExemplarSlots = [];

  constructor(
    readonly attributes: Attributes,
    private startMs: number,
  ) {}

  /**
   * @param value - finite
   * @returns the slot of an exemplar of this value
   */
  abstract record(value: number): number;

  /** Whether it may be forgotten when nothing comes any more. */
  get forgettable(): boolean {
    return true;
  }

  /** Since when it counts, as a point of that moment tells it. */
  protected since(atMs: number): number {
    // A wall clock that was set back must not make a point older than its beginning, nor move the beginning twice.
    if (this.startMs > atMs) this.startMs = atMs;
    return this.startMs;
  }
}

/** Stays at the last finite sum: what is beyond it is no number to go on with. */
function plus(sum: number, value: number): number {
  const next = sum + value;
  return Number.isFinite(next) ? next : sum;
}

/** One number. */
abstract class NumberSeries extends RecordedSeries {
  protected value = 0;

  read(atMs: number): NumberPoint {
    const { attributes, value } = this;
    return { attributes, startMs: this.since(atMs), atMs, exemplars: exemplarsOf(this.slots, atMs), value };
  }
}

/** Adds up. */
export class SumSeries extends NumberSeries {
  record(value: number): number {
    this.value = plus(this.value, value);
    return 0;
  }
}

/** Adds up what rises and falls. Until it is back at zero something is still there, however long ago it came. */
export class LevelSeries extends SumSeries {
  override get forgettable(): boolean {
    return this.value === 0;
  }
}

/** Keeps the last. */
export class GaugeSeries extends NumberSeries {
  record(value: number): number {
    this.value = value;
    return 0;
  }
}

/** Counts values between explicit bounds. */
export class HistogramSeries extends RecordedSeries {
  private readonly counts: number[];
  private count = 0;
  private sum = 0;
  private min = Number.POSITIVE_INFINITY;
  private max = Number.NEGATIVE_INFINITY;

  constructor(
    attributes: Attributes,
    startMs: number,
    private readonly bounds: readonly number[],
  ) {
    super(attributes, startMs);
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): number {
    const bucket = bucketOf(this.bounds, value);
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.count++;
    this.sum = plus(this.sum, value);
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    return bucket;
  }

  // Each field by hand: to spread one object into another takes several times as long, and holds up whoever waits.
  read(atMs: number): HistogramPoint {
    const { attributes, count, sum, min, max, bounds } = this;
    const exemplars = exemplarsOf(this.slots, atMs);
    const counts = this.counts.slice();
    return { attributes, startMs: this.since(atMs), atMs, exemplars, count, sum, min, max, bounds, counts };
  }
}

/**
 * Counts values between powers of a base, and between explicit bounds as well: a text format has only those, and counts
 * that were made of exponential buckets would go down when the buckets widen, which reads as a restart.
 */
export class ExponentialSeries extends HistogramSeries {
  private readonly exponential: ExponentialHistogram;

  /** @param sizes - bounds, and most buckets of the exponential histogram */
  constructor(
    attributes: Attributes,
    startMs: number,
    sizes: { readonly bounds: readonly number[]; readonly maxBuckets: number },
  ) {
    super(attributes, startMs, sizes.bounds);
    this.exponential = new ExponentialHistogram(sizes.maxBuckets);
  }

  override record(value: number): number {
    this.exponential.record(value);
    return super.record(value);
  }

  /** @param explicit - what {@link read} gives at the same moment */
  readExponential({
    attributes,
    startMs,
    atMs,
    exemplars,
    count,
    sum,
    min,
    max,
  }: HistogramPoint): ExponentialPoint {
    const { scale, zeroCount, positive, negative } = this.exponential.snapshot();
    return {
      attributes,
      startMs,
      atMs,
      exemplars,
      count,
      sum,
      min,
      max,
      scale,
      zeroCount,
      positive,
      negative,
    };
  }
}
