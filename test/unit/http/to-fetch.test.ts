import { getEventListeners } from 'node:events';
import { type Call, createCall, type Handler, runWithCall } from 'keelson/core';
import {
  type GovernedInit,
  governedFetch,
  type HttpRequest,
  priorityHeader,
  type ToFetchOptions,
  toFetch,
} from 'keelson/http';
import { describe, expect, it, vi } from 'vitest';

interface Seen {
  readonly request: HttpRequest;
  readonly call: Call;
}

/** A governed fetch over a handler that remembers, and answers by path. */
function client(
  answers: Record<string, (seen: Seen) => Response | Promise<Response>> = {},
  options: Partial<ToFetchOptions> = {},
) {
  const seen: Seen[] = [];
  const handler: Handler<HttpRequest, Response> = async (request, call) => {
    seen.push({ request, call });
    return answers[request.path]?.({ request, call }) ?? new Response('ok');
  };
  const fetch = toFetch(handler, { service: 'users', ...options });
  const sent = async (input: string | URL | Request, init?: GovernedInit) => {
    await fetch(input, init);
    return seen.at(-1) as Seen;
  };
  return { fetch, seen, sent };
}

const redirect = (status: number, location: string) => () =>
  new Response(null, { status, headers: { location } });

describe('toFetch: what it takes', () => {
  it.each([
    ['/users/42', '/users/42'],
    ['/users/42?a=b&c=%2F', '/users/42?a=b&c=%2F'],
    ['/', '/'],
    ['', '/'],
    ['?a=b', '/?a=b'],
    ['users/42', '/users/42'],
    ['/users/42#top', '/users/42'],
    ['/a/../b', '/b'],
    ['/a/%2e%2e/b', '/b'],
    ['/a b', '/a%20b'],
    ['/\\users/x', '/x'],
    ['/\\elsewhere/x', undefined],
    ['http://users/users/42', '/users/42'],
    ['http://USERS/users/42', '/users/42'],
    ['https://users', '/'],
    [new URL('http://users/x?y'), '/x?y'],
    ['//users/x', '/x'],
    ['//elsewhere/x', undefined],
    ['http://elsewhere/x', undefined],
    ['http://users:8080/x', undefined],
    ['http://users.example/x', undefined],
    ['http://me:secret@users/x', undefined],
    ['ftp://users/x', undefined],
    ['data:text/plain,x', undefined],
    ['http://[bad', undefined],
  ])('%s is %s', async (input, path) => {
    const { fetch, seen } = client();
    const answer = fetch(input);
    if (path === undefined) {
      await expect(answer).rejects.toThrow(TypeError);
      expect(seen).toEqual([]);
    } else {
      await answer;
      expect(seen[0]?.request.path).toBe(path);
    }
  });

  it.each([
    [undefined, 'GET'],
    ['get', 'GET'],
    ['Post', 'POST'],
    ['patch', 'patch'],
    ['PATCH', 'PATCH'],
    ['REPORT', 'REPORT'],
  ])('method %s is %s', async (method, expected) => {
    const { sent } = client();
    expect((await sent('/', method === undefined ? {} : { method })).request.method).toBe(expected);
  });

  it('gives init on as it is, without what is ours', async () => {
    const { sent } = client();
    const init = { method: 'PUT', body: 'x', headers: { a: 'b' }, keelson: { key: 'k' } };
    const { request } = await sent('/', init);
    expect(request.init).toEqual({ method: 'PUT', body: 'x', headers: { a: 'b' } });
    expect(init.keelson).toEqual({ key: 'k' });
  });

  it('keeps headers that can be read but once', async () => {
    const { sent } = client();
    const once = (function* () {
      yield ['a', 'b'];
    })();
    const { request } = await sent('/', { method: 'POST', headers: once as unknown as [string, string][] });
    expect([...new Headers(request.init?.headers)]).toEqual([['a', 'b']]);
    expect([...new Headers(request.init?.headers)]).toEqual([['a', 'b']]);
  });

  it('takes a Request apart and loses nothing', async () => {
    const { sent } = client();
    const cancel = new AbortController();
    const input = new Request('http://users/users/42?x=1', {
      method: 'POST',
      body: 'hello',
      headers: { a: 'b' },
      cache: 'no-store',
      credentials: 'include',
      redirect: 'manual',
      referrer: 'http://users/from',
      referrerPolicy: 'no-referrer',
      integrity: 'sha256-x',
      signal: cancel.signal,
    } as RequestInit);
    const { request, call } = await sent(input);
    expect(request).toMatchObject({ method: 'POST', path: '/users/42?x=1' });
    expect(request.init).toMatchObject({
      cache: 'no-store',
      credentials: 'include',
      integrity: 'sha256-x',
      referrerPolicy: 'no-referrer',
      duplex: 'half',
    });
    expect(call.headers.get('a')).toBe('b');
    expect(call.headers.get('content-type')).toBe('text/plain;charset=UTF-8');
    expect(await new Response(request.init?.body).text()).toBe('hello');
    expect(call.cancel.aborted).toBe(false);
  });

  it('lets init go before the Request', async () => {
    const { sent } = client();
    const input = new Request('http://users/', {
      method: 'POST',
      body: 'old',
      headers: { a: 'old', b: 'old' },
    });
    const { request, call } = await sent(input, { method: 'PUT', body: 'new', headers: { a: 'new' } });
    expect(request.method).toBe('PUT');
    expect(request.init?.body).toBe('new');
    expect(call.headers.get('a')).toBe('new');
    expect(call.headers.get('b')).toBeUndefined();
    expect(input.bodyUsed).toBe(false);
  });

  it('takes a Request, or an object of a class, as init', async () => {
    const { sent } = client();
    const input = new Request('http://elsewhere/', { method: 'POST', body: 'hello', headers: { a: 'b' } });
    const { request, call } = await sent('/copy', input);
    expect(request).toMatchObject({ method: 'POST', path: '/copy', init: { duplex: 'half' } });
    expect(call.headers.get('a')).toBe('b');
    expect(await new Response(request.init?.body).text()).toBe('hello');

    class Base {
      get method() {
        return 'PUT';
      }
      get body() {
        return 'base';
      }
    }
    class Init extends Base {
      readonly headers = { a: 'own' };
    }
    const other = await sent(new Request('http://users/', { headers: { b: 'c' } }), new Init());
    expect(other.request).toMatchObject({ method: 'PUT', init: { body: 'base', headers: { a: 'own' } } });
  });

  it.each([
    ['init', 'POST'],
    ['headers', { headers: 'a: b' }],
    ['a pair of one', { headers: [['a']] }],
    ['a pair of three', { headers: [['a', 'b', 'c']] }],
    ['pairs that are none', { headers: ['ab'] }],
    ['redirect', { redirect: 'bogus' }],
    ['signal', { signal: {} }],
    ['a signal of another kind', { signal: 'abort' }],
  ])('refuses %s that fetch refuses', async (_, init) => {
    const { fetch, seen } = client();
    await expect(globalThis.fetch('http://localhost:1/', init as RequestInit)).rejects.toThrow(TypeError);
    await expect(fetch('/', init as GovernedInit)).rejects.toThrow(TypeError);
    expect(seen).toEqual([]);
  });

  it('refuses a Request whose body is used', async () => {
    const { fetch } = client();
    const input = new Request('http://users/', { method: 'POST', body: 'x' });
    await input.text();
    await expect(fetch(input)).rejects.toThrow(TypeError);
    await expect(fetch(input, { body: 'y' })).resolves.toBeInstanceOf(Response);
  });

  it.each([
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { timeoutMs: -1 },
    { priority: 1.5 },
    { priority: 101 },
  ])('refuses %o', async (keelson) => {
    await expect(client().fetch('/', { keelson })).rejects.toThrow(RangeError);
  });

  it.each([
    { service: '' },
    { service: 1 },
    { service: 'a', routes: ['nope'] },
    { service: 'a', fetch: 1 },
    { service: 'a', retry: 1 },
  ])('is not made from %o', (options) => {
    expect(() => toFetch(async () => new Response(), options as unknown as ToFetchOptions)).toThrow(
      TypeError,
    );
  });
});

