import { getEventListeners } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Gate, guard, type Outcome, systemClock } from 'keelson/core';
import {
  abandonedBodies,
  connectFetch,
  type FetchWireOptions,
  type GovernedFetch,
  governedFetch,
  httpProtocol,
  toFetch,
} from 'keelson/http';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const readAll = async (stream: AsyncIterable<Uint8Array>) => {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
};

type Route = (req: IncomingMessage, res: ServerResponse) => unknown;

/** Responses that the test ends, by path. */
const open = new Map<string, ServerResponse>();

const echo: Route = async (req, res) => {
  const body = await readAll(req);
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body }));
};

const held: Route = (req, res) => {
  res.writeHead(200);
  res.write('begun ');
  open.set(req.url as string, res);
};

const routes: Record<string, Route> = {
  '/text': (_, res) => res.end('hello'),
  '/json': (_, res) => res.end('{"a":1}'),
  '/big': (_, res) => {
    res.setHeader('content-length', '3000000');
    res.end(Buffer.alloc(3_000_000, 'x'));
  },
  '/gzip': (_, res) => {
    res.setHeader('content-encoding', 'gzip');
    res.end(Buffer.from('H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==', 'base64'));
  },
  '/204': (_, res) => res.writeHead(204).end(),
  '/304': (_, res) => res.writeHead(304).end(),
  '/empty': (_, res) => res.writeHead(200, { 'content-length': '0' }).end(),
  '/500': (_, res) => res.writeHead(500).end('broken'),
  '/shed': (_, res) => res.writeHead(503, { 'x-keelson-shed': 'OVERLOADED', 'retry-after': '1' }).end(),
  '/reset': (req) => req.socket.resetAndDestroy(),
  '/close': (req) => req.socket.destroy(),
  '/half': (_, res) => {
    res.writeHead(200, { 'content-length': '100' });
    res.write('abc', () => res.socket?.resetAndDestroy());
  },
  '/301': (_, res) => res.writeHead(301, { location: '/echo' }).end('moved'),
  '/302': (_, res) => res.writeHead(302, { location: '/echo' }).end(),
  '/303': (_, res) => res.writeHead(303, { location: '/echo?x=1' }).end(),
  '/307': (_, res) => res.writeHead(307, { location: '/echo' }).end(),
  '/308': (_, res) => res.writeHead(308, { location: 'echo' }).end(),
  '/by-name': (_, res) => res.writeHead(302, { location: 'http://users/echo' }).end(),
  '/by-address': (req, res) => res.writeHead(302, { location: `http://${req.headers.host}/echo` }).end(),
  '/loop': (_, res) => res.writeHead(302, { location: '/loop' }).end(),
  '/away': (_, res) => res.writeHead(307, { location: foreign.url }).end(),
};

const serve = async (listener: Route, host = '127.0.0.1') => {
  const server = http.createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
};

let users: Awaited<ReturnType<typeof serve>>;
let foreign: Awaited<ReturnType<typeof serve>>;
const closers: (() => void)[] = [];

beforeAll(async () => {
  users = await serve((req, res) => {
    const path = (req.url as string).split('?')[0] as string;
    return (routes[path] ?? (path.startsWith('/held') ? held : echo))(req, res);
  });
  foreign = await serve(echo);
});

afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const res of open.values()) res.destroy();
  open.clear();
});

afterAll(() => {
  for (const { server } of [users, foreign]) {
    server.closeAllConnections();
    server.close();
  }
});

/** A client of one endpoint, and the outcomes of its calls as a gate hears them. */
function client(options?: FetchWireOptions, url = users.url) {
  const observed: Outcome[] = [];
  const released: Outcome[] = [];
  const gate: Gate = {
    code: 'OVERLOADED',
    tryAcquire: () => ({
      observe: (outcome) => void observed.push(outcome),
      release: (outcome) => void released.push(outcome),
    }),
  };
  const connection = connectFetch({ id: 'a', url, weight: 100, metadata: {} }, options);
  closers.push(() => connection.close());
  const governed = guard([gate], { protocol: httpProtocol, clock: systemClock })(connection.handler);
  return { fetch: toFetch(governed, { service: 'users' }), observed, released };
}

