import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';
import { listening, rawValues, type Service } from '../../doubles/traced-services.js';

// The table of what happens beside auto-instrumentation, with the real one, in processes of their own: whoever comes first,
// there is one SERVER span, one CLIENT span, one trace, and one traceparent on the wire.

let built: BuiltPackage;
let collector: ScriptedCollector;
let callee: Service;
const arrivals: string[][] = [];
const open: TracedProgram[] = [];

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
  callee = await listening((request, response) => {
    arrivals.push(rawValues(request, 'traceparent').flatMap((value) => value.split(',')));
    response.end('{}');
  });
}, 120_000);
afterAll(async () => {
  built?.remove();
  await collector?.stop();
  await callee?.close();
});
afterEach(async () => {
  for (const program of open.splice(0)) {
    program.kill('SIGKILL');
    await program.exit;
  }
  collector.reset();
  arrivals.length = 0;
});

const inboundTrace = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${inboundTrace}-b7ad6b7169203331-01`;

/** A span, wherever it went. */
interface AnySpan {
  readonly kind: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly scope: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Whose it is: that of the SDK in the program, or ours. */
  readonly via: 'sdk' | 'keelson';
}

const kinds = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];

interface Run {
  readonly spans: readonly AnySpan[];
  readonly output: string;
  /** What the service answered. */
  readonly body: string;
}

async function run(
  file: string,
  flags: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const program = new TracedProgram(file, {
    folder: built.folder,
    flags,
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      CALLEE: callee.url,
      ...environment,
    },
  });
  open.push(program);
  const { port } = await program.next<{ port: number }>();
  const { status, body } = await new Promise<{ status: number | undefined; body: string }>(
    (resolve, reject) => {
      http
        .get(
          { host: '127.0.0.1', port, path: '/orders/1', headers: { traceparent }, agent: false },
          (response) => {
            let text = '';
            response.on('data', (chunk) => {
              text += chunk;
            });
            response.on('end', () => resolve({ status: response.statusCode, body: text }));
          },
        )
        .on('error', reject);
    },
  );
  expect(status).toBe(200);
  await program.stop();
  const spans = [
    ...program.told.map((span): AnySpan => ({ ...span, kind: kinds[span.kind] ?? '', via: 'sdk' })),
    ...collector.arrived.map((span): AnySpan => ({ ...span, via: 'keelson' })),
  ];
  return { spans, output: program.output, body };
}

/** What holds in every row. */
function expectOneOfEach(spans: readonly AnySpan[]): { readonly server: AnySpan; readonly client: AnySpan } {
  const of = (kind: string) => spans.filter((span) => span.kind === kind);
  expect(of('SERVER').map(({ scope, via }) => `${scope} by ${via}`)).toHaveLength(1);
  expect(of('CLIENT').map(({ scope, via }) => `${scope} by ${via}`)).toHaveLength(1);
  const [server, client] = [of('SERVER')[0] as AnySpan, of('CLIENT')[0] as AnySpan];
  expect(server).toMatchObject({ traceId: inboundTrace, parentSpanId: 'b7ad6b7169203331' });
  expect(client).toMatchObject({ traceId: inboundTrace, parentSpanId: server.spanId });
  expect(arrivals).toEqual([[`00-${inboundTrace}-${client.spanId}-01`]]);
  return { server, client };
}

const ours = ['--import', 'keelson/register'];
const sdk = ['--require', './sdk.cjs'];
const ways = ['fetch', 'http'];

describe('an SDK with auto-instrumentation that was there before', () => {
  const both = ways.flatMap((WAY) => ['shop.mjs', 'shop.cjs'].map((file) => [WAY, file] as const));
  it.each(both)('an unchanged service, by %s, %s: its spans, made by it', async (WAY, file) => {
    const { spans, output } = await run(file, [...sdk, ...ours], { WAY });
    const { server } = expectOneOfEach(spans);
    expect(server.via).toBe('sdk');
    expect(output.match(/an OpenTelemetry SDK is registered already/g)).toHaveLength(1);
  });

  it('a governed service: adopted, named by the route', async () => {
    const { spans } = await run('governed.mjs', [...sdk, ...ours]);
    const { server, client } = expectOneOfEach(spans);
    expect(server.name).toBe('GET /orders/:id');
    expect(server.scope).toContain('instrumentation-http');
    expect(client.scope).toBe('keelson');
    expect(new Set(spans.map(({ via }) => via))).toEqual(new Set(['sdk']));
  });
});

describe('an SDK alone, without auto-instrumentation', () => {
  it.each(ways)('gets the spans of the hooks, by %s', async (WAY) => {
    const { spans } = await run('shop.mjs', [...sdk, ...ours], { AUTO: 'none', WAY });
    const { server, client } = expectOneOfEach(spans);
    expect([server.via, client.via]).toEqual(['sdk', 'sdk']);
    expect([server.scope, client.scope]).toEqual(['keelson', 'keelson']);
  });
});

describe('an SDK with auto-instrumentation that comes later', () => {
  it.each(ways)('takes over, by %s', async (WAY) => {
    const { spans, output } = await run('late.mjs', ours, { WAY, THEN: './shop.cjs' });
    const { server, client } = expectOneOfEach(spans);
    expect([server.via, client.via]).toEqual(['sdk', 'sdk']);
    expect(output.match(/an OpenTelemetry SDK was registered after keelson/g)).toHaveLength(1);
  });

  it('of a governed service too', async () => {
    const { spans } = await run('late.mjs', ours, { THEN: './governed.mjs' });
    const { server } = expectOneOfEach(spans);
    expect(server.via).toBe('sdk');
    expect(server.name).toBe('GET /orders/:id');
  });
});

describe('auto-instrumentation without an SDK, which uses whatever is registered', () => {
  it.each([
    ['before', 'shop.cjs', [...sdk, ...ours]],
    ['later', 'late.mjs', ours],
  ])('that was enabled %s', async (_, file, flags) => {
    for (const WAY of ways) {
      const { spans } = await run(file, flags, { SDK: 'none', WAY, THEN: './shop.cjs' });
      expectOneOfEach(spans);
      expect(new Set(spans.map(({ via }) => via))).toEqual(new Set(['keelson']));
      arrivals.length = 0;
      collector.reset();
    }
  });
});

describe('auto-instrumentation off (the last row)', () => {
  it('two spans of ours, plain and governed', async () => {
    for (const file of ['shop.mjs', 'governed.mjs']) {
      expectOneOfEach((await run(file, ours)).spans);
      arrivals.length = 0;
      collector.reset();
    }
  });
});

// The same of gRPC, whose instrumentation makes its SERVER span within the handler and its CLIENT span around the client.
describe('gRPC', () => {
  const governed = ['', 'client', 'server', 'client,server'];

  function expectOneChain({ spans, body }: Run): { readonly client: AnySpan; readonly callee: AnySpan } {
    const names = spans.map(({ kind, name, scope, via }) => `${kind} ${name} of ${scope} by ${via}`);
    const clients = spans.filter(({ kind }) => kind === 'CLIENT');
    const servers = spans.filter(({ kind }) => kind === 'SERVER');
    expect(clients, String(names)).toHaveLength(1);
    expect(servers, String(names)).toHaveLength(2);
    const client = clients[0] as AnySpan;
    const callee = servers.find(({ parentSpanId }) => parentSpanId === client.spanId) as AnySpan;
    expect(callee, String(names)).toBeDefined();
    for (const { traceId } of spans) expect(traceId).toBe(inboundTrace);
    expect(JSON.parse(body)).toEqual([`00-${inboundTrace}-${client.spanId}-01`]);
    return { client, callee };
  }

  describe.each(governed)('governed: "%s"', (GOVERNED) => {
    const told = { GOVERNED, AUTO: 'grpc', THEN: './rpc.mjs' };

    it('an SDK with its instrumentation that was there before makes both spans', async () => {
      const { client, callee } = expectOneChain(await run('rpc.mjs', [...sdk, ...ours], told));
      expect(client).toMatchObject({ scope: '@opentelemetry/instrumentation-grpc', via: 'sdk' });
      expect(callee).toMatchObject({ scope: '@opentelemetry/instrumentation-grpc', via: 'sdk' });
      if (GOVERNED.startsWith('client'))
        expect(client.attributes).toMatchObject({ 'service.peer.name': 'greeter' });
    });

    it('and so does one that comes later', async () => {
      const { client, callee } = expectOneChain(await run('late.mjs', ours, told));
      expect(client.scope).toBe('@opentelemetry/instrumentation-grpc');
      expect(callee.scope).toBe('@opentelemetry/instrumentation-grpc');
    });

    it('the instrumentation alone uses whatever is registered', async () => {
      const { client, callee } = expectOneChain(await run('late.mjs', ours, { ...told, SDK: 'none' }));
      expect([client.via, callee.via]).toEqual(['keelson', 'keelson']);
      expect(callee.scope).toBe('@opentelemetry/instrumentation-grpc');
    });

    it('without it both are ours', async () => {
      const { client, callee } = expectOneChain(await run('rpc.mjs', ours, { GOVERNED }));
      expect([client.scope, callee.scope]).toEqual(['keelson', 'keelson']);
    });
  });
});
