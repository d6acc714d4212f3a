import type { Clock } from '../core/clock.js';
import type { ExemplarPicker } from './exemplars.js';
import type { GaugeData, MetricData, MetricScope, NumberPoint, SumData } from './metric-data.js';
import type { Notices } from './notices.js';

/** What instruments there are. */
export type InstrumentKind =
  | 'counter'
  | 'up-down counter'
  | 'gauge'
  | 'histogram'
  | 'observable counter'
  | 'observable up-down counter'
  | 'observable gauge';

/** What a stream is called and measures. */
export interface StreamIdentity {
  readonly scope: MetricScope;
  readonly name: string;
  /** The longest of those that were given. */
  description: string;
  readonly unit: string;
  readonly kind: InstrumentKind;
  /** Whole numbers only. */
  readonly integer: boolean;
}

/** How a stream keeps what it is told. */
export interface StreamSettings {
  readonly identity: StreamIdentity;
  /** Explicit bounds, of a histogram. */
  readonly bounds: readonly number[];
  /** Most exponential buckets of a histogram; 0 for none. */
  readonly maxBuckets: number;
  /** Names of attributes that count; all when left out. */
  readonly keeps: ReadonlySet<string> | undefined;
  /** Most series. */
  readonly limit: number;
  /** A series that nothing came to for that long is forgotten. */
  readonly idleMs: number;
}

/** Why a measurement is missing. */
export type LossReason = 'callback_failed' | 'callback_timeout' | 'negative' | 'not_finite';

/** What all instruments of a process share. */
export interface StreamHost {
  /** Measurements of all instruments that are told values as they come. */
  recorded: number;
  readonly clock: Clock;
  readonly exemplars: ExemplarPicker;
  readonly notices: Notices;
  /** Counts what is lost, and says so once. */
  lose(reason: LossReason, notice: string): void;
}

/** One moment on both clocks. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Monotonic milliseconds. */
  readonly now: number;
}

/** What one instrument has measured. */
export interface Stream {
  readonly identity: StreamIdentity;
  /** Copies all series, with pauses; `undefined` when there are none. */
  snapshot(moment: Moment): Promise<MetricData | undefined>;
}

/** Series that are copied without a pause: some tenths of a millisecond. */
export const seriesPerTurn = 512;

/** Checks a value: `undefined` when it cannot be recorded. */
export function fitting(
  value: number,
  { integer, name }: StreamIdentity,
  host: StreamHost,
): number | undefined {
  if (!Number.isFinite(value)) {
    host.lose('not_finite', `${name} was given a value that is no finite number; it is left out`);
    return undefined;
  }
  if (!integer || Number.isInteger(value)) return value;
  host.notices.once(`${name} is of whole numbers and was given another; its fraction is cut off`);
  return Math.trunc(value);
}

/** Tells once that a stream is full. */
export function overflowNotice({ name }: StreamIdentity, limit: number): string {
  return `${name} has ${limit} series, which is its limit; what comes with other attributes is recorded as otel.metric.overflow`;
}

/** A sum or a gauge. */
export function numberData(identity: StreamIdentity, points: readonly NumberPoint[]): SumData | GaugeData {
  const { scope, name, description, unit, kind, integer } = identity;
  const base = { scope, name, description, unit, integer, points };
  if (kind.endsWith('gauge')) return { ...base, kind: 'gauge' };
  return { ...base, kind: 'sum', monotonic: !kind.endsWith('up-down counter') };
}
