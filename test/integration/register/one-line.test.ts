import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { freePort } from '../../doubles/free-port.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';
import { listening, rawValues, type Service } from '../../doubles/traced-services.js';

// An unchanged service, started with `keelson/register`, by every way there is to load it.

let built: BuiltPackage;
let collector: ScriptedCollector;
let callee: Service;
let arrivals: { traceparent: string[]; caller: string | undefined }[] = [];

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
  callee = await listening((request, response) => {
    const caller = request.headers['x-md-service-name'];
    arrivals.push({
      traceparent: rawValues(request, 'traceparent'),
      caller: typeof caller === 'string' ? caller : undefined,
    });
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

const inboundTrace = '0af7651916cd43dd8448eb211c80319c';
const inbound = { traceparent: `00-${inboundTrace}-b7ad6b7169203331-01` };

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_METRICS_EXPORTER: 'none',
    CALLEE: callee.url,
    ...more,
  };
}

function program(
  file: string,
  flags: readonly string[],
  more: Readonly<Record<string, string>> = {},
): TracedProgram {
  const started = new TracedProgram(file, { folder: built.folder, flags, environment: environment(more) });
  open.push(started);
  return started;
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

const started = ['--import', 'keelson/register'];
const ways = [
  { how: 'ESM, started with it', file: 'shop.mjs', flags: started },
  { how: 'CommonJS, started with it', file: 'shop.cjs', flags: started },
  { how: 'ESM, imports it', file: 'imported.mjs', flags: [] },
  { how: 'CommonJS, requires it', file: 'required.cjs', flags: [] },
  { how: 'both halves of the package', file: 'twice.cjs', flags: [] },
];

describe.each(ways)('$how', ({ file, flags }) => {
  it.each(['fetch', 'http'])(
    'one SERVER and one CLIENT span by %s, one trace, one traceparent',
    async (WAY) => {
      const shop = program(file, flags, { WAY });
      const { port } = await shop.next<{ port: number }>();
      expect(await get(port, '/orders/1', inbound)).toBe('done');
      expect(await shop.stop()).toEqual({ code: 0, signal: null });
      const [server] = collector.ofKind('SERVER');
      const [client] = collector.ofKind('CLIENT');
      expect(collector.arrived).toHaveLength(2);
      expect(server).toMatchObject({
        name: 'GET',
        traceId: inboundTrace,
        parentSpanId: 'b7ad6b7169203331',
        // The name of the package.json beside the program.
        service: 'keelson',
        attributes: {
          'http.request.method': 'GET',
          'url.path': '/orders/1',
          'http.response.status_code': 200,
        },
      });
      expect(client).toMatchObject({
        name: 'GET',
        traceId: inboundTrace,
        parentSpanId: server?.spanId,
        attributes: {
          'http.request.method': 'GET',
          'url.full': `${callee.url}/items/7`,
          'server.address': '127.0.0.1',
          'server.port': Number(new URL(callee.url).port),
          'http.response.status_code': 200,
        },
      });
      expect(arrivals).toEqual([
        { traceparent: [`00-${inboundTrace}-${client?.spanId}-01`], caller: 'keelson' },
      ]);
      expect(shop.output).toBe('');
    },
  );
});

describe('a service that keelson governs, started with it', () => {
  it('one span each, with what keelson knows of them', async () => {
    const shop = program('governed.mjs', started, { OTEL_SERVICE_NAME: 'shop' });
    const { port } = await shop.next<{ port: number }>();
    expect(await get(port, '/orders/1', inbound)).toBe('done');
    await shop.stop();
    const [server] = collector.ofKind('SERVER');
    const [client] = collector.ofKind('CLIENT');
    expect(collector.ofKind('SERVER')).toHaveLength(1);
    expect(collector.ofKind('CLIENT')).toHaveLength(1);
    expect(server).toMatchObject({ name: 'GET /orders/:id', attributes: { 'http.route': '/orders/:id' } });
    expect(client).toMatchObject({
      name: 'GET /items/:id',
      parentSpanId: server?.spanId,
      attributes: { 'service.peer.name': 'users' },
    });
    expect(arrivals).toEqual([{ traceparent: [`00-${inboundTrace}-${client?.spanId}-01`], caller: 'shop' }]);
  });

  it('and with nobody to send traces to they are passed on as they came', async () => {
    for (const file of ['governed.mjs', 'shop.mjs']) {
      const shop = program(file, started, { OTEL_TRACES_EXPORTER: 'none' });
      const { port } = await shop.next<{ port: number }>();
      await get(port, '/orders/1', inbound);
      await shop.stop();
    }
    expect(arrivals.map(({ traceparent }) => traceparent)).toEqual([
      [inbound.traceparent],
      [inbound.traceparent],
    ]);
    expect(collector.arrived).toEqual([]);
  });
});

describe('the end of a process', () => {
  it('comes by itself, and what was recorded leaves before', async () => {
    const script = program('ends.mjs', started);
    expect(await script.exit).toEqual({ code: 0, signal: null });
    expect(collector.arrived.map(({ name }) => name)).toEqual(['last']);
  });

  it('comes by a signal that nobody else hears: it leaves, and the signal ends it', async () => {
    const script = program('ends.mjs', started, { ENDS: 'signal' });
    await script.next();
    script.kill('SIGTERM');
    expect(await script.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect(collector.arrived.map(({ name }) => name)).toEqual(['last']);
  });

  it('is left to whoever hears the signal', async () => {
    const script = program('ends.mjs', started, { ENDS: 'handler' });
    await script.next();
    script.kill('SIGTERM');
    expect(await script.exit).toEqual({ code: 7, signal: null });
    expect(collector.arrived.map(({ name }) => name)).toEqual(['last']);
  });

  it('is held by a collector that hangs for no longer than was asked for', async () => {
    collector.usual = 'hang';
    const ending = (KEELSON_SHUTDOWN_TIMEOUT_MS: string) =>
      program('ends.mjs', started, { KEELSON_SHUTDOWN_TIMEOUT_MS });
    let over = false;
    const patient = ending('60000');
    void patient.exit.then(() => {
      over = true;
    });
    await vi.waitFor(() => expect(collector.hanging).toBe(1), { timeout: 20_000 });
    // It begins to wait later, and ends before.
    expect(await ending('300').exit).toEqual({ code: 0, signal: null });
    expect(over).toBe(false);
    collector.usual = 'ok';
  });
});

describe('the environment', () => {
  it('OTEL_SDK_DISABLED leaves everything as it is', async () => {
    const shop = program('shop.mjs', started, { OTEL_SDK_DISABLED: 'true' });
    const { port } = await shop.next<{ port: number }>();
    await get(port, '/orders/1', inbound);
    await shop.stop();
    expect(arrivals).toEqual([{ traceparent: [], caller: undefined }]);
    expect(collector.requests).toEqual([]);
  });

  it('a value that cannot be understood is told once, and the default counts', async () => {
    const shop = program('shop.mjs', started, { OTEL_TRACES_SAMPLER: 'often', OTEL_SERVICE_NAME: 'shop' });
    const { port } = await shop.next<{ port: number }>();
    await get(port, '/orders/1');
    await shop.stop();
    expect(shop.output.match(/OTEL_TRACES_SAMPLER must be one of/g)).toHaveLength(1);
    expect(collector.ofKind('SERVER')).toMatchObject([{ service: 'shop' }]);
  });

  it('headers go out, metrics are pushed, hooks can be left out', async () => {
    const shop = program('shop.mjs', started, {
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b',
      OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'api-key=c',
      KEELSON_DISABLED_HOOKS: 'fetch',
    });
    const { port } = await shop.next<{ port: number }>();
    await get(port, '/orders/1', inbound);
    await shop.stop();
    expect(collector.ofKind('CLIENT')).toEqual([]);
    const keys = new Map(collector.requests.map(({ path, headers }) => [path, headers['api-key']]));
    expect([...keys].sort()).toEqual([
      ['/v1/metrics', 'c'],
      ['/v1/traces', 'a b'],
    ]);
    expect(JSON.stringify(collector.metrics)).toContain('http.server.request.duration');
  });

  it('metrics are scraped, and who scrapes makes no spans', async () => {
    const metricsPort = await freePort();
    const shop = program('shop.mjs', started, {
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
    });
    const { port } = await shop.next<{ port: number }>();
    await get(port, '/orders/1', inbound);
    const text = await vi.waitFor(async () => {
      const scraped = await get(metricsPort, '/metrics');
      expect(scraped).toContain('http_server_request_duration_seconds_count');
      return scraped;
    }, 10_000);
    expect(text).toMatch(
      /http_client_request_duration_seconds_count\{[^}]*server_address="127\.0\.0\.1"[^}]*\} 1\n/,
    );
    expect(text).toMatch(/^nodejs_eventloop_utilization\S*\{/m);
    expect(text).toMatch(/^v8js_memory_heap_used_bytes\{/m);
    expect(text.match(/^process_uptime\S*\{.*$/gm)).toHaveLength(1);
    await shop.stop();
    expect(collector.ofKind('SERVER')).toHaveLength(1);
  });
});
