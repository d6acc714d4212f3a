import http from 'node:http';
import { metrics } from '@opentelemetry/api';
import { type App, createApp, memory } from 'keelson';
import { concurrency } from 'keelson/limiter';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

let sdk: MetricsSdk;
const apps: App[] = [];
beforeEach(() => {
  sdk = metricsSdk();
  sdk.register();
});
afterEach(async () => {
  for (const app of apps.splice(0).reverse()) await app.stop();
  await sdk.stop();
});

function appOf(options: Parameters<typeof createApp>[0]): App {
  const app = createApp({ signals: false, drainPauseMs: 0, ...options });
  apps.push(app);
  return app;
}

async function calling(): Promise<{ orders: App; users: App }> {
  const registry = memory();
  const users = appOf({ service: 'users', registry });
  const limits = [concurrency({ limit: 50 })];
  const listener = users.listener((_req, res) => res.end('Ada'), {
    routes: ['/users/:id'],
    limits,
    queue: {},
  });
  await users.serve(http.createServer(listener), { host: '127.0.0.1' });
  const orders = appOf({
    service: 'orders',
    registry,
    endpointMetrics: true,
    client: { hedge: { delayMs: 5000 } },
  });
  const fetchUsers = orders.fetch('users', { routes: ['/users/:id'] });
  for (let id = 0; id < 3; id++) await (await fetchUsers(`/users/${id}`)).text();
  return { orders, users };
}

const where = (
  points: readonly { attributes: Readonly<Record<string, unknown>>; value: unknown }[],
  side: string,
) => points.filter(({ attributes }) => attributes['keelson.edge.side'] === side);

describe('the metrics of an app', () => {
  it('show its edges, from both sides', async () => {
    await calling();
    await vi.waitFor(async () => {
      const calls = await sdk.points('keelson.edge.calls');
      const named = {
        'keelson.edge.caller': 'orders',
        'keelson.edge.callee': 'users',
        'keelson.edge.operation': 'GET /users/:id',
        'keelson.outcome': 'success',
        'keelson.response.flag': '-',
      };
      expect(where(calls, 'client')).toMatchObject([{ attributes: named, value: 3 }]);
      expect(where(calls, 'server')).toMatchObject([{ attributes: named, value: 3 }]);
    });
  });

  it('name the other side in the durations of the conventions', async () => {
    await calling();
    await vi.waitFor(async () => {
      const [client] = await sdk.points('http.client.request.duration');
      const [server] = await sdk.points('http.server.request.duration');
      expect(client).toMatchObject({ attributes: { 'service.peer.name': 'users' }, value: { count: 3 } });
      expect(server).toMatchObject({ attributes: { 'service.peer.name': 'orders' }, value: { count: 3 } });
    });
  });

  it('show endpoints, breakers, budgets, limits, queues, load and the runtime', async () => {
    await calling();
    const found = await sdk.collect();
    for (const name of [
      'keelson.endpoints',
      'keelson.endpoint.inflight',
      'keelson.breaker.endpoints',
      'keelson.breaker.refusal_ratio',
      'keelson.retry.budget',
      'keelson.retry.withdrawn',
      'keelson.retry.exhausted',
      'keelson.hedges',
      'keelson.limiter.limit',
      'keelson.limiter.inflight',
      'keelson.limiter.queued',
      'keelson.server.backlog',
      'nodejs.eventloop.utilization',
      'process.memory.usage',
    ])
      expect([name, found.has(name)]).toEqual([name, true]);
    const limiters = await sdk.points('keelson.limiter.inflight');
    const names = limiters.map(({ attributes }) => attributes['keelson.limiter']);
    expect(names).toEqual(expect.arrayContaining(['limits[0]', 'queue']));
  });

  it('go when it stops', async () => {
    metrics.disable();
    sdk = metricsSdk('DELTA');
    sdk.register();
    const { orders, users } = await calling();
    await orders.stop();
    await users.stop();
    await sdk.collect();
    const found = await sdk.collect();
    const left = [...found].filter(
      ([name, { dataPoints }]) => dataPoints.length > 0 && !/^(http|keelson\.attempts)/.test(name),
    );
    expect(left.map(([name]) => name)).toEqual([]);
  });
});
