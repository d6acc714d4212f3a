import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type App, type AppListenerOptions, createApp, type HttpHandler, type HttpListener } from 'keelson';
import type { Ask, EarlyRefuser, Gate, Permit, RejectedEvent } from 'keelson/core';
import { concurrency } from 'keelson/limiter';
import { afterEach, describe, expect, it } from 'vitest';
import { type RawClient, rawClient, rawGet } from '../doubles/raw-client.js';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const permit: Permit = { observe: () => undefined, release: () => undefined };

/** Refuses, while it is told to, all but what is important; and knows whom it was asked about. */
class Switch implements Gate, EarlyRefuser {
  readonly code = 'OVERLOADED';
  readonly early: Ask[] = [];
  inOrder = 0;
  refusing = true;
  tryAcquire(_now: number, ask?: Ask): Permit | null {
    this.inOrder++;
    return this.refuses(ask) ? null : permit;
  }
  refuseEarly(_now: number, ask: Ask): boolean {
    this.early.push(ask);
    return this.refuses(ask);
  }
  private refuses(ask?: Ask): boolean {
    return this.refusing && (ask?.priority ?? 0) <= 0;
  }
}

interface Running {
  readonly app: App;
  readonly server: http.Server;
  readonly port: number;
  readonly gate: Switch;
  readonly listener: HttpListener;
  /** How many requests Node asked its listeners about. */
  readonly heard: () => number;
  readonly rejected: readonly RejectedEvent[];
}

interface Setting extends AppListenerOptions {
  /** What is given to Node in place of the listener. */
  readonly wrap?: (listener: HttpListener) => http.RequestListener;
  readonly server?: http.ServerOptions;
}

const hello: HttpHandler = (_req, res) => void res.end('hello');

async function running({ wrap, server: settings = {}, ...options }: Setting = {}): Promise<Running> {
  const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0 });
  const rejected: RejectedEvent[] = [];
  app.events.on('rejected', (event) => rejected.push(event));
  const gate = new Switch();
  const listener = app.listener(hello, { limits: [gate], queue: false, ...options });
  const server = http.createServer(settings, wrap?.(listener) ?? listener);
  let heard = 0;
  const emit = server.emit.bind(server);
  server.emit = (name: string, ...args: unknown[]) => {
    if (name === 'request') heard++;
    return emit(name, ...args);
  };
  const { port } = await app.serve(server, { host: '127.0.0.1' });
  closers.push(async () => {
    server.closeAllConnections();
    await app.stop();
  });
  return { app, server, port, gate, listener, heard: () => heard, rejected };
}

async function client(port: number): Promise<RawClient> {
  const raw = await rawClient(port);
  closers.push(() => void raw.socket.destroy());
  return raw;
}

const count = (text: string, part: string): number => text.split(part).length - 1;

/** Sends one request after the other, each when the one before is answered. */
async function oneByOne(raw: RawClient, requests: readonly string[]): Promise<string> {
  for (const request of requests) {
    const before = raw.received.length;
    raw.socket.write(request);
    await expect.poll(() => raw.received.slice(before), { interval: 1 }).toMatch(/\r\n\r\n.*(\n|hello)$/);
  }
  return raw.received;
}

const get = rawGet('/', {});

