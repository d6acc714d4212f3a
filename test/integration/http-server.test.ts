import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type App,
  type AppListenerOptions,
  createApp,
  currentCall,
  type HttpHandler,
  nameOperation,
} from 'keelson';
import { type Call, type FaultEvent, type Gate, isGovernanceError, keyed } from 'keelson/core';
import type { Trust } from 'keelson/http';
import { concurrency } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type RawClient, rawClient, rawGet } from '../doubles/raw-client.js';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const forever = () => new Promise<never>(() => undefined);
const readAll = async (req: IncomingMessage) => {
  let size = 0;
  for await (const chunk of req) size += (chunk as Buffer).length;
  return size;
};

/** What was refused: all that come after so many at one time. */
const limiter = (limit: number) => concurrency({ limit });

interface Running {
  readonly app: App;
  readonly url: string;
  readonly port: number;
  readonly server: http.Server;
  readonly faults: FaultEvent[];
}

/** An app with one server, without anything between the listener and the socket. */
async function running(handler: HttpHandler, options: AppListenerOptions = {}): Promise<Running> {
  const app = createApp({ service: 'shop', signals: false });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const server = http.createServer(app.listener(handler, { queue: false, ...options }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await app.stop();
  });
  const { port } = server.address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}`, port, server, faults };
}

async function client(port: number): Promise<RawClient> {
  const raw = await rawClient(port);
  closers.push(() => void raw.socket.destroy());
  return raw;
}

const inflightOf = (gate: ReturnType<typeof limiter>) => gate.snapshot(performance.now()).inflight;
const empty = (gate: ReturnType<typeof limiter>) => vi.waitFor(() => expect(inflightOf(gate)).toBe(0));

describe('the operation', () => {
  const operationOf = async (path: string, init: RequestInit = {}, handler?: (call: Call) => void) => {
    let call: Call | undefined;
    const { url } = await running(
      (_req, res, inbound) => {
        call = inbound;
        handler?.(inbound);
        res.end();
      },
      { routes: ['/users/:id', 'POST /orders', '/files/*'] },
    );
    await fetch(url + path, init);
    return call?.operation;
  };

  it.each([
    ['/users/42', {}, 'GET /users/:id'],
    ['/users/42?full=1', {}, 'GET /users/:id'],
    ['/users/42', { method: 'DELETE' }, 'DELETE /users/:id'],
    ['/orders', { method: 'POST' }, 'POST /orders'],
    ['/orders', {}, 'GET'],
    ['/files/a/b/c', {}, 'GET /files/*'],
    ['/elsewhere/17', {}, 'GET'],
  ])('of %s %o is %s', async (path, init, operation) => {
    expect(await operationOf(path, init)).toBe(operation);
  });

  it('is named by the handler, once', async () => {
    const name = (call: Call) => {
      nameOperation(call, 'GET /things/:id');
      nameOperation(call, 'GET /other');
    };
    expect(await operationOf('/things/1', {}, name)).toBe('GET /things/:id');
  });

  it('of a method that nobody knows is one for all of them', async () => {
    let operation: string | undefined;
    const app = createApp({ service: 'shop' });
    const server = http2.createServer(
      app.listener((_req, res, call) => {
        operation = call.operation;
        res.end();
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    closers.push(() => {
      session.destroy();
      server.close();
      return app.stop();
    });
    const stream = session.request({ ':path': '/', ':method': 'BREW' });
    stream.resume();
    await once(stream, 'end');
    expect(operation).toBe('_OTHER');
  });
});

describe('a handler', () => {
  const styles: Record<string, HttpHandler> = {
    sync: (_req, res) => void res.end('done'),
    'that returns its response': (_req, res) => res.end('done'),
    async: async (_req, res) => {
      await Promise.resolve();
      res.end('done');
    },
    'in callback style': (_req, res) => void setImmediate(() => res.end('done')),
    'async, that answers after its promise': async (_req, res) => void setImmediate(() => res.end('done')),
    'that returns a foreign promise': (_req, res) => ({
      // biome-ignore lint/suspicious/noThenProperty: promises of other libraries are such objects
      then: (resolve: () => void) => {
        res.end('done');
        resolve();
      },
    }),
    'that streams': async (_req, res) => pipeline(Readable.from(['do', 'ne']), res),
    'that writes its head by hand': async (_req, res) => {
      res.writeHead(200, { 'x-a': 'b' });
      res.flushHeaders();
      await new Promise((resolve) => setImmediate(resolve));
      res.end('done');
    },
  };

  it.each(Object.entries(styles))('%s', async (_, handler) => {
    const gate = limiter(1);
    const { url, faults } = await running(handler, { limits: [gate] });
    for (let round = 0; round < 3; round++) {
      const response = await fetch(url);
      expect([response.status, await response.text()]).toEqual([200, 'done']);
      await empty(gate);
    }
    expect(faults).toEqual([]);
  });

  it('is given its call, which is the current one', async () => {
    let same = false;
    const { url } = await running(async (_req, res, call) => {
      await Promise.resolve();
      same = currentCall() === call;
      res.end();
    });
    await fetch(url);
    expect(same).toBe(true);
  });

  it('has no current call with context: false', async () => {
    let seen: unknown = 'nothing';
    let call: Call | undefined;
    const { url } = await running(
      (_req, res, inbound) => {
        seen = currentCall();
        call = inbound;
        res.end();
      },
      { context: false },
    );
    await fetch(url);
    expect(seen).toBeUndefined();
    expect(call?.operation).toBe('GET');
  });

  it('gets HEAD like any other', async () => {
    const { url } = await running((_req, res) => void res.end('a body'));
    const response = await fetch(url, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it('of a request that is refused by HEAD sends no body', async () => {
    const { port } = await running(() => forever(), { limits: [limiter(0.5)] });
    const raw = await client(port);
    raw.socket.write('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
    await raw.until('\r\n\r\n');
    raw.socket.write('HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    const heads = (await raw.closed()).split('\r\n\r\n');
    expect(heads.map((head) => head.split('\r\n', 1)[0])).toEqual([
      'HTTP/1.1 503 Service Unavailable',
      'HTTP/1.1 503 Service Unavailable',
      '',
    ]);
  });
});

describe('a handler that fails', () => {
  const mine = new TypeError('mine');
  const failing: Record<string, [HttpHandler, unknown]> = {
    'throws at once': [
      () => {
        throw mine;
      },
      mine,
    ],
    rejects: [async () => Promise.reject(mine), mine],
    'rejects later': [
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw mine;
      },
      mine,
    ],
    'throws what is no error': [
      () => {
        // biome-ignore lint/style/useThrowOnlyError: this is what is tested
        throw 'a word';
      },
      'a word',
    ],
    'throws nothing': [() => Promise.reject(undefined), undefined],
  };

  it.each(Object.entries(failing))('%s: 500 without details, one fault', async (_, [handler, error]) => {
    const gate = limiter(1);
    const { url, faults } = await running(handler, { limits: [gate], routes: ['/things/:id'] });
    const response = await fetch(`${url}/things/1`);
    expect([response.status, response.statusText, await response.text()]).toEqual([
      500,
      'Internal Server Error',
      'internal error\n',
    ]);
    expect(response.headers.get('connection')).toBe('keep-alive');
    await vi.waitFor(() => expect(faults).toEqual([{ where: 'handler of GET /things/:id', error }]));
    await empty(gate);
  });

  it('leaves nothing of the answer that it had prepared', async () => {
    const { url } = await running((_req, res) => {
      res.statusCode = 201;
      res.statusMessage = 'Made';
      res.setHeader('content-length', '1000');
      res.setHeader('set-cookie', 'secret=1');
      res.setHeader('content-encoding', 'gzip');
      throw mine;
    });
    const response = await fetch(url);
    expect([response.status, response.statusText]).toEqual([500, 'Internal Server Error']);
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(await response.text()).toBe('internal error\n');
  });

  const begun: Record<string, HttpHandler> = {
    'at once': (_req, res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('half');
      throw mine;
    },
    later: async (_req, res) => {
      res.writeHead(200, { 'content-length': '100' });
      await new Promise((resolve) => res.write('half', resolve));
      throw mine;
    },
    'later, without a length': async (_req, res) => {
      await new Promise((resolve) => res.write('half', resolve));
      throw mine;
    },
  };

  it.each(Object.entries(begun))(
    '%s after its answer has begun: the connection is cut',
    async (_, handler) => {
      const released: string[] = [];
      const gate: Gate = {
        code: 'OVERLOADED',
        tryAcquire: () => ({ observe: () => undefined, release: (outcome) => void released.push(outcome) }),
      };
      const { url, faults } = await running(handler, { limits: [gate] });
      await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
      await vi.waitFor(() => expect(faults).toEqual([{ where: 'handler of GET', error: mine }]));
      await vi.waitFor(() => expect(released).toEqual(['failure']));
    },
  );

  it('after a whole answer: the answer stands, the fault is told', async () => {
    const { url, faults } = await running(async (_req, res) => {
      res.end('whole');
      await Promise.resolve();
      throw mine;
    });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, 'whole']);
    await vi.waitFor(() => expect(faults).toHaveLength(1));
  });

  it('with what somebody else refused answers with that status, and is no fault', async () => {
    const app = createApp({ service: 'orders', endpoints: { users: [] }, client: { resolveTimeoutMs: 0 } });
    closers.push(() => app.stop());
    const users = app.fetch('users');
    const { url, faults } = await running(async (_req, res) => {
      await users('/users/1');
      res.end();
    });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([503, 'NO_ENDPOINT\n']);
    // It was not this server that shed the call.
    expect(response.headers.get('x-keelson-shed')).toBeNull();
    expect(faults).toEqual([]);
  });
});

describe('who hears of a fault', () => {
  const mine = new Error('mine');
  const fails: HttpHandler = () => {
    throw mine;
  };

  it('nobody listens: the console, with operation and error', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const app = createApp({ service: 'shop' });
    const server = http.createServer(app.listener(fails, { routes: ['/a'] }));
    await app.serve(server, { host: '127.0.0.1' });
    const { port } = server.address() as AddressInfo;
    await fetch(`http://127.0.0.1:${port}/a`);
    await app.stop();
    expect(written.mock.calls).toEqual([['keelson %s: fault in %s:', 'shop', 'handler of GET /a', mine]]);
    written.mockRestore();
  });

  it('onError: it and the bus, not the console', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const told: [unknown, string][] = [];
    const app = createApp({ service: 'shop' });
    const onError = (error: unknown, call: Call) => void told.push([error, call.operation]);
    const server = http.createServer(app.listener(fails, { onError }));
    const { url } = await app.serve(server, { host: '127.0.0.1' });
    await fetch(url);
    expect(told).toEqual([[mine, 'GET']]);
    const faults: FaultEvent[] = [];
    app.events.on('fault', (event) => faults.push(event));
    await fetch(url);
    await app.stop();
    expect(told).toHaveLength(2);
    expect(faults.map(({ error }) => error)).toEqual([mine]);
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
  });

  it('an onError that throws harms nobody, and is a fault itself', async () => {
    const second = new Error('second');
    const { url, faults } = await running(fails, {
      onError: () => {
        throw second;
      },
    });
    expect((await fetch(url)).status).toBe(500);
    expect(faults.map(({ where, error }) => [where, error])).toEqual([
      ['handler of GET', mine],
      ['onError', second],
    ]);
  });
});

