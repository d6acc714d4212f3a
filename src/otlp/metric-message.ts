import type {
  DistributionPoint,
  Exemplar,
  ExponentialBuckets,
  ExponentialPoint,
  HistogramPoint,
  MetricData,
  NumberPoint,
} from '../meter/metric-data.js';
import { writeAttributes, writeText } from './attribute-message.js';
import type { ByteWriter } from './byte-writer.js';
import { spanDigits, traceDigits, writeId } from './ids.js';

/** `metrics` of `ScopeMetrics`. */
const metricTag = 0x12;
const tags = {
  name: 0x0a,
  description: 0x12,
  unit: 0x1a,
  gauge: 0x2a,
  sum: 0x3a,
  histogram: 0x4a,
  exponential: 0x52,
} as const;
/** Of `Gauge`, `Sum`, `Histogram` and `ExponentialHistogram` alike. */
const pointsTag = 0x0a;
const temporalityTag = 0x10;
const monotonicTag = 0x18;
/** Of all data points alike. */
const startTag = 0x11;
const timeTag = 0x19;

/** `AGGREGATION_TEMPORALITY_CUMULATIVE`. */
export const cumulative = 2;

/** Where `NumberDataPoint` and `Exemplar` keep a value. */
interface ValueTags {
  readonly double: number;
  readonly whole: number;
}
const pointValue: ValueTags = { double: 0x21, whole: 0x31 };
const exemplarValue: ValueTags = { double: 0x19, whole: 0x31 };
const exemplarIds = {
  span: { tag: 0x22, digits: spanDigits },
  trace: { tag: 0x2a, digits: traceDigits },
} as const;

function writeNumber(out: ByteWriter, at: ValueTags, value: number, whole: boolean): void {
  if (whole && Number.isSafeInteger(value)) {
    out.byte(at.whole);
    out.fixed64(value);
  } else {
    out.byte(at.double);
    out.double(value);
  }
}

function writeExemplars(
  out: ByteWriter,
  tag: number,
  { exemplars, whole }: { readonly exemplars: readonly Exemplar[]; readonly whole: boolean },
): void {
  for (const exemplar of exemplars) {
    const start = out.open(tag);
    out.byte(0x11);
    out.nanos(exemplar.atMs);
    writeNumber(out, exemplarValue, exemplar.value, whole);
    writeId(out, exemplarIds.span, exemplar.spanId);
    writeId(out, exemplarIds.trace, exemplar.traceId);
    writeAttributes(out, 0x3a, exemplar.attributes);
    out.close(start);
  }
}

function writeTimes(out: ByteWriter, point: { readonly startMs: number; readonly atMs: number }): void {
  out.byte(startTag);
  out.nanos(point.startMs);
  out.byte(timeTag);
  out.nanos(point.atMs);
}

function writeNumberPoint(out: ByteWriter, point: NumberPoint, whole: boolean): void {
  const start = out.open(pointsTag);
  writeTimes(out, point);
  writeNumber(out, pointValue, point.value, whole);
  writeExemplars(out, 0x2a, { exemplars: point.exemplars, whole });
  writeAttributes(out, 0x3a, point.attributes);
  out.close(start);
}

/** Count and sum are fields 4 and 5 of both histograms. */
function writeTotals(out: ByteWriter, point: DistributionPoint): void {
  writeTimes(out, point);
  out.byte(0x21);
  out.fixed64(point.count);
  out.byte(0x29);
  out.double(point.sum);
}

function writeHistogramPoint(out: ByteWriter, point: HistogramPoint): void {
  const start = out.open(pointsTag);
  writeTotals(out, point);
  const counts = out.open(0x32);
  for (const count of point.counts) out.fixed64(count);
  out.close(counts);
  const bounds = out.open(0x3a);
  for (const bound of point.bounds) out.double(bound);
  out.close(bounds);
  writeExemplars(out, 0x42, { exemplars: point.exemplars, whole: false });
  writeAttributes(out, 0x4a, point.attributes);
  out.byte(0x59);
  out.double(point.min);
  out.byte(0x61);
  out.double(point.max);
  out.close(start);
}

function writeBuckets(out: ByteWriter, tag: number, { offset, counts }: ExponentialBuckets): void {
  if (counts.length === 0) return;
  const start = out.open(tag);
  out.byte(0x08);
  out.sint32(offset);
  const packed = out.open(0x12);
  for (const count of counts) out.varint(count);
  out.close(packed);
  out.close(start);
}

function writeExponentialPoint(out: ByteWriter, point: ExponentialPoint): void {
  const start = out.open(pointsTag);
  writeAttributes(out, 0x0a, point.attributes);
  writeTotals(out, point);
  out.byte(0x30);
  out.sint32(point.scale);
  out.byte(0x39);
  out.fixed64(point.zeroCount);
  writeBuckets(out, 0x42, point.positive);
  writeBuckets(out, 0x4a, point.negative);
  writeExemplars(out, 0x5a, { exemplars: point.exemplars, whole: false });
  out.byte(0x61);
  out.double(point.min);
  out.byte(0x69);
  out.double(point.max);
  out.close(start);
}

function writePoint(out: ByteWriter, metric: MetricData, index: number): void {
  switch (metric.kind) {
    case 'histogram':
      writeHistogramPoint(out, metric.points[index] as HistogramPoint);
      break;
    case 'exponential':
      writeExponentialPoint(out, metric.points[index] as ExponentialPoint);
      break;
    default:
      writeNumberPoint(out, metric.points[index] as NumberPoint, metric.integer);
  }
}

/**
 * Appends a metric as one element of `ScopeMetrics.metrics`: `opentelemetry.proto.metrics.v1.Metric`. Yields after each
 * point.
 */
export function* writeMetric(out: ByteWriter, metric: MetricData): Generator<undefined, void, undefined> {
  const start = out.open(metricTag);
  writeText(out, tags.name, metric.name);
  writeText(out, tags.description, metric.description);
  writeText(out, tags.unit, metric.unit);
  const data = out.open(tags[metric.kind]);
  for (let index = 0; index < metric.points.length; index++) {
    writePoint(out, metric, index);
    yield;
  }
  if (metric.kind !== 'gauge') {
    out.byte(temporalityTag);
    out.byte(cumulative);
  }
  if (metric.kind === 'sum') {
    out.byte(monotonicTag);
    out.byte(metric.monotonic ? 1 : 0);
  }
  out.close(data);
  out.close(start);
}