describe('a listener that answers alone', () => {
  it('hears of the first refused request of a connection only', async () => {
    const { port, heard, gate } = await running();
    const got = await oneByOne(await client(port), [get, get, get, get]);
    expect(count(got, 'HTTP/1.1 503 Service Unavailable')).toBe(4);
    expect(count(got, 'x-keelson-shed: OVERLOADED')).toBe(4);
    expect(heard()).toBe(1);
    expect(gate.early).toHaveLength(4);
    // Nobody is asked twice about the same request.
    expect(gate.inOrder).toBe(0);
  });

  it('goes on with the connection when nothing is refused any more, and when something is again', async () => {
    const { port, gate, heard } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get, get]);
    gate.refusing = false;
    expect(count(await oneByOne(raw, [get, get]), '\r\n\r\nhello')).toBe(2);
    gate.refusing = true;
    expect(count(await oneByOne(raw, [get, get]), ' 503 ')).toBe(4);
    expect(heard()).toBe(3);
  });

  it('asks by route, by the priority of trusted peers, and by key', async () => {
    const { port, gate } = await running({
      routes: ['/users/:id'],
      key: (req) => String(req.headers['x-tenant']),
    });
    const raw = await client(port);
    const asked = rawGet('/users/7', { 'X-Md-Global-Priority': '-5', 'x-tenant': 'acme' });
    const got = await oneByOne(raw, [get, asked, rawGet('/', { 'x-md-global-priority': '9' })]);
    expect(got).toMatch(/hello$/);
    expect(gate.early.slice(1)).toMatchObject([
      { operation: 'GET /users/:id', priority: -5, key: 'acme' },
      { operation: 'GET', priority: 9, key: 'undefined' },
    ]);
  });

  it.each([
    ['of a peer that is not trusted', false, { 'x-md-global-priority': '9' }],
    ['that is given twice', 'private', { 'x-md-global-priority': '9', 'X-Md-Global-Priority': '9' }],
    ['that is none', 'private', { 'x-md-global-priority': 'highest' }],
  ] as const)('does not believe a priority %s', async (_, trust, headers) => {
    const { port, gate } = await running({ trust });
    await oneByOne(await client(port), [get, rawGet('/', headers)]);
    expect(gate.early.map(({ priority }) => priority)).toEqual([0, 0]);
  });

  it('counts what it refuses, and tells of it together', async () => {
    const { port, rejected } = await running();
    await oneByOne(await client(port), [get, get, get]);
    await expect.poll(() => rejected.reduce((sum, event) => sum + event.count, 0)).toBe(3);
    expect(rejected[0]).toMatchObject({ service: 'shop', code: 'OVERLOADED' });
  });

  it('loses none of the count when the app stops', async () => {
    const { app, server, port, rejected } = await running();
    await oneByOne(await client(port), [get, get]);
    expect(rejected).toEqual([]);
    const told = app.stop();
    server.closeAllConnections();
    await told;
    expect(rejected).toEqual([{ service: 'shop', code: 'OVERLOADED', count: 2 }]);
  });

  it('answers health checks whatever the load', async () => {
    const { port } = await running({ health: true });
    const got = await oneByOne(await client(port), [get, rawGet('/healthz'), get, rawGet('/readyz')]);
    expect(got.match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 503',
      'HTTP/1.1 200',
      'HTTP/1.1 503',
      'HTTP/1.1 200',
    ]);
  });

  it('leaves to the usual way whatever it cannot ask', async () => {
    let asked = 0;
    const gate = new Switch();
    gate.refuseEarly = () => {
      asked++;
      throw new Error('broken');
    };
    const { port } = await running({ limits: [gate], queue: false });
    const got = await oneByOne(await client(port), [get, get]);
    expect(count(got, ' 503 ')).toBe(2);
    expect(asked).toBe(2);
  });

  it('tells everybody to leave once the app stops', async () => {
    const { app, port, heard, gate } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get, get]);
    const held = await client(port);
    gate.refusing = false;
    const stopped = new Promise<void>((resolve) => {
      app.events.on('lifecycle', ({ state }) => {
        if (state === 'draining') resolve();
      });
    });
    const stop = app.stop();
    await stopped;
    gate.refusing = true;
    const before = heard();
    await expect.poll(() => app.state).not.toBe('ready');
    raw.socket.write(get);
    await raw.closed();
    // Either it was answered in full, or the idle connection had been closed before the request came.
    expect(heard() - before).toBe(count(raw.received.slice(-400), 'onnection: close') > 0 ? 1 : 0);
    held.socket.destroy();
    await stop;
  });
});

