import type { MetricData } from 'keelson/meter';
import { type MetricExporterOptions, metricExporter } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { resource } from 'keelson/tracer';
import { afterEach, describe, expect, it } from 'vitest';
import { pass, until } from '../../doubles/http-double.js';
import { type Scripted, ScriptedCollector } from '../../doubles/scripted-collector.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const scope = { name: 'keelson', version: '1', schemaUrl: '' };
const sum = (value: number, series = 1): MetricData => ({
  scope,
  name: 'requests',
  description: 'Requests',
  unit: '{request}',
  kind: 'sum',
  monotonic: true,
  integer: true,
  points: Array.from({ length: series }, (_, at) => ({
    attributes: { at },
    startMs: 1_700_000_000_000,
    atMs: 1_700_000_001_000,
    value,
    exemplars: [],
  })),
});

async function setUp(
  script: Scripted[] = [],
  options: Partial<MetricExporterOptions> & { series?: number } = {},
) {
  const { series = 1, ...rest } = options;
  const collector = await (await new ScriptedCollector().start()).startGrpc();
  collector.script = script;
  const clock = manualClock();
  const warnings: string[] = [];
  let collected = 0;
  const source = { collect: async () => [sum(++collected, series)] };
  const exporter = metricExporter(source, {
    resource: resource({ 'service.name': 'orders' }),
    endpoint: rest.protocol === 'grpc' ? collector.grpcUrl : collector.url,
    clock,
    random: () => 0.999_999,
    warn: (line) => warnings.push(line),
    ...rest,
  });
  const close = async (timeoutMs = 100): Promise<void> => {
    let over = false;
    const closed = exporter.close(timeoutMs).then(() => {
      over = true;
    });
    await pass(clock, timeoutMs + 50, () => over);
    await closed;
  };
  closers.push(
    () => collector.stop(),
    () => close(),
  );
  return { collector, clock, exporter, warnings, close, collected: () => collected };
}

const valuesOf = (collector: ScriptedCollector): unknown[] =>
  collector.metrics.map((metric) => metric.sum.dataPoints[0].asInt);

