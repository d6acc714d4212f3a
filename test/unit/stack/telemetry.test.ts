import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createCall } from 'keelson/core';
import { type HttpExchange, type HttpRequest, httpProtocol } from 'keelson/http';
import { clientStack, serverStack } from 'keelson/stack';
import { httpClientSemantics, httpServerSemantics } from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { tracingSdk } from '../../doubles/tracing-sdk.js';
import { fakeExchange } from '../http/fake-exchange.js';
import { Feed, instance } from './stack-scene.js';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** An SDK, and what it has collected. */
function collecting() {
  const sdk = tracingSdk();
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const provider = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(provider);
  closers.push(
    () => sdk.stop(),
    async () => {
      metrics.disable();
      await provider.shutdown();
    },
  );
  return {
    spans: () => sdk.spans(),
    async instruments(): Promise<string[]> {
      await provider.forceFlush();
      const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
      return scopes.flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name));
    },
  };
}

const clock = manualClock();

async function asked(options: { tracing?: boolean; metrics?: boolean; semantics?: boolean; retry?: false }) {
  const { spans, instruments } = collecting();
  const feed = new Feed();
  feed.tell({ instances: [instance('a', { addresses: ['http://a:1'] })], stale: false });
  const { semantics = true, ...rest } = options;
  const sent: string[] = [];
  const stack = clientStack<HttpRequest, Response>({
    service: 'users',
    resolver: feed,
    clock,
    caller: 'orders',
    wire: {
      protocol: httpProtocol,
      schemes: ['http'],
      connect: () => ({
        handler: async (_request, call) => {
          sent.push(...call.headers.keys());
          return new Response(null);
        },
        close: () => undefined,
      }),
    },
    ...(semantics ? { semantics: httpClientSemantics } : {}),
    ...rest,
  });
  const call = createCall({
    side: 'client',
    service: 'users',
    operation: 'GET /users/:id',
    idempotent: true,
  });
  await stack.handler({ method: 'GET', path: '/users/1', init: undefined }, call);
  return { spans: spans(), instruments: await instruments(), sent };
}

describe('a client', () => {
  it('has a span for the call and one for the try, and metrics', async () => {
    const { spans, instruments, sent } = await asked({});
    expect(spans.map(({ name }) => name)).toEqual(['GET /users/:id', 'users GET /users/:id']);
    expect(instruments).toContain('http.client.request.duration');
    expect(sent).toEqual(expect.arrayContaining(['traceparent', 'x-md-service-name']));
  });

  it('that tries but once has one span', async () => {
    const { spans } = await asked({ retry: false });
    expect(spans).toHaveLength(1);
  });

  it('has no spans and no trace on the wire with tracing: false', async () => {
    const { spans, instruments, sent } = await asked({ tracing: false });
    expect(spans).toEqual([]);
    expect(sent).not.toContain('traceparent');
    expect(instruments).toContain('http.client.request.duration');
  });

  it('has no metrics with metrics: false', async () => {
    const { spans, instruments } = await asked({ metrics: false });
    expect(spans).toHaveLength(2);
    expect(instruments).toEqual([]);
  });

  it('has neither without semantics', async () => {
    const { spans, instruments } = await asked({ semantics: false });
    expect([spans, instruments]).toEqual([[], []]);
  });
});

async function answered(options: { tracing?: boolean; metrics?: boolean }) {
  const { spans, instruments } = collecting();
  const stack = serverStack<HttpExchange, HttpExchange>(
    {
      protocol: { classify: () => 'success' },
      recover: (next) => next,
      semantics: httpServerSemantics,
      clock,
      ...options,
    },
    async (exchange) => exchange,
  );
  const call = createCall({ side: 'server', service: 'shop', operation: 'GET /users/:id' });
  await stack(fakeExchange(), call);
  return { spans: spans(), instruments: await instruments() };
}

describe('a server', () => {
  it('has a span and metrics', async () => {
    const { spans, instruments } = await answered({});
    expect(spans.map(({ name }) => name)).toEqual(['GET /users/:id']);
    expect(instruments).toContain('http.server.request.duration');
  });

  it('has no span with tracing: false, no metrics with metrics: false', async () => {
    expect((await answered({ tracing: false })).spans).toEqual([]);
    expect((await answered({ metrics: false })).instruments).toEqual([]);
  });
});
