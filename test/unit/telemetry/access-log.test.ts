import {
  type Call,
  cancelSource,
  carrier,
  compose,
  createCall,
  type Handler,
  type Middleware,
  noteResponseFlag,
  noteRetriedBelow,
  type Outcome,
  type Protocol,
  refusal,
  type rejections,
  runWithCall,
  trustedPeer,
} from 'keelson/core';
import { createBus } from 'keelson/stack';
import {
  type AccessLogOptions,
  accessLog,
  accessLogDefaults,
  admitted,
  type HttpServerExchange,
  httpServerSemantics,
  type LineStream,
  type Semantics,
  tracing,
} from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { tracingSdk } from '../../doubles/tracing-sdk.js';

type Exchange = HttpServerExchange;
type Reply = { -readonly [Field in keyof Exchange['res']]: Exchange['res'][Field] };

const exchange = (
  req: Partial<Exchange['req']> = {},
  res: Partial<Reply> = {},
): Exchange & { res: Reply } => ({
  req: {
    method: 'GET',
    url: '/orders/7?token=secret',
    httpVersion: '1.1',
    headers: { 'user-agent': 'curl/8' },
    socket: { remoteAddress: '10.0.0.9', remotePort: 4711 },
    ...req,
  },
  res: { statusCode: 200, ...res },
});

const inbound = (
  headers: Record<string, string> = {},
  operation = 'GET /orders/:id',
  cancel = cancelSource(),
) => {
  const call = createCall({ side: 'server', service: 'shop', operation, headers: carrier(headers), cancel });
  call.values.set(trustedPeer, true);
  return call;
};

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** What `recover` does. */
const recovers: Middleware<Exchange, Exchange> = (next) => (request, call) =>
  next(request, call).catch((error: unknown) => {
    call.values.set({ symbol: Symbol.for('keelson.key.keelson.handlerError') }, error);
    (request.res as Reply).statusCode = (error as { httpStatus?: number }).httpStatus ?? 500;
    return request;
  });

const wallMs = Date.parse('2026-11-22T12:00:00Z');

function scene(options: AccessLogOptions = {}, protocol?: Protocol<Exchange, Exchange>) {
  const clock = manualClock(0, wallMs);
  const lines: string[] = [];
  const log = accessLog({ to: (line) => lines.push(line), clock, ...options });
  closers.push(() => log.close());
  const serve = (
    handler: Handler<Exchange, Exchange>,
    request = exchange(),
    call: Call = inbound(),
  ): Promise<Exchange> =>
    compose<Exchange, Exchange>(
      [log.middleware({ semantics: httpServerSemantics, protocol }), recovers, admitted({ clock })],
      handler,
    )(request, call);
  return { clock, lines, log, serve, json: () => lines.map((line) => JSON.parse(line)) };
}

