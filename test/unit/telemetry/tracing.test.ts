import { context, diag, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import {
  type Call,
  cancelSource,
  compose,
  createCall,
  currentCall,
  derive,
  type Handler,
  type Middleware,
  nameOperation,
  type Outcome,
  type Protocol,
  refusal,
  runWithCall,
} from 'keelson/core';
import {
  attemptTracing,
  type HttpServerExchange,
  httpClientSemantics,
  httpServerSemantics,
  type Semantics,
  traceOf,
  tracing,
} from 'keelson/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { clientCall, leafTo, trustedCall } from '../../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

interface Question {
  readonly method: string;
  readonly path: string;
}
interface Answer {
  readonly status: number;
}
const question: Question = { method: 'GET', path: '/items/7' };

const exchange = (statusCode = 200, url = '/orders/1?page=2'): HttpServerExchange => ({
  req: {
    method: 'GET',
    url,
    httpVersion: '1.1',
    headers: { host: 'shop.internal:8443', 'user-agent': 'test' },
    socket: { remoteAddress: '10.0.0.9', remotePort: 4711 },
  },
  res: { statusCode },
});

let sdk: TracingSdk;
beforeEach(() => {
  sdk = tracingSdk();
});
afterEach(async () => {
  await sdk.stop();
});

const only = (): ReadableSpan => {
  expect(sdk.spans()).toHaveLength(1);
  return sdk.spans()[0] as ReadableSpan;
};

const served = (
  answer: Handler<HttpServerExchange, HttpServerExchange>,
  protocol?: Protocol<HttpServerExchange, HttpServerExchange>,
) =>
  compose<HttpServerExchange, HttpServerExchange>(
    [tracing({ side: 'server', semantics: httpServerSemantics, protocol })],
    answer,
  );

const sending = (
  leaf: Handler<Question, Answer>,
  protocol?: Protocol<Question, Answer>,
  between: readonly Middleware<Question, Answer>[] = [],
) =>
  compose<Question, Answer>(
    [tracing<Question, Answer>({ side: 'client', semantics: httpClientSemantics }), ...between],
    leafTo(
      'https://user:pw@[::1]/',
      attemptTracing<Question, Answer>({ semantics: httpClientSemantics, protocol })(leaf),
    ),
  );

/** A protocol whose responses end when the test says. */
function manualEnd<Req, Res>(): { protocol: Protocol<Req, Res>; end(outcome: Outcome): void } {
  const waiting: ((outcome: Outcome) => void)[] = [];
  return {
    protocol: {
      classify: (response) => (response === undefined ? 'failure' : 'success'),
      onEnd: (_, done) => waiting.push(done) > 0,
    },
    end: (outcome) => {
      for (const done of waiting) done(outcome);
    },
  };
}

describe('a SERVER span', () => {
  it('says what the conventions ask for', async () => {
    const call = trustedCall({ 'x-md-service-name': 'orders' }, 'GET /orders/:id');
    await served((it) => Promise.resolve(it))(exchange(), call);
    const span = only();
    expect(span.name).toBe('GET /orders/:id');
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
    expect(span.attributes).toEqual({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': '/orders/:id',
      'url.path': '/orders/1',
      'url.query': 'page=2',
      'url.scheme': 'http',
      'server.address': 'shop.internal',
      'server.port': 8443,
      'client.address': '10.0.0.9',
      'network.peer.address': '10.0.0.9',
      'network.peer.port': 4711,
      'network.protocol.version': '1.1',
      'user_agent.original': 'test',
      'service.peer.name': 'orders',
    });
  });

  it('is named by routing, however late', async () => {
    const call = trustedCall({}, 'GET');
    await served((it) => {
      nameOperation(call, 'GET /late/:id');
      return Promise.resolve(it);
    })(exchange(), call);
    expect(only().name).toBe('GET /late/:id');
    expect(only().attributes['http.route']).toBe('/late/:id');
  });

  it('is there for the handler: as active span, for logs, for spans below it', async () => {
    let inside: Span | undefined;
    let ids: unknown;
    const call = trustedCall({});
    await served((it) => {
      inside = trace.getActiveSpan();
      ids = traceOf();
      return Promise.resolve(it);
    })(exchange(), call);
    const { traceId, spanId } = only().spanContext();
    expect(inside?.spanContext().spanId).toBe(spanId);
    expect(ids).toEqual({ traceId, spanId, flags: '01' });
    expect(traceOf(call)).toEqual(ids);
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('ends once, with the body', async () => {
    const { protocol, end } = manualEnd<HttpServerExchange, HttpServerExchange>();
    await served((it) => Promise.resolve(it), protocol)(exchange(), trustedCall({}));
    expect(sdk.spans()).toEqual([]);
    // An SDK complains when a span that has ended is touched again.
    const complain = vi.fn();
    diag.setLogger({ error: complain, warn: complain, info: complain, debug: vi.fn(), verbose: vi.fn() });
    end('ignored');
    end('failure');
    expect(complain).not.toHaveBeenCalled();
    diag.disable();
    expect(only().attributes['keelson.outcome']).toBe('ignored');
    expect(only().status.code).toBe(SpanStatusCode.UNSET);
  });

  it.each([
    [404, undefined, SpanStatusCode.UNSET],
    [500, '500', SpanStatusCode.ERROR],
    [503, '503', SpanStatusCode.ERROR],
  ])('a status of %i is error.type %s', async (status, type, code) => {
    await served((it) => Promise.resolve(it))(exchange(status), trustedCall({}));
    expect(only().attributes['error.type']).toBe(type);
    expect(only().status.code).toBe(code);
  });

  it('carries a rejection', async () => {
    const refused = refusal('OVERLOADED', 'too much', { side: 'server' });
    await expect(served(() => Promise.reject(refused))(exchange(), trustedCall({}))).rejects.toBe(refused);
    const span = only();
    expect(span.attributes).toMatchObject({
      'keelson.rejection': 'OVERLOADED',
      'error.type': 'OVERLOADED',
      'http.response.status_code': 503,
    });
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: 'too much' });
    expect(span.events.map((event) => event.name)).toEqual(['exception']);
  });

  it('carries what the handler threw when it was answered inside; a refusal that is the caller’s is no error', async () => {
    const { handlerError } = await import('keelson/core');
    const call = trustedCall({});
    call.values.set(handlerError, refusal('RATE_LIMITED', 'slow down'));
    await served((it) => Promise.resolve(it))(exchange(429), call);
    expect(only().attributes['keelson.rejection']).toBe('RATE_LIMITED');
    expect(only().status.code).toBe(SpanStatusCode.UNSET);
    sdk.reset();
    const other = trustedCall({});
    other.values.set(handlerError, new RangeError('no'));
    await served((it) => Promise.resolve(it))(exchange(500), other);
    expect(only().attributes['error.type']).toBe('RangeError');
    expect(only().status.message).toBe('no');
  });

  it('a handler that throws at once is a rejection', async () => {
    await expect(
      served(() => {
        throw new Error('at once');
      })(exchange(), trustedCall({})),
    ).rejects.toThrow('at once');
    expect(only().attributes['error.type']).toBe('Error');
  });

  it('of our own is adopted by the next one in: one SERVER span', async () => {
    const twice = served(served((it) => Promise.resolve(it)));
    await twice(exchange(), trustedCall({}, 'GET /orders/:id'));
    expect(only().name).toBe('GET /orders/:id');
  });

  it.each([
    ['/f?sig=abc&a=1', 'sig=REDACTED&a=1'],
    ['/f?a=1&X-Amz-Signature=abc', 'a=1&X-Amz-Signature=REDACTED'],
    ['/f?design=abc', 'design=abc'],
    ['/f', undefined],
  ])('of %s tells the query %s', async (url, query) => {
    await served((it) => Promise.resolve(it))(exchange(200, url), trustedCall({}));
    expect(only().attributes['url.query']).toBe(query);
    expect(only().attributes['url.path']).toBe('/f');
  });

  it('says whatever odd the request is', async () => {
    const odd: HttpServerExchange = {
      req: { method: 'BREW', url: undefined, headers: { host: 'a b' }, socket: null },
      res: { statusCode: 200 },
    };
    await served((it) => Promise.resolve(it))(odd, trustedCall({}, 'BREW'));
    expect(only().name).toBe('HTTP');
    expect(only().attributes).toEqual({
      'http.request.method': '_OTHER',
      'http.request.method_original': 'BREW',
      'http.response.status_code': 200,
      'url.path': '/',
      'url.scheme': 'http',
    });
  });
});

describe('a span of an instrumentation that is over', () => {
  it('is left over from whoever started the server, and is not adopted', async () => {
    const span = trace.getTracer('instrumentation').startSpan('GET');
    const key = Symbol.for('OpenTelemetry SDK Context Key RPC_METADATA');
    const left = trace.setSpan(context.active(), span).setValue(key, { type: 'http', span });
    const handler = served((it) => Promise.resolve(it));
    await context.with(left, () => handler(exchange(), trustedCall({})));
    expect(sdk.spans()).toEqual([]);
    span.end();
    sdk.reset();
    await context.with(left, () => handler(exchange(), trustedCall({})));
    expect(only().parentSpanContext).toBeUndefined();
  });
});

describe('a CLIENT span', () => {
  it('tells the address without the password', async () => {
    await sending(() => Promise.resolve({ status: 204 }))(question, clientCall());
    expect(only().attributes).toMatchObject({
      'server.address': '::1',
      'server.port': 443,
      'url.full': 'https://[::1]/items/7',
      'service.peer.name': 'users',
    });
  });

  it('is an error from 400 on', async () => {
    await sending(() => Promise.resolve({ status: 404 }))(question, clientCall());
    expect(only().attributes['error.type']).toBe('404');
    expect(only().status.code).toBe(SpanStatusCode.ERROR);
  });

  it('says nothing of a body that ended well', async () => {
    const { protocol, end } = manualEnd<Question, Answer>();
    await sending(() => Promise.resolve({ status: 200 }), protocol)(question, clientCall());
    end('success');
    expect(Object.keys(only().attributes)).not.toContain('keelson.outcome');
  });

  it('ends with the body; one that breaks off is an error', async () => {
    const { protocol, end } = manualEnd<Question, Answer>();
    await sending(() => Promise.resolve({ status: 200 }), protocol)(question, clientCall());
    expect(sdk.spans()).toEqual([]);
    end('failure');
    expect(only().attributes).toMatchObject({ 'error.type': 'body', 'keelson.outcome': 'failure' });
  });

  it.each<[string, unknown, string]>([
    ['a code', Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'ECONNRESET'],
    [
      'a code behind it',
      new TypeError('fetch failed', { cause: { code: 'UND_ERR_SOCKET' } }),
      'UND_ERR_SOCKET',
    ],
    ['a text for a code', Object.assign(new Error('x'), { code: 'user 42 is gone' }), 'Error'],
    ['a class', new RangeError('x'), 'RangeError'],
    ['no error at all', 'gone', '_OTHER'],
    ['nothing', undefined, '_OTHER'],
  ])('names %s', async (_, thrown, type) => {
    await expect(sending(() => Promise.reject(thrown))(question, clientCall())).rejects.toBe(thrown);
    expect(only().attributes['error.type']).toBe(type);
    expect(only().events).toHaveLength(1);
  });

  it('that its caller gave up is no error; that ran out of time is', async () => {
    const source = cancelSource();
    const call = derive(clientCall(), { cancel: source });
    source.abort(new Error('changed my mind'));
    await expect(sending(() => Promise.reject(source.reason))(question, call)).rejects.toThrow();
    expect(only().status.code).toBe(SpanStatusCode.UNSET);
    expect(only().events).toEqual([]);
    sdk.reset();
    const late = cancelSource();
    late.abort(refusal('DEADLINE_EXCEEDED', 'too late'));
    const timed = sending(() => Promise.reject(new DOMException('aborted', 'AbortError')));
    await expect(timed(question, derive(clientCall(), { cancel: late }))).rejects.toThrow('aborted');
    expect(only().attributes).toMatchObject({ 'error.type': 'DEADLINE_EXCEEDED' });
    expect(only().status.code).toBe(SpanStatusCode.ERROR);
  });

  it('of a try that begins in somebody else’s context has its own caller as parent', async () => {
    const tracer = trace.getTracer('user');
    const mine = tracer.startSpan('mine');
    const theirs = tracer.startSpan('theirs');
    const elsewhere: Middleware<Question, Answer> = (next) => (request, call) =>
      context.with(trace.setSpan(context.active(), theirs), () => next(request, call));
    const client = sending(() => Promise.resolve({ status: 200 }), undefined, [elsewhere]);
    await context.with(trace.setSpan(context.active(), mine), () => client(question, clientCall()));
    expect(only().parentSpanContext?.spanId).toBe(mine.spanContext().spanId);
  });

  it('is made without a `tracing` around the tries too', async () => {
    const send = attemptTracing<Question, Answer>({ semantics: httpClientSemantics })(() =>
      Promise.resolve({ status: 200 }),
    );
    await send(question, clientCall());
    expect(only().name).toBe('GET');
  });
});

describe('a call that is refused before any try', () => {
  it.each([false, true])(
    'leaves its span with the provider that was given; logicalSpan: %s',
    async (logicalSpan) => {
      const exporter = new InMemorySpanExporter();
      const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
      const client = compose<Question, Answer>(
        [
          tracing<Question, Answer>({
            side: 'client',
            semantics: httpClientSemantics,
            logicalSpan,
            tracerProvider,
          }),
        ],
        () => Promise.reject(refusal('NO_ENDPOINT', 'none')),
      );
      await expect(client(question, clientCall('GET /items/:id'))).rejects.toThrow('none');
      expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['users GET /items/:id']);
      expect(sdk.spans()).toEqual([]);
    },
  );

  it('leaves a span all the same', async () => {
    const refuse: Middleware<Question, Answer> = () => () => Promise.reject(refusal('NO_ENDPOINT', 'none'));
    const client = sending(() => Promise.resolve({ status: 200 }), undefined, [refuse]);
    await expect(client(question, clientCall('GET /items/:id'))).rejects.toThrow('none');
    expect(only().name).toBe('users GET /items/:id');
    expect(only().attributes).toMatchObject({ 'keelson.rejection': 'NO_ENDPOINT', 'keelson.attempts': 0 });
  });

  it('whose tries failed leaves none besides theirs', async () => {
    await expect(sending(() => Promise.reject(new Error('x')))(question, clientCall())).rejects.toThrow('x');
    expect(only().name).toBe('GET');
  });
});

