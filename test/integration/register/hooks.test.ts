import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { plainAttributes, ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';
import { listening, rawValues, type Service } from '../../doubles/traced-services.js';

// What hooks leave as it is, what they measure and for whom, and what others do to them: a process for each.

let built: BuiltPackage;
let collector: ScriptedCollector;
let callee: Service;
const arrivals: { readonly path: string; readonly traceparent: string[]; readonly caller: string[] }[] = [];
const open: TracedProgram[] = [];

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
  callee = await listening((request, response) => {
    const traceparent = rawValues(request, 'traceparent');
    arrivals.push({
      path: request.url ?? '',
      traceparent,
      caller: rawValues(request, 'x-md-service-name'),
    });
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

const ours = ['--import', 'keelson/register'];
const inboundTrace = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${inboundTrace}-b7ad6b7169203331-01`;

interface Setting {
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

function program(file: string, { flags = ours, environment = {} }: Setting = {}): TracedProgram {
  const started = new TracedProgram(file, {
    folder: built.folder,
    flags,
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_SERVICE_NAME: 'shop',
      CALLEE: callee.url,
      ...environment,
    },
  });
  open.push(started);
  return started;
}

/** Asks a program once; the body of the answer. */
async function ask(port: number, headers: Record<string, string> = { traceparent }): Promise<string> {
  const [response] = await once(
    http.get({ host: '127.0.0.1', port, path: '/orders/1', headers, agent: false }),
    'response',
  );
  let body = '';
  for await (const chunk of response) body += chunk;
  expect(response.statusCode, body).toBe(200);
  return body;
}

interface Measured {
  readonly count: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The points of a histogram, as they were told last. */
function measured(name: string): readonly Measured[] {
  const last = collector.metrics.findLastIndex((metric) => metric.name === name);
  // Of two scopes the same name comes twice in one message.
  const all = [collector.metrics[last - 1], collector.metrics[last]].filter(
    (metric) => metric?.name === name,
  );
  return all.flatMap(({ histogram }) =>
    histogram.dataPoints.map((point: { readonly count: unknown; readonly attributes: unknown }) => ({
      count: Number(point.count),
      attributes: plainAttributes(point.attributes),
    })),
  );
}

/** How many calls each edge had, as it was told last. */
function edges(): Record<string, number> {
  const told = collector.metrics.filter(({ name }) => name === 'keelson.edge.calls');
  const all: Record<string, number> = {};
  for (const { sum } of told) {
    for (const { attributes, ...point } of sum.dataPoints) {
      const named = plainAttributes(attributes);
      const [side, caller, callee, operation] = ['side', 'caller', 'callee', 'operation'].map(
        (name) => named[`keelson.edge.${name}`],
      );
      const end = `${named['keelson.outcome']} ${named['keelson.response.flag']}`;
      all[`${side} ${caller} -> ${callee} ${operation} ${end}`] = Number(point.asDouble ?? point.asInt);
    }
  }
  return all;
}

describe('what is as it would be without hooks', () => {
  it.each([[[]], [ours]])('an error of a stream that nobody minds ends the program: %s', async (flags) => {
    const crashing = program('crash.mjs', { flags });
    expect((await crashing.exit).code).toBe(1);
    expect(crashing.output).toContain('ERR_HTTP2_STREAM_ERROR');
  });

  it.each(['shop.mjs', 'rpc.mjs'])(
    'a processor of somebody else that throws ends nothing: %s',
    async (file) => {
      const environment = { OTEL_METRICS_EXPORTER: 'none' };
      const shop = program(file, { flags: ['--require', './throwing.cjs', ...ours], environment });
      const { port } = await shop.next<{ port: number }>();
      await ask(port);
      await ask(port);
      expect(await shop.stop()).toEqual({ code: 0, signal: null });
    },
  );

  it('whoever has replaced `get` before is still called, and its request traced', async () => {
    const flags = ['--require', './patched-get.cjs', ...ours];
    const shop = program('shop.mjs', { flags, environment: { WAY: 'http' } });
    const { port } = await shop.next<{ port: number }>();
    await ask(port);
    expect(await shop.next()).toEqual({ patched: `${callee.url}/items/7` });
    await shop.stop();
    const [client, ...others] = collector.ofKind('CLIENT');
    expect(others).toEqual([]);
    expect(arrivals).toMatchObject([
      { traceparent: [`00-${inboundTrace}-${client?.spanId}-01`], caller: ['shop'] },
    ]);
  });

  it('hooks that were taken away below somebody else do nothing more', async () => {
    const told = await program('unpatched.mjs').next();
    const [traced, untraced] = [
      [true, true],
      [false, false],
    ];
    expect(told).toEqual({ seen: [traced, untraced, untraced], calls: 2, ours: 'other', emit: false });
    expect(collector.ofKind('CLIENT')).toHaveLength(1);
  });
});

describe('the name of the caller', () => {
  it.each(['注文', 'unknown_service:node'])(
    'is told nobody when it is %s, and spans are made',
    async (name) => {
      const shop = program('shop.mjs', { environment: { OTEL_SERVICE_NAME: name } });
      const { port } = await shop.next<{ port: number }>();
      await ask(port);
      await shop.stop();
      const [client] = collector.ofKind('CLIENT');
      expect(arrivals).toMatchObject([
        { traceparent: [`00-${inboundTrace}-${client?.spanId}-01`], caller: [] },
      ]);
    },
  );

  it.each(['fetch', 'http'])('is told beside an instrumentation that makes the span, by %s', async (WAY) => {
    const flags = ['--require', './sdk.cjs', ...ours];
    const shop = program('shop.cjs', { flags, environment: { WAY } });
    const { port } = await shop.next<{ port: number }>();
    await ask(port);
    await shop.stop();
    expect(arrivals).toMatchObject([{ caller: ['shop'] }]);
    expect(arrivals[0]?.traceparent).toHaveLength(1);
  });

  it('stands in what servers measure', async () => {
    const shop = program('shop.mjs');
    const { port } = await shop.next<{ port: number }>();
    await ask(port, { 'x-md-service-name': 'front' });
    await ask(port, {});
    await shop.stop();
    const callers = measured('http.server.request.duration').map(
      (point) => point.attributes['service.peer.name'],
    );
    expect(callers.sort()).toEqual(['front', 'unknown']);
  });
});

describe('who calls whom', () => {
  it('is counted of a service that nobody has changed, on both sides, and shown as metrics', async () => {
    const shop = program('shop.mjs', { environment: { WAY: 'http' } });
    const { port } = await shop.next<{ port: number }>();
    for (let at = 0; at < 3; at++) await ask(port, { 'x-md-service-name': 'front' });
    await ask(port, {});
    await shop.stop();
    expect(edges()).toEqual({
      'client shop -> 127.0.0.1 GET success -': 4,
      'server front -> shop GET success -': 3,
      'server unknown -> shop GET success -': 1,
    });
  });

  it('with what failed', async () => {
    const shop = program('shop.mjs', { environment: { WAY: 'http', CALLEE: 'http://127.0.0.1:1' } });
    const { port } = await shop.next<{ port: number }>();
    const [response] = await once(http.get({ host: '127.0.0.1', port, agent: false }), 'response');
    await once(response.resume(), 'close');
    await shop.stop();
    expect(edges()).toEqual({
      'client shop -> 127.0.0.1 GET failure UF': 1,
      'server unknown -> shop GET failure -': 1,
    });
  });

  it('by gRPC too', async () => {
    const shop = program('rpc.mjs');
    const { port } = await shop.next<{ port: number }>();
    await ask(port, {});
    await shop.stop();
    expect(edges()).toEqual({
      'server unknown -> shop GET success -': 1,
      'client shop -> 127.0.0.1 /shop.Greeter/Hello success -': 1,
      'server shop -> shop /shop.Greeter/Hello success -': 1,
    });
  });

  it('but not what is governed, whose edges are those of its app', async () => {
    const shop = program('rpc.mjs', { environment: { GOVERNED: 'client,server' } });
    const { port } = await shop.next<{ port: number }>();
    await ask(port, {});
    await shop.stop();
    // Those of the apps are gone with them, before the last metrics leave.
    expect(edges()).toEqual({ 'server unknown -> shop GET success -': 1 });
  });

  it('can be read in the process', async () => {
    expect(await program('edges.mjs').next()).toEqual([
      ['client', 'shop', '127.0.0.1', 'GET', 2],
      ['server', 'shop', 'shop', 'GET', 2],
    ]);
  });
});

describe('gRPC', () => {
  const governed = ['', 'client', 'server', 'client,server'];

  it.each(governed)(
    'without anybody who records, the trace goes on as it came; governed: "%s"',
    async (GOVERNED) => {
      const shop = program('rpc.mjs', {
        environment: { GOVERNED, ONWARD: '1', OTEL_TRACES_EXPORTER: 'none' },
      });
      const { port } = await shop.next<{ port: number }>();
      expect(JSON.parse(await ask(port))).toEqual([traceparent]);
      await shop.stop();
      expect(arrivals).toMatchObject([{ path: '/onward', traceparent: [traceparent] }]);
      expect(collector.arrived).toEqual([]);
    },
  );

  const ways: [string, string, readonly string[], Record<string, string>][] = governed.flatMap((GOVERNED) => [
    ['with spans', 'rpc.mjs', ours, { GOVERNED }],
    ['without', 'rpc.mjs', ours, { GOVERNED, OTEL_TRACES_EXPORTER: 'none' }],
    [
      'beside an instrumentation',
      'late.mjs',
      ours,
      { GOVERNED, SDK: 'none', AUTO: 'grpc', THEN: './rpc.mjs' },
    ],
  ]);
  it.each(ways)(
    '%s each call is measured once by both sides, and for whom: %s %s %o',
    async (_, file, flags, environment) => {
      const shop = program(file, { flags, environment });
      const { port } = await shop.next<{ port: number }>();
      await ask(port);
      await shop.stop();
      expect(measured('rpc.client.call.duration')).toMatchObject([{ count: 1 }]);
      expect(measured('rpc.server.call.duration')).toMatchObject([
        {
          count: 1,
          attributes: {
            'rpc.method': 'shop.Greeter/Hello',
            'rpc.response.status_code': 'OK',
            'service.peer.name': 'shop',
          },
        },
      ]);
    },
  );

  it('what a stranger calls names no series', async () => {
    const shop = program('rpc.mjs');
    const { port, rpc } = await shop.next<{ port: number; rpc: number }>();
    const session = http2.connect(`http://127.0.0.1:${rpc}`);
    for (const path of ['/x/1', '/x/2', '/shop.Greeter/None']) {
      const headers = {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      };
      const stream = session.request(headers);
      stream.resume().end();
      await once(stream, 'close');
    }
    session.close();
    await ask(port);
    await shop.stop();
    const names = measured('rpc.server.call.duration').map(({ attributes, count }) => [
      attributes['rpc.method'],
      count,
    ]);
    expect(new Map(names as [string, number][])).toEqual(
      new Map([
        ['_OTHER', 3],
        ['shop.Greeter/Hello', 1],
      ]),
    );
    const strange = collector.ofKind('SERVER').filter(({ name }) => name === 'grpc');
    expect(strange.map(({ attributes }) => attributes['rpc.method_original'])).toEqual([
      'x/1',
      'x/2',
      'shop.Greeter/None',
    ]);
  });
});

