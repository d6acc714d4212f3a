import { type Call, cancelSource, carrier, createCall } from 'keelson/core';
import { connectFetch, type FetchWireOptions, fetchWire, type HttpRequest } from 'keelson/http';
import { afterEach, describe, expect, it, vi } from 'vitest';

const endpoint = (url: string) => ({ id: url, url, weight: 100, metadata: {} });
const get: HttpRequest = { method: 'GET', path: '/users/42?x=1', init: undefined };
const call = (given: Partial<Call> = {}) =>
  createCall({ side: 'client', service: 'users', operation: 'GET', ...given });

type Init = RequestInit & { dispatcher?: unknown };

/** Sends one request through a wire with a stub of fetch, and tells what fetch was given. */
async function given(
  request: HttpRequest,
  theCall = call(),
  options: FetchWireOptions = {},
  url = 'http://10.0.0.7:8080',
) {
  const fetch = vi.fn(async (_url: string, _init: Init) => new Response('ok'));
  const { handler } = connectFetch(endpoint(url), {
    fetch: fetch as unknown as typeof globalThis.fetch,
    ...options,
  });
  await handler(request, theCall);
  const [sentTo, init] = fetch.mock.calls[0] as [string, Init];
  return { url: sentTo, init };
}

describe('fetchWire: what it sends', () => {
  it.each([
    ['http://10.0.0.7:8080', 'http://10.0.0.7:8080/users/42?x=1'],
    ['http://10.0.0.7:8080/', 'http://10.0.0.7:8080/users/42?x=1'],
    ['http://[::1]:8080', 'http://[::1]:8080/users/42?x=1'],
    ['http://Users.internal:80', 'http://users.internal/users/42?x=1'],
    ['https://users.internal', 'https://users.internal/users/42?x=1'],
  ])('to %s: %s', async (url, expected) => {
    expect((await given(get, call(), {}, url)).url).toBe(expected);
  });

  it('nothing but what there is', async () => {
    const { init } = await given(get);
    expect(init).toEqual({ method: 'GET', redirect: 'manual' });
    expect(Object.keys(init).sort()).toEqual(['method', 'redirect']);
  });

  it('the init of the caller, its redirect and signal replaced', async () => {
    const dispatcher = {};
    const mine = {
      body: 'x',
      cache: 'no-store',
      redirect: 'error',
      signal: new AbortController().signal,
      method: 'x',
      dispatcher,
    };
    const { init } = await given({ method: 'PUT', path: '/', init: mine as unknown as RequestInit });
    expect(init).toEqual({ method: 'PUT', body: 'x', cache: 'no-store', redirect: 'manual', dispatcher });
    expect(mine.redirect).toBe('error');
  });

  it('a signal only for a call that may end early', async () => {
    const cancel = cancelSource();
    const { init } = await given(get, call({ cancel }));
    expect(init.signal).toBe(cancel.signal);
  });

  it.each([
    ['a record', { 'X-A': 'a', Traceparent: 'theirs' }],
    [
      'pairs',
      [
        ['X-A', 'a'],
        ['Traceparent', 'theirs'],
      ],
    ],
    ['Headers', new Headers({ 'X-A': 'a', Traceparent: 'theirs' })],
    [
      'a Map',
      new Map([
        ['X-A', 'a'],
        ['Traceparent', 'theirs'],
      ]),
    ],
  ] as [string, NonNullable<RequestInit['headers']>][])(
    'headers of the call over %s, never beside',
    async (_, headers) => {
      const request = { ...get, init: { headers } };
      expect((await given(request)).init.headers).toBe(headers);
      const { init } = await given(request, call({ headers: carrier({ traceparent: 'ours', 'x-b': 'b' }) }));
      expect([...new Headers(init.headers)].sort()).toEqual([
        ['traceparent', 'ours'],
        ['x-a', 'a'],
        ['x-b', 'b'],
      ]);
      expect(new Headers(headers as Record<string, string>).get('traceparent')).toBe('theirs');
    },
  );

  it('several values of one name', async () => {
    const headers: [string, string][] = [
      ['accept', 'a'],
      ['accept', 'b'],
    ];
    const { init } = await given({ ...get, init: { headers } }, call({ headers: carrier({ x: 'y' }) }));
    expect(new Headers(init.headers).get('accept')).toBe('a, b');
  });

  it('rejects with what cannot be sent, and never throws', async () => {
    const { handler } = connectFetch(endpoint('http://127.0.0.1:1'));
    await expect(
      handler({ ...get, init: { headers: [1] as never } }, call({ headers: carrier({ a: 'b' }) })),
    ).rejects.toThrow(TypeError);
    await expect(handler({ ...get, init: { headers: { 'a b': 'c' } } }, call())).rejects.toThrow(TypeError);
    await expect(handler({ ...get, init: { body: 'x' } }, call())).rejects.toThrow(TypeError);
  });
});

