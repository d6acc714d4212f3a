import fc from 'fast-check';
import type { MetricData } from 'keelson/meter';
import { type EncodingName, encodings } from 'keelson/otlp';
import { resource } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { decode, type Tree } from '../../doubles/otlp-schema.js';
import { plainAttributes } from '../../doubles/scripted-collector.js';

const names: readonly EncodingName[] = ['protobuf', 'json'];

const key = fc.string({ minLength: 1, maxLength: 12 }).filter((name) => name !== '__proto__');
const attributes = fc.dictionary(key, fc.oneof(fc.string(), fc.boolean(), fc.integer()), { maxKeys: 4 });
const ms = fc.double({ min: 0, max: 4e12, noNaN: true });
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const counts = fc.array(fc.oneof(fc.nat(), fc.maxSafeInteger().map(Math.abs)), { maxLength: 20 });
const hexId = (length: number) => fc.nat().map((id) => id.toString(16).padStart(length, 'c'));
const exemplar = fc.record({ value: number, atMs: ms, traceId: hexId(32), spanId: hexId(16), attributes });
const point = { attributes, startMs: ms, atMs: ms, exemplars: fc.array(exemplar, { maxLength: 2 }) };
const distribution = { ...point, count: fc.nat(), sum: number, min: number, max: number };
const buckets = fc.record({ offset: fc.integer({ min: -1_000_000, max: 1_000_000 }), counts });
const scope = fc.constantFrom(
  { name: 'keelson', version: '1', schemaUrl: '' },
  { name: 'app', version: '', schemaUrl: 'https://s/1' },
);
const head = { scope, name: key, description: fc.string(), unit: fc.constantFrom('', 's', 'By') };
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 });

const metric = fc.oneof(
  fc.record({
    ...head,
    kind: fc.constant('sum'),
    monotonic: fc.boolean(),
    integer: fc.boolean(),
    points: some(fc.record({ ...point, value: number })),
  }),
  fc.record({
    ...head,
    kind: fc.constant('gauge'),
    integer: fc.boolean(),
    points: some(fc.record({ ...point, value: number })),
  }),
  fc.record({
    ...head,
    kind: fc.constant('histogram'),
    points: some(fc.record({ ...distribution, bounds: fc.array(number, { maxLength: 8 }), counts })),
  }),
  fc.record({
    ...head,
    kind: fc.constant('exponential'),
    explicit: fc.constant([]),
    points: some(
      fc.record({
        ...distribution,
        scale: fc.integer({ min: -10, max: 20 }),
        zeroCount: fc.nat(),
        positive: buckets,
        negative: buckets,
      }),
    ),
  }),
) as fc.Arbitrary<MetricData>;

const nanosOf = (at: number): string =>
  String(BigInt(Math.floor(at)) * 1_000_000n + BigInt(Math.round((at - Math.floor(at)) * 1e6)));

const plain = (given: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, typeof value === 'number' ? BigInt(value) : value]),
  );

/** -0 and 0 are the same to whoever counts. */
const same = (value: number): number => value + 0;
const writtenAs = (value: number, whole: boolean): object =>
  whole && Number.isSafeInteger(value) ? { asInt: String(BigInt(value)) } : { asDouble: same(value) };

function expectedMetric(given: MetricData): Tree {
  const integer = 'integer' in given && given.integer;
  return {
    name: given.name,
    description: given.description,
    unit: given.unit,
    kind: given.kind,
    cumulative: given.kind !== 'gauge',
    monotonic: given.kind === 'sum' && given.monotonic,
    points: given.points.map((one: Tree) => ({
      attributes: plain(one.attributes),
      times: [nanosOf(one.startMs), nanosOf(one.atMs)],
      exemplars: one.exemplars.map((seen: Tree) => ({
        value: writtenAs(seen.value, integer),
        at: nanosOf(seen.atMs),
        ids: [seen.traceId, seen.spanId],
        attributes: plain(seen.attributes),
      })),
      ...('value' in one
        ? { value: writtenAs(one.value, integer) }
        : { totals: [String(one.count), same(one.sum), same(one.min), same(one.max)] }),
      ...('bounds' in one && { bounds: one.bounds.map(same), counts: one.counts.map(String) }),
      ...('scale' in one && {
        scale: one.scale,
        zeroCount: String(one.zeroCount),
        // Without counts an offset says nothing.
        buckets: [one.positive, one.negative].map((run: Tree) =>
          run.counts.length === 0 ? [0, []] : [run.offset, run.counts.map(String)],
        ),
      }),
    })),
  };
}