const echoed = async (response: Response) =>
  (await response.json()) as { method: string; url: string; headers: Record<string, string>; body: string };

/** Once the server has the request. */
const heldAt = (path: string) =>
  vi.waitFor(() => {
    const res = open.get(path);
    if (res === undefined) throw new Error('not yet');
    return res;
  });

describe('a call', () => {
  it('answers with the native response, and is over with its body', async () => {
    const { fetch, observed, released } = client();
    const response = await fetch('/text?a=b');
    expect(response).toBeInstanceOf(Response);
    expect([response.status, response.ok, response.url, response.redirected, response.type]).toEqual([
      200,
      true,
      `${users.url}/text?a=b`,
      false,
      'basic',
    ]);
    expect([observed, released]).toEqual([['success'], []]);
    expect(await response.text()).toBe('hello');
    expect(released).toEqual(['success']);
  });

  it.each([
    ['json', '/json', (r: Response) => r.json(), { a: 1 }],
    ['arrayBuffer', '/big', async (r: Response) => (await r.arrayBuffer()).byteLength, 3_000_000],
    [
      'a stream',
      '/big',
      async (r: Response) => (await readAll(r.body as ReadableStream<Uint8Array>)).length,
      3_000_000,
    ],
    [
      'a node stream',
      '/big',
      async (r: Response) => (await readAll(Readable.fromWeb(r.body as never))).length,
      3_000_000,
    ],
    ['a decoded body', '/gzip', (r: Response) => r.text(), 'hello'],
    [
      'a clone',
      '/big',
      async (r: Response) => {
        const copy = r.clone();
        const [a, b] = await Promise.all([r.text(), copy.text()]);
        expect(copy.url).toBe(r.url);
        return a.length + b.length;
      },
      6_000_000,
    ],
    [
      'a clone after a look',
      '/big',
      async (r: Response) => {
        expect(r.body).not.toBeNull();
        const copy = r.clone();
        const [a, b] = await Promise.all([r.text(), copy.text()]);
        expect([copy.url, copy.status, copy.type]).toEqual([r.url, r.status, r.type]);
        return a.length + b.length;
      },
      6_000_000,
    ],
  ] as const)('gives %s', async (_, path, read, value) => {
    const { fetch, released } = client();
    expect(await read(await fetch(path))).toEqual(value);
    expect(released).toEqual(['success']);
  });

  it.each(['/204', '/304', '/empty'])('%s is over at once', async (path) => {
    const { fetch, released } = client();
    const response = await fetch(path);
    expect(released).toEqual(['success']);
    expect(await response.text()).toBe('');
    expect(released).toHaveLength(1);
  });

  it('HEAD is over at once', async () => {
    const { fetch, released } = client();
    const response = await fetch('/big', { method: 'head' });
    expect(response.headers.get('content-length')).toBe('3000000');
    expect(released).toEqual(['success']);
  });

  it.each([
    ['/500', 'failure'],
    ['/shed', 'overload'],
  ])('%s is %s', async (path, outcome) => {
    const { fetch, observed } = client();
    await (await fetch(path)).body?.cancel();
    expect(observed).toEqual([outcome]);
  });

  it('speaks to IPv6', async () => {
    let six: Awaited<ReturnType<typeof serve>>;
    try {
      six = await serve(echo, '::1');
    } catch (error) {
      // A machine without IPv6 cannot listen there, and there is nothing to test.
      expect((error as NodeJS.ErrnoException).code).toMatch(/EADDRNOTAVAIL|EAFNOSUPPORT/);
      return;
    }
    const { fetch } = client({}, six.url);
    expect((await echoed(await fetch('/x'))).headers['host']).toBe(six.url.slice('http://'.length));
    six.server.closeAllConnections();
    six.server.close();
  });

  it('to an endpoint that is gone is a failure, with the error of fetch', async () => {
    const gone = await serve(echo);
    await new Promise((resolve) => gone.server.close(resolve));
    const { fetch, released } = client({}, gone.url);
    await expect(fetch('/x')).rejects.toMatchObject({ name: 'TypeError', cause: { code: 'ECONNREFUSED' } });
    expect(released).toEqual(['failure']);
  });

  it.each(['/reset', '/close'])('that ends in %s is a failure', async (path) => {
    const { fetch, released } = client();
    await expect(fetch(path)).rejects.toThrow(TypeError);
    expect(released).toEqual(['failure']);
  });

  it.each([
    ['text', (r: Response) => r.text()],
    ['json', (r: Response) => r.json()],
    ['a stream', (r: Response) => readAll(r.body as ReadableStream<Uint8Array>)],
  ])('whose body breaks off is a failure, read as %s', async (_, read) => {
    const { fetch, observed, released } = client();
    await expect(fetch('/half').then(read)).rejects.toThrow();
    // Where the reset overtakes the headers there is no response at all.
    expect([...observed, ...released].at(-1)).toBe('failure');
    expect(released).toEqual(['failure']);
  });
});