describe('a line', () => {
  it('says what was asked, answered, how long it took', async () => {
    const { clock, serve, json } = scene();
    const call = inbound({ 'x-md-service-name': 'web' });
    await serve(
      async (it) => {
        await clock.advance(12.5);
        return it;
      },
      exchange(),
      call,
    );
    expect(json()).toEqual([
      {
        time: '2026-11-22T12:00:00.000Z',
        service: 'shop',
        caller: 'web',
        operation: 'GET /orders/:id',
        method: 'GET',
        path: '/orders/7',
        protocol: 'HTTP/1.1',
        status: 200,
        duration_ms: 12.5,
        wait_ms: 0,
        response_flags: '-',
        peer: '10.0.0.9',
        user_agent: 'curl/8',
      },
    ]);
  });

  it('as text, in the order of Envoy’s', async () => {
    const { lines, serve } = scene({ format: 'text', query: true, fields: () => ({ tenant: 'acme', n: 3 }) });
    await serve((it) => Promise.resolve(it));
    expect(lines).toEqual([
      '[2026-11-22T12:00:00.000Z] "GET /orders/7?token=secret HTTP/1.1" 200 - 0 10.0.0.9 "curl/8" - "GET /orders/:id" - tenant="acme" n=3',
    ]);
  });

  it('has the ids of the span', async () => {
    const sdk = tracingSdk();
    const { log, json } = scene();
    const server = compose<Exchange, Exchange>(
      [
        tracing({ side: 'server', semantics: httpServerSemantics }),
        log.middleware({ semantics: httpServerSemantics }),
      ],
      (it) => Promise.resolve(it),
    );
    await server(exchange(), inbound());
    const { traceId, spanId } = sdk.spans()[0]?.spanContext() ?? {};
    expect(json()[0]).toMatchObject({ trace_id: traceId, span_id: spanId, trace_flags: '01' });
    await sdk.stop();
  });

  it('or, without an SDK, those of the caller', async () => {
    const { serve, json } = scene();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    await serve((it) => Promise.resolve(it), exchange(), inbound({ traceparent }));
    expect(json()[0]).toMatchObject({
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      trace_flags: '00',
    });
  });

  it('comes at the end of the body, once', async () => {
    const ends: ((outcome: Outcome) => void)[] = [];
    const { clock, serve, json } = scene(
      {},
      { classify: () => 'success', onEnd: (_, done) => ends.push(done) > 0 },
    );
    await serve((it) => Promise.resolve(it));
    expect(json()).toEqual([]);
    await clock.advance(50);
    for (const end of [...ends, ...ends]) end('success');
    expect(json()).toHaveLength(1);
    expect(json()[0].duration_ms).toBe(50);
  });

  it('tells what of it was spent in line', async () => {
    const { clock, log, json } = scene();
    const queue: Middleware<Exchange, Exchange> = (next) => async (request, call) => {
      await clock.advance(30);
      return next(request, call);
    };
    const server = compose<Exchange, Exchange>(
      [log.middleware({ semantics: httpServerSemantics }), queue, admitted({ clock })],
      async (it) => {
        await clock.advance(5);
        return it;
      },
    );
    await server(exchange(), inbound());
    expect(json()[0]).toMatchObject({ duration_ms: 35, wait_ms: 30 });
  });

  it('of a wire that says nothing of lines has what its spans say', async () => {
    const { log, json } = scene();
    const semantics = {
      ...httpServerSemantics,
      access: undefined,
      requestAttributes: () => ({ 'rpc.system.name': 'grpc', 'network.peer.address': '::1' }),
      responseAttributes: () => ({ 'rpc.response.status_code': 'OK' }),
    } as unknown as Semantics<Exchange, Exchange>;
    const { access: _, ...bare } = semantics;
    await compose<Exchange, Exchange>([log.middleware({ semantics: bare })], (it) => Promise.resolve(it))(
      exchange(),
      inbound({}, '/shop.Orders/Get'),
    );
    expect(json()[0]).toMatchObject({
      operation: '/shop.Orders/Get',
      protocol: 'grpc',
      status: 'OK',
      peer: '::1',
    });
    expect(json()[0]).not.toHaveProperty('method');
  });
});

