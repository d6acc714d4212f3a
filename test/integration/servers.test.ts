import http, { type IncomingMessage } from 'node:http';
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { type App, type AppListenerOptions, createApp, currentCall } from 'keelson';
import { type Call, type FaultEvent, GovernanceError, type Outcome } from 'keelson/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type RawClient, rawClient, rawGet } from '../doubles/raw-client.js';
import { type RecordingLimit, recordingLimit } from '../doubles/recording-limit.js';
import { type Framework, frameworks, listen, type Route } from '../doubles/server-frameworks.js';
import { tracingSdk } from '../doubles/tracing-sdk.js';

// The same table over every framework that has an adapter, and over `node:http`, which needs none.

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const mine = new RangeError('mine');

/** A handler that waits until it is let go on. */
function hold() {
  const started: Call[] = [];
  let letGo: (how: Promise<string>) => void = () => undefined;
  const released = new Promise<string>((resolve) => {
    letGo = resolve;
  });
  return {
    started,
    answer: () => letGo(Promise.resolve('late')),
    fail: () => letGo(Promise.reject(mine)),
    run: (call: Call | undefined): Promise<string> => {
      if (call !== undefined) started.push(call);
      return released;
    },
  };
}

interface Shop {
  readonly app: App;
  readonly url: string;
  readonly port: number;
  readonly server: http.Server;
  readonly faults: FaultEvent[];
  readonly record: RecordingLimit;
  readonly slow: ReturnType<typeof hold>;
  readonly operations: (string | undefined)[];
  /** Calls that ran to the handler. */
  readonly runs: () => number;
}

interface ShopOptions extends AppListenerOptions {
  readonly limit?: number;
  /** Where `users` is. */
  readonly users?: string;
}

async function open(framework: Framework, { limit, users, ...options }: ShopOptions = {}): Promise<Shop> {
  const app = createApp({
    service: 'shop',
    signals: false,
    drainPauseMs: 0,
    ...(users === undefined ? {} : { endpoints: { users: [users] } }),
  });
  const ask = users === undefined ? undefined : app.fetch('users');
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const record = recordingLimit(limit);
  const slow = hold();
  const operations: (string | undefined)[] = [];
  let runs = 0;
  const routes: Route[] = [
    { method: 'GET', path: '/users/:id', run: ({ params }) => `user ${params['id']}` },
    {
      method: 'GET',
      path: '/broken',
      run: () => {
        throw mine;
      },
    },
    {
      method: 'GET',
      path: '/refused/:side',
      run: ({ params }) => {
        const side = params['side'] === 'client' ? 'client' : 'server';
        throw new GovernanceError('OVERLOADED', 'too much', { side, retryAfterMs: 1500 });
      },
    },
    { method: 'GET', path: '/slow', run: ({ call }) => slow.run(call) },
    {
      method: 'POST',
      path: '/orders',
      run: async ({ body, call }) => {
        // The current call, after the framework's body parser.
        const current = currentCall();
        const user = await ask?.('/users/7').then((response) => response.text());
        return JSON.stringify({ body, user, current: current !== undefined && current === call });
      },
    },
  ];
  const counted = routes.map(
    (route): Route => ({
      ...route,
      run: (input) => {
        runs++;
        operations.push(input.call?.operation);
        return route.run(input);
      },
    }),
  );
  const server = await framework.make(app, counted, { limits: [record.gate], queue: false, ...options });
  const port = await listen(server);
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await app.stop();
  });
  const url = `http://127.0.0.1:${port}`;
  return { app, url, port, server, faults, record, slow, operations, runs: () => runs };
}

async function client(port: number): Promise<RawClient> {
  const raw = await rawClient(port);
  closers.push(() => raw.socket.destroy());
  return raw;
}

/** A server that notes what arrives. */
async function upstream() {
  const arrivals: IncomingMessage['headers'][] = [];
  const server = http.createServer((req, res) => {
    arrivals.push(req.headers);
    res.end('Ada');
  });
  const port = await listen(server);
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { arrivals, url: `http://127.0.0.1:${port}` };
}

const settled = (shop: Shop, outcomes: readonly Outcome[]) =>
  vi.waitFor(() => {
    expect(shop.record.outcomes).toEqual(outcomes);
    expect(shop.record.inflight()).toBe(0);
  });

/** What a framework writes of errors that nobody handles. */
const quietly = () => {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  closers.push(() => spy.mockRestore());
};