describe('what is not recorded', () => {
  it('costs no attributes, and is carried on', async () => {
    await sdk.stop();
    sdk = tracingSdk({ sampler: new AlwaysOffSampler() });
    const asked = vi.spyOn(httpServerSemantics, 'requestAttributes');
    const sent = vi.spyOn(httpClientSemantics, 'requestAttributes');
    let header: string | undefined;
    const client = sending((_, call) => {
      header = call.headers.get('traceparent');
      return Promise.resolve({ status: 200 });
    });
    await served(async (it) => {
      await client(question, clientCall());
      return it;
    })(exchange(), trustedCall({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }));
    expect(asked).not.toHaveBeenCalled();
    expect(sent).not.toHaveBeenCalled();
    expect(header).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[\da-f]{16}-00$/);
    vi.restoreAllMocks();
  });

  it('gives samplers the attributes only on demand', async () => {
    const seen: number[] = [];
    const sampler: Sampler = {
      shouldSample: (_context, _traceId, _name, _kind, attributes) => {
        seen.push(Object.keys(attributes).length);
        return { decision: SamplingDecision.NOT_RECORD };
      },
      toString: () => 'counting',
    };
    await sdk.stop();
    sdk = tracingSdk({ sampler });
    for (const sampleByAttributes of [false, true]) {
      const handler = compose<HttpServerExchange, HttpServerExchange>(
        [tracing({ side: 'server', semantics: httpServerSemantics, sampleByAttributes })],
        (it) => Promise.resolve(it),
      );
      await handler(exchange(), trustedCall({}));
    }
    expect(seen[0]).toBe(0);
    expect(seen[1]).toBeGreaterThan(5);
  });
});

