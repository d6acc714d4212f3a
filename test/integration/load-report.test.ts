import http from 'node:http';
import http2 from 'node:http2';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import axios from 'axios';
import { type App, createApp } from 'keelson';
import { governAxios } from 'keelson/axios';
import { governedTransport, peerContext, serverInterceptor } from 'keelson/connect';
import type { Gate, ServerLoad } from 'keelson/core';
import { type GovernServerOptions, governedClient, governHandlers, governServer } from 'keelson/grpc';
import { decodeOrca, loadOfOrca, parseLoad, parseOrca } from 'keelson/http';
import { concurrency } from 'keelson/limiter';
import { describe, expect, it, vi } from 'vitest';
import { Greeter } from '../doubles/connect-greeter.js';
import { echo as connectEcho, type GreeterImpl, listening, speeches } from '../doubles/connect-replicas.js';
import { ended, type GreeterClient, greeter, greeterClient, say } from '../doubles/grpc-greeter.js';
import { echo, replica as plainGrpc } from '../doubles/grpc-replicas.js';
import { frameworks, listen } from '../doubles/server-frameworks.js';
import { tidied } from '../doubles/tidied.js';

// What a server measures of its load arrives at the meters of its clients, over each wire.

const { apps, closers } = tidied();

function appOf(service: string, urls: readonly string[] = []): App {
  const app = createApp({ service, endpoints: { shop: [...urls] }, signals: false, drainPauseMs: 0 });
  apps.push(app);
  return app;
}

/** Every load that a gate of an endpoint is told of, be it at the first answer or at the end. */
function loads() {
  const told: ServerLoad[] = [];
  const gate: Gate = {
    code: 'OVERLOADED',
    tryAcquire: () => ({
      observe: (_outcome, _now, feedback) => void (feedback?.load && told.push(feedback.load)),
      release: (_outcome, _now, feedback) => void (feedback?.load && told.push(feedback.load)),
    }),
  };
  return { told, options: { gates: () => [gate], retry: false } as const };
}

/** It says how many are in flight, and nothing is out of range. 0 is no CPU in ORCA's binary form. */
function expectLoad(load: ServerLoad | undefined): void {
  expect(load?.inflight).toBeGreaterThanOrEqual(0);
  expect(load?.inflight).toBeLessThan(10);
  expect(load?.backlogMs).toBeGreaterThanOrEqual(0);
  expect(load?.cpuRatio ?? 0).toBeGreaterThanOrEqual(0);
  expect(load?.cpuRatio ?? 0).toBeLessThanOrEqual(1);
}

const closed = (server: http.Server) => () =>
  new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });

async function httpServer(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener);
  closers.push(closed(server));
  return `http://127.0.0.1:${await listen(server)}`;
}

const ask = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers });
  await response.text();
  return response.headers;
};