describe('what is in the way of answering past Node', () => {
  it.each<[string, Setting]>([
    ['rejectEarly: false', { rejectEarly: false }],
    ['a listener around it', { wrap: (listener) => (req, res) => listener(req, res) }],
    [
      'a class of responses of the user',
      { server: { ServerResponse: class extends http.ServerResponse {} as typeof http.ServerResponse } },
    ],
  ])('%s: Node makes each response', async (_, setting) => {
    const { port, heard } = await running(setting);
    const got = await oneByOne(await client(port), [get, get, get]);
    expect(count(got, ' 503 ')).toBe(3);
    expect(heard()).toBe(3);
  });

  it('a second listener, also one that comes later', async () => {
    const { port, heard, server } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get, get]);
    const seen: (string | undefined)[] = [];
    server.prependListener('request', (req) => seen.push(req.url));
    await oneByOne(raw, [rawGet('/seen')]);
    expect(seen).toEqual(['/seen']);
    expect(heard()).toBe(2);
  });

  it('another listener in its place', async () => {
    const { port, server, listener } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get, get]);
    server.off('request', listener);
    server.on('request', (_req, res) => void res.end('hello'));
    expect(await oneByOne(raw, [get])).toMatch(/hello$/);
  });

  it('a limit of requests for each connection', async () => {
    const { port, heard, server } = await running();
    server.maxRequestsPerSocket = 3;
    const raw = await client(port);
    await oneByOne(raw, [get, get, get]);
    expect(heard()).toBe(3);
    expect(raw.received).toMatch(/Connection: close\r\n\r\nOVERLOADED\n$/);
  });

  it.each([
    ['Connection: close', rawGet('/', { connection: 'close' })],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nhost: a\r\n\r\n'],
    [
      'a body of no known length',
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ],
    ['a body that is long', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n'],
    [
      'a client that waits to go on',
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n',
    ],
  ])('%s: is refused, and the connection closed', async (_, request) => {
    const { port, heard } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get]);
    raw.socket.write(request);
    await raw.closed();
    expect(count(raw.received, ' 503 ')).toBe(2);
    expect(raw.received).not.toContain('100 Continue');
    expect(heard()).toBe(2);
  });

  it('a request without a host is answered with 400', async () => {
    const { port } = await running();
    const raw = await client(port);
    await oneByOne(raw, [get]);
    raw.socket.write('GET / HTTP/1.1\r\n\r\n');
    await raw.closed();
    expect(raw.received).toContain('400 Bad Request');
  });
});

describe('connections', () => {
  it('that are idle after a refusal are closed when they have been for long enough', async () => {
    const app = createApp({ service: 'shop', signals: false });
    const server = http.createServer(
      { keepAliveTimeout: 50 },
      app.listener(hello, { limits: [new Switch()] }),
    );
    // Newer versions of Node add this to it.
    Object.assign(server, { keepAliveTimeoutBuffer: 0 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      await new Promise((resolve) => server.close(resolve));
      await app.stop();
    });
    const raw = await client((server.address() as AddressInfo).port);
    await oneByOne(raw, [get, get]);
    await raw.closed();
    expect(count(raw.received, ' 503 ')).toBe(2);
  });

  it('of a client that sends and does not read are not read either, and lose nothing', async () => {
    const { port, server, gate } = await running();
    const sockets: Socket[] = [];
    server.on('connection', (socket) => sockets.push(socket));
    const raw = await client(port);
    await oneByOne(raw, [get]);
    raw.socket.pause();
    const important = rawGet('/', { 'x-md-global-priority': '1' });
    const rounds = 2000;
    for (let round = 0; round < rounds; round++) raw.socket.write(get.repeat(10) + important);
    const [served] = sockets;
    // It stops to read once what it has to say does not go out.
    let read = -1;
    await expect
      .poll(
        () => {
          const stood = served?.bytesRead === read;
          read = served?.bytesRead ?? -1;
          return stood;
        },
        { interval: 50, timeout: 20_000 },
      )
      .toBe(true);
    expect(served?.writableLength).toBeLessThan(1_000_000);
    raw.socket.resume();
    await expect.poll(() => count(raw.received, 'HTTP/1.1 '), { timeout: 20_000 }).toBe(1 + rounds * 11);
    const order = raw.received.match(/HTTP\/1.1 \d+/g)?.slice(1) ?? [];
    const expected = Array.from({ length: rounds * 11 }, (_, at) => `HTTP/1.1 ${at % 11 === 10 ? 200 : 503}`);
    expect(order).toEqual(expected);
    expect(gate.early).toHaveLength(1 + rounds * 11);
  });

  it('are not left with a request in flight when the client goes away in the middle of a body', async () => {
    const limit = concurrency({ limit: 1 });
    const { port } = await running({ limits: [new Switch(), limit] });
    const raw = await client(port);
    await oneByOne(raw, [get]);
    raw.socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    await expect.poll(() => count(raw.received, ' 503 ')).toBe(2);
    raw.socket.destroy();
    const other = await client(port);
    expect(await oneByOne(other, [get, rawGet('/', { 'x-md-global-priority': '1' })])).toMatch(/hello$/);
    expect(limit.snapshot(0).inflight).toBe(0);
  });
});