const fields = { gauge: 'gauge', sum: 'sum', histogram: 'histogram', exponential: 'exponentialHistogram' };
const numberOf = (read: Tree): object =>
  read.asInt === undefined ? { asDouble: same(Number(read.asDouble)) } : { asInt: String(read.asInt) };
const runOf = (read: Tree): unknown =>
  (read?.bucketCounts ?? []).length === 0 ? [0, []] : [read.offset ?? 0, read.bucketCounts];

function actualMetric(read: Tree): Tree {
  const [kind, field] = Object.entries(fields).find(([, name]) => name in read) ?? ['none', 'none'];
  const data = read[field];
  return {
    name: read.name ?? '',
    description: read.description ?? '',
    unit: read.unit ?? '',
    kind,
    cumulative: data.aggregationTemporality === 2,
    monotonic: data.isMonotonic ?? false,
    points: data.dataPoints.map((one: Tree) => ({
      attributes: plainAttributes(one.attributes),
      times: [String(one.startTimeUnixNano ?? 0), String(one.timeUnixNano ?? 0)],
      exemplars: (one.exemplars ?? []).map((seen: Tree) => ({
        value: numberOf(seen),
        at: String(seen.timeUnixNano),
        ids: [seen.traceId, seen.spanId],
        attributes: plainAttributes(seen.filteredAttributes),
      })),
      ...(kind === 'gauge' || kind === 'sum'
        ? { value: numberOf(one) }
        : { totals: [String(one.count ?? 0), same(one.sum), same(one.min), same(one.max)] }),
      ...(kind === 'histogram' && {
        bounds: (one.explicitBounds ?? []).map(same),
        counts: one.bucketCounts ?? [],
      }),
      ...(kind === 'exponential' && {
        scale: one.scale ?? 0,
        zeroCount: String(one.zeroCount ?? 0),
        buckets: [runOf(one.positive), runOf(one.negative)],
      }),
    })),
  };
}

/** A request, encoded to its end. */
function requestOf(name: EncodingName, metrics: readonly MetricData[]): { body: Buffer; steps: number } {
  const steps = encodings[name].metricRequest(resource({ 'service.name': 'orders' }, 'https://s/2'), metrics);
  for (let count = 0; ; count++) {
    const step = steps.next();
    if (step.done) return { body: step.value, steps: count };
  }
}

describe.each(names)('metrics in %s', (name) => {
  it('are read back by another decoder as they were given', () => {
    fc.assert(
      fc.property(fc.array(metric, { minLength: 1, maxLength: 4 }), (metrics) => {
        const { body } = requestOf(name, metrics);
        const request =
          name === 'json' ? JSON.parse(body.toString()) : decode('ExportMetricsServiceRequest', body);
        const [shelf] = request.resourceMetrics;
        expect(plainAttributes(shelf.resource.attributes)).toEqual({ 'service.name': 'orders' });
        expect(shelf.schemaUrl).toBe('https://s/2');
        for (const { scope: made, metrics: list } of shelf.scopeMetrics) {
          const given = metrics.filter((one) => one.scope.name === made.name);
          expect(list.map(actualMetric)).toEqual(given.map(expectedMetric));
        }
        const read = shelf.scopeMetrics.flatMap(({ metrics: list }: Tree) => list);
        expect(read.length).toBe(metrics.length);
      }),
      { numRuns: 60 },
    );
  });

  it('are encoded a point at a time', () => {
    fc.assert(
      fc.property(fc.array(metric, { minLength: 1, maxLength: 4 }), (metrics) => {
        const points = metrics.reduce((sum, one) => sum + one.points.length, 0);
        expect(requestOf(name, metrics).steps).toBe(points);
      }),
      { numRuns: 20 },
    );
  });
});
