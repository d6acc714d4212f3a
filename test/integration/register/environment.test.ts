import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';
import { listening, type Service } from '../../doubles/traced-services.js';
import { goodValues, hostileValues } from '../../unit/register/variables.js';

// What the variables do to real programs.

let built: BuiltPackage;
let collector: ScriptedCollector;
let callee: Service;
let arrivals: http.IncomingHttpHeaders[] = [];

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
  callee = await listening((request, response) => {
    arrivals.push(request.headers);
    response.end('{}');
  });
}, 120_000);
afterAll(async () => {
  built?.remove();
  await collector?.stop();
  await callee?.close();
});

const open: TracedProgram[] = [];
afterEach(async () => {
  for (const program of open.splice(0)) {
    program.kill('SIGKILL');
    await program.exit;
  }
  collector.reset();
  arrivals = [];
});

function program(
  file: string,
  environment: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): TracedProgram {
  const started = new TracedProgram(file, {
    folder: built.folder,
    flags: [...flags, '--import', 'keelson/register'],
    environment,
  });
  open.push(started);
  return started;
}

function shop(more: Readonly<Record<string, string>>): TracedProgram {
  return program('shop.mjs', { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, CALLEE: callee.url, ...more });
}

function get(port: number, path: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve(body));
      })
      .on('error', reject);
  });
}

interface SetUp {
  readonly traces: string;
  readonly metrics: string;
  readonly service: string;
}

async function setUp(
  environment: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<SetUp & { readonly output: string }> {
  const started = program('set-up.mjs', environment, flags);
  const told = await started.next<SetUp>();
  expect(await started.exit).toEqual({ code: 0, signal: null });
  return { ...told, output: started.output };
}

/** The notes among what a program printed; Node says with the first how to see where it comes from. */
/** No collector is there: what cannot be pushed at the end would be told as lost. */
const unpushed = { OTEL_METRICS_EXPORTER: 'none' };

function notesIn(output: string): string[] {
  const lines = output
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('(Use `node --trace-warnings'));
  for (const line of lines) expect(line).toMatch(/^\(node:\d+\) \[KEELSON_TELEMETRY\] Warning: /);
  return lines.map((line) => line.replace(/^.*?Warning: /, ''));
}

it('a program without any variable starts, and nothing is said', async () => {
  expect(await setUp({})).toEqual({ traces: 'own', metrics: 'own', service: 'keelson', output: '' });
});

describe('a program starts, whatever is in the variables', () => {
  const all = Object.keys(goodValues).filter((name) => name !== 'OTEL_SDK_DISABLED');
  /** What all of them have but the one: grounds under which others count. */
  const grounds: readonly Readonly<Record<string, string>>[] = [
    {},
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: '0' },
    { OTEL_TRACES_EXPORTER: 'console', OTEL_METRICS_EXPORTER: 'console' },
  ];
  const values = hostileValues.filter((value) => value.length < 1000);

  it.each(values.map((value, at) => ({ value, ground: grounds[at % grounds.length] ?? {} })))(
    'all of them $value',
    async ({ value, ground }) => {
      const names = all.filter((name) => !Object.keys(ground).some((fixed) => name.startsWith(fixed)));
      const { traces, metrics, output } = await setUp({
        ...Object.fromEntries(names.map((name) => [name, value])),
        ...ground,
      });
      // `none` is a word of exporters.
      const off = value === 'none';
      expect(traces).toBe(off && ground['OTEL_TRACES_EXPORTER'] === undefined ? 'off' : 'own');
      expect(metrics).toBe(off && ground['OTEL_METRICS_EXPORTER'] === undefined ? 'off' : 'own');
      const notes = notesIn(output);
      expect(new Set(notes).size).toBe(notes.length);
    },
  );

  it.each([
    ['OTEL_BSP_SCHEDULE_DELAY', '0'],
    ['KEELSON_SPOOL_MAX_BYTES', '1000000'],
    ['KEELSON_SHUTDOWN_TIMEOUT_MS', 'Infinity'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', 'Infinity'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'novalue'],
    ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/nowhere/ca.pem'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '10'],
  ])('%s=%s: with one line', async (name, value) => {
    const { traces, metrics, output } = await setUp({
      [name]: value,
      KEELSON_SPOOL_DIR: `${built.folder}/spool`,
    });
    expect([traces, metrics]).toEqual(['own', 'own']);
    const notes = notesIn(output);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(name === 'OTEL_EXPORTER_OTLP_CERTIFICATE' ? value : name);
  });

  it('KEELSON_SPOOL_DIR that cannot be used: with one line, at the start', async () => {
    const folder = `${built.folder}/set-up.mjs/spool`;
    const { traces, output } = await setUp({ ...unpushed, KEELSON_SPOOL_DIR: folder });
    expect(traces).toBe('own');
    const notes = notesIn(output);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^keelson: the spool folder .*set-up\.mjs\/spool cannot be used.*: E[A-Z]+: /);
  });

  it('worker threads do not say again what their process has said', async () => {
    const started = program('threads.mjs', { OTEL_TRACES_SAMPLER: 'often', ...unpushed });
    await started.next();
    await started.exit;
    expect(notesIn(started.output)).toEqual([expect.stringMatching(/^OTEL_TRACES_SAMPLER must be one of/)]);
  });

  it('where telemetry cannot be set up, one line says so, and the program goes on without', async () => {
    const { traces, metrics, output } = await setUp(unpushed, ['--require', './frozen.cjs']);
    expect([traces, metrics]).toEqual(['none', 'none']);
    const notes = notesIn(output);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^telemetry cannot be set up, and the program goes on without it: ./);
  });
});