describe.each(frameworks)('$name', (framework) => {
  it('answers, and the call is a success', async () => {
    const shop = await open(framework);
    const response = await fetch(`${shop.url}/users/42`);
    expect([response.status, await response.text()]).toEqual([200, 'user 42']);
    await settled(shop, ['success']);
    expect(shop.faults).toEqual([]);
  });

  it('answers HEAD without a body', async () => {
    const shop = await open(framework);
    const response = await fetch(`${shop.url}/users/42`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(shop.operations).toEqual(['HEAD /users/:id']);
    await settled(shop, ['success']);
  });

  it('an error of a handler is answered with 500, is a failure, and is told once', async () => {
    quietly();
    const shop = await open(framework);
    const response = await fetch(`${shop.url}/broken`);
    expect(response.status).toBe(500);
    await response.text();
    await settled(shop, ['failure']);
    expect(shop.faults.map(({ where, error }) => [where, error])).toEqual([['handler of GET /broken', mine]]);
  });

  it('a refusal of a handler has its status and headers, and is no fault', async () => {
    quietly();
    const shop = await open(framework);
    const response = await fetch(`${shop.url}/refused/server`);
    expect(response.status).toBe(503);
    expect(response.headers.get('x-keelson-shed')).toBe('OVERLOADED');
    expect(response.headers.get('retry-after')).toBe('2');
    expect(response.headers.get('retry-after-ms')).toBe('1500');
    await response.text();
    await vi.waitFor(() => expect(shop.record.inflight()).toBe(0));
    expect(shop.record.outcomes).not.toContain('failure');
    expect(shop.faults).toEqual([]);
  });

  it('a refusal by a callee is a failure of this server, and none of its headers', async () => {
    quietly();
    const shop = await open(framework);
    const response = await fetch(`${shop.url}/refused/client`);
    expect(response.status).toBe(503);
    expect(response.headers.get('x-keelson-shed')).toBeNull();
    await response.text();
    await settled(shop, ['failure']);
    expect(shop.faults).toEqual([]);
  });

  it('overload is shed before the body is read', async () => {
    const shop = await open(framework, { limit: 1 });
    const first = fetch(`${shop.url}/slow`);
    await vi.waitFor(() => expect(shop.slow.started).toHaveLength(1));
    const raw = await client(shop.port);
    raw.socket.write(
      'POST /orders HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{',
    );
    const answer = await raw.until('OVERLOADED\n');
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/x-keelson-shed: OVERLOADED/i);
    expect(answer).toMatch(/retry-after: 1\r\n/i);
    // The rest of the body is not waited for.
    await raw.closed();
    expect(shop.runs()).toBe(1);
    shop.slow.answer();
    expect(await (await first).text()).toBe('late');
    await settled(shop, ['success']);
  });

  it('a client that goes away cancels the call, which says nothing of the server', async () => {
    const shop = await open(framework);
    const raw = await client(shop.port);
    raw.socket.write(rawGet('/slow'));
    await vi.waitFor(() => expect(shop.slow.started).toHaveLength(1));
    const [call] = shop.slow.started as [Call];
    const { signal } = call.cancel;
    expect(signal.aborted).toBe(false);
    raw.socket.destroy();
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
    shop.slow.answer();
    await settled(shop, ['ignored']);
    expect(shop.faults).toEqual([]);
  });

  it('a call whose time is over is answered with 504, and a late answer has no effect', async () => {
    const shop = await open(framework, { timeoutMs: 40 });
    const raw = await client(shop.port);
    raw.socket.write(rawGet('/slow'));
    const answer = await raw.until('DEADLINE_EXCEEDED\n');
    expect(answer).toMatch(/^HTTP\/1\.1 504 /);
    expect(shop.slow.started[0]?.cancel.aborted).toBe(true);
    shop.slow.answer();
    await settled(shop, ['failure']);
    // The connection lives on, and carries nothing of the late answer.
    raw.socket.write(rawGet('/users/1'));
    const both = await raw.until('user 1');
    expect(both).not.toContain('late');
    expect(both.match(/HTTP\/1\.1/g)).toHaveLength(2);
    await settled(shop, ['failure', 'success']);
    expect(shop.faults).toEqual([]);
  });

  it('an error that comes after 504 is told, and does not cut the connection', async () => {
    quietly();
    const shop = await open(framework, { timeoutMs: 40 });
    const raw = await client(shop.port);
    raw.socket.write(rawGet('/slow'));
    await raw.until('DEADLINE_EXCEEDED\n');
    shop.slow.fail();
    await settled(shop, ['failure']);
    // Fastify writes it to its own log, and tells no hook.
    const told = framework.name === 'Fastify 5' ? [] : [mine];
    await vi.waitFor(() => expect(shop.faults.map(({ error }) => error)).toEqual(told));
    // Turns of the loop in which a framework would cut it.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    raw.socket.write(rawGet('/users/1'));
    expect(await raw.until('user 1')).toMatch(/HTTP\/1\.1 200/);
    await settled(shop, ['failure', 'success']);
  });

  it('the route is the name of the operation, in spans, in measurements, and never a path', async () => {
    const sdk = tracingSdk();
    closers.push(() => sdk.stop());
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    closers.push(async () => {
      metrics.disable();
      await provider.shutdown();
    });
    const shop = await open(framework);
    for (const path of ['/users/1', '/users/2', '/nowhere/3']) await (await fetch(shop.url + path)).text();
    const servers = () =>
      sdk.ofKind('SERVER').map(({ name, attributes }) => [name, attributes['http.route']]);
    const named = ['GET /users/:id', '/users/:id'];
    await vi.waitFor(() => expect(servers()).toEqual([named, named, ['GET', undefined]]));
    await reader.forceFlush();
    const measured = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics: all }) => all))
      .filter(({ descriptor }) => descriptor.name === 'http.server.request.duration')
      .flatMap(({ dataPoints }) => dataPoints.map(({ attributes }) => attributes['http.route']));
    expect(measured.sort()).toEqual(['/users/:id', undefined]);
  });

  it('handlers behind a body parser run as the call, and what they send inherits deadline and trace', async () => {
    const sdk = tracingSdk();
    closers.push(() => sdk.stop());
    const { url: users, arrivals } = await upstream();
    const shop = await open(framework, { users });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const response = await fetch(`${shop.url}/orders`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        traceparent: `00-${traceId}-b7ad6b7169203331-01`,
        'x-keelson-timeout-ms': '5000',
      },
      // The end comes by itself, when only the parser of HTTP runs.
      body: (async function* () {
        yield Buffer.from('{ "item"');
        await vi.waitFor(() => expect(shop.record.inflight()).toBe(1));
        yield Buffer.from(': 7 }');
      })(),
      duplex: 'half',
    } as RequestInit);
    expect(await response.text()).toBe(JSON.stringify({ body: { item: 7 }, user: 'Ada', current: true }));
    expect(arrivals).toHaveLength(1);
    expect(arrivals[0]?.['traceparent']).toContain(traceId);
    const left = Number(arrivals[0]?.['x-keelson-timeout-ms']);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(5000);
    await settled(shop, ['success']);
    expect(shop.app.snapshot().flatMap(({ endpoints }) => endpoints.map(({ inflight }) => inflight))).toEqual(
      [0],
    );
  });

  it('answers health itself, where it is asked to', async () => {
    const shop = await open(framework, { health: true, limit: 1 });
    const first = fetch(`${shop.url}/slow`);
    await vi.waitFor(() => expect(shop.slow.started).toHaveLength(1));
    const health = await fetch(`${shop.url}/healthz`);
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'ok' }]);
    shop.slow.answer();
    await (await first).text();
    await settled(shop, ['success']);
  });

  it('drains when its app stops', async () => {
    const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0 });
    const slow = hold();
    const record = recordingLimit();
    const routes: Route[] = [{ method: 'GET', path: '/slow', run: ({ call }) => slow.run(call) }];
    const server = await framework.make(app, routes, { limits: [record.gate], queue: false });
    const { url } = await app.serve(server, { host: '127.0.0.1' });
    const inFlight = fetch(`${url}/slow`);
    await vi.waitFor(() => expect(slow.started).toHaveLength(1));
    const stopped = app.stop();
    await vi.waitFor(() => expect(server.listening).toBe(false));
    slow.answer();
    const response = await inFlight;
    expect([response.status, await response.text(), response.headers.get('connection')]).toEqual([
      200,
      'late',
      'close',
    ]);
    await stopped;
    expect(record.outcomes).toEqual(['success']);
    expect(record.inflight()).toBe(0);
  });
});

