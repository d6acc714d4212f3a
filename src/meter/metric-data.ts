import type { Attributes } from '@opentelemetry/api';

/** Who made an instrument: the arguments of `getMeter`. */
export interface MetricScope {
  readonly name: string;
  /** Empty when none was given. */
  readonly version: string;
  /** Empty when none was given. */
  readonly schemaUrl: string;
}

/** One measurement that was taken inside of a sampled span. */
export interface Exemplar {
  readonly value: number;
  /** When it was taken; wall clock, milliseconds since 1970. */
  readonly atMs: number;
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Attributes of the measurement that its series does not have. */
  readonly attributes: Attributes;
}

/** What all points have. A series is its attributes. */
export interface Point {
  readonly attributes: Attributes;
  /** Since when the series is counted; wall clock, milliseconds since 1970. Equal to `atMs` at most. */
  readonly startMs: number;
  /** When it was read; wall clock, milliseconds since 1970. */
  readonly atMs: number;
  readonly exemplars: readonly Exemplar[];
}

/** A sum or a last value. */
export interface NumberPoint extends Point {
  /** Always finite. */
  readonly value: number;
}

/** What both kinds of histograms have. At least one value was recorded, so that the smallest and the largest exist. */
export interface DistributionPoint extends Point {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** Counts between explicit bounds. */
export interface HistogramPoint extends DistributionPoint {
  /** Upper bounds, inclusive, rising, all finite. */
  readonly bounds: readonly number[];
  /** One more than bounds; the last counts what is above them all. Not cumulative. */
  readonly counts: readonly number[];
}

/** A run of neighbouring buckets of an exponential histogram. */
export interface ExponentialBuckets {
  /** Index of the first: bucket `i` counts values in `(base^i, base^(i+1)]`, base being `2^(2^-scale)`. */
  readonly offset: number;
  readonly counts: readonly number[];
}

/** Counts between powers of a base. */
export interface ExponentialPoint extends DistributionPoint {
  readonly scale: number;
  /** How many values were exactly zero. */
  readonly zeroCount: number;
  readonly positive: ExponentialBuckets;
  readonly negative: ExponentialBuckets;
}

interface Stream<Kind extends string, P extends Point> {
  readonly scope: MetricScope;
  /** As the instrument is called, or as a view calls it. */
  readonly name: string;
  /** Empty when none was given. */
  readonly description: string;
  /** UCUM, such as `s` or `{request}`; empty when none was given. */
  readonly unit: string;
  readonly kind: Kind;
  /** At least one. */
  readonly points: readonly P[];
}

/** Counter (monotonic) or up-down counter. */
export interface SumData extends Stream<'sum', NumberPoint> {
  readonly monotonic: boolean;
  /** Whether the instrument said that it counts whole numbers (`ValueType.INT`). */
  readonly integer: boolean;
}

/** Gauge: the last value counts. */
export interface GaugeData extends Stream<'gauge', NumberPoint> {
  /** Whether the instrument said that its values are whole numbers (`ValueType.INT`). */
  readonly integer: boolean;
}

/** Histogram with explicit bounds. */
export interface HistogramData extends Stream<'histogram', HistogramPoint> {}

/** Histogram with exponential bounds. */
export interface ExponentialData extends Stream<'exponential', ExponentialPoint> {
  /**
   * The same recordings between explicit bounds, in the order of `points`: text formats know nothing else. Exemplars are
   * there too.
   */
  readonly explicit: readonly HistogramPoint[];
}

/**
 * What one instrument has measured, as it was when it was collected: nothing in it changes afterwards, so it may be
 * encoded piece by piece. All sums are cumulative since `startMs`.
 */
export type MetricData = SumData | GaugeData | HistogramData | ExponentialData;

/** Where metrics come from: a meter's registry, or several put together. */
export interface MetricSource {
  /**
   * Asks the observable instruments and takes a copy of all series. Never rejects; what does not answer in time is missing.
   */
  collect(): Promise<readonly MetricData[]>;
}
