import http2 from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { metrics, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createApp } from 'keelson';
import { governedTransport, peerContext, serverInterceptor } from 'keelson/connect';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Greeter } from '../../doubles/connect-greeter.js';
import { all, echo, type GreeterImpl, grpc, listening } from '../../doubles/connect-replicas.js';
import { idle, inflight } from '../../doubles/grpc-replicas.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const closers: (() => unknown)[] = [];
let sdk: TracingSdk;
let exporter: InMemoryMetricExporter;
let reader: PeriodicExportingMetricReader;
let meters: MeterProvider;

beforeEach(() => {
  sdk = tracingSdk();
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  meters = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(meters);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  metrics.disable();
  await meters.shutdown();
  await sdk.stop();
});

/** A governed client of a governed server. */
async function running(handlers: GreeterImpl) {
  const served = createApp({ service: 'greeter', signals: false });
  served.events.on('fault', () => undefined);
  const handler = connectNodeAdapter({
    interceptors: [serverInterceptor(served, { queue: false })],
    contextValues: peerContext,
    routes: (to) => void to.service(Greeter, { ...echo, ...handlers }),
  });
  const { url, close } = await listening(http2.createServer(handler));
  const app = createApp({ service: 'caller', endpoints: { greeter: [url] }, signals: false });
  const transport = governedTransport(app, 'greeter', { transport: grpc.transport, ejection: false });
  closers.push(async () => {
    await idle(app);
    await app.stop();
    close();
    await served.stop();
  });
  return { app, client: createClient(Greeter, transport) };
}

const durationsOf = async (name: string) => {
  await reader.forceFlush();
  const found = exporter
    .getMetrics()
    .at(-1)
    ?.scopeMetrics.flatMap(({ metrics: list }) => list)
    .find(({ descriptor }) => descriptor.name === name);
  return found?.dataPoints.map(({ attributes }) => attributes) ?? [];
};

const spans = (kind: 'SERVER' | 'CLIENT', count: number) =>
  vi.waitFor(() => {
    expect(sdk.ofKind(kind)).toHaveLength(count);
    return sdk.ofKind(kind);
  });

describe('a call of Connect', () => {
  it('is one trace from end to end, active in the handler all along its stream', async () => {
    const tracer = trace.getTracer('test');
    const { client } = await running({
      async *count() {
        for (const name of ['first', 'second']) {
          tracer.startSpan(name).end();
          yield { value: name };
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    });
    expect(await all(client.count({ value: '' }))).toEqual(['first', 'second']);
    const [server] = await spans('SERVER', 1);
    const [attempt] = await spans('CLIENT', 1);
    expect([server?.name, attempt?.name]).toEqual(['test.Greeter/Count', 'test.Greeter/Count']);
    expect(server?.parentSpanContext?.spanId).toBe(attempt?.spanContext().spanId);
    expect(attempt?.attributes).toMatchObject({
      'rpc.system.name': 'connectrpc',
      'rpc.method': 'test.Greeter/Count',
      'server.address': 'greeter',
      'network.peer.address': '127.0.0.1',
    });
    expect(server?.attributes).toMatchObject({
      'rpc.system.name': 'connectrpc',
      'network.peer.address': '127.0.0.1',
      'service.peer.name': 'caller',
    });
    const inside = sdk.ofKind('INTERNAL').filter(({ name }) => ['first', 'second'].includes(name));
    expect(inside.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
      Array(2).fill(server?.spanContext().spanId),
    );
  });

  it('has the code by which it failed, and on the server the error that nobody sees', async () => {
    const { client } = await running({
      say: () => {
        throw new ConnectError('no', Code.NotFound);
      },
      async *count() {
        yield { value: '1' };
        throw new RangeError('secret');
      },
    });
    await expect(client.say({ value: '' })).rejects.toMatchObject({ code: Code.NotFound });
    await expect(all(client.count({ value: '' }))).rejects.toMatchObject({ code: Code.Internal });
    const [missing, broken] = await spans('SERVER', 2);
    const [said, counted] = await spans('CLIENT', 2);
    expect(missing?.attributes['rpc.response.status_code']).toBe('not_found');
    expect(missing?.status.code).toBe(SpanStatusCode.UNSET);
    expect(broken?.attributes).toMatchObject({
      'rpc.response.status_code': 'internal',
      'error.type': 'RangeError',
    });
    expect(said?.attributes).toMatchObject({ 'error.type': 'not_found' });
    expect(counted?.attributes).toMatchObject({
      'rpc.response.status_code': 'internal',
      'error.type': 'internal',
    });
    await vi.waitFor(async () => {
      expect(await durationsOf('rpc.client.call.duration')).toEqual([
        expect.objectContaining({ 'rpc.method': 'test.Greeter/Say', 'error.type': 'not_found' }),
        expect.objectContaining({ 'rpc.method': 'test.Greeter/Count', 'error.type': 'internal' }),
      ]);
      expect(await durationsOf('rpc.server.call.duration')).toHaveLength(2);
    });
  });

  it('that its reader forgets is found although it is traced and measured', async () => {
    let left = 0;
    const { client, app } = await running({
      async *count(_, { signal }) {
        signal.addEventListener('abort', () => left++);
        yield { value: '1' };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const leave = async () => {
      for await (const _ of client.count({ value: '' })) break;
    };
    await leave();
    expect(inflight(app)).toBe(1);
    await vi.waitFor(
      async () => {
        collect();
        await new Promise((resolve) => setImmediate(resolve));
        expect(left).toBe(1);
      },
      { timeout: 10_000 },
    );
    const [span] = await spans('CLIENT', 1);
    expect(span?.attributes['rpc.response.status_code']).toBe('canceled');
  });
});