describe('an SDK that comes late', () => {
  it('is used by middlewares that were made before', async () => {
    await sdk.stop();
    const handler = served((it) => Promise.resolve(it));
    await handler(exchange(), trustedCall({}));
    sdk = tracingSdk();
    await handler(exchange(), trustedCall({}));
    expect(sdk.spans()).toHaveLength(1);
  });
});

describe('a context manager without a tracer', () => {
  it('still carries what came', async () => {
    trace.disable();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const remote = trace.setSpanContext(context.active(), {
      traceId: traceparent.slice(3, 35),
      spanId: traceparent.slice(36, 52),
      traceFlags: 1,
    });
    let sent: string | undefined;
    const client = sending((_, call) => {
      sent = call.headers.get('traceparent');
      return Promise.resolve({ status: 200 });
    });
    await context.with(remote, () => client(question, clientCall()));
    expect(sent).toBe(traceparent);
  });
});

describe('a propagator that speaks more than W3C', () => {
  it('is asked for what we do not write, and heard when W3C says nothing', async () => {
    await sdk.stop();
    const key = Symbol.for('test.b3');
    sdk = tracingSdk({
      propagator: {
        fields: () => ['b3', 'traceparent'],
        inject: (ctx, carrier, setter) => {
          setter.set(carrier, 'b3', trace.getSpanContext(ctx)?.traceId ?? '');
          setter.set(carrier, 'traceparent', 'written by somebody else');
        },
        extract: (ctx, carrier, getter) => {
          const traceId = getter.get(carrier, 'b3');
          expect(getter.get(carrier, 'traceparent')).toBeUndefined();
          expect(getter.keys(carrier)).not.toContain('traceparent');
          return typeof traceId === 'string'
            ? trace.setSpanContext(ctx.setValue(key, 1), {
                traceId,
                spanId: 'b7ad6b7169203331',
                traceFlags: 1,
              })
            : ctx;
        },
      },
    });
    const sent: Record<string, string | undefined> = {};
    const client = sending((_, call) => {
      for (const name of call.headers.keys()) sent[name] = call.headers.get(name);
      return Promise.resolve({ status: 200 });
    });
    const b3 = '1af7651916cd43dd8448eb211c80319c';
    await served(async (it) => {
      await client(question, clientCall());
      return it;
    })(exchange(), trustedCall({ b3, traceparent: 'broken' }));
    expect(sent['b3']).toBe(b3);
    expect(sent['traceparent']).toMatch(new RegExp(`^00-${b3}-`));
  });
});