describe('a governed client by axios', () => {
  const hooks = [
    ['all hooks', ''],
    ['without that of fetch', 'fetch'],
  ];
  // `parentbased_always_off`: a trace that is not recorded. `always_off`: none.
  const samplers = { always_on: /-03$/, parentbased_always_off: /-0[02]$/, always_off: undefined };
  const rows = hooks.flatMap(([what, off]) =>
    Object.entries(samplers).map(([name, flags]) => [what, name, off, flags] as const),
  );
  it.each(rows)(
    '%s, %s: is measured once, by itself, and writes its headers once',
    async (_, sampler, off, flags) => {
      const environment = {
        OTEL_TRACES_SAMPLER: sampler,
        ...(off !== '' && { KEELSON_DISABLED_HOOKS: String(off) }),
      };
      const shop = program('governed-axios.mjs', { environment });
      const { port } = await shop.next<{ port: number }>();
      await ask(port, {});
      await shop.stop();
      expect(
        measured('http.client.request.duration').map(({ count, attributes }) => [
          count,
          attributes['server.address'],
        ]),
      ).toEqual([[1, 'users']]);
      expect(arrivals).toMatchObject([{ caller: ['shop'] }]);
      expect(arrivals[0]?.traceparent).toEqual(flags === undefined ? [] : [expect.stringMatching(flags)]);
      expect(collector.ofKind('CLIENT')).toHaveLength(sampler === 'always_on' ? 1 : 0);
    },
  );

  it('what its adapter asks for first is traced too, below it', async () => {
    const shop = program('governed-axios.mjs', { environment: { TOKEN: '1' } });
    const { port } = await shop.next<{ port: number }>();
    await ask(port);
    await shop.stop();
    const clients = collector.ofKind('CLIENT');
    const attempt = clients.find(({ attributes }) => attributes['service.peer.name'] === 'users');
    const token = clients.find(({ attributes }) => String(attributes['url.full']).endsWith('/token'));
    expect(clients).toHaveLength(2);
    expect(token?.parentSpanId).toBe(attempt?.spanId);
    expect(arrivals.map((one) => [one.path, ...one.traceparent])).toEqual([
      ['/token', `00-${inboundTrace}-${token?.spanId}-01`],
      ['/items/7', `00-${inboundTrace}-${attempt?.spanId}-01`],
    ]);
  });

  it.each(['before', 'later'])(
    'beside an instrumentation that was enabled %s there is one span too',
    async (when) => {
      const setting = {
        before: ['governed-axios.mjs', ['--require', './sdk.cjs', ...ours]],
        later: ['late.mjs', ours],
      } as const;
      const [file, flags] = setting[when as 'before' | 'later'];
      const environment = { SDK: 'none', THEN: './governed-axios.mjs' };
      const shop = program(file, { flags, environment });
      const { port } = await shop.next<{ port: number }>();
      await ask(port);
      await shop.stop();
      const [client, ...others] = collector.ofKind('CLIENT');
      expect(others).toEqual([]);
      expect(client?.scope).toBe('keelson');
      expect(arrivals).toMatchObject([{ traceparent: [`00-${inboundTrace}-${client?.spanId}-01`] }]);
    },
  );
});

