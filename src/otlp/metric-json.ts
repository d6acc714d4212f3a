import type {
  DistributionPoint,
  Exemplar,
  ExponentialBuckets,
  ExponentialPoint,
  HistogramPoint,
  MetricData,
  NumberPoint,
  Point,
} from '../meter/metric-data.js';
import { jsonAttributes, jsonDouble } from './attribute-json.js';
import type { ByteWriter } from './byte-writer.js';
import { jsonId, spanDigits, traceDigits } from './ids.js';
import { cumulative } from './metric-message.js';
import { jsonNanos } from './span-json.js';

function numberOf(value: number, whole: boolean): object {
  return whole && Number.isSafeInteger(value)
    ? { asInt: String(value || 0) }
    : { asDouble: jsonDouble(value) };
}

const exemplarOf =
  (whole: boolean) =>
  ({ value, atMs, traceId, spanId, attributes }: Exemplar): object => ({
    timeUnixNano: jsonNanos(atMs),
    ...numberOf(value, whole),
    traceId: jsonId(traceId, traceDigits),
    spanId: jsonId(spanId, spanDigits),
    filteredAttributes: jsonAttributes(attributes).attributes,
  });

function pointOf(point: Point, whole: boolean): object {
  return {
    attributes: jsonAttributes(point.attributes).attributes,
    startTimeUnixNano: jsonNanos(point.startMs),
    timeUnixNano: jsonNanos(point.atMs),
    exemplars: point.exemplars.map(exemplarOf(whole)),
  };
}

function totalsOf(point: DistributionPoint): object {
  return {
    ...pointOf(point, false),
    count: String(point.count),
    sum: jsonDouble(point.sum),
    min: jsonDouble(point.min),
    max: jsonDouble(point.max),
  };
}

function histogramOf(point: HistogramPoint): object {
  return { ...totalsOf(point), explicitBounds: point.bounds, bucketCounts: point.counts.map(String) };
}

const bucketsOf = ({ offset, counts }: ExponentialBuckets): object => ({
  offset,
  bucketCounts: counts.map(String),
});

function exponentialOf(point: ExponentialPoint): object {
  return {
    ...totalsOf(point),
    scale: point.scale,
    zeroCount: String(point.zeroCount),
    positive: bucketsOf(point.positive),
    negative: bucketsOf(point.negative),
  };
}

function dataPointOf(metric: MetricData, index: number): object {
  switch (metric.kind) {
    case 'histogram':
      return histogramOf(metric.points[index] as HistogramPoint);
    case 'exponential':
      return exponentialOf(metric.points[index] as ExponentialPoint);
    default: {
      const point = metric.points[index] as NumberPoint;
      return { ...pointOf(point, metric.integer), ...numberOf(point.value, metric.integer) };
    }
  }
}

const fields = {
  gauge: 'gauge',
  sum: 'sum',
  histogram: 'histogram',
  exponential: 'exponentialHistogram',
} as const;

/** What stands behind the points. */
function tailOf(metric: MetricData): string {
  if (metric.kind === 'gauge') return '';
  const temporality = `,"aggregationTemporality":${cumulative}`;
  return metric.kind === 'sum' ? `${temporality},"isMonotonic":${metric.monotonic}` : temporality;
}

/** Appends a metric in the JSON mapping of OTLP. Yields after each point. */
export function* writeMetricJson(out: ByteWriter, metric: MetricData): Generator<undefined, void, undefined> {
  const { name, description, unit, kind, points } = metric;
  out.utf8(`${JSON.stringify({ name, description, unit }).slice(0, -1)},"${fields[kind]}":{"dataPoints":[`);
  for (let index = 0; index < points.length; index++) {
    out.utf8(`${index === 0 ? '' : ','}${JSON.stringify(dataPointOf(metric, index))}`);
    yield;
  }
  out.utf8(`]${tailOf(metric)}}}`);
}
