import { metrics } from '@opentelemetry/api';
import { createApp } from 'keelson';
import { concurrency, rate } from 'keelson/limiter';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

let sdk: MetricsSdk;
const stops: (() => Promise<void>)[] = [];
beforeEach(() => {
  sdk = metricsSdk();
  sdk.register();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await sdk.stop();
});

const endpoints = { users: ['http://127.0.0.1:1'], stock: ['http://127.0.0.1:2'] };

function appOf(options: Partial<Parameters<typeof createApp>[0]> = {}) {
  const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0, endpoints, ...options });
  stops.push(() => app.stop());
  return app;
}

const limiters = async () =>
  (await sdk.points('keelson.limiter.limit')).map(({ attributes, value }) => [
    attributes['keelson.side'],
    attributes['keelson.service'],
    attributes['keelson.limiter'],
    value,
  ]);

describe('limits in metrics', () => {
  it('are those that count calls under way, each once, by where they were given', async () => {
    const shared = concurrency({ limit: 7 });
    const app = appOf({ client: { limits: [shared] } });
    app.fetch('users');
    app.fetch('stock');
    app.fetch('stock', { limits: [concurrency({ limit: 9 })] });
    const server = concurrency({ limit: 3 });
    app.listener(() => undefined, { limits: [rate({ perSecond: 5 }), server] });
    app.listener(() => undefined, { limits: [server] });
    app.listener(() => undefined, { limits: [concurrency({ limit: 4 })] });
    app.listener(() => undefined, { limits: [concurrency({ limit: 5 })] });
    expect(await limiters()).toEqual([
      ['client', 'shop', 'limits[0]', 7],
      ['client', 'stock', 'limits[0]', 9],
      ['server', 'shop', 'limits[1]', 3],
      ['server', 'shop', 'limits[0]#2', 4],
      ['server', 'shop', 'limits[0]#3', 5],
    ]);
  });

  it('leave out one that throws', async () => {
    const broken = {
      ...concurrency({ limit: 1 }),
      code: 'OVERLOADED' as const,
      tryAcquire: () => null,
      snapshot: () => {
        throw new Error('a bug');
      },
    };
    appOf().listener(() => undefined, { limits: [broken, concurrency({ limit: 2 })] });
    expect(await limiters()).toEqual([['server', 'shop', 'limits[1]', 2]]);
  });

  it('forget a client that its user closes', async () => {
    metrics.disable();
    sdk = metricsSdk('DELTA');
    sdk.register();
    const app = appOf();
    const wire = {
      protocol: { classify: () => 'success' as const },
      schemes: ['http'],
      connect: () => ({ handler: async () => 'ok', close: () => undefined }),
    };
    const client = app.client<string, string>('users', { wire });
    expect(await sdk.points('keelson.retry.budget')).toHaveLength(1);
    client.close();
    expect(await sdk.points('keelson.retry.budget')).toEqual([]);
  });
});

describe('createApp.edges', () => {
  it.each([
    [{ edges: 7 }, 'createApp.edges'],
    [{ edges: { windowMs: 5 } }, 'createApp.edges.windowMs'],
    [{ edges: { maxEdges: 0.5 } }, 'createApp.edges.maxEdges'],
    [{ edges: { bytes: 'yes' } }, 'createApp.edges.bytes'],
    [{ edges: { window: 5 } }, 'window'],
    [{ endpointMetrics: 1 }, 'createApp.endpointMetrics'],
    [{ runtimeMetrics: 1 }, 'createApp.runtimeMetrics'],
  ])('refuses %j', (options, named) => {
    expect(() => appOf(options as never)).toThrow(named);
  });

  it('can be left out, and the runtime too', async () => {
    appOf({ edges: false, runtimeMetrics: false }).fetch('users');
    const found = await sdk.collect();
    const has = (prefix: string) =>
      [...found].some(([name, { dataPoints }]) => name.startsWith(prefix) && dataPoints.length > 0);
    expect([has('keelson.endpoints'), has('keelson.edge'), has('nodejs.')]).toEqual([true, false, false]);
  });
});