describe('a governed client', () => {
  const words = ['b3', 'b3multi', 'jaeger', 'none'];
  const rows = ['governed.mjs', 'governed-axios.mjs'].flatMap((file) => [
    ...words.map((word) => [file, { OTEL_PROPAGATORS: word }] as const),
    ...(file === 'governed.mjs' ? [[file, { INJECT: 'b3' }] as const] : []),
  ]);
  it.each(rows)('%s, %o: in whichever words it speaks, it speaks for itself', async (file, environment) => {
    const shop = program(file, { environment });
    const { port } = await shop.next<{ port: number }>();
    await ask(port);
    await shop.stop();
    expect(collector.ofKind('CLIENT').map(({ scope }) => scope)).toEqual(['keelson']);
    expect(
      measured('http.client.request.duration').map(({ count, attributes }) => [
        count,
        attributes['server.address'],
      ]),
    ).toEqual([[1, 'users']]);
    // Those of its app are gone with it.
    expect(Object.keys(edges()).filter((edge) => edge.startsWith('client'))).toEqual([]);
  });
});

describe('hosts by their names', () => {
  const all = ['traceparent', 'x-md-service-name', 'baggage', 'x-tenant', 'b3'].join();
  const trace = 'traceparent,b3';
  it('get all where they belong to this network, and else the trace alone, in whichever words', async () => {
    const hosts = {
      orders: all,
      'orders.prod.example.com': all,
      'ORDERS.Prod.Example.com': all,
      'a.b.prod.example.com': all,
      'shop.example.org': all,
      'prod.example.com': trace,
      'notprod.example.com': trace,
      'eu.shop.example.org': trace,
      'partner.example': trace,
    };
    const environment = {
      HOSTS: Object.keys(hosts).join(),
      KEELSON_INNER_HOSTS: '*.prod.example.com, shop.example.org',
    };
    const told = await program('outward.mjs', { environment }).next();
    expect(told).toEqual(
      Object.fromEntries(Object.entries(hosts).map(([host, headers]) => [host, [headers, headers]])),
    );
  });
});