describe('what is sent', () => {
  const sent = async (...args: Parameters<GovernedFetch>) => echoed(await client().fetch(...args));

  it('headers and body', async () => {
    const { method, url, headers, body } = await sent('/echo?q', {
      method: 'PUT',
      body: 'hi',
      headers: { 'X-A': '1' },
    });
    expect([method, url, body, headers['x-a'], headers['content-length']]).toEqual([
      'PUT',
      '/echo?q',
      'hi',
      '1',
      '2',
    ]);
  });

  it.each([
    ['a Buffer', () => Buffer.from('hi'), 'hi'],
    ['an ArrayBuffer', () => new TextEncoder().encode('hi').buffer, 'hi'],
    ['a Blob', () => new Blob(['hi']), 'hi'],
    ['parameters', () => new URLSearchParams({ a: 'b c' }), 'a=b+c'],
    ['a stream', () => new Blob(['hi']).stream(), 'hi'],
    ['a node stream', () => Readable.from(['h', 'i']), 'hi'],
    [
      'an async iterable',
      async function* () {
        yield Buffer.from('hi');
      },
      'hi',
    ],
  ] as [string, () => unknown, string][])('%s', async (_, body, expected) => {
    const init = { method: 'POST', body: body(), duplex: 'half' } as RequestInit;
    expect((await sent('/echo', init)).body).toBe(expected);
  });

  it('a form with a file', async () => {
    const form = new FormData();
    form.set('name', 'ada');
    form.set('file', new Blob(['content']), 'a.txt');
    const { headers, body } = await sent('/echo', { method: 'POST', body: form });
    expect(headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(body).toContain('name="name"\r\n\r\nada');
    expect(body).toContain('filename="a.txt"');
    expect(body).toContain('content');
  });

  it('a Request', async () => {
    const { method, url, body, headers } = await sent(
      new Request('http://users/echo?r', { method: 'POST', body: 'hi', headers: { 'x-a': '1' } }),
    );
    expect([method, url, body, headers['x-a'], headers['content-type']]).toEqual([
      'POST',
      '/echo?r',
      'hi',
      '1',
      'text/plain;charset=UTF-8',
    ]);
  });

  it('an upload while the answer comes', async () => {
    const { fetch } = client();
    let push!: (text: string) => void;
    let end!: () => void;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => controller.enqueue(new TextEncoder().encode(text));
        end = () => controller.close();
      },
    });
    routes['/duplex'] = (req, res) => {
      res.writeHead(200);
      res.flushHeaders();
      req.pipe(res);
    };
    push('a');
    const response = await fetch('/duplex', { method: 'POST', body, duplex: 'half' } as RequestInit);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('a');
    push('b');
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('b');
    end();
    expect((await reader.read()).done).toBe(true);
  });

  it('an upload that fails is the fault of nobody there', async () => {
    const { fetch, released } = client();
    const mine = new Error('mine');
    const body = new ReadableStream({ pull: (controller) => controller.error(mine) });
    const error = await fetch('/echo', { method: 'POST', body, duplex: 'half' } as RequestInit).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(Error);
    expect(released).toEqual(['ignored']);
  });
});