describe('OTEL_METRICS_EXPORTER=console', () => {
  it('writes metrics once an interval and at the end, and sends none', async () => {
    const started = shop({ OTEL_METRICS_EXPORTER: 'console', OTEL_METRIC_EXPORT_INTERVAL: '50' });
    const { port } = await started.next<{ port: number }>();
    const lines = () =>
      started.output
        .split('\n')
        .filter((line) => line.includes('"http.server.request.duration"'))
        .map((line) => JSON.parse(line) as { points: { count: number }[] });
    await get(port, '/orders/1');
    await vi.waitFor(() => expect(lines().at(-1)?.points).toMatchObject([{ count: 1 }]), { timeout: 20_000 });
    expect(await started.stop()).toEqual({ code: 0, signal: null });
    expect(collector.requests.map(({ path }) => path)).not.toContain('/v1/metrics');
    expect(collector.ofKind('SERVER')).toHaveLength(1);
  });

  it('at the end, however long the interval is', async () => {
    const started = shop({ OTEL_METRICS_EXPORTER: 'console' });
    const { port } = await started.next<{ port: number }>();
    await get(port, '/orders/1');
    await started.stop();
    expect(started.output.match(/"http\.server\.request\.duration"/g)).toHaveLength(1);
  });
});

it('OTEL_PROPAGATORS counts also where nothing is recorded', async () => {
  const started = shop({
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_PROPAGATORS: 'b3',
  });
  const { port } = await started.next<{ port: number }>();
  const b3 = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1';
  await get(port, '/orders/1', { b3, traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
  await started.stop();
  expect(arrivals.map((headers) => [headers['b3'], headers['traceparent']])).toEqual([[b3, undefined]]);
});

it('OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: histograms are exponential', async () => {
  const started = shop({
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
  });
  const { port } = await started.next<{ port: number }>();
  await get(port, '/orders/1');
  await started.stop();
  const durations = collector.metrics.filter(({ name }) => name === 'http.server.request.duration');
  expect(durations.length).toBeGreaterThan(0);
  for (const metric of durations) expect(metric).toHaveProperty('exponentialHistogram');
});

it('OTEL_LOG_LEVEL: what is told to OpenTelemetry is printed', async () => {
  const output = async (level: string) => (await setUp({ OTEL_LOG_LEVEL: level })).output;
  expect(await output('debug')).toContain('Registered a global for trace');
  expect(await output('error')).toBe('');
});

it('the workers of a cluster do not share a port: who finds it taken says so', async () => {
  const started = new TracedProgram('cluster.mjs', {
    folder: built.folder,
    environment: {
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
      OTEL_EXPORTER_PROMETHEUS_PORT: '39465',
    },
  });
  open.push(started);
  await started.next();
  expect(await get(39_465, '/metrics')).toContain('target_info');
  expect(notesIn(started.output)).toEqual([
    expect.stringMatching(
      /^metrics cannot be served at 127\.0\.0\.1:39465: .*EADDRINUSE.*each process needs a port/,
    ),
  ]);
  await started.stop();
});
