import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { queriesOf } from '../../doubles/document.js';
import {
  complaintsAbout,
  eventually,
  hasPrometheus,
  type PrometheusServer,
  type Sample,
  startPrometheus,
} from '../../doubles/prometheus-server.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

// Three services, each a process of its own with spans and metrics by keelson/otel; what they tell of the edges between
// them is read by a real Prometheus, and compared with what the callers wrote down by hand.

/** One call as whoever made it saw it. */
interface Hop {
  readonly from: string;
  readonly to: string;
  readonly operation: string;
  readonly failed: boolean;
  readonly ms: number;
}
interface Running {
  readonly program: TracedProgram;
  readonly url: string;
  readonly metricsPort: number;
}

const edges = [
  'orders > users GET /users/:id',
  'web > orders GET /orders/:id',
  'web > users GET /reports/:id',
  'web > users GET /users/:id',
];
const slow = 'web > users GET /reports/:id';

const keyOf = (from: unknown, to: unknown, operation: unknown): string => `${from} > ${to} ${operation}`;
/** The edge of a series of `keelson.edge.*`. */
const edgeOf = ({ metric }: Sample): string =>
  keyOf(metric['keelson_edge_caller'], metric['keelson_edge_callee'], metric['keelson_edge_operation']);
/** The edge of a series of `http.client.*`: the job is the service that tells of it. */
const clientEdgeOf = (labels: Readonly<Record<string, string>>): string =>
  keyOf(
    labels['job'],
    labels['service_peer_name'],
    `${labels['http_request_method']} ${labels['url_template']}`,
  );
const byEdge = (samples: readonly Sample[], of: (sample: Sample) => string = edgeOf) =>
  new Map(samples.map((sample) => [of(sample), Number(sample.value[1])]));

const ofClients = '{keelson_edge_side="client"}';
const perEdge = 'sum by (keelson_edge_caller, keelson_edge_callee, keelson_edge_operation)';
const perClientEdge = 'sum by (job, service_peer_name, http_request_method, url_template';

/** Bounds of the semantic conventions, in seconds. */
const bounds = [
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
  Number.POSITIVE_INFINITY,
];
const boundOf = (seconds: number): number => bounds.find((bound) => seconds <= bound) as number;