describe('HTTP/2', () => {
  async function session(options: AppListenerOptions = {}) {
    const app = createApp({ service: 'shop', signals: false });
    const gate = new Switch();
    const server = http2.createServer(app.listener(hello, { limits: [gate], queue: false, ...options }));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    closers.push(async () => {
      client.destroy();
      await new Promise((resolve) => server.close(resolve));
      await app.stop();
    });
    return { client, gate };
  }

  interface Answer {
    readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
    readonly body: string;
    readonly code: number;
  }
  async function answerTo(stream: http2.ClientHttp2Stream): Promise<Answer> {
    let body = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    const closed = once(stream, 'close');
    const [headers] = (await once(stream, 'response')) as [Answer['headers']];
    await closed;
    return { headers, body, code: stream.rstCode };
  }

  it('answers with headers alone, and stops uploads', async () => {
    const { client, gate } = await session();
    const { headers, body } = await answerTo(client.request({ ':path': '/' }));
    expect([headers[':status'], headers['x-keelson-shed'], body]).toEqual([503, 'OVERLOADED', '']);
    const upload = client.request({ ':path': '/', ':method': 'POST' }, { endStream: false });
    upload.write('some of it');
    expect((await answerTo(upload)).headers[':status']).toBe(503);
    expect(upload.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    gate.refusing = false;
    expect(await answerTo(client.request({ ':path': '/' }))).toMatchObject({ body: 'hello', code: 0 });
    expect(gate.early).toHaveLength(2);
    expect(gate.inOrder).toBe(1);
  });
});

describe('limits that can tell', () => {
  it('of several the first that refuses gives the code', async () => {
    const rate: Gate & EarlyRefuser = {
      code: 'RATE_LIMITED',
      refusing: true,
      tryAcquire: () => null,
      refuseEarly: (_now, ask) => ask.priority === 0,
      retryAfterMs: () => 2500,
    };
    const first = new Switch();
    first.refusing = false;
    const { port } = await running({ limits: [first, rate] });
    const got = await oneByOne(await client(port), [get, get]);
    expect(count(got, 'HTTP/1.1 429 Too Many Requests')).toBe(2);
    expect(count(got, 'retry-after-ms: 2500\r\nretry-after: 3')).toBe(2);
  });

  it('concurrency refuses early when it is full, and not before', async () => {
    const limit = concurrency({ limit: 1 });
    let finish = (): void => undefined;
    const app = createApp({ service: 'shop', signals: false });
    const rejected: RejectedEvent[] = [];
    app.events.on('rejected', (event) => rejected.push(event));
    const waits: HttpHandler = async (_req, res) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      res.end('hello');
    };
    const server = http.createServer(app.listener(waits, { limits: [limit], queue: false }));
    const { port } = await app.serve(server, { host: '127.0.0.1' });
    closers.push(async () => {
      server.closeAllConnections();
      await app.stop();
    });
    const busy = await client(port);
    busy.socket.write(get);
    await expect.poll(() => limit.snapshot(0).inflight).toBe(1);
    expect(count(await oneByOne(await client(port), [get, get]), ' 503 ')).toBe(2);
    finish();
    await busy.until('hello');
    await expect.poll(() => rejected.map((event) => event.count)).toEqual([2]);
    expect(limit.snapshot(0).inflight).toBe(0);
  });
});