describe('nothing that others wrote', () => {
  const nasty = [
    '/a\r\nfake line',
    '/"},{"status":200',
    '/\\',
    '/\u001b[31m',
    '/\u009b31m',
    '/\u2028\u2029',
    '/\u202eevil',
    '/\u0000\u007f',
    `/${'x'.repeat(10_000)}`,
    '/\ud800',
  ];

  const harmful = (line = '') =>
    Array.from(line, (character) => character.codePointAt(0) as number).filter(
      (code) => code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e),
    );

  it.each(nasty)('breaks a line of JSON: %j', async (url) => {
    const { lines, serve, json } = scene();
    await serve(
      (it) => Promise.resolve(it),
      exchange({ url, method: url, headers: { 'user-agent': url } }),
      inbound({}, url),
    );
    expect(lines).toHaveLength(1);
    expect(harmful(lines[0])).toEqual([]);
    expect(lines[0]?.length).toBeLessThan(10_000);
    expect(json()[0]).toMatchObject({
      status: 200,
      path: url.length > 3000 ? expect.any(String) : expect.stringContaining('/'),
    });
  });

  it.each(nasty)('breaks a line of text: %j', async (url) => {
    const { lines, serve } = scene({ format: 'text', fields: () => ({ [url]: url }) });
    await serve(
      (it) => Promise.resolve(it),
      exchange({ url, headers: { 'user-agent': url } }),
      inbound({}, url),
    );
    expect(lines).toHaveLength(1);
    expect(harmful(lines[0])).toEqual([]);
    // Outside of quotes there are as many words as always.
    const bare = (lines[0] ?? '').replace(/"(?:[^"\\]|\\.)*"/g, '""');
    expect(bare.split(' ')).toHaveLength(11);
  });

  it('nor do fields of the user’s, whatever they hold', async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const { serve, json } = scene({
      fields: () => ({
        cyclic,
        big: 10n,
        none: undefined,
        nan: Number.NaN,
        list: [1, '\n'],
        status: 999,
        'a"b': 'c\nd',
        symbol: Symbol('x'),
        long: { text: 'x'.repeat(5000) },
      }),
    });
    await serve((it) => Promise.resolve(it));
    expect(json()[0]).toMatchObject({
      big: 10,
      list: [1, '\n'],
      status: 200,
      'a"b': 'c\nd',
      long: expect.any(String),
    });
    expect(json()[0]).not.toHaveProperty('cyclic');
    const throwing = scene({
      fields: () => {
        throw new Error('no');
      },
    });
    await throwing.serve((it) => Promise.resolve(it));
    expect(throwing.json()).toHaveLength(1);
  });
});

describe('response flags', () => {
  it.each<[keyof typeof rejections, 'client' | 'server', string]>([
    ['NO_ENDPOINT', 'client', 'UH'],
    ['BREAKER_OPEN', 'client', 'UO'],
    ['OVERLOADED', 'client', 'UO'],
    ['OVERLOADED', 'server', 'OM'],
    ['RATE_LIMITED', 'server', 'RL'],
    ['DEADLINE_EXCEEDED', 'client', 'UT'],
    ['DEADLINE_EXCEEDED', 'server', 'DT'],
    ['CANCELLED', 'server', 'DC'],
    ['BODY_IDLE', 'client', 'SI'],
    ['BAD_ENDPOINT', 'client', 'UF'],
    ['SHUTTING_DOWN', 'server', 'LH'],
    ['INVALID_ARGUMENT', 'server', 'DPE'],
    ['INVALID_RESPONSE', 'client', 'UPE'],
    ['UNAUTHENTICATED', 'server', 'UAEX'],
    ['PERMISSION_DENIED', 'server', 'UAEX'],
    ['AUTH_UNAVAILABLE', 'server', 'UAEX'],
  ])('%s of a %s is %s', async (code, side, flag) => {
    const { serve, json } = scene();
    const error = refusal(code, 'no', { side });
    await serve(() => Promise.reject(error));
    expect(json()[0]).toMatchObject({
      response_flags: flag,
      rejection: code,
      status: error.httpStatus,
      error_type: code,
    });
  });

  it.each([
    [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'UF'],
    [new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }) }), 'DF'],
    [Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'UC'],
    [Object.assign(new Error('x'), { code: 'UND_ERR_HEADERS_TIMEOUT' }), 'UT'],
    [new Error('a bug'), '-'],
    ['a text', '-'],
  ])('of what a handler throws: %s', async (error, flag) => {
    const { serve, json } = scene();
    await serve(() => Promise.reject(error));
    expect(json()[0]).toMatchObject({ response_flags: flag, status: 500 });
  });

  it('DC of a client that went away, with no status before there was one', async () => {
    const { serve, json } = scene();
    const cancel = cancelSource();
    const call = inbound({}, 'GET', cancel);
    await serve(
      (it) => {
        cancel.abort(refusal('CANCELLED', 'gone', { side: 'server' }));
        return Promise.resolve(it);
      },
      exchange({}, { headersSent: false }),
      call,
    );
    expect(json()[0]).toMatchObject({ response_flags: 'DC' });
    expect(json()[0]).not.toHaveProperty('status');
  });

  it('URX where a handler passes on in words of its own what was tried in vain', async () => {
    const { serve, json } = scene();
    const call = inbound();
    await runWithCall(call, () =>
      serve(
        (it) => {
          noteRetriedBelow(1);
          (it.res as Reply).statusCode = 502;
          return Promise.resolve(it);
        },
        exchange(),
        call,
      ),
    );
    expect(json()[0]).toMatchObject({ response_flags: 'URX', status: 502, error_type: '502' });
  });

  it('FI and DI of whoever injects', async () => {
    const { serve, json } = scene();
    await serve((it, call) => {
      noteResponseFlag(call, 'DI');
      noteResponseFlag(call, 'FI');
      noteResponseFlag(call, 'DI');
      return Promise.resolve(it);
    });
    expect(json()[0].response_flags).toBe('DI,FI');
  });
});