describe.skipIf(!hasPrometheus)('a real Prometheus and three services', () => {
  let built: BuiltPackage;
  let collector: ScriptedCollector;
  let prometheus: PrometheusServer;
  const services = new Map<string, Running>();
  /** `/metrics` of each, taken when the quantiles of a window were on it. */
  const pages = new Map<string, string>();
  /** What has been called so far, and how much of it before the load. */
  const log: Hop[] = [];
  let warm: readonly Hop[] = [];

  async function start(name: string, callees: readonly string[]): Promise<void> {
    const urls = callees.map((callee) => [callee, [services.get(callee)?.url]]);
    const environment = {
      NAME: name,
      COLLECTOR: collector.url,
      CALLEES: JSON.stringify(Object.fromEntries(urls)),
    };
    const program = new TracedProgram('edges.mjs', { folder: built.folder, environment, limitMs: 110_000 });
    services.set(name, { program, ...(await program.next<{ url: string; metricsPort: number }>()) });
  }

  const visit = async (id: number): Promise<void> => {
    const response = await fetch(`${services.get('web')?.url}/pages/${id}`);
    log.push(...((await response.json()) as Hop[]));
  };
  const logged = (hops: readonly Hop[], what: (hop: Hop) => boolean = () => true): Map<string, number> => {
    const counts = new Map(edges.map((edge) => [edge, 0]));
    for (const hop of hops.filter(what)) {
      const edge = keyOf(hop.from, hop.to, hop.operation);
      counts.set(edge, (counts.get(edge) ?? 0) + 1);
    }
    return counts;
  };
  /** Waits until Prometheus has all that is in the log. */
  const scraped = (): Promise<void> =>
    vi.waitFor(
      async () => {
        const calls = await prometheus.query(`${perEdge} (keelson_edge_calls_total${ofClients})`);
        expect(byEdge(calls)).toEqual(logged(log));
      },
      { timeout: 60_000, interval: 100 },
    );

  beforeAll(async () => {
    built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
    collector = await new ScriptedCollector().start();
    await start('users', []);
    await start('orders', ['users']);
    await start('web', ['orders', 'users']);
    prometheus = await startPrometheus(
      Object.fromEntries([...services].map(([name, { metricsPort }]) => [name, metricsPort])),
    );
    for (let id = 0; id < 10 || pages.size < services.size; id++) {
      await visit(id);
      for (const [name, { metricsPort }] of services) {
        const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
        if (page.includes('keelson_edge_duration_seconds{')) pages.set(name, page);
      }
    }
    await scraped();
    warm = [...log];
    let id = 0;
    const caller = async (): Promise<void> => {
      while (id < 100) await visit(id++);
    };
    await Promise.all(Array.from({ length: 5 }, caller));
    await scraped();
  }, 120_000);

  afterAll(async () => {
    await prometheus?.stop();
    for (const { program } of services.values()) {
      program.kill('SIGKILL');
      await program.exit;
    }
    await collector?.stop();
    built?.remove();
  });

  it.each(['web', 'orders', 'users'])('promtool check metrics passes on the page of %s', (name) => {
    expect(complaintsAbout(pages.get(name) as string)).toBe('');
  });

  it('scrapes OpenMetrics of all, without a complaint', async () => {
    const { activeTargets } = await prometheus.ask<{
      activeTargets: { labels: { job: string }; health: string; lastError: string }[];
    }>('targets');
    const told = activeTargets.map(({ labels, health, lastError }) => [labels.job, health, lastError]);
    expect(told.sort()).toEqual(['orders', 'users', 'web'].map((name) => [name, 'up', '']));
  });

  it('counts the calls of each edge as its caller did, on both sides', async () => {
    const calls = (side: string) =>
      prometheus.query(
        `${perEdge} (keelson_edge_calls_total{keelson_edge_side="${side}", keelson_edge_caller!="unknown"})`,
      );
    expect([...logged(log).keys()].sort()).toEqual(edges);
    expect(byEdge(await calls('client'))).toEqual(logged(log));
    expect(byEdge(await calls('server'))).toEqual(logged(log));
    const durations = await prometheus.query(
      `${perClientEdge}) (http_client_request_duration_seconds_count)`,
    );
    expect(byEdge(durations, ({ metric }) => clientEdgeOf(metric))).toEqual(logged(log));
  });

  it('knows errors from good calls, of each edge', async () => {
    const failed = await prometheus.query(
      `${perEdge} (keelson_edge_calls_total{keelson_edge_side="client", keelson_outcome="failure"})`,
    );
    const errors = logged(log, (hop) => hop.failed);
    expect(errors.get('web > users GET /users/:id')).toBeGreaterThan(20);
    expect(byEdge(failed)).toEqual(new Map([...errors].filter(([, count]) => count > 0)));
    const ratios = await prometheus.query(
      `${perEdge} (keelson_edge_calls_total{keelson_edge_side="client", keelson_outcome="failure"})
        / ${perEdge} (keelson_edge_calls_total${ofClients})`,
    );
    for (const [edge, ratio] of byEdge(ratios))
      expect(ratio).toBeCloseTo((errors.get(edge) as number) / (logged(log).get(edge) as number), 12);
  });

  it('answers rate and error ratio of each edge', async () => {
    const rates = byEdge(
      await prometheus.query(`${perEdge} (rate(keelson_edge_calls_total${ofClients}[5m])) * 300`),
    );
    // Between the first scrape and the last there was the load, and Prometheus prolongs what it saw by up to one scrape and a
    // tenth at either end: at two scrapes, which is the least, to 3.2 times as much.
    const load = logged(log.slice(warm.length));
    expect([...rates.keys()].sort()).toEqual(edges);
    for (const [edge, increase] of rates) {
      expect(increase).toBeGreaterThan((load.get(edge) as number) * 0.999);
      expect(increase).toBeLessThan((load.get(edge) as number) * 3.21);
    }
    const ratios = byEdge(
      await prometheus.query(
        `${perEdge} (rate(keelson_edge_calls_total{keelson_edge_side="client", keelson_outcome!~"success|ignored"}[5m]))
          / ${perEdge} (rate(keelson_edge_calls_total${ofClients}[5m]))`,
      ),
    );
    expect([...ratios.keys()].sort()).toEqual([
      'orders > users GET /users/:id',
      'web > users GET /users/:id',
    ]);
    for (const ratio of ratios.values()) {
      expect(ratio).toBeGreaterThan(0.2 / 3.21);
      expect(ratio).toBeLessThan(0.2 * 3.21);
    }
  });

  it('answers the 95th percentile of each edge, from histograms', async () => {
    const p95 = byEdge(
      await prometheus.query(
        `histogram_quantile(0.95, ${perClientEdge}, le) (http_client_request_duration_seconds_bucket))`,
      ),
      ({ metric }) => clientEdgeOf(metric),
    );
    expect([...p95.keys()].sort()).toEqual(edges);
    for (const [edge, seconds] of p95) {
      const times = log
        .filter((hop) => keyOf(hop.from, hop.to, hop.operation) === edge)
        .map(({ ms }) => ms / 1000)
        .sort((a, b) => a - b);
      // The caller's own time contains what keelson measured, call by call, but for the moment in which a body ends: so its
      // percentile is in no lower bucket.
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(
        boundOf(1.1 * (times[Math.ceil(times.length * 0.95) - 1] as number)),
      );
    }
    // Its handler takes 60 ms, so that no call is in a bucket up to 0.05 s.
    expect(p95.get(slow)).toBeGreaterThan(0.05);
    const [recent] = await prometheus.query(
      'histogram_quantile(0.95, sum by (le) (rate(http_client_request_duration_seconds_bucket{job="web", service_peer_name="users", url_template="/reports/:id"}[5m])))',
    );
    expect(Number(recent?.value[1])).toBeGreaterThan(0.05);
  });

  // Those about refusals have nothing to tell here.
  const told = ['docs/backends.md', 'docs/telemetry-metrics.md', 'examples/call-graph/README.md']
    .flatMap(queriesOf)
    .filter((promql) => !/keelson_(response_flag|rejections)/.test(promql));
  it.each([...new Set(told)])('answers what the documents ask: %s', async (promql) => {
    const values = (await prometheus.query(promql)).map(({ value }) => Number(value[1]));
    expect(values.length).toBeGreaterThan(0);
    expect(values.every((value) => value > 0)).toBe(true);
  });

  it('has exemplars that lead to spans which the collector has', async () => {
    const series = await eventually(() =>
      prometheus.exemplars('http_client_request_duration_seconds_bucket'),
    );
    expect(new Set(series.map(({ seriesLabels }) => clientEdgeOf(seriesLabels)))).toEqual(new Set(edges));
    await vi.waitFor(
      () => {
        for (const { seriesLabels, exemplars } of series) {
          expect(exemplars.length).toBeGreaterThan(0);
          for (const { labels } of exemplars) {
            const span = collector.arrived.find(({ spanId }) => spanId === labels['span_id']);
            expect(span).toMatchObject({ traceId: labels['trace_id'], service: seriesLabels['job'] });
          }
        }
      },
      { timeout: 20_000, interval: 100 },
    );
    const [slowest] = series.filter(({ seriesLabels }) => clientEdgeOf(seriesLabels) === slow);
    const { trace_id: traceId } = slowest?.exemplars[0]?.labels ?? {};
    const trace = collector.arrived.filter((span) => span.traceId === traceId);
    // One of each service, and one trace: from the metric to whoever was slow.
    expect(new Set(trace.map(({ service }) => service))).toEqual(new Set(['web', 'orders', 'users']));
    expect(trace.some(({ service, name }) => service === 'users' && name === 'GET /reports/:id')).toBe(true);
  });
});