describe('toFetch: the call it makes', () => {
  it.each([
    ['GET', {}, true],
    ['HEAD', {}, true],
    ['PUT', {}, true],
    ['DELETE', {}, true],
    ['OPTIONS', {}, true],
    ['POST', {}, false],
    ['PATCH', {}, false],
    ['POST', { 'Idempotency-Key': 'k' }, true],
    ['POST', [['IDEMPOTENCY-KEY', 'k']], true],
    ['POST', new Headers({ 'idempotency-key': 'k' }), true],
  ] as [string, NonNullable<RequestInit['headers']>, boolean][])(
    '%s with %o: idempotent %s',
    async (method, headers, idempotent) => {
      const { sent } = client();
      expect((await sent('/', { method, headers })).call.idempotent).toBe(idempotent);
      expect(
        (await sent('/', { method, headers, keelson: { idempotent: !idempotent } })).call.idempotent,
      ).toBe(!idempotent);
    },
  );

  it('names the operation: option, route, method', async () => {
    const { sent } = client({}, { routes: ['/users/:id', 'POST /users'] });
    expect((await sent('/users/42?x')).call.operation).toBe('GET /users/:id');
    expect((await sent('/users', { method: 'POST' })).call.operation).toBe('POST /users');
    expect((await sent('/users')).call.operation).toBe('GET');
    expect((await sent('/users/42', { keelson: { operation: 'one user' } })).call.operation).toBe('one user');
  });

  it('has no cancellation, deadline or header where nobody asked for one', async () => {
    const { call } = await client().sent('/', {});
    expect(call).toMatchObject({
      side: 'client',
      service: 'users',
      priority: 0,
      deadline: Number.POSITIVE_INFINITY,
      key: undefined,
    });
    expect(call.cancel.aborted).toBe(false);
    expect([...call.headers.keys()]).toEqual([]);
  });

  it('inherits deadline and priority of the inbound call', async () => {
    const { sent } = client();
    const inbound = createCall({
      side: 'server',
      service: 'orders',
      operation: 'GET',
      deadline: 500,
      priority: 7,
    });
    const { call } = await runWithCall(inbound, () => sent('/'));
    expect(call).toMatchObject({ deadline: 500, priority: 7 });
    expect(call.headers.get(priorityHeader)).toBe('7');
    const own = await runWithCall(inbound, () => sent('/', { keelson: { priority: 0 } }));
    expect(own.call.priority).toBe(0);
    expect(own.call.headers.get(priorityHeader)).toBe('0');
    const header = await runWithCall(inbound, () => sent('/', { headers: { [priorityHeader]: '3' } }));
    expect(header.call.headers.get(priorityHeader)).toBe('3');
  });

  it('shows the headers of the caller under those of the call, and changes none of them', async () => {
    const headers = { Accept: 'a', 'X-Two': '2' };
    const { call } = await client().sent('/', { headers });
    call.headers.set('Accept', 'b');
    call.headers.set('traceparent', 't');
    expect([call.headers.get('ACCEPT'), call.headers.get('x-two')]).toEqual(['b', '2']);
    expect([...call.headers.keys()].sort()).toEqual(['accept', 'traceparent', 'x-two']);
    const next = call.headers.fork?.();
    next?.set('traceparent', 'u');
    expect([call.headers.get('traceparent'), next?.get('traceparent'), next?.get('accept')]).toEqual([
      't',
      'u',
      'b',
    ]);
    expect(call.headers.get('constructor')).toBeUndefined();
    expect(headers).toEqual({ Accept: 'a', 'X-Two': '2' });
  });
});