// Without an adapter there is nothing that could govern twice.
describe.each(frameworks.slice(1))('$name in a listener that is governed', (framework) => {
  it('is counted once, by the listener, and names its routes', async () => {
    quietly();
    const inner = recordingLimit();
    const outer = recordingLimit();
    const app = createApp({ service: 'shop', signals: false });
    closers.push(() => app.stop());
    const faults: FaultEvent[] = [];
    app.events.on('fault', (event) => faults.push(event));
    const calls: (Call | undefined)[] = [];
    const routes: Route[] = [
      {
        method: 'GET',
        path: '/users/:id',
        run: ({ params, call }) => {
          calls.push(call);
          if (params['id'] === 'none') throw mine;
          return `user ${params['id']}`;
        },
      },
    ];
    const framed = await framework.make(app, routes, { limits: [inner.gate], queue: false });
    const listened: Call[] = [];
    const server = http.createServer(
      app.listener(
        (req, res, call) => {
          listened.push(call);
          framed.emit('request', req, res);
        },
        { limits: [outer.gate], queue: false },
      ),
    );
    const port = await listen(server);
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const statuses: number[] = [];
    for (const id of ['1', 'none']) {
      const response = await fetch(`http://127.0.0.1:${port}/users/${id}`);
      await response.text();
      statuses.push(response.status);
    }
    expect(statuses).toEqual([200, 500]);
    await vi.waitFor(() => expect(outer.outcomes).toEqual(['success', 'failure']));
    expect([outer.inflight(), inner.asked]).toEqual([0, []]);
    expect(calls).toEqual(listened);
    expect(listened.map(({ operation }) => operation)).toEqual(['GET /users/:id', 'GET /users/:id']);
    expect(faults.map(({ error }) => error)).toEqual([mine]);
  });
});