describe('over HTTP', () => {
  it.each(['/end', '/head', '/pairs', '/flat', '/set', '/throw', '/stream'])(
    'by an answer made with %s',
    async (path) => {
      const app = appOf('shop');
      const url = await httpServer(
        app.listener(
          async (req, res) => {
            if (req.url === '/throw') throw new Error('no');
            if (req.url === '/head') res.writeHead(200, 'fine', { 'x-own': '1' });
            if (req.url === '/pairs')
              res.writeHead(200, [
                ['x-own', '1'],
                ['x-more', '2'],
              ] as never);
            if (req.url === '/flat') res.writeHead(200, ['x-own', '1']);
            if (req.url === '/set')
              res.setHeader('x-own', '1').setHeader('x-keelson-load', 'cpu=0.99, inflight=9999');
            if (req.url === '/stream') res.write('a');
            res.end('b');
          },
          { onError: () => undefined },
        ) as http.RequestListener,
      );
      const headers = await ask(url + path);
      expectLoad(parseLoad(headers.get('x-keelson-load')));
      if (!['/end', '/throw', '/stream'].includes(path)) expect(headers.get('x-own')).toBe('1');
      expect(headers.has('endpoint-load-metrics')).toBe(false);
    },
  );

  it.each(frameworks)('from $name to a client by fetch', async ({ make }) => {
    const routes = [{ method: 'GET', path: '/a/:id', run: () => 'hello' }] as const;
    const server = await make(appOf('shop'), routes, {});
    closers.push(closed(server));
    const url = `http://127.0.0.1:${await listen(server)}`;
    const { told, options } = loads();
    const client = appOf('caller', [url]).fetch('shop', options);
    await (await client('/a/1')).text();
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(0));
    expectLoad(told[0]);
  });

  it.each(['http', 'fetch'] as const)('to axios by its %s adapter', async (adapter) => {
    const app = appOf('shop');
    const url = await httpServer(app.listener((_, res) => void res.end('b')) as http.RequestListener);
    const { told, options } = loads();
    const users = governAxios(axios.create({ adapter }), appOf('caller', [url]), {
      service: 'shop',
      ...options,
    });
    await users.get('/a');
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(0));
    expectLoad(told[0]);
  });

  it('over HTTP/2', async () => {
    const app = appOf('shop');
    const server = http2.createServer(
      app.listener((_, res) => void res.writeHead(200, { 'x-own': '1' }).end('b')),
    );
    const { url, close } = await listening(server as never);
    closers.push(close);
    const session = http2.connect(url);
    closers.push(() => session.destroy());
    const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      session.request({ ':path': '/' }).on('response', resolve).resume(),
    );
    expectLoad(parseLoad(headers['x-keelson-load'] as string));
    expect(headers['x-own']).toBe('1');
  });

  it.each([
    [{}, true],
    [{ trust: false }, false],
    [{ trust: false, reportLoad: 'always' }, true],
    [{ reportLoad: false }, false],
  ] as const)('only to whom it is meant for: %j', async (options, told) => {
    const limited = { ...options, limits: [concurrency({ limit: 1 })] };
    const listener = appOf('shop').listener((req, res) => {
      if (req.url !== '/hang') res.end('b');
      else res.writeHead(200).flushHeaders();
    }, limited);
    const url = await httpServer(listener as http.RequestListener);
    expect((await ask(url)).has('x-keelson-load')).toBe(told);
    const held = await fetch(`${url}/hang`);
    // Refused in order, and refused early.
    for (let i = 0; i < 4; i++) {
      const refused = await fetch(url);
      expect(refused.status).toBe(503);
      expect(refused.headers.has('x-keelson-load')).toBe(told);
      await refused.text();
    }
    await held.body?.cancel();
  });

  const callees = 'cpu=0.99, inflight=9999';
  it.each<[string, (res: http.ServerResponse) => unknown]>([
    ['set', (res) => res.setHeader('X-Keelson-Load', callees).setHeader('x-own', '1')],
    ['in a record', (res) => res.writeHead(200, { 'x-own': '1', 'X-Keelson-Load': callees })],
    [
      'in a record beside others that are set',
      (res) => res.setHeader('x-own', '1').writeHead(200, { 'x-keelson-load': callees }),
    ],
    ['in turn', (res) => res.writeHead(200, ['X-Keelson-Load', callees, 'x-own', '1'])],
    [
      'in pairs',
      (res) =>
        res.writeHead(200, [
          ['x-own', '1'],
          ['X-Keelson-Load', callees],
        ] as never),
    ],
    ['alone in pairs', (res) => res.writeHead(200, [['x-keelson-load', callees]] as never)],
    [
      'beside a value of that name',
      (res) => res.writeHead(200, ['x-own', '1', 'x-other', 'x-keelson-load', 'x-keelson-load', callees]),
    ],
  ])('never that of a callee whose answer is passed on, %s', async (how, pass) => {
    for (const options of [{}, { reportLoad: false }, { trust: false }] as const) {
      const listener = appOf('shop').listener((_, res) => {
        pass(res);
        res.end('b');
      }, options);
      const headers = await ask(await httpServer(listener as http.RequestListener));
      expect(headers.get('x-own')).toBe(how === 'alone in pairs' ? null : '1');
      const told = headers.get('x-keelson-load');
      if ('trust' in options || 'reportLoad' in options) expect(told).toBeNull();
      else {
        expectLoad(parseLoad(told));
        expect(told).not.toContain(callees);
      }
    }
  });

  const report = 'TEXT cpu_utilization=0.5';
  it.each<[string, (res: http.ServerResponse) => unknown]>([
    ['set', (res) => res.setHeader('Endpoint-Load-Metrics', report)],
    ['in a record', (res) => res.writeHead(200, { 'Endpoint-Load-Metrics': report })],
    ['in a record of small letters', (res) => res.writeHead(200, { 'endpoint-load-metrics': report })],
    ['in turn', (res) => res.writeHead(200, ['x-own', '1', 'Endpoint-Load-Metrics', report])],
    ['in pairs', (res) => res.writeHead(200, [['Endpoint-Load-Metrics', report]] as never)],
  ])("in the application's own words where it has some, %s", async (_, tell) => {
    const listener = appOf('shop').listener((_req, res) => {
      tell(res);
      res.end('b');
    });
    const url = await httpServer(listener as http.RequestListener);
    const headers = await ask(url, { 'endpoint-load-metrics-format': 'text' });
    expect(headers.get('endpoint-load-metrics')).toBe(report);
    expectLoad(parseLoad(headers.get('x-keelson-load')));
  });

  it('with the share that it lets in, while it refuses', async () => {
    const app = appOf('shop');
    const listener = app.listener((_, res) => void res.writeHead(200).flushHeaders(), {
      limits: [concurrency({ limit: 1 })],
    });
    const url = await httpServer(listener as http.RequestListener);
    const held = await fetch(url);
    for (let i = 0; i < 3; i++) await (await fetch(url)).text();
    await vi.waitFor(() => expect(app.load()).toMatchObject({ inflight: 1 }));
    // One of four; and what is asked early counts as well.
    await vi.waitFor(() => expect(app.load().admitRatio).toBeCloseTo(0.25));
    await held.body?.cancel();
  });

  it.each([
    ['text', 'TEXT '],
    ['JSON', 'JSON {'],
    ['bin', 'BIN '],
  ])('as ORCA to who asks for it: %s', async (format, begin) => {
    const url = await httpServer(
      appOf('shop').listener((_, res) => void res.end('b')) as http.RequestListener,
    );
    const headers = await ask(url, { 'endpoint-load-metrics-format': format });
    const orca = headers.get('endpoint-load-metrics') ?? '';
    expect(orca.slice(0, begin.length)).toBe(begin);
    expect(loadOfOrca(parseOrca(orca))).toMatchObject({ inflight: 1 });
    expect((await ask(url, { 'endpoint-load-metrics-format': 'xml' })).has('endpoint-load-metrics')).toBe(
      false,
    );
  });

  it('as ORCA to everybody, and in no other form', async () => {
    const listener = appOf('shop').listener(
      (req, res) => {
        if (req.url === '/own') res.setHeader('endpoint-load-metrics', 'TEXT application_utilization=0.1');
        res.end('b');
      },
      { loadFormats: ['orca'] },
    );
    const url = await httpServer(listener as http.RequestListener);
    const headers = await ask(url);
    expect(headers.has('x-keelson-load')).toBe(false);
    expectLoad(loadOfOrca(parseOrca(headers.get('endpoint-load-metrics') ?? '')));
    // What the application tells of itself counts.
    expect((await ask(`${url}/own`)).get('endpoint-load-metrics')).toBe('TEXT application_utilization=0.1');
  });

  it('from a server of somebody else, by ORCA', async () => {
    const url = await httpServer((_, res) => {
      res.setHeader('endpoint-load-metrics', 'TEXT cpu_utilization=0.3, rps_fractional=12').end('b');
    });
    const { told, options } = loads();
    await (await appOf('caller', [url]).fetch('shop', options)('/a')).text();
    expect(told[0]).toEqual({ cpuRatio: 0.3, perSecond: 12 });
  });
});