describe('a governed server', () => {
  it('counts what it turns away early once, beside what nobody governs', async () => {
    const shop = program('turns-away.mjs', { environment: { KEELSON_DISABLED_HOOKS: 'http-client' } });
    expect(await shop.next()).toEqual([...Array(12).fill(503), ...Array(12).fill(200), 503, 200, 200]);
    await shop.stop();
    const counts: Record<string, number> = {};
    for (const { attributes, count } of measured('http.server.request.duration')) {
      const what = `${attributes['http.response.status_code']} ${attributes['http.route']}`;
      counts[what] = (counts[what] ?? 0) + count;
    }
    expect(counts).toEqual({ '503 /away': 13, '200 undefined': 14 });
    expect(measured('rpc.server.call.duration')).toEqual([]);
    const served = Object.entries(edges()).filter(([edge]) => edge.startsWith('server'));
    const refused = collector.ofKind('SERVER').filter(({ attributes }) => attributes['error.type'] === '503');
    expect(refused.length).toBeGreaterThanOrEqual(10);
    const [rpc] = collector
      .ofKind('SERVER')
      .filter(({ attributes }) => attributes['rpc.method_original'] === 'away');
    expect(rpc?.attributes['rpc.response.status_code']).toBe('UNKNOWN');
    // Health checks are of nobody that governs, and have the name that all have whose route is not known.
    expect(Object.fromEntries(served)).toEqual({
      'server unknown -> shop GET /away unsent OM': 9,
      'server unknown -> shop GET success -': 11,
      // By HTTP/2, whose client is traced.
      'server shop -> shop GET /away unsent OM': 3,
      'server shop -> shop GET success -': 3,
      'server shop -> shop POST /away unsent OM': 1,
    });
  });
});

describe('a thread of its own', () => {
  it('is traced as the program is, and its spans leave before it ends', async () => {
    const started = program('worker.mjs', { environment: { OTEL_METRICS_EXPORTER: 'none' } });
    await started.next();
    expect(await started.next()).toEqual({ code: 0 });
    expect(await started.exit).toEqual({ code: 0, signal: null });
    const [client] = collector.ofKind('CLIENT');
    const [job] = collector.ofKind('INTERNAL');
    expect(job?.name).toBe('job');
    expect(client?.parentSpanId).toBe(job?.spanId);
    expect(arrivals).toMatchObject([{ caller: ['shop'] }]);
  });
});
