import type { Attributes, Meter } from '@opentelemetry/api';
import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import { meters } from 'keelson/meter';
import { describe, expect, it } from 'vitest';

type Kind = 'counter' | 'level' | 'gauge' | 'histogram' | 'exponential';

interface Step {
  readonly kind: Kind;
  readonly value: number;
  readonly attributes: Attributes;
}

const attributes = fc.dictionary(
  fc.constantFrom('a', 'b', 'http.route'),
  fc.oneof(fc.constantFrom('x', 'y', '1'), fc.constantFrom(1, 2), fc.boolean()),
  { noNullPrototype: true },
);
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Kind>('counter', 'level', 'gauge', 'histogram', 'exponential'),
  value: fc.oneof(fc.integer({ min: -5, max: 20_000 }), fc.double({ min: 1e-4, max: 50, noNaN: true })),
  attributes,
});

function play(meter: Meter, steps: readonly Step[]): void {
  const counter = meter.createCounter('counter');
  const level = meter.createUpDownCounter('level');
  const gauge = meter.createGauge('gauge');
  const histograms = {
    histogram: meter.createHistogram('histogram'),
    exponential: meter.createHistogram('exponential'),
  };
  for (const { kind, value, attributes: given } of steps) {
    if (kind === 'counter') counter.add(value, given);
    else if (kind === 'level') level.add(value, given);
    else if (kind === 'gauge') gauge.record(value, given);
    else histograms[kind].record(value, given);
  }
}

const keyOf = (name: string, given: Attributes): string =>
  JSON.stringify([name, Object.entries(given).sort()]);

const run = (offset: number, counts: readonly number[]): (readonly [number, number])[] =>
  counts.flatMap((count, at) => (count > 0 ? [[offset + at, count] as const] : []));

async function ours(steps: readonly Step[]): Promise<Map<string, unknown>> {
  const provider = meters({ views: [{ instrument: 'exponential', histogram: 'exponential' }] });
  play(provider.getMeter('m'), steps);
  const seen = new Map<string, unknown>();
  for (const data of await provider.collect()) {
    if (data.scope.name !== 'm') continue;
    for (const point of data.points) {
      const key = keyOf(data.name, point.attributes);
      if ('value' in point) seen.set(key, point.value);
      else if ('bounds' in point)
        seen.set(key, [point.count, point.sum, point.min, point.max, point.bounds, point.counts]);
      else {
        const { count, sum, min, max, scale, zeroCount, positive } = point;
        seen.set(key, [count, sum, min, max, scale, zeroCount, run(positive.offset, positive.counts)]);
      }
    }
  }
  return seen;
}

async function theirs(steps: readonly Step[]): Promise<Map<string, unknown>> {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const provider = new MeterProvider({
    readers: [reader],
    views: [
      {
        instrumentName: 'exponential',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 160 } },
      },
    ],
  });
  play(provider.getMeter('m'), steps);
  await provider.forceFlush();
  const seen = new Map<string, unknown>();
  for (const { scopeMetrics } of exporter.getMetrics())
    for (const { metrics } of scopeMetrics)
      for (const { descriptor, dataPoints } of metrics)
        for (const { attributes: given, value } of dataPoints as unknown as {
          attributes: Attributes;
          value: never;
        }[]) {
          const key = keyOf(descriptor.name, given);
          if (typeof value === 'number') {
            seen.set(key, value);
            continue;
          }
          const { count, sum, min, max, buckets, scale, zeroCount, positive } = value as {
            count: number;
            sum: number;
            min: number;
            max: number;
            buckets?: { boundaries: number[]; counts: number[] };
            scale: number;
            zeroCount: number;
            positive: { offset: number; bucketCounts: number[] };
          };
          const rest = buckets
            ? [buckets.boundaries, buckets.counts]
            : [scale, zeroCount, run(positive.offset, positive.bucketCounts)];
          seen.set(key, [count, sum, min, max, ...rest]);
        }
  await provider.shutdown();
  return seen;
}

describe('what is measured', () => {
  it('is what the SDK of OpenTelemetry measures of the same calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        expect(await ours(steps)).toEqual(await theirs(steps));
      }),
      { numRuns: 60 },
    );
  });
});