describe('over gRPC', () => {
  async function serving(options: GovernServerOptions = {}, handlers: typeof echo = echo) {
    const app = appOf('shop');
    const server = new grpc.Server({
      interceptors: [governServer(app, { onError: () => undefined, ...options })],
    });
    server.addService(greeter, governHandlers<typeof echo>(handlers as never));
    closers.push(() => server.forceShutdown());
    return new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
  }
  const clientOf = (port: number) => {
    const client = greeterClient(port);
    closers.push(() => client.close());
    return client;
  };
  const governed = (port: number) => {
    const { told, options } = loads();
    const Client = grpc.makeClientConstructor(greeter, 'Greeter');
    const app = appOf('caller', [`grpc://127.0.0.1:${port}`]);
    return {
      told,
      client: governedClient(app, Client, { service: 'shop', ...options }) as unknown as GreeterClient,
    };
  };

  it('to a client of ours: of one answer with its end, of a stream with its beginning', async () => {
    const { told, client } = governed(await serving());
    await say(client, { text: 'you' });
    expectLoad(told[0]);
    told.length = 0;
    await ended(client.Count({ count: 2 }));
    expectLoad(told[0]);
  });

  it('in the trailers of answers, errors, and refusals', async () => {
    const failing = {
      ...echo,
      Say: () => {
        throw Object.assign(new Error('none'), { code: grpc.status.NOT_FOUND });
      },
    };
    const found = await say(clientOf(await serving()));
    expectLoad(parseLoad(String(found.metadata.get('x-keelson-load')[0])));
    expect(found.metadata.get('endpoint-load-metrics-bin')).toEqual([]);
    const missing = await say(clientOf(await serving({}, failing as never)));
    expect(missing.code).toBe(grpc.status.NOT_FOUND);
    expectLoad(parseLoad(String(missing.metadata.get('x-keelson-load')[0])));
    const refused = await say(
      clientOf(await serving({ limits: [{ code: 'OVERLOADED', tryAcquire: () => null }] })),
    );
    expect(refused.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(parseLoad(String(refused.metadata.get('x-keelson-load')[0]))).toMatchObject({ admitRatio: 0 });
  });

  it('as ORCA, to who asks or to everybody', async () => {
    const read = ({ metadata }: { metadata: grpc.Metadata }) =>
      loadOfOrca(decodeOrca(metadata.get('endpoint-load-metrics-bin')[0] as Buffer));
    const client = clientOf(await serving());
    expectLoad(read(await say(client, {}, { metadata: { 'endpoint-load-metrics-format': 'bin' } })));
    expectLoad(read(await say(clientOf(await serving({ loadFormats: ['orca'] })))));
  });

  it.each([
    [{ trust: false }, 0],
    [{ trust: false, reportLoad: 'always' }, 1],
    [{ reportLoad: false }, 0],
  ] as const)('only to whom it is meant for: %j', async (options, count) => {
    const { metadata } = await say(clientOf(await serving(options)));
    expect(metadata.get('x-keelson-load')).toHaveLength(count);
  });

  it('never that of a callee whose error is passed on', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-keelson-load', 'cpu=1, inflight=9999');
    metadata.set('x-own', '1');
    const error = Object.assign(new Error('none'), { code: grpc.status.NOT_FOUND, metadata });
    const failing = { ...echo, Say: () => Promise.reject(error) } as never;
    const untold = await say(clientOf(await serving({ trust: false }, failing)));
    expect(untold.metadata.get('x-keelson-load')).toEqual([]);
    expect(untold.metadata.get('x-own')).toEqual(['1']);
    const told = await say(clientOf(await serving({}, failing)));
    expectLoad(parseLoad(String(told.metadata.get('x-keelson-load')[0])));
  });

  it('nor that of one whose headers and trailers are', async () => {
    const passed = new grpc.Metadata();
    passed.set('x-keelson-load', 'cpu=1, inflight=9999');
    passed.set('x-own', '1');
    const passing: typeof echo = {
      ...echo,
      Say: (call, callback) => {
        call.sendMetadata(passed);
        callback(null, { text: 'a' }, passed);
      },
    };
    for (const options of [{ trust: false }, { reportLoad: false }, {}] as const) {
      const client = clientOf(await serving(options, passing));
      const [headers, metadata] = (await new Promise<grpc.Metadata[]>((resolve) => {
        const heard: grpc.Metadata[] = [];
        const call = client.Say({}, new grpc.Metadata(), {}, () => undefined);
        call.on('metadata', (early) => heard.push(early));
        call.on('status', ({ metadata: late }) => resolve([...heard, late]));
      })) as [grpc.Metadata, grpc.Metadata];
      expect([headers.get('x-own'), metadata.get('x-own')]).toEqual([['1'], ['1']]);
      expect(headers.get('x-keelson-load')).toEqual([]);
      const told = metadata.get('x-keelson-load');
      if ('trust' in options || 'reportLoad' in options) expect(told).toEqual([]);
      else expectLoad(parseLoad(told.map(String).join()));
    }
    expect(passed.get('x-keelson-load')).toHaveLength(1);
  });

  it('without touching trailers that several calls share', async () => {
    const shared = new grpc.Metadata();
    shared.set('x-own', '1');
    const port = await serving({}, { ...echo, Say: (_, callback) => callback(null, { text: 'a' }, shared) });
    const { metadata } = await say(clientOf(port));
    expect(metadata.get('x-own')).toEqual(['1']);
    expect(metadata.get('x-keelson-load')).toHaveLength(1);
    expect(Object.keys(shared.getMap())).toEqual(['x-own']);
  });

  it('from a server of somebody else, by ORCA', async () => {
    const trailers = new grpc.Metadata();
    // gRPC proposal A51: an OrcaLoadReport with cpu_utilization 0.1, rps_fractional 2.
    trailers.set('endpoint-load-metrics-bin', Buffer.from('CZqZmZmZmbk/MQAAAAAAAABA', 'base64'));
    const other = await plainGrpc({ Say: (_, callback) => callback(null, { text: 'a' }, trailers) });
    closers.push(() => other.close());
    const { told, client } = governed(other.port);
    await say(client);
    expect(told[0]).toEqual({ cpuRatio: 0.1, perSecond: 2 });
  });
});