describe('redirects', () => {
  it.each([
    ['/301', 'GET', '/echo'],
    ['/302', 'GET', '/echo'],
    ['/303', 'GET', '/echo?x=1'],
    ['/307', 'POST', '/echo'],
    ['/308', 'POST', '/echo'],
    ['/by-name', 'GET', '/echo'],
    ['/by-address', 'GET', '/echo'],
  ])('%s', async (path, method, url) => {
    const { fetch, observed } = client();
    const response = await fetch(path, { method: 'POST', body: 'hi', headers: { authorization: 'me' } });
    expect([response.redirected, response.url]).toEqual([true, `${users.url}${url}`]);
    const got = await echoed(response);
    expect([got.method, got.url, got.body, got.headers['authorization']]).toEqual([
      method,
      url,
      method === 'POST' ? 'hi' : '',
      'me',
    ]);
    expect(got.headers['content-type']).toBe(method === 'POST' ? 'text/plain;charset=UTF-8' : undefined);
    expect(observed).toEqual(['success', 'success']);
  });

  it('go the same way as by fetch itself', async () => {
    const { fetch } = client();
    for (const [path, init] of [
      ['/301', {}],
      ['/303', { method: 'PUT', body: 'x' }],
      ['/307', { method: 'DELETE' }],
    ] as const) {
      const ours = await fetch(path, init);
      const native = await globalThis.fetch(users.url + path, init);
      expect([ours.url, ours.redirected, ours.status]).toEqual([
        native.url,
        native.redirected,
        native.status,
      ]);
      const [a, b] = [await echoed(ours), await echoed(native)];
      expect([a.method, a.body]).toEqual([b.method, b.body]);
    }
  });

  it('elsewhere take nothing along', async () => {
    const { fetch } = client();
    const response = await fetch('/away', {
      method: 'POST',
      body: 'hi',
      headers: { authorization: 'me', cookie: 'c', 'x-md-global-a': 'b', accept: 'a/b' },
      keelson: { priority: 5 },
    });
    expect([response.redirected, response.url]).toEqual([true, `${foreign.url}/`]);
    const { headers, body } = await echoed(response);
    expect(body).toBe('hi');
    expect(headers['accept']).toBe('a/b');
    for (const name of ['authorization', 'cookie', 'x-md-global-a', 'x-md-global-priority'])
      expect(headers[name]).toBeUndefined();
  });

  it('can be seen, can be errors, and end', async () => {
    const { fetch, released } = client();
    const seen = await fetch('/301', { redirect: 'manual' });
    expect([seen.status, seen.headers.get('location'), await seen.text()]).toEqual([301, '/echo', 'moved']);
    await expect(fetch('/301', { redirect: 'error' })).rejects.toThrow(TypeError);
    await expect(fetch('/loop')).rejects.toThrow(TypeError);
    await vi.waitFor(() => expect(released).toHaveLength(23));
    const body = new ReadableStream({ pull: (c) => c.close() });
    await expect(fetch('/307', { method: 'POST', body, duplex: 'half' } as RequestInit)).rejects.toThrow(
      TypeError,
    );
  });
});