describe('a deadline', () => {
  it('ends a handler that never answers with 504', async () => {
    const { url, faults } = await running(() => forever(), { timeoutMs: 20 });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([504, 'DEADLINE_EXCEEDED\n']);
    expect(faults).toEqual([]);
  });

  it('aborts the call, so that the handler can stop', async () => {
    let reason: unknown;
    const { url } = await running(
      (_req, _res, call) =>
        new Promise((_resolve, reject) => {
          call.cancel.onAbort(() => {
            reason = call.cancel.reason;
            reject(reason);
          });
        }),
      { timeoutMs: 20 },
    );
    expect((await fetch(url)).status).toBe(504);
    expect(isGovernanceError(reason) && reason.code).toBe('DEADLINE_EXCEEDED');
  });

  it('comes from the caller, and refuses before the handler when it has passed', async () => {
    let ran = 0;
    const { url } = await running((_req, res) => {
      ran++;
      res.end();
    });
    const response = await fetch(url, { headers: { 'x-keelson-timeout-ms': '0' } });
    expect([response.status, ran]).toEqual([504, 0]);
    expect((await fetch(url, { headers: { 'x-keelson-timeout-ms': '1000' } })).status).toBe(200);
    expect(ran).toBe(1);
  });

  it.each([
    ['20', 60_000, 20],
    ['60000', 20, 20],
    ['abc', 500, 500],
    ['-1', 500, 500],
    ['1e3', 500, 500],
    ['100, 100', 500, 500],
    ['99999999999', 500, 500],
  ])('said to be %s by the caller, %i here: at most %i', async (said, timeoutMs, atMost) => {
    let left = Number.POSITIVE_INFINITY;
    const { url } = await running(
      (_req, res, call) => {
        left = call.deadline - performance.now();
        res.end();
      },
      { timeoutMs },
    );
    await fetch(url, { headers: { 'x-keelson-timeout-ms': said } });
    expect(left).toBeLessThanOrEqual(atMost);
  });

  it('does not end a stream that has begun, of whatever style', async () => {
    const slow = async (res: ServerResponse) => {
      res.write('begun ');
      await new Promise((resolve) => setTimeout(resolve, 60));
      res.end('ended');
    };
    for (const handler of [
      (_req, res) => slow(res),
      (_req, res) => void slow(res),
      (_req, res) => void setImmediate(() => void slow(res)),
    ] as HttpHandler[]) {
      const { url } = await running(handler, { timeoutMs: 20 });
      expect(await (await fetch(url)).text()).toBe('begun ended');
    }
  });

  it('passed: what the handler still does has no effect, and ends no process', async () => {
    const surprises: unknown[] = [];
    const surprised = (error: unknown) => void surprises.push(error);
    process.on('uncaughtException', surprised);
    closers.push(() => void process.off('uncaughtException', surprised));
    const responses: ServerResponse[] = [];
    const { port } = await running((_req, res) => void responses.push(res), {
      routes: ['/first', '/second'],
      timeoutMs: ({ operation }) => (operation === 'GET /second' ? 20 : 60_000),
    });
    const raw = await client(port);
    // Pipelined, so that the second answer stays in line, and its response open while the handler is late.
    raw.socket.write(rawGet('/first') + rawGet('/second'));
    await vi.waitFor(() => expect(responses[1]?.headersSent).toBe(true));
    const late = () => {
      const res = responses[1] as ServerResponse;
      res.removeHeader('a');
      res.appendHeader('a', 'b');
      res.flushHeaders();
      res.writeContinue();
      res.statusCode = 200;
      return [
        res.headersSent,
        res.setHeader('a', 'b') === res,
        res.writeHead(200, { a: 'b' }) === res,
        res.write('late'),
        res.end('late') === res,
      ];
    };
    expect(late()).toEqual([true, true, true, false, true]);
    responses[0]?.end('first');
    await raw.until('DEADLINE_EXCEEDED\n');
    expect(late()).toEqual([true, true, true, false, true]);
    expect(raw.received).not.toContain('late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(surprises).toEqual([]);
  });

  it('passed: a callback of a late write is called all the same', async () => {
    let over: Promise<string> | undefined;
    const { url } = await running(
      (_req, res, call) => {
        over = new Promise((resolve) => {
          call.cancel.onAbort(() => {
            setImmediate(() => res.write('x', () => res.end(() => resolve('called'))));
          });
        });
      },
      { timeoutMs: 20 },
    );
    await fetch(url);
    expect(await over).toBe('called');
  });

  it('passed: a fault of the handler after it is still told', async () => {
    const mine = new RangeError('late');
    const { url, faults } = await running(
      async (_req, _res, call) => {
        await new Promise<void>((resolve) => call.cancel.onAbort(resolve));
        throw mine;
      },
      { timeoutMs: 20 },
    );
    expect((await fetch(url)).status).toBe(504);
    await vi.waitFor(() => expect(faults.map(({ error }) => error)).toEqual([mine]));
  });

  it('passed: a handler that goes on still counts as in flight, until it is done', async () => {
    const gate = limiter(5);
    let finish: (() => void) | undefined;
    const { url } = await running(() => new Promise<void>((resolve) => (finish = resolve)), {
      limits: [gate],
      timeoutMs: 20,
    });
    expect((await fetch(url)).status).toBe(504);
    expect(inflightOf(gate)).toBe(1);
    finish?.();
    await empty(gate);
  });
});

describe('headers of a peer', () => {
  const seen = async (headers: Record<string, string>, options: AppListenerOptions = {}) => {
    let call: Call | undefined;
    const { url } = await running((_req, res, inbound) => {
      call = inbound;
      res.end();
    }, options);
    const response = await fetch(url, { headers });
    return { call: call as Call, status: response.status };
  };

  it.each([
    ['50', 50],
    ['-100', -100],
    ['0', 0],
    ['101', 0],
    ['1.5', 0],
    ['high', 0],
    ['5, 6', 0],
    ['', 0],
  ])('priority %s is %i', async (text, priority) => {
    expect((await seen({ 'x-md-global-priority': text })).call.priority).toBe(priority);
  });

  it.each([
    { traceparent: 'nonsense' },
    { traceparent: '00-00000000000000000000000000000000-0000000000000000-01', tracestate: '=,=,' },
    { baggage: '%%%;;;===' },
    { 'grpc-timeout': '5 minutes' },
    { 'x-envoy-expected-rq-timeout-ms': '0' },
    { 'x-md-global-': 'x' },
    { constructor: 'x', __proto__: 'y' } as Record<string, string>,
  ])('that make no sense are ignored: %o', async (headers) => {
    const { call, status } = await seen(headers);
    expect(status).toBe(200);
    expect(call.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(call.headers.get('toString')).toBeUndefined();
  });

  const told = { 'x-keelson-timeout-ms': '1000', 'x-md-global-priority': '9' };

  it.each<[string, Trust]>([
    ['false', false],
    ['a function that says no', () => false],
    [
      'a function that throws',
      () => {
        throw new Error('mine');
      },
    ],
  ])('are not believed with trust: %s', async (_, trust) => {
    const { call, status } = await seen(told, { trust });
    expect([status, call.priority, call.deadline]).toEqual([200, 0, Number.POSITIVE_INFINITY]);
  });

  it.each([
    ['private'],
    [true],
    [(req: IncomingMessage) => req.socket.remoteAddress === '127.0.0.1'],
  ] as const)('are believed with trust: %s on the loopback', async (trust) => {
    const { call } = await seen(told, { trust });
    expect(call.priority).toBe(9);
    expect(call.deadline).toBeLessThan(Number.POSITIVE_INFINITY);
  });
});

describe('a call that the limiter refuses', () => {
  /** One call holds the only place. */
  const full = async (options: AppListenerOptions = {}) => {
    const gate = limiter(1);
    let ran = 0;
    const run = await running(
      async (req, res) => {
        ran++;
        if (req.url === '/hold') await forever();
        await readAll(req);
        res.end('served');
      },
      { limits: [gate], ...options },
    );
    const holder = await client(run.port);
    holder.socket.write(rawGet('/hold'));
    await vi.waitFor(() => expect(inflightOf(gate)).toBe(1));
    return { ...run, gate, holder, ran: () => ran };
  };

  it('is told to come again, and by whom', async () => {
    const { url, faults, ran } = await full();
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([503, 'OVERLOADED\n']);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(response.headers.get('x-keelson-shed')).toBe('OVERLOADED');
    expect([ran(), faults]).toEqual([1, []]);
  });

  it('is 429 when a rate refuses, with the exact time beside whole seconds', async () => {
    const rate: Gate = { code: 'RATE_LIMITED', tryAcquire: () => null, retryAfterMs: () => 1234.5 };
    const { url } = await running(() => undefined, { limits: [rate] });
    const { status, headers } = await fetch(url);
    expect([status, headers.get('retry-after'), headers.get('retry-after-ms')]).toEqual([429, '2', '1235']);
    expect(headers.get('x-keelson-shed')).toBe('RATE_LIMITED');
  });

  it('keeps its connection', async () => {
    const { port } = await full();
    const raw = await client(port);
    raw.socket.write(rawGet('/a'));
    await raw.until('OVERLOADED\n');
    raw.socket.write(rawGet('/b'));
    await vi.waitFor(() => expect(raw.received.match(/HTTP\/1.1 503/g)).toHaveLength(2));
    expect(raw.received).not.toContain('connection: close');
  });

  it('keeps its connection with a small body, which is read over', async () => {
    const { port, ran } = await full();
    const raw = await client(port);
    raw.socket.write(`POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello${rawGet('/b')}`);
    await vi.waitFor(() => expect(raw.received.match(/HTTP\/1.1 503/g)).toHaveLength(2));
    expect(ran()).toBe(1);
  });

  it.each([
    ['a large body that comes', 'content-length: 10000000'],
    ['a body without a length', 'transfer-encoding: chunked'],
    ['a body that waits to be asked for', 'content-length: 5\r\nexpect: 100-continue'],
  ])('loses its connection with %s', async (_, header) => {
    const { port, gate } = await full();
    const raw = await client(port);
    raw.socket.write(`POST /a HTTP/1.1\r\nhost: a\r\n${header}\r\n\r\n`);
    const head = await raw.closed();
    expect(head.toLowerCase()).toContain('connection: close');
    expect(head).toContain('503 Service Unavailable');
    expect(inflightOf(gate)).toBe(1);
  });

  it('is not read, however long it goes on sending', async () => {
    const { port } = await full();
    let sent = 0;
    const endless = new Readable({
      read() {
        sent++;
        this.push(Buffer.alloc(65_536));
      },
    });
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false });
    let status: number | undefined;
    request.on('response', (response) => {
      status = response.statusCode;
      response.resume();
    });
    // The connection is closed under the upload.
    await pipeline(endless, request).catch(() => undefined);
    await vi.waitFor(() => expect(status).toBe(503));
    // What the buffers of two sockets hold, and not the gigabytes that would go through an open pipe.
    expect(sent).toBeLessThan(2000);
  });
});

