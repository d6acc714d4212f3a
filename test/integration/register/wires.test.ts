import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArrivedSpan } from '../../doubles/arrived-span.js';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { Authority } from '../../doubles/certificates.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

// HTTP/2, TLS, tunnels, pipelines, proxies, and hosts that belong to somebody else, in one program.

interface Seen {
  readonly traceparents: readonly string[];
  readonly callers: readonly string[];
  readonly baggage: readonly string[];
}
interface Report {
  readonly ports: Readonly<Record<'plain' | 'secure' | 'h2' | 'h2s', number>>;
  readonly seen: Readonly<Record<string, readonly Seen[]>>;
  readonly report: Readonly<Record<string, { readonly traceId: string; readonly spanId: string }>>;
}

let built: BuiltPackage;
let authority: Authority;
let collector: ScriptedCollector;
let told: Report;
let end: { readonly code: number | null; readonly signal: string | null };
let output = '';

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  authority = new Authority();
  collector = await new ScriptedCollector().start();
  const { cert, key } = authority.issue('server');
  const program = new TracedProgram('wires.mjs', {
    folder: built.folder,
    flags: ['--import', 'keelson/register'],
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_SERVICE_NAME: 'tests',
      CERT: cert,
      KEY: key,
    },
  });
  told = await program.next<Report>();
  end = await program.exit;
  output = program.output;
}, 120_000);
afterAll(async () => {
  built?.remove();
  authority?.remove();
  await collector?.stop();
});

function spansOf(name: string, kind: ArrivedSpan['kind']): readonly ArrivedSpan[] {
  const traceId = told.report[name]?.traceId;
  return collector.ofKind(kind).filter((span) => span.traceId === traceId);
}

const onlyOf = (name: string): Seen => {
  expect(told.seen[name], name).toHaveLength(1);
  return told.seen[name]?.[0] as Seen;
};

it('the program ends by itself, in order and in silence', () => {
  expect(end).toEqual({ code: 0, signal: null });
  expect(output).toBe('');
});

describe('one CLIENT and one SERVER span, one traceparent, and who calls', () => {
  it.each([
    ['https', 'secure', 'https', '1.1'],
    ['http2', 'h2', 'http', '2'],
    ['http2tls', 'h2s', 'https', '2'],
    ['handmade', 'h2', 'http', '2'],
  ] as const)('%s', (name, server, scheme, version) => {
    const [client, ...clients] = spansOf(name, 'CLIENT');
    const [served, ...others] = spansOf(name, 'SERVER');
    expect([clients, others]).toEqual([[], []]);
    expect(client).toMatchObject({
      name: 'GET',
      parentSpanId: told.report[name]?.spanId,
      attributes: {
        'url.full': `${scheme}://127.0.0.1:${told.ports[server]}/${name}`,
        'server.address': '127.0.0.1',
        'server.port': told.ports[server],
        'network.protocol.version': version,
        'http.response.status_code': 200,
      },
    });
    expect(served).toMatchObject({
      parentSpanId: client?.spanId,
      attributes: { 'url.scheme': scheme, 'http.response.status_code': 200 },
    });
    expect(onlyOf(name)).toMatchObject({
      traceparents: [`00-${client?.traceId}-${client?.spanId}-03`],
      callers: ['tests'],
    });
  });
});

it('a stream of HTTP/2 that is reset is an error', () => {
  expect(spansOf('missing', 'CLIENT')).toMatchObject([
    { status: 2, events: ['exception'], attributes: { 'error.type': 'ERR_HTTP2_STREAM_ERROR' } },
  ]);
});

describe('by HTTP/2, of what calls itself gRPC', () => {
  it('a status that nobody knows is called so, on both sides', () => {
    const attributes = { 'rpc.method': 'shop.Shop/invented', 'rpc.response.status_code': 'UNKNOWN' };
    expect(spansOf('invented', 'CLIENT')).toMatchObject([{ attributes, status: 2 }]);
    expect(spansOf('invented', 'SERVER')).toMatchObject([{ attributes, status: 2 }]);
  });

  it('gRPC-Web is HTTP, whose status is not that of the call', () => {
    for (const kind of ['CLIENT', 'SERVER'] as const)
      expect(spansOf('web', kind)).toMatchObject([
        { name: 'POST', status: 0, attributes: { 'http.response.status_code': 200 } },
      ]);
  });
});

describe('what is no request and answer', () => {
  it('a tunnel has no span, and the proxy is told nothing', () => {
    expect([...spansOf('connect', 'CLIENT'), ...spansOf('connect', 'SERVER')]).toEqual([]);
    expect(onlyOf('connect')).toEqual({ traceparents: [], callers: [], baggage: [] });
  });

  it('an upgrade has that of the client', () => {
    expect(spansOf('upgrade', 'CLIENT')).toMatchObject([
      { attributes: { 'http.response.status_code': 101 } },
    ]);
    expect(spansOf('upgrade', 'SERVER')).toEqual([]);
  });

  it('each request of a pipeline has its own', () => {
    const servers = collector
      .ofKind('SERVER')
      .filter(({ attributes }) => attributes['url.path'] === '/pipelined');
    expect(new Set(servers.map(({ traceId }) => traceId)).size).toBe(3);
    expect(servers).toHaveLength(3);
  });
});

describe('to a third party', () => {
  it.each(['outside', 'outside2', 'proxied'])(
    'goes the trace, and neither baggage nor who calls: %s',
    (name) => {
      const [client] = spansOf(name, 'CLIENT');
      expect(client?.attributes['server.address']).toBe('partner.example');
      expect(onlyOf(name)).toEqual({
        traceparents: [`00-${client?.traceId}-${client?.spanId}-03`],
        callers: [],
        baggage: [],
      });
    },
  );

  it.each(['inside', 'inside2'])('where to one of the same network goes all: %s', (name) => {
    const [client] = spansOf(name, 'CLIENT');
    expect(client?.attributes['server.address']).toBe('users.internal');
    expect(onlyOf(name)).toMatchObject({ callers: ['tests'], baggage: ['tenant=acme'] });
  });

  it('by a proxy, the URL is that of whom is meant', () => {
    expect(spansOf('proxied', 'CLIENT')[0]?.attributes['url.full']).toBe('http://partner.example/a/proxied');
  });
});