describe('sampling', () => {
  const answering =
    (status: number): Handler<Exchange, Exchange> =>
    (it) => {
      (it.res as Reply).statusCode = status;
      return Promise.resolve(it);
    };

  it('leaves out what went well, and nothing else', async () => {
    const draws = [0.05, 0.5, 0.09, 0.1];
    const { clock, serve, json } = scene({
      sampleRatio: 0.1,
      slowMs: 100,
      random: () => draws.shift() as number,
    });
    for (const status of [200, 404, 201, 204]) await serve(answering(status));
    expect(json().map(({ status }) => status)).toEqual([200, 201]);
    await serve(answering(503));
    await serve(() => Promise.reject(refusal('RATE_LIMITED', 'no', { side: 'server' })));
    await serve(async (it) => {
      await clock.advance(100);
      return it;
    });
    expect(json().map(({ status }) => status)).toEqual([200, 201, 503, 429, 200]);
    expect(draws).toEqual([]);
  });

  it('of nothing still tells of failures', async () => {
    const { serve, json } = scene({ sampleRatio: 0, random: () => 0 });
    await serve(answering(200));
    await serve(answering(500));
    expect(json().map(({ status }) => status)).toEqual([500]);
  });
});

describe('requests that no call was made of', () => {
  it('share a line that counts them', () => {
    const { log, json } = scene();
    const bus = createBus();
    const stop = log.listen(bus);
    bus.emit('rejected', { service: 'shop', code: 'OVERLOADED', count: 40 });
    expect(json()).toEqual([
      expect.objectContaining({ count: 40, response_flags: 'OM', rejection: 'OVERLOADED', status: 503 }),
    ]);
    bus.emit('rejected', { service: 'shop', code: 'WHO_KNOWS', count: 1 });
    expect(json()[1]).toMatchObject({ response_flags: '-', count: 1 });
    stop();
    bus.emit('rejected', { service: 'shop', code: 'OVERLOADED', count: 40 });
    expect(json()).toHaveLength(2);
  });
});