describe('metrics', () => {
  it.each(['http/protobuf', 'http/json', 'grpc'] as const)(
    'are pushed once an interval by %s',
    async (protocol) => {
      const { collector, clock, exporter } = await setUp([], { protocol });
      await clock.advance(59_999);
      expect(collector.requests).toEqual([]);
      for (const pushes of [1, 2, 3]) {
        await clock.advance(pushes === 1 ? 1 : 60_000);
        await until(() => exporter.stats().sentPoints === pushes);
      }
      expect(valuesOf(collector)).toEqual(['1', '2', '3']);
      expect(collector.metrics[0]).toMatchObject({
        name: 'requests',
        unit: '{request}',
        sum: { isMonotonic: true, aggregationTemporality: 2 },
      });
      expect(exporter.stats()).toMatchObject({ pushes: 3, requests: 3, failedRequests: 0 });
    },
  );

  it('are tried again until the next push, which says the same and more', async () => {
    const { collector, clock, exporter } = await setUp([{ status: 503 }, { status: 502 }]);
    await clock.advance(60_000);
    await until(() => exporter.stats().failedRequests === 1);
    await clock.advance(500);
    await until(() => exporter.stats().failedRequests === 2);
    await clock.advance(1_000);
    await until(() => exporter.stats().sentPoints === 1);
    expect(valuesOf(collector)).toEqual(['1', '1', '1']);
    collector.usual = { status: 503, headers: { 'retry-after': '60' } };
    await clock.advance(58_500);
    await until(() => exporter.stats().failedRequests === 3);
    collector.usual = 'ok';
    await clock.advance(60_000);
    await until(() => exporter.stats().sentPoints === 2);
    expect(valuesOf(collector).at(-1)).toBe('3');
    expect(exporter.stats().lost.retry_exhausted).toBe(1);
  });

  it('are not pushed while the collector has asked to stay away', async () => {
    const { collector, clock, exporter, close } = await setUp(
      [{ status: 429, headers: { 'retry-after': '150' } }],
      { intervalMs: 10_000 },
    );
    await clock.advance(10_000);
    await until(() => exporter.stats().failedRequests === 1);
    await pass(clock, 149_000);
    expect(collector.requests.length).toBe(1);
    // Sums go on, so one push that was tried is all that was missed.
    expect(exporter.stats().lost.retry_exhausted).toBe(1);
    await pass(clock, 12_000, () => exporter.stats().sentPoints > 0);
    const [first, second] = valuesOf(collector);
    expect(first).toBe('1');
    expect(Number(second)).toBeGreaterThan(1);
    collector.usual = { status: 503, headers: { 'retry-after': '999999999' } };
    await pass(clock, 10_000, () => exporter.stats().failedRequests === 2);
    // Another one may have been due meanwhile.
    const before = exporter.stats().sentPoints;
    collector.usual = 'ok';
    await close(60_000);
    expect(exporter.stats().sentPoints).toBe(before + 1);
  });

  it('stop within a push whose time is over', async () => {
    const { collector, clock, exporter } = await setUp([{ status: 503, headers: { 'retry-after': '15' } }], {
      intervalMs: 10_000,
      series: 5_000,
    });
    await clock.advance(10_000);
    await until(() => exporter.stats().failedRequests === 1);
    await pass(clock, 14_000);
    expect(collector.requests.length).toBe(1);
    expect(exporter.stats().lost.retry_exhausted).toBe(5_000);
  });

  it('are not sent again when they are refused, but counted', async () => {
    const { clock, exporter, warnings } = await setUp([{ status: 400, message: 'no such metric' }]);
    await clock.advance(60_000);
    await until(() => exporter.stats().lost.rejected === 1);
    await clock.advance(1_000);
    expect(warnings).toEqual(['keelson: 1 points lost (rejected 1); last: HTTP 400 no such metric']);
  });

  it('count what the collector did not take', async () => {
    const { clock, exporter } = await setUp([{ partial: 3 }], { series: 5 });
    await clock.advance(60_000);
    await until(() => exporter.stats().sentPoints === 2);
    expect(exporter.stats().lost.rejected).toBe(3);
  });

  it('go in several requests when there are very many, and in smaller ones to a collector that takes less', async () => {
    const { collector, clock, exporter } = await setUp([], { series: 5_000 });
    await clock.advance(60_000);
    await until(() => exporter.stats().sentPoints === 5_000);
    const points = () =>
      collector.requests.map(
        ({ tree }) => tree.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints.length,
      );
    expect(points()).toEqual([2_000, 2_000, 1_000]);
    collector.usual = ({ tree }) =>
      tree.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints.length > 600 ? { status: 413 } : 'ok';
    for (let push = 0; push < 4; push++) {
      const { pushes } = exporter.stats();
      await clock.advance(60_000);
      await until(() => exporter.stats().pushes === pushes + 1);
      const before = () => exporter.stats().sentPoints + exporter.stats().lost.too_large;
      await until(() => before() === 5_000 * (push + 2));
    }
    expect(exporter.stats().sentPoints).toBeGreaterThanOrEqual(10_000);
    expect(Math.max(...points().slice(-5))).toBeLessThanOrEqual(600);
  });

  it('are pushed at a flush and at the end', async () => {
    const { collector, exporter, close, collected } = await setUp();
    await exporter.flush(5_000);
    expect(valuesOf(collector)).toEqual(['1']);
    await close(5_000);
    expect(valuesOf(collector)).toEqual(['1', '2']);
    expect(collected()).toBe(2);
  });

  it.each(['flush', 'interval'])(
    'of many series all arrive, though another push is due by then: %s',
    async (next) => {
      const { collector, clock, exporter, warnings } = await setUp([], { series: 5_000, intervalMs: 5_000 });
      let other: Promise<unknown> | undefined;
      collector.usual = () => {
        other ??= next === 'flush' ? exporter.flush(60_000) : clock.advance(5_000);
        return 'ok';
      };
      await clock.advance(5_000);
      await until(() => exporter.stats().sentPoints === 10_000);
      await other;
      expect(exporter.stats()).toMatchObject({ pushes: 2, lost: { retry_exhausted: 0 } });
      expect(warnings).toEqual([]);
      expect(collector.requests).toHaveLength(6);
    },
  );

  it('of many series are not all tried at a collector that cannot take them, when another push is due', async () => {
    const { collector, clock, exporter } = await setUp([], { series: 5_000, intervalMs: 5_000 });
    collector.usual = { status: 503 };
    await clock.advance(5_000);
    await until(() => exporter.stats().failedRequests === 1);
    collector.usual = 'ok';
    await exporter.flush(60_000);
    expect(collector.requests).toHaveLength(4);
    expect(exporter.stats()).toMatchObject({ pushes: 2, sentPoints: 5_000 });
    expect(exporter.stats().lost.retry_exhausted).toBe(5_000);
  });

  it('end in time when the collector hangs', async () => {
    const { collector, clock, exporter } = await setUp();
    collector.usual = 'hang';
    let over = false;
    const closed = exporter.close(2_000).then(() => {
      over = true;
    });
    await pass(clock, 1_900);
    expect(over).toBe(false);
    await pass(clock, 200, () => over);
    await closed;
    await until(() => exporter.stats().lost.shutdown === 1);
  });

  it('go on when they cannot be collected', async () => {
    const collector = await new ScriptedCollector().start();
    const clock = manualClock();
    let asked = 0;
    const source = {
      collect: async () => {
        if (++asked === 1) throw new Error('broken');
        return [sum(7)];
      },
    };
    const exporter = metricExporter(source, {
      resource: resource({}),
      endpoint: collector.url,
      clock,
      warn: () => undefined,
    });
    closers.push(
      () => collector.stop(),
      () => exporter.close(0),
      () => clock.advance(10),
    );
    await clock.advance(60_000);
    await clock.advance(60_000);
    await until(() => exporter.stats().sentPoints === 1);
    expect(exporter.stats().lost.export_failed).toBe(1);
    const closed = exporter.close(0);
    await pass(clock, 10);
    await closed;
  });
});