describe('fetchWire: endpoints it refuses', () => {
  it.each([
    'https://10.0.0.7:8443',
    'https://[::1]:8443',
    'grpc://10.0.0.7:8080',
    'http://10.0.0.7:8080/api',
    'http://10.0.0.7:8080/?x',
    'http://me:secret@10.0.0.7',
    'not a url',
    'http://',
    '',
  ])('%s', (url) => {
    expect(() => fetchWire().connect(endpoint(url))).toThrow(
      expect.objectContaining({ code: 'BAD_ENDPOINT' }),
    );
  });

  it('takes https to an address with a name for the certificate, or with a fetch that knows better', () => {
    expect(
      fetchWire({ tls: { servername: 'users' } })
        .connect(endpoint('https://10.0.0.7'))
        .close(),
    ).toBeUndefined();
    expect(fetchWire({ fetch }).connect(endpoint('https://10.0.0.7')).close()).toBeUndefined();
    expect(fetchWire().connect(endpoint('https://users.internal')).close()).toBeUndefined();
  });
});

describe('fetchWire: options', () => {
  it.each([
    [{ retry: 1 }, TypeError],
    [{ fetch: 1 }, TypeError],
    [{ undici: { Agent: class {}, fetch: 1 } }, TypeError],
    [{ fetch, tls: {} }, TypeError],
    [{ fetch, pool: {} }, TypeError],
    [{ fetch, undici: { Agent: class {}, fetch } }, TypeError],
    [{ pool: { maxConnections: 0 } }, RangeError],
    [{ pool: { maxConnections: 1.5 } }, RangeError],
    [{ pool: { connectTimeoutMs: 0 } }, RangeError],
    [{ pool: { keepAliveMs: Number.POSITIVE_INFINITY } }, RangeError],
    [{ pool: { size: 1 } }, TypeError],
    [{ tls: { rejectUnauthorized: false } }, TypeError],
    [{ bodyIdleTimeoutMs: 0 }, RangeError],
  ])('%o is refused', (options, kind) => {
    expect(() => fetchWire(options as FetchWireOptions)).toThrow(kind);
  });

  it('gives undici what was asked for, one agent for each endpoint, made at the first request', async () => {
    const made: { options: Record<string, unknown>; closed: number }[] = [];
    class Agent {
      closed = 0;
      constructor(readonly options: Record<string, unknown>) {
        made.push(this);
      }
      close() {
        this.closed++;
        return Promise.reject(new Error('twice'));
      }
    }
    const fetch = vi.fn(async (_url: string, _init: Init) => new Response('ok'));
    const wire = fetchWire({
      undici: { Agent, fetch },
      pool: { maxConnections: 3, connectTimeoutMs: 10, keepAliveMs: 20 },
      tls: { servername: 's', ca: 'c' },
    });
    const a = wire.connect(endpoint('https://10.0.0.7'));
    const b = wire.connect(endpoint('https://10.0.0.8'));
    expect(made).toEqual([]);
    await a.handler(get, call());
    await a.handler(get, call());
    await b.handler(get, call());
    expect(made.map(({ options }) => options)).toEqual(
      Array(2).fill({
        connect: { timeout: 10, servername: 's', ca: 'c' },
        connections: 3,
        keepAliveTimeout: 20,
        headersTimeout: 0,
        bodyTimeout: 0,
      }),
    );
    expect(fetch.mock.calls.map(([, init]) => made.indexOf(init.dispatcher as never))).toEqual([0, 0, 1]);
    a.close();
    expect(made.map(({ closed }) => closed)).toEqual([1, 0]);
  });
});