describe('a semantics of the user that throws', () => {
  it('costs attributes and never a call', async () => {
    const broken: Semantics<Question, Answer> = {
      ...httpClientSemantics,
      responseAttributes: () => {
        throw new Error('mine');
      },
    };
    const send = attemptTracing<Question, Answer>({ semantics: broken })(() =>
      Promise.resolve({ status: 200 }),
    );
    await expect(send(question, clientCall())).resolves.toEqual({ status: 200 });
    expect(only().name).toBe('GET');
  });

  it('also when it throws at everything', async () => {
    const fail = () => {
      throw new Error('mine');
    };
    const broken = {
      ...httpServerSemantics,
      spanName: fail,
      requestAttributes: fail,
      responseAttributes: fail,
    };
    for (const sampleByAttributes of [false, true]) {
      const handler = compose<HttpServerExchange, HttpServerExchange>(
        [tracing({ side: 'server', semantics: broken, sampleByAttributes })],
        (it) => Promise.resolve(it),
      );
      await handler(exchange(), trustedCall({}, 'GET /orders/:id'));
    }
    expect(sdk.spans().map((span) => span.name)).toEqual(['GET /orders/:id', 'GET /orders/:id']);
  });
});

describe('a tracer provider of one’s own', () => {
  it('is used instead of the global one', async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    const handler = compose<HttpServerExchange, HttpServerExchange>(
      [tracing({ side: 'server', semantics: httpServerSemantics, tracerProvider })],
      (it) => Promise.resolve(it),
    );
    await handler(exchange(), trustedCall({}));
    expect(sdk.spans()).toEqual([]);
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });
});

describe('without a context manager', () => {
  it('the inbound call leads to the SERVER span', async () => {
    await sdk.stop();
    sdk = tracingSdk({ contextManager: false });
    let ids: ReturnType<typeof traceOf>;
    let call: Call | undefined;
    const handler = served((it, inbound) =>
      runWithCall(inbound, async () => {
        await Promise.resolve();
        call = currentCall();
        ids = traceOf();
        return it;
      }),
    );
    const inbound = createCall({ side: 'server', service: 'shop', operation: 'GET' });
    await handler(exchange(), inbound);
    expect(call).toBe(inbound);
    expect(ids?.spanId).toBe(only().spanContext().spanId);
  });
});