describe('limits by key', () => {
  it('count each caller by itself', async () => {
    const perTenant = keyed(() => limiter(1), { by: 'key' });
    const held: ServerResponse[] = [];
    const { url } = await running((_req, res) => void held.push(res), {
      limits: [perTenant],
      key: (req) => {
        if (req.url === '/broken') throw new Error('mine');
        return req.headers['x-tenant'] as string | undefined;
      },
    });
    const ask = (tenant: string, path = '/') => fetch(url + path, { headers: { 'x-tenant': tenant } });
    const first = [ask('a'), ask('b'), ask('a', '/broken')];
    await vi.waitFor(() => expect(held).toHaveLength(3));
    for (const path of ['/', '/again']) expect((await ask('a', path)).status).toBe(503);
    // A reader that throws gives no key, and calls without one have a place of their own.
    expect((await ask('c', '/broken')).status).toBe(503);
    for (const res of held) res.end();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

describe('Expect: 100-continue', () => {
  const post =
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n';

  const serving = async (limits: readonly Gate[]) => {
    const app = createApp({ service: 'shop', signals: false });
    const handler: HttpHandler = async (req, res) => res.end(`read ${await readAll(req)}`);
    const server = http.createServer(app.listener(handler, { limits }));
    closers.push(() => app.stop());
    return { ...(await app.serve(server, { host: '127.0.0.1' })), server };
  };

  it('is answered when the call is let in', async () => {
    const { port } = await serving([limiter(1)]);
    const raw = await client(port);
    raw.socket.write(post);
    await raw.until('HTTP/1.1 100 Continue\r\n\r\n');
    raw.socket.write('hello');
    expect(await raw.closed()).toContain('read 5');
  });

  it('is not answered when it is refused', async () => {
    const { port } = await serving([limiter(0.5)]);
    const raw = await client(port);
    raw.socket.write(post);
    const all = await raw.closed();
    expect(all).toMatch(/^HTTP\/1.1 503/);
    expect(all).not.toContain('100 Continue');
  });

  it('is left to Node where our listener is not that of the server', async () => {
    const app = createApp({ service: 'shop', signals: false });
    const listener = app.listener((_req, res) => void res.end('served'), { queue: false });
    const server = http.createServer((req, res) => listener(req, res));
    closers.push(() => app.stop());
    const { port } = await app.serve(server, { host: '127.0.0.1' });
    expect(server.listenerCount('checkContinue')).toBe(0);
    const raw = await client(port);
    raw.socket.write(post);
    await raw.until('100 Continue');
    raw.socket.write('hello');
    expect(await raw.closed()).toContain('served');
  });
});

describe('a client that goes away', () => {
  const cancelled = (calls: Call[]) =>
    vi.waitFor(() => {
      const reason = calls[0]?.cancel.reason;
      expect(isGovernanceError(reason) && reason.code).toBe('CANCELLED');
    });

  it.each([
    [
      'a handler that heeds it',
      (call: Call) => new Promise((_, reject) => call.cancel.onAbort(() => reject(call.cancel.reason))),
    ],
    ['a handler in callback style', () => undefined],
  ] as const)('before the answer, %s: aborted, and nothing is in flight', async (_, handler) => {
    const gate = limiter(5);
    const calls: Call[] = [];
    const { port, faults } = await running(
      (_req, _res, call) => {
        calls.push(call);
        return handler(call);
      },
      { limits: [gate] },
    );
    const raw = await client(port);
    raw.socket.write(rawGet('/'));
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    expect(inflightOf(gate)).toBe(1);
    raw.socket.destroy();
    await cancelled(calls);
    await empty(gate);
    expect(faults).toEqual([]);
  });

  it('in the middle of its body', async () => {
    const gate = limiter(5);
    const calls: Call[] = [];
    const { port, faults } = await running(
      async (req, res, call) => {
        calls.push(call);
        res.end(String(await readAll(req)));
      },
      { limits: [gate] },
    );
    const raw = await client(port);
    raw.socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf');
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    raw.socket.destroy();
    await cancelled(calls);
    await empty(gate);
    expect(faults).toEqual([]);
  });

  it('in the middle of the answer', async () => {
    const released: string[] = [];
    const gate: Gate = {
      code: 'OVERLOADED',
      tryAcquire: () => ({ observe: () => undefined, release: (outcome) => void released.push(outcome) }),
    };
    const calls: Call[] = [];
    const { port, faults } = await running(
      async (_req, res, call) => {
        calls.push(call);
        const endless = new Readable({
          read() {
            this.push('x'.repeat(1000));
          },
        });
        await pipeline(endless, res);
      },
      { limits: [gate] },
    );
    const raw = await client(port);
    raw.socket.write(rawGet('/'));
    await raw.until('xxx');
    raw.socket.destroy();
    await cancelled(calls);
    await vi.waitFor(() => expect(released).toEqual(['ignored']));
    expect(faults).toEqual([]);
  });

  it('behind another answer on the same connection', async () => {
    const gate = limiter(5);
    const calls: Call[] = [];
    const { port } = await running(
      (_req, _res, call) => {
        calls.push(call);
      },
      { limits: [gate] },
    );
    const raw = await client(port);
    raw.socket.write(rawGet('/1') + rawGet('/2') + rawGet('/3'));
    await vi.waitFor(() => expect(calls).toHaveLength(3));
    raw.socket.destroy();
    await empty(gate);
    expect(calls.map(({ cancel }) => cancel.aborted)).toEqual([true, true, true]);
  });

  it('leaves a real fault of the handler a fault', async () => {
    const mine = new TypeError('mine');
    const calls: Call[] = [];
    const { port, faults } = await running(async (_req, _res, call) => {
      calls.push(call);
      await new Promise<void>((resolve) => call.cancel.onAbort(resolve));
      throw mine;
    });
    const raw = await client(port);
    raw.socket.write(rawGet('/'));
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    raw.socket.destroy();
    await vi.waitFor(() => expect(faults.map(({ error }) => error)).toEqual([mine]));
  });

  it('never sends its body to the end: the deadline ends the call', async () => {
    const gate = limiter(5);
    const { port } = await running(async (req, res) => res.end(String(await readAll(req))), {
      limits: [gate],
      timeoutMs: 30,
    });
    const raw = await client(port);
    raw.socket.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    expect(await raw.closed()).toContain('504 Gateway Timeout');
    await empty(gate);
  });
});

describe('many calls', () => {
  it('pipelined are answered in order', async () => {
    const { port } = await running(async (req, res) => {
      // The later, the sooner.
      for (let turn = Number(req.url?.slice(1)); turn < 20; turn++) await Promise.resolve();
      res.end(`<${req.url}>`);
    });
    const raw = await client(port);
    const paths = Array.from({ length: 20 }, (_, at) => `/${at}`);
    raw.socket.write(paths.map((path) => rawGet(path)).join(''));
    await raw.until('</19>');
    expect([...raw.received.matchAll(/<(.*?)>/g)].map(([, path]) => path)).toEqual(paths);
  });

  it('through a limiter leave nothing in flight', async () => {
    const gate = limiter(10);
    const { port } = await running(
      async (req, res) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const kind = Number(req.url?.slice(1)) % 4;
        if (kind === 0) throw new RangeError('mine');
        if (kind === 1) res.socket?.destroy();
        else res.end('ok');
      },
      { limits: [gate] },
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 60 });
    const statuses = new Map<string, number>();
    const count = (what: string) => statuses.set(what, (statuses.get(what) ?? 0) + 1);
    const request = (at: number) =>
      new Promise<void>((resolve) => {
        const done = (what: string) => {
          count(what);
          resolve();
        };
        http
          .get({ port, host: '127.0.0.1', path: `/${at}`, agent }, (res) => {
            res.resume().on('end', () => done(String(res.statusCode)));
          })
          .on('error', () => done('cut'));
      });
    await Promise.all(Array.from({ length: 10_000 }, (_, at) => request(at)));
    agent.destroy();
    await empty(gate);
    expect([...statuses.values()].reduce((sum, n) => sum + n)).toBe(10_000);
    for (const what of ['200', '500', '503', 'cut']) expect(statuses.get(what), what).toBeGreaterThan(0);
  });

  it('do not see each other', async () => {
    const { url } = await running(async (req, res) => {
      const own = currentCall();
      await new Promise((resolve) => setImmediate(resolve));
      res.end(String(currentCall() === own && own?.headers.get('x-id') === req.headers['x-id']));
    });
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, id) =>
        (await fetch(url, { headers: { 'x-id': String(id) } })).text(),
      ),
    );
    expect(new Set(answers)).toEqual(new Set(['true']));
  });
});

