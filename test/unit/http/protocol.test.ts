import { createServer } from 'node:net';
import { GovernanceError } from 'keelson/core';
import {
  formatLoad,
  httpProtocol,
  parseLoad,
  parseRetryAfter,
  retryAfterCapMs,
  shedHeader,
} from 'keelson/http';
import { describe, expect, it } from 'vitest';

const network = (code: string, extra: object = {}) =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code, ...extra }) });

describe('httpProtocol.classify, responses', () => {
  it.each([
    [200, 'success'],
    [204, 'success'],
    [301, 'success'],
    [304, 'success'],
    [400, 'success'],
    [404, 'success'],
    [408, 'success'],
    [429, 'overload'],
    [499, 'success'],
    [500, 'failure'],
    [501, 'success'],
    [502, 'failure'],
    [503, 'failure'],
    [504, 'failure'],
    [505, 'success'],
    [599, 'failure'],
  ])('%i is %s', (status, outcome) => {
    expect(httpProtocol.classify(new Response(null, { status }), undefined)).toBe(outcome);
  });

  it('tells a shed call from a failed one by our header', () => {
    const headers = { [shedHeader]: 'OVERLOADED' };
    expect(httpProtocol.classify(new Response(null, { status: 503, headers }), undefined)).toBe('overload');
    expect(httpProtocol.classify(new Response(null, { status: 500, headers }), undefined)).toBe('failure');
    expect(httpProtocol.classify(new Response(null, { status: 200, headers }), undefined)).toBe('success');
  });

  it('takes a response that is none for a failure', () => {
    expect(httpProtocol.classify(Response.error(), undefined)).toBe('failure');
  });
});

describe('httpProtocol.classify, errors', () => {
  it.each([
    ['refused', network('ECONNREFUSED', { syscall: 'connect' }), 'failure'],
    ['reset', network('ECONNRESET', { syscall: 'read' }), 'failure'],
    ['closed while kept', network('UND_ERR_SOCKET'), 'failure'],
    ['unresolved', network('ENOTFOUND'), 'failure'],
    ['headers too late', network('UND_ERR_HEADERS_TIMEOUT'), 'failure'],
    ['bad certificate', network('DEPTH_ZERO_SELF_SIGNED_CERT'), 'failure'],
    ['wrong name', network('ERR_TLS_CERT_ALTNAME_INVALID'), 'failure'],
    ['no file behind a socket', network('ENOENT', { syscall: 'connect' }), 'failure'],
    [
      'all addresses refused',
      new TypeError('fetch failed', {
        cause: Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
      }),
      'failure',
    ],
    ['an error of another client', Object.assign(new Error('boom'), { code: 'ECONNABORTED' }), 'failure'],
    ['an error nobody knows', new Error('boom'), 'failure'],
    ['something that is no error', 'boom', 'failure'],
    ['nothing', undefined, 'failure'],
    ['a timeout of the platform', new DOMException('late', 'TimeoutError'), 'failure'],
    ['an endpoint that cannot be called', new GovernanceError('BAD_ENDPOINT', 'no'), 'failure'],
    ['an abort', new DOMException('gone', 'AbortError'), 'ignored'],
    ['an aborted dispatch', network('UND_ERR_ABORTED'), 'ignored'],
    ['a header that is none', new TypeError('Headers.append: "a b" is an invalid header name.'), 'ignored'],
    ['a URL that is none', network('ERR_INVALID_URL'), 'ignored'],
    ['an upload whose file is not there', network('ENOENT', { syscall: 'open' }), 'ignored'],
    ['an upload that failed', new TypeError('fetch failed', { cause: new Error('my stream') }), 'ignored'],
  ])('%s', (_, error, outcome) => {
    expect(httpProtocol.classify(undefined, error)).toBe(outcome);
  });

  it('ends where causes go in a circle', () => {
    const error = new TypeError('fetch failed') as Error & { cause: unknown };
    error.cause = { cause: error };
    expect(httpProtocol.classify(undefined, error)).toBe('ignored');
  });

  it('knows what fetch itself throws', async () => {
    const failing = async (input: string, init?: RequestInit) =>
      httpProtocol.classify(undefined, await fetch(input, init).catch((error: unknown) => error));
    // Closed at once by its owner, so that nobody else listens there meanwhile.
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const address = server.address() as { port: number };
        server.close(() => resolve(address.port));
      });
    });
    const url = `http://127.0.0.1:${port}/`;
    expect(await failing(url)).toBe('failure');
    expect(await failing('http://[bad')).toBe('ignored');
    expect(await failing(url, { body: 'x' })).toBe('ignored');
    expect(await failing(url, { headers: { 'a b': 'c' } })).toBe('ignored');
    expect(await failing(url, { method: 'TRACE' })).toBe('ignored');
    expect(await failing(url, { method: 'POST', body: new ReadableStream() })).toBe('ignored');
    expect(await failing(url, { signal: AbortSignal.abort() })).toBe('ignored');
    expect(await failing('ftp://127.0.0.1/')).toBe('ignored');
  });
});

