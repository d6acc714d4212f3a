import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArrivedSpan } from '../../doubles/arrived-span.js';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

// Everything that a request can go through, in one program: a span begins once and ends once, whatever happens.

interface Report {
  readonly port: number;
  readonly seen: Readonly<Record<string, readonly { readonly traceparents: readonly string[] }[]>>;
  readonly report: Readonly<Record<string, { readonly traceId: string; readonly spanId: string }>>;
}

let built: BuiltPackage;
let collector: ScriptedCollector;
let told: Report;
let end: { readonly code: number | null; readonly signal: string | null };
let output = '';

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
  const program = new TracedProgram('scenarios.mjs', {
    folder: built.folder,
    flags: ['--import', 'keelson/register'],
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_SERVICE_NAME: 'tests',
    },
  });
  told = await program.next<Report>();
  end = await program.exit;
  output = program.output;
}, 120_000);
afterAll(async () => {
  built?.remove();
  await collector?.stop();
});

/** The spans of one scenario, below the one around it. */
function spansOf(name: string, kind: ArrivedSpan['kind']): readonly ArrivedSpan[] {
  const traceId = told.report[name]?.traceId;
  return collector.arrived.filter((span) => span.traceId === traceId && span.kind === kind);
}

const ok = { 'http.response.status_code': 200 };

it('the program ends by itself, in order and in silence', () => {
  expect(end).toEqual({ code: 0, signal: null });
  expect(output).toBe('');
});

/** What the callee was asked for, all but what never reaches it or is no request. */
const paths = [
  'body',
  'broken',
  'expect',
  'fetch?sig=secret',
  'get',
  'handmade',
  'handmadefetch',
  'hang',
  'kept',
  'list',
  'missing',
  'options',
  'queued',
  'reset',
  'slow',
  'torn',
  'unread',
];

it('each request has one CLIENT span and one traceparent, which is that span', () => {
  expect(Object.keys(told.seen).sort()).toEqual(paths);
  for (const [name, requests] of Object.entries(told.seen)) {
    expect(requests.length, name).toBeGreaterThan(0);
    for (const { traceparents } of requests) {
      expect(traceparents, name).toHaveLength(1);
      const [, traceId, spanId] = traceparents[0]?.split('-') ?? [];
      const sent = collector.arrived.filter((span) => span.spanId === spanId && span.traceId === traceId);
      expect(
        sent.map(({ kind }) => kind),
        name,
      ).toEqual(['CLIENT']);
    }
  }
});

it('each span has arrived once', () => {
  const ids = collector.arrived.map(({ spanId }) => spanId);
  expect(new Set(ids).size).toBe(ids.length);
});

describe('one CLIENT span below the caller, with what it is known by', () => {
  it.each([
    ['fetch', { ...ok, 'http.request.method': 'GET' }],
    ['get', { ...ok, 'network.protocol.version': '1.1' }],
    ['options', { ...ok, 'http.request.method': 'PUT' }],
    ['handmade', ok],
    ['handmadefetch', ok],
    ['list', ok],
    ['expect', ok],
    ['unread', ok],
    ['slow', ok],
    ['body', ok],
    ['missing', { 'http.response.status_code': 404, 'error.type': '404' }],
    ['broken', { 'http.response.status_code': 503, 'error.type': '503' }],
    ['upgrade', { 'http.response.status_code': 101 }],
  ])('%s', (name, attributes) => {
    const spans = spansOf(name, 'CLIENT');
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({
      parentSpanId: told.report[name]?.spanId,
      status: 'error.type' in attributes ? 2 : 0,
      attributes: { ...attributes, 'server.address': '127.0.0.1', 'server.port': told.port },
    });
    if (!('error.type' in attributes)) expect(spans[0]?.attributes).not.toHaveProperty('error.type');
  });
});

it('signatures in URLs stay here', () => {
  expect(spansOf('fetch', 'CLIENT')[0]?.attributes['url.full']).toBe(
    `http://127.0.0.1:${told.port}/fetch?sig=REDACTED`,
  );
});

it('on a connection that is kept, each request is one of its own', () => {
  expect(spansOf('kept', 'CLIENT')).toHaveLength(3);
});

it('requests that wait for a connection belong to whoever made them', () => {
  const callers = collector.arrived.filter(({ name }) => ['first', 'second', 'third'].includes(name));
  const parents = spansOf('queued', 'CLIENT').map(({ parentSpanId }) => parentSpanId);
  expect(parents.sort()).toEqual(callers.map(({ spanId }) => spanId).sort());
});

describe('a request that fails', () => {
  it.each([
    ['reset', 'ECONNRESET', 1],
    ['resetfetch', 'UND_ERR_SOCKET', 1],
    ['torn', 'ECONNRESET', 1],
    ['refused', 'ECONNREFUSED', 2],
    ['timedout', 'TimeoutError', 1],
  ])('%s is an error', (name, type, count) => {
    const spans = spansOf(name, 'CLIENT');
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual(Array(count).fill(type));
    for (const span of spans) expect(span).toMatchObject({ status: 2, events: ['exception'] });
  });

  it.each(['aborted', 'abortedfetch'])('%s by its caller is none', (name) => {
    const spans = spansOf(name, 'CLIENT');
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({ attributes: { 'keelson.outcome': 'ignored' }, events: [] });
    expect(spans[0]?.attributes).not.toHaveProperty('error.type');
  });

  it('what cannot be sent at all has no span', () => {
    expect(spansOf('invalid', 'CLIENT')).toEqual([]);
  });
});

describe('the server', () => {
  it('has one span of each request, below that of the client', () => {
    for (const name of ['fetch', 'get', 'list', 'expect', 'slow', 'missing', 'broken']) {
      const servers = spansOf(name, 'SERVER');
      expect(servers, name).toHaveLength(1);
      expect(servers[0]?.parentSpanId, name).toBe(spansOf(name, 'CLIENT')[0]?.spanId);
    }
  });

  it('calls 5xx an error, and 4xx none', () => {
    expect(spansOf('broken', 'SERVER')[0]).toMatchObject({ status: 2, attributes: { 'error.type': '503' } });
    expect(spansOf('missing', 'SERVER')[0]).toMatchObject({ status: 0 });
  });

  it('says so when the client went away, which is no error', () => {
    for (const name of ['aborted', 'abortedfetch']) {
      const [server] = spansOf(name, 'SERVER');
      expect(server, name).toMatchObject({ status: 0, attributes: { 'keelson.outcome': 'ignored' } });
      expect(server?.attributes).not.toHaveProperty('http.response.status_code');
    }
  });

  it('has whoever reads a body in callback style in its trace', () => {
    const after = spansOf('body', 'INTERNAL').find(({ name }) => name === 'after the body');
    expect(after?.parentSpanId).toBe(spansOf('body', 'SERVER')[0]?.spanId);
  });
});