describe('what is no request of ours', () => {
  it('upgrades go to whoever takes them', async () => {
    const gate = limiter(1);
    const { server, port } = await running(() => forever(), { limits: [gate] });
    server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    const raw = await client(port);
    raw.socket.write('GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    await raw.until('101 Switching');
    raw.socket.write('hello');
    await raw.until('hello');
    expect(inflightOf(gate)).toBe(0);
  });

  it('an upgrade that nobody takes is a request like any other', async () => {
    const { port } = await running((_req, res) => void res.end('plain'));
    const raw = await client(port);
    raw.socket.write('GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    expect(await raw.until('plain')).toContain('200 OK');
  });
});

describe('HTTP/2', () => {
  const over2 = async (handler: HttpHandler, options: AppListenerOptions = {}) => {
    const app = createApp({ service: 'shop', signals: false });
    const faults: FaultEvent[] = [];
    app.events.on('fault', (event) => faults.push(event));
    const server = http2.createServer(app.listener(handler, { queue: false, ...options }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    closers.push(() => {
      session.destroy();
      server.close();
      return app.stop();
    });
    return { session, faults };
  };

  const ask = async (session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}) => {
    const stream = session.request({ ':path': '/users/1', ...headers });
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    let body = '';
    stream.setEncoding('utf8');
    for await (const text of stream) body += text;
    return { head, body };
  };

  it('a body that never ends is let go with the deadline', async () => {
    const gate = limiter(1);
    const { session } = await over2(async (req, res) => res.end(String(await readAll(req))), {
      limits: [gate],
      timeoutMs: 20,
    });
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.write('half');
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect(head[':status']).toBe(504);
    stream.resume();
    await once(stream, 'close');
    await empty(gate);
  });

  it('is served, with the route as operation and the deadline of the caller', async () => {
    const gate = limiter(1);
    const { session } = await over2(
      async (_req, res, call) => {
        await Promise.resolve();
        res.end(`${call.operation} ${call.deadline < Number.POSITIVE_INFINITY}`);
      },
      { limits: [gate], routes: ['/users/:id'] },
    );
    for (let round = 0; round < 3; round++) {
      const { head, body } = await ask(session, { 'x-keelson-timeout-ms': '1000' });
      expect([head[':status'], body]).toEqual([200, 'GET /users/:id true']);
      await empty(gate);
    }
  });

  it('is refused without the headers that it forbids', async () => {
    const warnings: string[] = [];
    const warned = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', warned);
    const { session } = await over2(() => forever(), {
      limits: [limiter(0.5)],
      rejectEarly: false,
    });
    const { head, body } = await ask(session, { ':method': 'POST', 'content-length': '10000000' });
    expect([head[':status'], body, head['connection']]).toEqual([503, 'OVERLOADED\n', undefined]);
    expect(head['retry-after']).toBe('1');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  it('a handler that throws, before and after the answer has begun', async () => {
    const { session, faults } = await over2(async (req, res) => {
      if (req.headers['x-begin'] === '1') {
        res.writeHead(200);
        await new Promise((resolve) => res.write('half', resolve));
      }
      throw new RangeError('mine');
    });
    expect((await ask(session)).head[':status']).toBe(500);
    await expect(ask(session, { 'x-begin': '1' })).rejects.toThrow('INTERNAL_ERROR');
    await vi.waitFor(() => expect(faults).toHaveLength(2));
  });

  it('a stream that its client resets aborts the call', async () => {
    const gate = limiter(1);
    const calls: Call[] = [];
    const { session } = await over2(
      (_req, _res, call) => {
        calls.push(call);
      },
      { limits: [gate] },
    );
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined);
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await vi.waitFor(() => expect(calls[0]?.cancel.aborted).toBe(true));
    await empty(gate);
  });

  it('streams that their client gives up without an error, while the answer waits to be read, are let go', async () => {
    const gate = limiter(20);
    const { session } = await over2((_req, res) => void res.end('x'.repeat(200_000)), { limits: [gate] });
    for (let count = 0; count < 20; count++) {
      const stream = session.request({ ':path': '/' });
      await once(stream, 'response');
      stream.close(http2.constants.NGHTTP2_NO_ERROR);
    }
    await vi.waitFor(() => expect(inflightOf(gate)).toBe(0), { timeout: 10_000 });
    expect(session.closed).toBe(false);
  });

  it('a handler that is too late ends no process', async () => {
    let late: (() => void) | undefined;
    const { session } = await over2(
      (_req, res) => {
        late = () => {
          res.setHeader('a', 'b');
          res.writeHead(200);
          res.write('late');
          res.end('late');
        };
      },
      { timeoutMs: 20 },
    );
    const { head, body } = await ask(session);
    expect([head[':status'], body]).toEqual([504, 'DEADLINE_EXCEEDED\n']);
    late?.();
  });
});

describe('options of a listener', () => {
  const listen = (options: object) => () =>
    createApp({ service: 'shop' }).listener(() => undefined, options as AppListenerOptions);

  it.each([
    [{ timeout: 5 }, 'listener.timeout is not an option'],
    [{ timeoutMs: -1 }, 'timeoutMs must be a number > 0'],
    [{ limits: [5] }, 'limits[0] must be a gate'],
    [{ use: ['x'] }, 'use[0] must be a middleware'],
    [{ routes: ['no-slash'] }, 'no-slash'],
    [{ trust: 'public' }, 'trust must be a boolean, "private" or a function'],
    [{ onError: 'log' }, 'onError must be a function'],
    [{ key: 'x-tenant' }, 'listener.key must be a function'],
    [{ health: 'yes' }, 'listener.health must be a boolean'],
    [{ context: 1 }, 'listener.context must be a boolean'],
  ])('%o: %s', (options, message) => {
    expect(listen(options)).toThrow(message);
  });

  it('and a handler that is none', () => {
    expect(() => createApp({ service: 'shop' }).listener(undefined as never)).toThrow(/must be a function/);
  });
});