describe('httpProtocol.feedback', () => {
  const feedback = (status: number, headers: Record<string, string>) =>
    httpProtocol.feedback?.(new Response(null, { status, headers }));

  it('reads Retry-After where it means "come back later"', () => {
    expect(feedback(429, { 'retry-after': '2' })).toEqual({ retryAfterMs: 2000 });
    expect(feedback(503, { 'retry-after': '2' })).toEqual({ retryAfterMs: 2000 });
    expect(feedback(301, { 'retry-after': '2' })).toBeUndefined();
    expect(feedback(200, {})).toBeUndefined();
    expect(feedback(503, { 'retry-after': 'soon' })).toBeUndefined();
    const never = { retryAfterMs: Number.POSITIVE_INFINITY };
    expect(feedback(500, { 'x-keelson-retry': 'no' })).toEqual(never);
    expect(feedback(503, { 'x-keelson-retry': 'no', 'retry-after': '2' })).toEqual(never);
    expect(feedback(429, { 'x-keelson-retry': 'no' })).toEqual(never);
    expect(feedback(200, { 'x-keelson-retry': 'no' })).toBeUndefined();
    expect(feedback(500, { 'x-keelson-retry': 'yes' })).toBeUndefined();
  });

  it('reads that it is the whole server that has too much to do, and no quota of one caller', () => {
    expect(feedback(503, { 'x-keelson-shed': 'OVERLOADED' })).toEqual({ overloaded: true });
    expect(feedback(503, { 'x-keelson-shed': 'SHUTTING_DOWN' })).toBeUndefined();
    expect(feedback(429, { 'x-keelson-shed': 'RATE_LIMITED' })).toBeUndefined();
    expect(feedback(200, { 'x-keelson-shed': 'OVERLOADED' })).toBeUndefined();
    const told = { 'x-keelson-shed': 'OVERLOADED', 'retry-after-ms': '40', 'x-keelson-load': 'admit=0.5' };
    expect(feedback(503, told)).toEqual({ overloaded: true, retryAfterMs: 40, load: { admitRatio: 0.5 } });
  });

  it('reads the load of the server', () => {
    const load = { cpuRatio: 0.42, inflight: 17, backlogMs: 3 };
    expect(feedback(200, { 'x-keelson-load': 'cpu=0.42, inflight=17, backlog=3' })).toEqual({ load });
  });
});

describe('parseRetryAfter', () => {
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
  const sentMs = Date.parse(date);
  it.each([
    ['0', null, 0],
    ['1', null, 1000],
    [' 2 ', null, 2000],
    ['1.5', null, 1500],
    ['99999999', null, retryAfterCapMs],
    ['999999999999999999999', null, undefined],
    ['-1', null, undefined],
    ['1e3', null, undefined],
    ['Infinity', null, undefined],
    ['', null, undefined],
    ['2 seconds', null, undefined],
    ['1994', null, retryAfterCapMs],
    ['Sun, 06 Nov 1994 08:49:47 GMT', date, 10_000],
    ['Sunday, 06-Nov-94 08:49:47 GMT', date, 10_000],
    ['Sun, 06 Nov 1994 08:49:27 GMT', date, 0],
    ['Mon, 06 Nov 2094 08:49:27 GMT', date, retryAfterCapMs],
    ['Sun, 06 Nov 1994 08:49:47 GMT', null, 10_000],
    ['Sun, 06 Nov 1994 08:49:47 GMT', 'yesterday', 10_000],
    ['Sun, 99 Nov 1994', null, undefined],
    [null, null, undefined],
  ])('%s sent at %s is %s', (value, sent, expected) => {
    expect(parseRetryAfter(value, sent, () => sentMs)).toBe(expected);
  });
});

describe('parseLoad', () => {
  it.each([
    ['cpu=0.5', { cpuRatio: 0.5 }],
    ['cpu=7', { cpuRatio: 1 }],
    ['inflight=3.9', { inflight: 3 }],
    ['inflight=999999999999', { inflight: 1_000_000 }],
    ['backlog=1000000000', { backlogMs: 600_000 }],
    [' cpu = 0.5 ,inflight= 3', { cpuRatio: 0.5, inflight: 3 }],
    ['cpu=-1, inflight=2', { inflight: 2 }],
    ['cpu=NaN', undefined],
    ['cpu=Infinity', undefined],
    ['cpu=1e3', undefined],
    ['cpu=0x10', undefined],
    ['cpu', undefined],
    ['', undefined],
    ['=1', undefined],
    ['__proto__=1, gpu=1, cpu=0.1', { cpuRatio: 0.1 }],
    [`cpu=0.1${' '.repeat(500)}`, undefined],
    [null, undefined],
    [undefined, undefined],
  ])('%s', (value, load) => {
    expect(parseLoad(value)).toEqual(load);
  });

  it('writes what it reads, and leaves out what cannot be', () => {
    expect(formatLoad({ cpuRatio: 0.42, inflight: 17, backlogMs: 3 })).toBe(
      'cpu=0.42, inflight=17, backlog=3',
    );
    expect(formatLoad({ cpuRatio: Number.NaN, inflight: -1, backlogMs: Number.POSITIVE_INFINITY })).toBe('');
    expect(formatLoad({ cpuRatio: 1e-9 })).toBe('cpu=0');
  });
});

describe('httpProtocol.replay', () => {
  const replayable = (body: unknown) => {
    const request = { method: 'PUT', path: '/', init: { body } as RequestInit };
    return httpProtocol.replay?.(request) === request;
  };
  it.each([
    ['nothing', undefined, true],
    ['null', null, true],
    ['text', 'text', true],
    ['a Buffer', Buffer.from('x'), true],
    ['a view', new Uint16Array(2), true],
    ['a DataView', new DataView(new ArrayBuffer(1)), true],
    ['an ArrayBuffer', new ArrayBuffer(1), true],
    ['parameters', new URLSearchParams('a=1'), true],
    ['a Blob', new Blob(['x']), true],
    ['a form', new FormData(), true],
    ['a stream', new ReadableStream(), false],
    ['an async iterable', (async function* () {})(), false],
    ['an object', {}, false],
    ['a function', () => undefined, false],
  ])('%s: %s', (_, body, expected) => {
    expect(replayable(body)).toBe(expected);
  });

  it('takes a request without anything', () => {
    const request = { method: 'GET', path: '/', init: undefined };
    expect(httpProtocol.replay?.(request)).toBe(request);
  });
});