describe('giving up', () => {
  const reasons = [
    ['its own reason', new RangeError('mine')],
    ['an AbortError', undefined],
  ] as const;

  it.each(reasons)('before the answer rejects with %s', async (_, reason) => {
    const { fetch, released } = client();
    const cancel = new AbortController();
    routes['/never'] = (req, res) => open.set(req.url as string, res);
    const answer = fetch('/never', { signal: cancel.signal });
    const rejected = expect(answer).rejects.toSatisfy((error: Error) =>
      reason === undefined ? error.name === 'AbortError' : error === reason,
    );
    await heldAt('/never');
    cancel.abort(reason);
    await rejected;
    expect(released).toEqual(['ignored']);
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });

  it.each([
    ['text', (r: Response) => r.text()],
    ['a stream', (r: Response) => readAll(r.body as ReadableStream<Uint8Array>)],
  ])('in the middle of the body, read as %s, rejects with the reason', async (_, read) => {
    const { fetch, released } = client();
    const cancel = new AbortController();
    const reason = new RangeError('mine');
    const response = await fetch('/held', { signal: cancel.signal });
    const closed = new Promise((resolve) => open.get('/held')?.once('close', resolve));
    const rejected = expect(read(response)).rejects.toBe(reason);
    cancel.abort(reason);
    await rejected;
    await closed;
    expect(released).toEqual(['ignored']);
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });

  it('by the signal of a Request', async () => {
    const { fetch } = client();
    const cancel = new AbortController();
    routes['/never'] = (req, res) => open.set(req.url as string, res);
    const answer = fetch(new Request('http://users/never', { signal: cancel.signal }));
    const rejected = expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    await heldAt('/never');
    cancel.abort();
    await rejected;
  });

  it('by cancelling the body ends the response at the server', async () => {
    const { fetch, released } = client();
    const response = await fetch('/held');
    const closed = new Promise((resolve) => open.get('/held')?.once('close', resolve));
    await response.body?.cancel();
    await closed;
    expect(released).toEqual(['ignored']);
  });

  it('on a signal that many calls share leaves nothing on it', async () => {
    const { fetch } = client();
    const cancel = new AbortController();
    for (let i = 0; i < 300; i += 4) {
      await Promise.all([
        fetch('/text', { signal: cancel.signal }).then((r) => r.text()),
        fetch('/text', { signal: cancel.signal }).then((r) => r.body?.cancel()),
        fetch('/204', { signal: cancel.signal }),
        fetch('/close', { signal: cancel.signal }).catch(() => undefined),
      ]);
    }
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });
});

describe('a body that does not end', () => {
  it('is ended by bodyIdleTimeoutMs', async () => {
    const { fetch, released } = client({ bodyIdleTimeoutMs: 50 });
    const response = await fetch('/held');
    const closed = new Promise((resolve) => open.get('/held')?.once('close', resolve));
    await expect(response.text()).rejects.toMatchObject({ name: 'GovernanceError', code: 'BODY_IDLE' });
    await closed;
    expect(released).toEqual(['failure']);
  });

  it('is not ended while it comes', async () => {
    const { fetch, released } = client({ bodyIdleTimeoutMs: 5000 });
    const response = await fetch('/held');
    const text = response.text();
    open.get('/held')?.end('done');
    expect(await text).toBe('begun done');
    expect(released).toEqual(['success']);
  });

  it('that nobody reads is found by the garbage collector', async () => {
    const { fetch, released } = client();
    const before = abandonedBodies();
    await (async () => {
      for (let i = 0; i < 5; i++) expect((await fetch('/text')).ok).toBe(true);
    })();
    await vi.waitFor(() => {
      collect();
      expect(released).toHaveLength(5);
    }, 10_000);
    expect(new Set(released)).toEqual(new Set(['ignored']));
    expect(abandonedBodies() - before).toBeGreaterThanOrEqual(5);
  });
});

it('a call is not governed again by a fetch that governs', async () => {
  const { fetch } = client();
  const { host } = new URL(users.url);
  const again = vi.fn<GovernedFetch>();
  vi.stubGlobal('fetch', governedFetch(globalThis.fetch, { services: { [host]: again } }));
  try {
    expect(await (await fetch('/text')).text()).toBe('hello');
    expect(again).not.toHaveBeenCalled();
    await globalThis.fetch(`${users.url}/text`);
    expect(again).toHaveBeenCalledOnce();
  } finally {
    vi.unstubAllGlobals();
  }
});
