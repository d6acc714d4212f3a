import * as grpc from '@grpc/grpc-js';
import { metrics, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createApp } from 'keelson';
import { GovernanceError } from 'keelson/core';
import {
  addHealth,
  type GovernServerOptions,
  governHandlers,
  governServer,
  healthDefinition,
} from 'keelson/grpc';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ended, type GreeterHandlers, greeter, greeterClient, say } from '../../doubles/grpc-greeter.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

const closers: (() => unknown)[] = [];
let sdk: TracingSdk;
beforeEach(() => {
  sdk = tracingSdk();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await sdk.stop();
});

async function running(handlers: Partial<GreeterHandlers>, options: GovernServerOptions = {}) {
  const app = createApp({ service: 'greeter', signals: false });
  app.events.on('fault', () => undefined);
  const server = new grpc.Server({ interceptors: [governServer(app, { queue: false, ...options })] });
  server.addService(greeter, governHandlers(handlers));
  addHealth(server, app);
  const port = await new Promise<number>((resolve) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
  );
  const client = greeterClient(port);
  closers.push(() => {
    client.close();
    server.forceShutdown();
    return app.stop();
  });
  return { client, port };
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const served = () => vi.waitFor(() => expect(sdk.ofKind('SERVER')).toHaveLength(1));

describe('the span of a gRPC server', () => {
  it('continues the trace of the caller, and is active in the handler, which runs later', async () => {
    const tracer = trace.getTracer('test');
    const { client } = await running({
      Say: (_call, callback) => {
        tracer.startSpan('inside').end();
        setImmediate(() => {
          tracer.startSpan('later').end();
          callback(null, {});
        });
      },
    });
    await say(client, {}, { metadata: { traceparent } });
    await served();
    const [span] = sdk.ofKind('SERVER');
    expect(span?.name).toBe('test.Greeter/Say');
    expect(span?.spanContext().traceId).toBe(traceId);
    expect(span?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    expect(span?.attributes).toMatchObject({
      'rpc.system.name': 'grpc',
      'rpc.method': 'test.Greeter/Say',
      'rpc.response.status_code': 'OK',
      'network.peer.address': '127.0.0.1',
    });
    expect(span?.status.code).toBe(SpanStatusCode.UNSET);
    const within = sdk.ofKind('INTERNAL');
    expect(within.map(({ name }) => name)).toEqual(['inside', 'later']);
    for (const { parentSpanContext } of within)
      expect(parentSpanContext?.spanId).toBe(span?.spanContext().spanId);
  });

  it('lasts as long as a stream, and has its status', async () => {
    let open: grpc.ServerWritableStream<unknown, unknown> | undefined;
    const { client } = await running({
      Count: (call) => {
        open = call;
        call.write({ count: 1 });
      },
    });
    const stream = client.Count({});
    const done = ended(stream);
    await new Promise((resolve) => stream.once('data', resolve));
    expect(sdk.ofKind('SERVER')).toHaveLength(0);
    open?.emit('error', Object.assign(new Error('lost'), { code: grpc.status.DATA_LOSS, details: 'lost' }));
    await done;
    await served();
    const [span] = sdk.ofKind('SERVER');
    expect(span?.attributes).toMatchObject({
      'rpc.response.status_code': 'DATA_LOSS',
      'error.type': 'DATA_LOSS',
      'keelson.outcome': 'failure',
    });
    expect(span?.status.code).toBe(SpanStatusCode.ERROR);
  });

  it('has the error that the caller does not see', async () => {
    const { client } = await running({
      Say: () => {
        throw new RangeError('secret');
      },
    });
    await say(client);
    await served();
    const [span] = sdk.ofKind('SERVER');
    expect(span?.attributes).toMatchObject({
      'rpc.response.status_code': 'UNKNOWN',
      'error.type': 'RangeError',
    });
    expect(span?.events.map(({ name }) => name)).toEqual(['exception']);
  });

  it.each([
    ['a refusal of a gate', 'OVERLOADED', 'RESOURCE_EXHAUSTED'],
    ['a refusal in the handler', 'NO_ENDPOINT', 'UNAVAILABLE'],
  ])('tells of %s', async (what, rejection, code) => {
    const gate = { code: 'OVERLOADED' as const, tryAcquire: () => null };
    const { client } = await running(
      {
        Say: () => {
          throw new GovernanceError('NO_ENDPOINT', 'users');
        },
      },
      what === 'a refusal of a gate' ? { limits: [gate], queue: false } : {},
    );
    await say(client);
    await served();
    expect(sdk.ofKind('SERVER')[0]?.attributes).toMatchObject({
      'rpc.response.status_code': code,
      'keelson.rejection': rejection,
    });
  });

  it('of a client that went away is no error', async () => {
    let began = false;
    const { client } = await running({
      Say: () => {
        began = true;
      },
    });
    const call = client.Say({}, new grpc.Metadata(), {}, () => undefined);
    await vi.waitFor(() => expect(began).toBe(true));
    call.cancel();
    await served();
    const [span] = sdk.ofKind('SERVER');
    expect(span?.attributes['rpc.response.status_code']).toBe('CANCELLED');
    expect(span?.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('is not made for the health service, nor where tracing is off', async () => {
    const { client, port } = await running(
      { Say: (_call, callback) => callback(null, {}) },
      { tracing: false },
    );
    const Health = grpc.makeClientConstructor(healthDefinition, 'Health');
    const health = new Health(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    closers.push(() => health.close());
    await new Promise((resolve) => health['Check']?.({ service: '' }, resolve));
    await say(client);
    expect(sdk.spans()).toEqual([]);
  });

  it('is left to an instrumentation of gRPC that makes one', async () => {
    const { register } = grpc.Server.prototype;
    const wrapped = function (this: grpc.Server, ...args: Parameters<typeof register>) {
      return register.apply(this, args);
    };
    grpc.Server.prototype.register = Object.assign(wrapped, { __wrapped: true }) as typeof register;
    closers.push(() => {
      grpc.Server.prototype.register = register;
    });
    const { client } = await running({ Say: (_call, callback) => callback(null, {}) });
    await say(client);
    expect(sdk.spans()).toEqual([]);
  });
});

describe('the measurements of a gRPC server', () => {
  it('are durations by method and status, and refusals', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    closers.push(async () => {
      metrics.disable();
      await provider.shutdown();
    });
    let full = false;
    const gate = {
      code: 'OVERLOADED' as const,
      tryAcquire: () => (full ? null : { observe: () => undefined, release: () => undefined }),
    };
    const { client } = await running(
      { Say: (_call, callback) => callback(null, {}) },
      { limits: [gate], queue: false },
    );
    await say(client);
    full = true;
    await say(client);
    const found = await vi.waitFor(async () => {
      await reader.forceFlush();
      const all =
        exporter
          .getMetrics()
          .at(-1)
          ?.scopeMetrics.flatMap(({ metrics: list }) => list) ?? [];
      const durations = all.find(({ descriptor }) => descriptor.name === 'rpc.server.call.duration');
      expect(durations?.dataPoints).toHaveLength(2);
      return { durations, all };
    });
    expect(found.durations?.descriptor.unit).toBe('s');
    expect(found.durations?.dataPoints.map(({ attributes }) => attributes)).toEqual([
      {
        'rpc.system.name': 'grpc',
        'service.peer.name': 'unknown',
        'rpc.method': 'test.Greeter/Say',
        'rpc.response.status_code': 'OK',
      },
      {
        'rpc.system.name': 'grpc',
        'service.peer.name': 'unknown',
        'rpc.method': 'test.Greeter/Say',
        'rpc.response.status_code': 'RESOURCE_EXHAUSTED',
      },
    ]);
    const rejections = found.all.find(({ descriptor }) => descriptor.name === 'keelson.rejections');
    expect(rejections?.dataPoints.map(({ attributes }) => attributes['keelson.rejection'])).toEqual([
      'OVERLOADED',
    ]);
  });
});
