import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { context, DiagLogLevel, diag, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { createApp } from 'keelson';
import {
  contextStorage,
  exporterSink,
  processorSink,
  resource,
  type SpanSink,
  tracers,
} from 'keelson/tracer';
import { afterEach, describe, expect, it } from 'vitest';
import { collector } from '../../doubles/traced-here.js';

const always = { mode: 'always' } as const;

/** What an exporter of the SDK would send. */
function facts(span: ReadableSpan) {
  const { name, kind, status, attributes, events, links, startTime, endTime, duration, ended } = span;
  return {
    name,
    kind,
    status,
    attributes,
    events: events.map((event) => [event.name, event.attributes]),
    links: links.map((link) => link.context.spanId),
    times: [startTime, endTime, duration].every(([s, ns]) => Number.isInteger(s) && ns >= 0 && ns < 1e9),
    ended,
    ids: [span.spanContext().traceId.length, span.spanContext().spanId.length],
    service: span.resource.attributes['service.name'],
    scope: span.instrumentationScope.name,
    dropped: [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
  };
}

function traceSomething(sink: SpanSink, processors: readonly SimpleSpanProcessor[] = []) {
  const provider = tracers({
    sink,
    processors,
    sampling: always,
    resource: resource({ 'service.name': 'us' }),
  });
  const tracer = provider.getTracer('lib');
  const root = tracer.startSpan('root', { kind: SpanKind.SERVER, attributes: { a: 1 } }, ROOT_CONTEXT);
  const child = tracer.startSpan(
    'child',
    { links: [{ context: root.spanContext() }] },
    trace.setSpan(ROOT_CONTEXT, root),
  );
  child
    .addEvent('e', { b: ['x'] })
    .setStatus({ code: 2, message: 'no' })
    .end();
  root.end();
  return provider;
}

const expected = (rootId: string) => [
  {
    name: 'child',
    kind: SpanKind.INTERNAL,
    status: { code: 2, message: 'no' },
    attributes: {},
    events: [['e', { b: ['x'] }]],
    links: [rootId],
    times: true,
    ended: true,
    ids: [32, 16],
    service: 'us',
    scope: 'lib',
    dropped: [0, 0, 0],
  },
  {
    name: 'root',
    kind: SpanKind.SERVER,
    status: { code: 0 },
    attributes: { a: 1 },
    events: [],
    links: [],
    times: true,
    ended: true,
    ids: [32, 16],
    service: 'us',
    scope: 'lib',
    dropped: [0, 0, 0],
  },
];

describe('with parts of the OpenTelemetry SDK', () => {
  afterEach(() => {
    trace.disable();
    context.disable();
    propagation.disable();
    diag.disable();
  });

  it.each([
    [
      'a batch processor as sink',
      (exporter: InMemorySpanExporter) => processorSink(new BatchSpanProcessor(exporter)),
    ],
    [
      'a simple processor as sink',
      (exporter: InMemorySpanExporter) => processorSink(new SimpleSpanProcessor(exporter)),
    ],
    ['an exporter as sink', (exporter: InMemorySpanExporter) => exporterSink(exporter)],
  ])('spans arrive through %s', async (_, sinkOf) => {
    const faults: unknown[] = [];
    const note = (...said: unknown[]) => void faults.push(said);
    diag.setLogger({ error: note, warn: note, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);
    const exporter = new InMemorySpanExporter();
    const provider = traceSomething(sinkOf(exporter));
    await provider.flush();
    const spans = exporter.getFinishedSpans();
    expect(spans.map(facts)).toEqual(expected(spans[1]?.spanContext().spanId as string));
    await provider.close();
    expect(faults).toEqual([]);
  });

  it('processors see starts and ends beside the sink', async () => {
    const exporter = new InMemorySpanExporter();
    const sink = collector();
    const provider = traceSomething(sink, [new SimpleSpanProcessor(exporter)]);
    await provider.flush();
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['child', 'root']);
    expect(sink.names).toEqual(['child', 'root']);
  });

  it('makes one trace of a governed call over real sockets', async () => {
    const sink = collector();
    const provider = tracers({
      sink,
      sampling: { mode: 'tail' },
      resource: resource({ 'service.name': 'us' }),
    });
    context.setGlobalContextManager(contextStorage());
    trace.setGlobalTracerProvider(provider);
    const headers: string[] = [];
    const backend = createApp({ service: 'users', endpoints: {}, signals: false });
    const server = createServer(
      backend.listener(async (req, res) => {
        headers.push(String(req.headers['traceparent']));
        await new Promise(setImmediate);
        trace.getActiveSpan()?.setAttribute('seen', true);
        res.end('ok');
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const app = createApp({
      service: 'orders',
      endpoints: { users: [`http://127.0.0.1:${port}`] },
      signals: false,
    });
    const users = app.fetch('users');
    await provider.getTracer('t').startActiveSpan('job', async (span) => {
      await (await users('/users/42')).text();
      span.end();
    });
    await expect.poll(() => sink.names.length).toBeGreaterThanOrEqual(3);
    const kinds = new Map(sink.spans.map((span) => [span.kind, span]));
    const [client, inbound] = [kinds.get(SpanKind.CLIENT), kinds.get(SpanKind.SERVER)];
    expect(inbound?.attributes).toMatchObject({ seen: true, 'http.response.status_code': 200 });
    expect(inbound?.parentSpanContext?.spanId).toBe(client?.spanContext().spanId);
    expect(inbound?.flags).toBe(0x303);
    expect(new Set(sink.spans.map((span) => span.spanContext().traceId)).size).toBe(1);
    // The first of its route: sampled from the start, and random.
    expect(headers).toEqual([`00-${client?.spanContext().traceId}-${client?.spanContext().spanId}-03`]);
    await app.stop();
    await backend.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await provider.close();
  });
});
