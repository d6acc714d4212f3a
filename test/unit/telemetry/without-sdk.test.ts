import { metrics as metricsApi, trace } from '@opentelemetry/api';
import {
  type Call,
  type CallInit,
  carrier,
  compose,
  createCall,
  fork,
  type Handler,
  runWithCall,
} from 'keelson/core';
import {
  apiMismatch,
  attemptMetrics,
  attemptTracing,
  callerOf,
  httpClientSemantics,
  httpServerSemantics,
  metrics,
  serviceNameHeader,
  traceOf,
  tracing,
} from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';
import { clientCall, trustedCall } from '../../doubles/traced-services.js';

// No SDK is ever registered in this file: OpenTelemetry's own context does nothing.

const semantics = httpClientSemantics;
const request = { method: 'GET', path: '/' };

interface Answer {
  readonly status: number;
}
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const serverCall = (headers: Record<string, string>, init: Partial<CallInit> = {}): Call =>
  createCall({ side: 'server', service: 'shop', operation: 'GET', headers: carrier(headers), ...init });

/** What a client sends while it serves `inbound`. */
async function sentWhile(
  inbound: Call | undefined,
  given: Record<string, string> = {},
): Promise<Record<string, string>> {
  let sent: Record<string, string> = {};
  const leaf: Handler<typeof request, Answer> = (_, call) => {
    sent = Object.fromEntries([...call.headers.keys()].map((name) => [name, call.headers.get(name) ?? '']));
    return Promise.resolve({ status: 200 });
  };
  const client = compose(
    [
      tracing<typeof request, Answer>({ side: 'client', semantics, service: 'shop' }),
      attemptTracing<typeof request, Answer>({ semantics }),
    ],
    leaf,
  );
  const run = () => client(request, clientCall('GET', given));
  await (inbound === undefined ? run() : runWithCall(inbound, run));
  return sent;
}

describe('propagation without an SDK', () => {
  it('nothing came, nothing goes but the name of the service', async () => {
    expect(await sentWhile(undefined)).toEqual({ [serviceNameHeader]: 'shop' });
    expect(await sentWhile(serverCall({}))).toEqual({ [serviceNameHeader]: 'shop' });
  });

  it('trace and state go on as they came', async () => {
    const inbound = serverCall({ traceparent, tracestate: 'a=1, b=2' });
    expect(await sentWhile(inbound)).toEqual({
      [serviceNameHeader]: 'shop',
      traceparent,
      tracestate: 'a=1,b=2',
    });
  });

  it('replaces what the caller wrote by hand, in whatever case, and a state that belongs to it', async () => {
    const inbound = serverCall({ traceparent });
    const by = { TraceParent: traceparent.replace('b7', 'c8'), tracestate: 'other=1' };
    expect(await sentWhile(inbound, by)).toEqual({
      [serviceNameHeader]: 'shop',
      traceparent,
      tracestate: '',
    });
  });

  it('leaves headers of the caller alone when it has none of its own', async () => {
    expect(await sentWhile(undefined, { traceparent, baggage: 'a=1' })).toMatchObject({
      traceparent,
      baggage: 'a=1',
    });
  });

  it('a broken traceparent goes no further, and its state neither', async () => {
    const inbound = serverCall({ traceparent: traceparent.toUpperCase(), tracestate: 'a=1' });
    expect(await sentWhile(inbound)).toEqual({ [serviceNameHeader]: 'shop' });
  });

  it('baggage goes on only if the peer is trusted', async () => {
    const headers = { baggage: 'tenant=acme;p=1,broken,b=%20' };
    expect(await sentWhile(serverCall(headers))).not.toHaveProperty('baggage');
    expect(await sentWhile(trustedCall(headers))).toMatchObject({ baggage: 'tenant=acme;p=1,b=%20' });
  });

  it('all tries carry the same, also those that begin in nobody’s context', async () => {
    const sent: (string | undefined)[] = [];
    const again: Call[] = [];
    const client = compose(
      [
        tracing<typeof request, Answer>({ side: 'client', semantics }),
        (next) => (req, call) => {
          again.push(fork(call));
          return next(req, call);
        },
      ],
      attemptTracing<typeof request, Answer>({ semantics })((_, call) => {
        sent.push(call.headers.get('traceparent'));
        return Promise.resolve({ status: 200 });
      }),
    );
    await runWithCall(serverCall({ traceparent }), () => client(request, clientCall()));
    const send = attemptTracing<typeof request, Answer>({ semantics })((_, call) => {
      sent.push(call.headers.get('traceparent'));
      return Promise.resolve({ status: 200 });
    });
    await send(request, again[0] as Call);
    expect(sent).toEqual([traceparent, traceparent]);
  });
});