describe.each(speeches)('over $name', (speech) => {
  async function clientOf(options: Parameters<typeof serverInterceptor>[1] = {}, handlers: GreeterImpl = {}) {
    const handler = connectNodeAdapter({
      routes: (router) => router.service(Greeter, { ...connectEcho, ...handlers }),
      interceptors: [serverInterceptor(appOf('shop'), options)],
      contextValues: peerContext,
    });
    const server = speech.httpVersion === '2' ? http2.createServer(handler) : http.createServer(handler);
    const { url, close } = await listening(server as never);
    closers.push(close);
    const { told, options: policy } = loads();
    const app = appOf('caller', [url]);
    const transport = governedTransport(app, 'shop', { transport: speech.transport, ...policy });
    return { told, client: createClient(Greeter, transport) };
  }

  it('of an answer and of a stream, to a client of ours', async () => {
    const { told, client } = await clientOf();
    await client.say({ value: 'you' });
    expectLoad(told[0]);
    told.length = 0;
    for await (const _ of client.count({ value: '2' })) expectLoad(told[0]);
  });

  it('of a refusal', async () => {
    const { told, client } = await clientOf({ limits: [{ code: 'OVERLOADED', tryAcquire: () => null }] });
    await client.say({ value: 'you' }).catch(() => undefined);
    expect(told[0]).toMatchObject({ admitRatio: 0 });
  });

  it('as ORCA alone', async () => {
    const { told, client } = await clientOf({ loadFormats: ['orca'] });
    await client.say({ value: 'you' });
    expectLoad(told[0]);
  });

  it('never that of a callee whose error is passed on', async () => {
    const headers = { 'x-keelson-load': 'cpu=1, inflight=9999', 'x-own': '1' };
    const failing = { say: () => Promise.reject(new ConnectError('none', Code.NotFound, headers)) };
    const { told, client } = await clientOf({ trust: false }, failing);
    const error = await client.say({ value: 'you' }).catch((thrown: ConnectError) => thrown);
    expect((error as ConnectError).metadata.get('x-own')).toBe('1');
    expect(told).toEqual([]);
  });

  it('nor that of one whose headers and trailers are', async () => {
    const say: GreeterImpl['say'] = ({ value }, context) => {
      for (const passed of [context.responseHeader, context.responseTrailer]) {
        passed.set('x-keelson-load', 'cpu=1, inflight=9999');
        passed.set('x-own', '1');
      }
      return { value };
    };
    const { told, client } = await clientOf({ reportLoad: false }, { say });
    const seen: (string | null)[] = [];
    await client.say(
      { value: 'you' },
      {
        onHeader: (headers) => seen.push(headers.get('x-own'), headers.get('x-keelson-load')),
        onTrailer: (headers) => seen.push(headers.get('x-own'), headers.get('x-keelson-load')),
      },
    );
    expect(seen).toEqual(['1', null, '1', null]);
    expect(told).toEqual([]);
  });

  it('to nobody who is not trusted', async () => {
    const { told, client } = await clientOf({ trust: false });
    await client.say({ value: 'you' });
    expect(told).toEqual([]);
  });
});

describe('an app', () => {
  it('without a server measures nothing', () => {
    expect(appOf('shop').load()).toEqual({});
  });

  it('adds up all its servers', async () => {
    const app = appOf('shop');
    const hang = app.listener((_, res) => void res.writeHead(200).flushHeaders());
    const urls = [
      await httpServer(hang as http.RequestListener),
      await httpServer(hang as http.RequestListener),
    ];
    const held = await Promise.all(urls.map((url) => fetch(url)));
    await vi.waitFor(() => expect(app.load()).toMatchObject({ inflight: 2 }));
    for (const response of held) await response.body?.cancel();
    await vi.waitFor(() => expect(app.load()).toMatchObject({ inflight: 0 }));
  });
});