describe('where lines go', () => {
  interface Pipe extends LineStream {
    readonly written: string[];
    full: boolean;
    drain(): void;
  }
  function pipe(): Pipe {
    const waiting: (() => void)[] = [];
    const made: Pipe = {
      written: [],
      full: false,
      write(text) {
        made.written.push(text);
        return !made.full;
      },
      once: (_, run) => waiting.push(run),
      drain() {
        made.full = false;
        for (const run of waiting.splice(0)) run();
      },
    };
    return made;
  }
  const ok: Handler<Exchange, Exchange> = (it) => Promise.resolve(it);

  it('a stream gets them together, after a moment', async () => {
    const to = pipe();
    const { clock, serve } = scene({ to });
    for (let left = 3; left > 0; left--) await serve(ok);
    expect(to.written).toEqual([]);
    await clock.advance(100);
    expect(to.written).toHaveLength(1);
    expect(to.written[0]?.trimEnd().split('\n')).toHaveLength(3);
    await clock.advance(1000);
    expect(to.written).toHaveLength(1);
  });

  it('or when there is enough', async () => {
    const to = pipe();
    const { serve } = scene({ to });
    for (let left = 100; left > 0; left--) await serve(ok);
    expect(to.written.length).toBeGreaterThan(0);
    expect(to.written[0]?.length).toBeGreaterThanOrEqual(16_384);
    expect(to.written[0]?.endsWith('}\n')).toBe(true);
  });

  it('one that does not keep up holds nobody up, and loses what is beyond the bound', async () => {
    const to = pipe();
    const { clock, log, serve } = scene({ to, maxHeldBytes: 1024 });
    to.full = true;
    await serve(ok);
    await clock.advance(100);
    for (let left = 50; left > 0; left--) await serve(ok);
    await clock.advance(1000);
    expect(to.written).toHaveLength(1);
    expect(log.lost).toBeGreaterThan(40);
    to.drain();
    expect(to.written).toHaveLength(2);
    const lines = to.written.join('').trimEnd().split('\n').length;
    expect(lines + log.lost).toBe(51);
  });

  it('what throws loses its lines', async () => {
    const broken = scene({
      to: {
        write: () => {
          throw new Error('gone');
        },
      },
    });
    await broken.serve(ok);
    await broken.serve(ok);
    await broken.clock.advance(100);
    expect(broken.log.lost).toBe(2);
    const told = scene({
      to: () => {
        throw new Error('no');
      },
    });
    await told.serve(ok);
    expect(told.log.lost).toBe(1);
  });

  it('the end writes what is held, and later lines at once', async () => {
    const to = pipe();
    const { log, serve } = scene({ to });
    await serve(ok);
    log.close();
    expect(to.written).toHaveLength(1);
    await serve(ok);
    expect(to.written).toHaveLength(2);
  });

  it('standard output unless told otherwise', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const { log, serve } = scene({ to: undefined });
    await serve(ok);
    log.flush();
    expect(write).toHaveBeenCalledWith(expect.stringMatching(/^\{"time":.*\}\n$/));
    write.mockRestore();
  });

  it('leaves no listener behind', () => {
    const before = process.listenerCount('exit');
    const stdout = process.stdout.listenerCount('error');
    const logs = Array.from({ length: 5 }, () => accessLog());
    for (const log of logs) log.close();
    expect(process.listenerCount('exit')).toBe(before);
    expect(process.stdout.listenerCount('error') - stdout).toBeLessThanOrEqual(1);
  });
});

describe('options', () => {
  it.each([
    [{ to: 7 }, TypeError, /accessLog\.to/],
    [{ format: 'xml' }, RangeError, /accessLog\.format/],
    [{ sampleRatio: 2 }, RangeError, /sampleRatio/],
    [{ slowMs: -1 }, RangeError, /slowMs/],
    [{ maxHeldBytes: 1 }, RangeError, /maxHeldBytes/],
    [{ fields: {} }, TypeError, /fields/],
    [{ query: 'no' }, TypeError, /query/],
    [{ colour: true }, TypeError, /colour/],
  ])('refuses %j', (options, kind, message) => {
    expect(() => accessLog(options as never)).toThrow(kind);
    expect(() => accessLog(options as never)).toThrow(message);
  });

  it('have the defaults that they say', () => {
    expect(accessLogDefaults).toMatchObject({ format: 'json', sampleRatio: 1, query: false });
  });

  it('a semantics that throws costs its fields', async () => {
    const { log, json } = scene();
    const semantics: Semantics<Exchange, Exchange> = {
      ...httpServerSemantics,
      access: () => {
        throw new Error('no');
      },
    };
    await compose<Exchange, Exchange>([log.middleware({ semantics })], ok)(exchange(), inbound());
    expect(json()[0]).toMatchObject({ operation: 'GET /orders/:id', response_flags: '-' });
    async function ok(it: Exchange): Promise<Exchange> {
      return it;
    }
  });
});