describe('toFetch: aborts and errors', () => {
  it('rejects at once with the reason of a signal that is aborted', async () => {
    const { fetch, seen } = client();
    const reason = new Error('mine');
    await expect(fetch('/', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(fetch('/', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen).toEqual([]);
  });

  it.each([
    ['an error', new Error('mine')],
    ['a string', 'mine'],
    ['null', null],
  ])('rejects with %s that the caller gave, whatever the wire says', async (_, reason) => {
    const cancel = new AbortController();
    const { fetch } = client({
      '/': ({ call }) =>
        new Promise((__, reject) => call.cancel.onAbort(() => reject(new Error('of the wire')))),
    });
    const answer = fetch('/', { signal: cancel.signal });
    const rejected = expect(answer).rejects.toBe(reason);
    cancel.abort(reason);
    await rejected;
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });

  it('cancels an upload that the caller gives up before it is on its way', async () => {
    const cancelled: unknown[] = [];
    const upload = () => new ReadableStream({ cancel: (reason) => void cancelled.push(reason) });
    const { fetch } = client({
      '/wait': ({ call }) =>
        new Promise((__, reject) => call.cancel.onAbort(() => reject(call.cancel.reason))),
    });
    const init = { method: 'POST', duplex: 'half' } as const;
    await expect(
      fetch('/', { ...init, body: upload(), signal: AbortSignal.abort('early') } as RequestInit),
    ).rejects.toBe('early');
    const cancel = new AbortController();
    const answer = fetch('/wait', { ...init, body: upload(), signal: cancel.signal } as RequestInit);
    cancel.abort('late');
    await expect(answer).rejects.toBe('late');
    expect(cancelled).toEqual(['early', 'late']);
  });

  it('passes errors of the wire unchanged, also when thrown', async () => {
    const error = new TypeError('fetch failed');
    const throwing = toFetch(
      () => {
        throw error;
      },
      { service: 'users' },
    );
    await expect(throwing('/')).rejects.toBe(error);
    const cancel = new AbortController();
    await expect(throwing('/', { signal: cancel.signal })).rejects.toBe(error);
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });

  it('hears of an abort until the body is over, and lets go of the signal then', async () => {
    const cancel = new AbortController();
    const { fetch, seen } = client();
    const response = await fetch('/', { signal: cancel.signal });
    expect(getEventListeners(cancel.signal, 'abort')).toHaveLength(1);
    await response.text();
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
    cancel.abort();
    expect(seen[0]?.call.cancel.aborted).toBe(false);

    const other = new AbortController();
    await fetch('/', { signal: other.signal });
    other.abort('late');
    expect(seen[1]?.call.cancel.reason).toBe('late');
  });

  it('leaves no listener on a signal that 10 000 calls share', async () => {
    const cancel = new AbortController();
    const { fetch } = client({
      '/none': () => new Response(null, { status: 204 }),
      '/bad': () => Promise.reject(new Error('bad')),
    });
    for (let i = 0; i < 10_000; i += 4) {
      await Promise.all([
        fetch('/', { signal: cancel.signal }).then((r) => r.text()),
        fetch('/', { signal: cancel.signal }).then((r) => r.body?.cancel()),
        fetch('/none', { signal: cancel.signal }),
        fetch('/bad', { signal: cancel.signal }).catch(() => undefined),
      ]);
    }
    expect(getEventListeners(cancel.signal, 'abort')).toEqual([]);
  });
});

describe('toFetch: redirects', () => {
  it.each([
    ['/new', '/new'],
    ['http://users/new?x=1', '/new?x=1'],
    ['?x=1', '/old?x=1'],
    ['new#top', '/new'],
  ])('to %s is another governed call', async (location, path) => {
    const { fetch, seen } = client({ '/old': redirect(302, location) }, { routes: ['/old', '/new'] });
    const response = await fetch('/old');
    expect(seen.map(({ request }) => request.path)).toEqual(['/old', path]);
    expect(seen[0]?.call).not.toBe(seen[1]?.call);
    expect(response.redirected).toBe(true);
    expect(await response.text()).toBe('ok');
  });

  it.each([
    [301, 'POST', 'GET', false],
    [302, 'POST', 'GET', false],
    [303, 'POST', 'GET', false],
    [303, 'PUT', 'GET', false],
    [303, 'HEAD', 'HEAD', false],
    [301, 'PUT', 'PUT', true],
    [302, 'DELETE', 'DELETE', true],
    [307, 'POST', 'POST', true],
    [308, 'PUT', 'PUT', true],
  ])('%i turns %s into %s', async (status, method, expected, keepsBody) => {
    const { fetch, seen } = client({ '/old': redirect(status, '/new') });
    const headers = { 'Content-Type': 'text/plain', 'content-language': 'en', authorization: 'me' };
    await fetch('/old', method === 'HEAD' ? { method, headers } : { method, headers, body: 'x' });
    const { request } = seen[1] as Seen;
    expect(request.method).toBe(expected);
    expect(request.init?.body).toBe(keepsBody ? 'x' : undefined);
    const sent = new Headers(request.init?.headers);
    expect(sent.get('content-type')).toBe(expected === 'GET' ? null : 'text/plain');
    expect(sent.get('authorization')).toBe('me');
  });

  it('cannot send a stream twice, unless it becomes a GET', async () => {
    const { fetch, seen } = client({ '/307': redirect(307, '/new'), '/303': redirect(303, '/new') });
    const init = () => ({ method: 'POST', body: new ReadableStream(), duplex: 'half' }) as RequestInit;
    await expect(fetch('/307', init())).rejects.toMatchObject({ name: 'TypeError', message: 'fetch failed' });
    expect(seen).toHaveLength(1);
    await fetch('/303', init());
    expect(seen.at(-1)?.request).toMatchObject({ method: 'GET', path: '/new' });
    expect(seen.at(-1)?.request.init?.body).toBeUndefined();
  });

  it('ends after 20', async () => {
    const { fetch, seen } = client({ '/loop': redirect(302, '/loop') });
    await expect(fetch('/loop')).rejects.toMatchObject({ message: 'fetch failed' });
    expect(seen).toHaveLength(21);
  });

  it('manual shows it, error makes it one', async () => {
    const { fetch, seen } = client({ '/old': redirect(302, '/new') });
    const response = await fetch('/old', { redirect: 'manual' });
    expect([response.status, response.headers.get('location'), response.redirected]).toEqual([
      302,
      '/new',
      false,
    ]);
    await expect(fetch('/old', { redirect: 'error' })).rejects.toThrow(TypeError);
    expect(seen).toHaveLength(2);
  });

  it.each(['http://[bad', 'ftp://users/x', 'javascript:alert(1)'])('to %s fails', async (location) => {
    await expect(client({ '/old': redirect(302, location) }).fetch('/old')).rejects.toThrow(TypeError);
  });

  it('without a place to go is a response like others', async () => {
    const { fetch } = client({
      '/old': () => new Response(null, { status: 302 }),
      '/304': () => new Response(null, { status: 304, headers: { location: '/' } }),
    });
    expect((await fetch('/old')).status).toBe(302);
    expect((await fetch('/304')).status).toBe(304);
  });

  it('to another origin is a plain fetch that tells nothing of the call', async () => {
    const plain = vi.fn(async (_url: unknown, _init?: RequestInit) => new Response('foreign'));
    const { fetch, seen } = client(
      { '/old': redirect(307, 'http://elsewhere/x?y') },
      { fetch: plain as unknown as typeof globalThis.fetch },
    );
    const cancel = new AbortController();
    const response = await fetch('/old', {
      method: 'POST',
      body: 'x',
      signal: cancel.signal,
      keelson: { priority: 3 },
      headers: {
        Authorization: 'me',
        Cookie: 'c',
        Baggage: 'b',
        'X-MD-Global-Color': 'red',
        traceparent: 't',
        Host: 'h',
        accept: 'a',
        'content-type': 'text/plain',
      },
    });
    expect(await response.text()).toBe('foreign');
    expect(response.redirected).toBe(true);
    expect(seen).toHaveLength(1);
    const [url, init] = plain.mock.calls[0] as unknown as [URL, RequestInit & { keelson?: unknown }];
    expect(url.href).toBe('http://elsewhere/x?y');
    expect([...new Headers(init.headers).keys()]).toEqual(['accept', 'content-type']);
    expect(init).toMatchObject({ method: 'POST', body: 'x', redirect: 'manual' });
    expect(init.keelson).toBeUndefined();
    expect(init.signal).toBeInstanceOf(AbortSignal);
    // The caller's own signal stays clean: fetch would listen to it until the garbage collector comes.
    expect(init.signal).not.toBe(cancel.signal);
  });

  it('does not come back under governance', async () => {
    const plain = vi.fn(async (url: unknown) =>
      String(url) === 'http://elsewhere/' ? redirect(302, 'http://users/back')() : new Response('plain'),
    );
    const { fetch, seen } = client(
      { '/old': redirect(302, 'http://elsewhere/') },
      { fetch: plain as unknown as typeof globalThis.fetch },
    );
    expect(await (await fetch('/old')).text()).toBe('plain');
    expect(seen).toHaveLength(1);
    expect(plain).toHaveBeenCalledTimes(2);
  });

  it('lets go of the responses on the way', async () => {
    const cancelled = vi.fn();
    const { fetch } = client({
      '/old': () =>
        new Response(new ReadableStream({ cancel: cancelled }), {
          status: 302,
          headers: { location: '/new' },
        }),
    });
    await fetch('/old');
    await expect(fetch('/old', { redirect: 'error' })).rejects.toThrow(TypeError);
    expect(cancelled).toHaveBeenCalledTimes(2);
  });
});

describe('governedFetch', () => {
  it('sends listed hosts to their clients and leaves all others alone', async () => {
    const { fetch: users, seen } = client();
    const plain = vi.fn(async () => new Response('plain'));
    const fetch = governedFetch(plain, { services: { users } });
    const init = { method: 'PUT', body: 'x' };
    expect(await (await fetch('http://users/42', init)).text()).toBe('ok');
    expect(await (await fetch(new URL('http://USERS/42'))).text()).toBe('ok');
    expect(await (await fetch(new Request('http://users/42'))).text()).toBe('ok');
    expect(seen.map(({ request }) => request.path)).toEqual(['/42', '/42', '/42']);
    for (const input of ['http://elsewhere/', 'http://users:81/', '/relative', 'http://[bad']) {
      await fetch(input, init);
      expect(plain).toHaveBeenLastCalledWith(input, init);
    }
  });

  it('wants functions', () => {
    expect(() => governedFetch(fetch, { services: { users: 1 as never } })).toThrow(TypeError);
  });
});