describe('a server without an SDK', () => {
  it('hands over the very promise of the handler: it costs nothing', () => {
    const answer = Promise.resolve({ req: { headers: {} }, res: { statusCode: 200 } });
    const handler = compose(
      [
        tracing<Awaited<typeof answer>, Awaited<typeof answer>>({
          side: 'server',
          semantics: httpServerSemantics,
        }),
        metrics<Awaited<typeof answer>, Awaited<typeof answer>>({
          side: 'server',
          semantics: httpServerSemantics,
        }),
        attemptMetrics(),
      ],
      () => answer,
    );
    expect(handler({ req: { headers: {} }, res: { statusCode: 200 } }, serverCall({ traceparent }))).toBe(
      answer,
    );
  });
});

describe('traceOf without an SDK', () => {
  const ids = { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52), flags: '01' };

  it('tells what the caller sent', () => {
    const inbound = serverCall({ traceparent });
    expect(traceOf(inbound)).toEqual(ids);
    expect(runWithCall(inbound, () => traceOf())).toEqual(ids);
  });

  it('is undefined where there is no trace', () => {
    expect(traceOf()).toBeUndefined();
    expect(traceOf(serverCall({}))).toBeUndefined();
    expect(traceOf(serverCall({ traceparent: 'x' }))).toBeUndefined();
    // What a client is about to send says nothing of who calls.
    expect(traceOf(clientCall('GET', { traceparent }))).toBeUndefined();
  });
});

describe('callerOf', () => {
  it.each([
    ['orders', 'orders'],
    ['team/orders.v1:blue@eu', 'team/orders.v1:blue@eu'],
    ['', undefined],
    ['two words', undefined],
    ['x'.repeat(129), undefined],
  ])('%j is %j', (name, expected) => {
    expect(callerOf(trustedCall({ [serviceNameHeader]: name }))).toBe(expected);
    expect(callerOf(serverCall({ [serviceNameHeader]: name }))).toBeUndefined();
  });

  it('is nobody on a client', () => {
    expect(callerOf(clientCall('GET', { [serviceNameHeader]: 'orders' }))).toBeUndefined();
  });
});

describe('options', () => {
  it.each([
    [
      () => tracing({ side: 'sideways', semantics } as never),
      /tracing\.side must be one of "client", "server"/,
    ],
    [() => tracing(undefined as never), /tracing\.side/],
    [() => tracing({ side: 'client' } as never), /tracing\.semantics must be a Semantics/],
    [
      () => tracing({ side: 'server', semantics, service: 'x' } as never),
      /tracing\.service is not an option/,
    ],
    [() => attemptTracing({ semantics, side: 'client' } as never), /attemptTracing\.side is not an option/],
    [() => attemptTracing({ semantics, sampleByAttributes: 1 } as never), /must be a boolean/],
    [() => metrics({ side: 'client' } as never), /metrics\.semantics/],
    [() => metrics({ semantics } as never), /metrics\.side/],
    [() => attemptMetrics({ x: 1 } as never), /attemptMetrics\.x is not an option/],
  ])('%s', (make, message) => {
    expect(make).toThrow(message);
  });
});

describe('an SDK that was registered through another version of the api', () => {
  const slot = Symbol.for('opentelemetry.js.api.1');
  const home = globalThis as { [slot]?: unknown };

  it('is not seen, which is told on demand; trace and calls go on', async () => {
    expect(apiMismatch()).toBeUndefined();
    const before = home[slot];
    home[slot] = {
      version: '1.2.0',
      trace: trace.getTracerProvider(),
      metrics: metricsApi.getMeterProvider(),
    };
    try {
      expect(apiMismatch()).toMatch(/api 1\.2\.0.*install one @opentelemetry\/api/);
      expect(await sentWhile(serverCall({ traceparent }))).toMatchObject({ traceparent });
    } finally {
      home[slot] = before;
    }
    expect(apiMismatch()).toBeUndefined();
  });
});

it('the doubles registered nothing', () => {
  expect(trace.getTracer('x').startSpan('y').isRecording()).toBe(false);
  expect(metricsApi.getMeter('x').constructor.name).toBe('NoopMeter');
});