describe("fetchWire: the platform's dispatcher", () => {
  const slot = Symbol.for(
    `undici.globalDispatcher.${Number.parseInt(process.versions['undici'] ?? '', 10) >= 8 ? 2 : 1}`,
  ) as unknown as keyof typeof globalThis;
  void globalThis.Response;
  const usual = globalThis[slot] as object;
  const Agent = usual.constructor as new (options?: object) => object & { compose(of: unknown): object };
  const replace = (dispatcher: object) => {
    (globalThis as Record<symbol, unknown>)[slot as unknown as symbol] = dispatcher;
  };
  afterEach(() => {
    replace(usual);
    vi.restoreAllMocks();
  });

  class MockAgent extends Agent {}
  const composed = () => new Agent().compose((dispatch: unknown) => dispatch);

  const dispatcherOf = async (wire = fetchWire()) => {
    const fetch = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('ok'));
    const connection = wire.connect(endpoint('http://127.0.0.1:1'));
    const send = async () => {
      await connection.handler(get, call());
      return (fetch.mock.lastCall as unknown as [string, Init])[1].dispatcher;
    };
    return { send, close: () => connection.close() };
  };

  it('is passed by for connections of our own', async () => {
    const { send, close } = await dispatcherOf();
    const first = await send();
    expect(first).toBeInstanceOf(Agent);
    expect(first).not.toBe(usual);
    expect(await send()).toBe(first);
    close();
  });

  it.each([
    ['a class of its own', () => new MockAgent()],
    ['options', () => new Agent({ connections: 7 })],
    ['a connector', () => new Agent({ connect: { timeout: 1 } })],
    ['interceptors', composed],
  ])('is left alone when it was replaced by one with %s', async (_, make) => {
    const { send, close } = await dispatcherOf();
    const ours = await send();
    replace(make());
    expect(await send()).toBeUndefined();
    replace(usual);
    expect(await send()).toBe(ours);
    close();
    replace(make());
    const late = await dispatcherOf(fetchWire({ pool: { maxConnections: 2 } }));
    expect(await late.send()).toBeUndefined();
    late.close();
  });

  it('replaced leaves no way to TLS options, which is said at once', () => {
    replace(new MockAgent());
    expect(() => fetchWire({ tls: { servername: 's' } })).toThrow(/undici/);
    replace(usual);
    expect(fetchWire({ tls: { servername: 's' } }).schemes).toEqual(['http', 'https']);
  });

  it('with TLS options is passed by, whatever happens to it', async () => {
    const { send, close } = await dispatcherOf(fetchWire({ tls: { servername: 's' } }));
    replace(new MockAgent());
    expect(await send()).toBeInstanceOf(Agent);
    close();
  });

  it('unknown means no connections of our own', async () => {
    const versions = Object.getOwnPropertyDescriptor(process, 'versions') as PropertyDescriptor;
    Object.defineProperty(process, 'versions', { ...versions, value: {} });
    try {
      const { send, close } = await dispatcherOf();
      expect(await send()).toBeUndefined();
      close();
      expect(() => fetchWire({ pool: {} })).toThrow(/undici/);
      expect(() => fetchWire({ tls: {} })).toThrow(/undici/);
    } finally {
      Object.defineProperty(process, 'versions', versions);
    }
  });
});
