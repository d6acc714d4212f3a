import { createServer, type Server } from 'node:http';
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { exposition, type Meters, meters } from 'keelson/meter';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  complaintsAbout,
  eventually,
  hasPrometheus,
  type PrometheusServer,
  startPrometheus,
} from '../../doubles/prometheus-server.js';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const within = (spanId: string) => trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 });

/** What a service of some size measures. */
function measured(): Meters {
  const provider = meters({ histogram: 'exponential', seriesLimit: 500 });
  const meter = provider.getMeter('keelson', '0.1.0');
  const duration = meter.createHistogram('http.client.request.duration', {
    description: 'Duration of calls.',
    unit: 's',
  });
  const edges = meter.createCounter('keelson.edge.calls', {
    description: 'Calls, by "edge".',
    unit: '{call}',
  });
  const inflight = meter.createUpDownCounter('http.server.active_requests', {
    description: 'Calls under way.',
    unit: '{request}',
  });
  const usage = meter.createObservableGauge('process.cpu.utilization', {
    description: 'CPU time.',
    unit: '1',
  });
  usage.addCallback(async (result) => result.observe(0.25, { 'cpu.mode': 'user' }));
  for (const [at, callee] of ['users', 'stock', 'odd "name"\\'].entries()) {
    const edge = { caller: 'orders', callee, operation: 'GET /x/:id' };
    for (let call = 0; call < 10; call++) {
      duration.record(0.02 * (call + 1), edge, within(`00000000000000${at}${call}`));
      edges.add(
        1,
        { ...edge, 'response.flag': call === 9 ? 'UF' : '' },
        within(`00000000000000${at}${call}`),
      );
    }
    inflight.add(at, { callee });
  }
  return provider;
}

const resource = { 'service.name': 'orders', 'service.version': '1.0.0' };

describe.skipIf(!hasPrometheus)('promtool check metrics', () => {
  it('passes', async () => {
    const { body } = await exposition({ resource }).render(await measured().collect());
    expect(complaintsAbout(body)).toBe('');
  });
});

describe.skipIf(!hasPrometheus)('a real Prometheus', () => {
  let server: Server;
  let prometheus: PrometheusServer;
  const accepted = new Set<string>();
  const answered = new Set<string>();

  beforeAll(async () => {
    const provider = measured();
    const text = exposition({ resource });
    server = createServer((request, response) => {
      accepted.add(request.headers.accept ?? '');
      void provider.collect().then(async (data) => {
        const { contentType, body } = await text.render(data, request.headers.accept);
        answered.add(contentType);
        response.writeHead(200, { 'content-type': contentType }).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    prometheus = await startPrometheus({ keelson: port });
  });
  afterAll(async () => {
    await prometheus?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  it('scrapes OpenMetrics without a complaint', async () => {
    const [up] = await prometheus.found('up{job="keelson"} == 1');
    expect(up?.value[1]).toBe('1');
    const { activeTargets } = await prometheus.ask<{
      activeTargets: { health: string; lastError: string }[];
    }>('targets');
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }]);
    expect([...answered]).toEqual(['application/openmetrics-text; version=1.0.0; charset=utf-8']);
    expect([...accepted].every((accept) => accept.includes('openmetrics'))).toBe(true);
  });

  it('answers what the rate, errors and durations of an edge are', async () => {
    const calls = await prometheus.found('sum by (caller, callee) (keelson_edge_calls_total)');
    expect(calls.map(({ metric, value }) => [metric['callee'], value[1]]).sort()).toEqual([
      ['odd "name"\\', '10'],
      ['stock', '10'],
      ['users', '10'],
    ]);
    const [errors] = await prometheus.query(
      'sum(keelson_edge_calls_total{callee="users",response_flag="UF"}) / sum(keelson_edge_calls_total{callee="users"})',
    );
    expect(errors?.value[1]).toBe('0.1');
    const [median] = await prometheus.query(
      'histogram_quantile(0.5, sum by (le) (http_client_request_duration_seconds_bucket{callee="users"}))',
    );
    // The median of 0.02 … 0.2 s is in the bucket from 0.1 to 0.25, at its lower end: five of ten are up to 0.1.
    expect(Number(median?.value[1])).toBeCloseTo(0.1, 6);
  });

  it('knows types, units and helps, the scope and the resource', async () => {
    await prometheus.found('target_info');
    const metadata =
      await prometheus.ask<Record<string, { type: string; help: string; unit: string }[]>>('metadata');
    expect(metadata['http_client_request_duration_seconds']).toEqual([
      { type: 'histogram', help: 'Duration of calls.', unit: 'seconds' },
    ]);
    expect(metadata['keelson_edge_calls']).toEqual([
      { type: 'counter', help: 'Calls, by "edge".', unit: '' },
    ]);
    const [target] = await prometheus.query('target_info');
    expect(target?.metric).toMatchObject({ service_name: 'orders', service_version: '1.0.0' });
    const [usage] = await prometheus.query('process_cpu_utilization_ratio');
    expect(usage?.metric).toMatchObject({
      cpu_mode: 'user',
      otel_scope_name: 'keelson',
      otel_scope_version: '0.1.0',
    });
  });

  it('shows exemplars of histograms and of counters', async () => {
    const of = (name: string) => eventually(() => prometheus.exemplars(name));
    const buckets = await of('http_client_request_duration_seconds_bucket{callee="users"}');
    // 0.02, 0.04, … 0.2 s fall into five buckets: up to 0.025, 0.05, 0.075, 0.1 and 0.25.
    expect(
      buckets.map(({ seriesLabels, exemplars }) => [seriesLabels['le'], exemplars[0]?.value]).sort(),
    ).toEqual([
      ['0.025', '0.02'],
      ['0.05', '0.04'],
      ['0.075', '0.06'],
      ['0.1', '0.08'],
      ['0.25', '0.12'],
    ]);
    expect(buckets.every(({ exemplars }) => exemplars[0]?.labels['trace_id'] === traceId)).toBe(true);
    const calls = await of('keelson_edge_calls_total{callee="stock",response_flag="UF"}');
    expect(calls[0]?.exemplars[0]?.labels).toEqual({ trace_id: traceId, span_id: '0000000000000019' });
  });
});
