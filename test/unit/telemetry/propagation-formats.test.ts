import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type Call, carrier, compose, createCall, type Handler, runWithCall } from 'keelson/core';
import {
  attemptTracing,
  type HttpServerExchange,
  httpClientSemantics,
  httpServerSemantics,
  type PropagationOptions,
  propagator,
  traceOf,
  tracing,
} from 'keelson/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { clientCall, trustedCall } from '../../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

const id = '0af7651916cd43dd8448eb211c80319c';
const short = '8448eb211c80319c';
const span = 'b7ad6b7169203331';
const other = '00f067aa0ba902b7';

interface Answer {
  readonly status: number;
}
const request = { method: 'GET', path: '/' };

let sdk: TracingSdk | undefined;
afterEach(async () => {
  await sdk?.stop();
  sdk = undefined;
  propagation.disable();
});

/** What goes out of a service that is called with these headers. */
async function passedOn(
  headers: Record<string, string>,
  how?: PropagationOptions,
): Promise<Record<string, string>> {
  let sent: Record<string, string> = {};
  const leaf: Handler<typeof request, Answer> = (_, call) => {
    sent = Object.fromEntries([...call.headers.keys()].map((name) => [name, call.headers.get(name) ?? '']));
    return Promise.resolve({ status: 200 });
  };
  const client = compose<typeof request, Answer>(
    [
      tracing<typeof request, Answer>({ side: 'client', semantics: httpClientSemantics, propagation: how }),
      attemptTracing<typeof request, Answer>({ semantics: httpClientSemantics, propagation: how }),
    ],
    leaf,
  );
  const exchange: HttpServerExchange = {
    req: { method: 'GET', url: '/', headers: {} },
    res: { statusCode: 200 },
  };
  const server = compose<HttpServerExchange, HttpServerExchange>(
    [tracing({ side: 'server', semantics: httpServerSemantics, propagation: how })],
    async (it, call) => {
      await runWithCall(call, () => client(request, clientCall('GET')));
      return it;
    },
  );
  await server(exchange, trustedCall(headers));
  return sent;
}

const w3c = (trace: string, flags: string) => `00-${trace}-${span}-${flags}`;
const padded = short.padStart(32, '0');
/** Version 0, trace, span, flags. */
const binary = (flags: number, trace = id) =>
  Buffer.concat([
    Buffer.from([0, 0]),
    Buffer.from(trace, 'hex'),
    Buffer.from([1]),
    Buffer.from(span, 'hex'),
    Buffer.from([2, flags]),
  ]).toString('base64');

// Without an SDK what was understood is passed on as it came, so the words that go out show what was read.
const understood: [string, Record<string, string>, string][] = [
  ['b3, sampled', { b3: `${id}-${span}-1` }, w3c(id, '01')],
  ['b3, with a parent', { b3: `${id}-${span}-1-${other}` }, w3c(id, '01')],
  ['b3, not sampled', { b3: `${id}-${span}-0` }, w3c(id, '00')],
  ['b3, undecided', { b3: `${id}-${span}` }, w3c(id, '00')],
  ['b3, debug', { b3: `${id}-${span}-d` }, w3c(id, '01')],
  ['b3, ids of 8 bytes', { b3: `${short}-${span}-1` }, w3c(padded, '01')],
  ['b3, upper case', { b3: `${id.toUpperCase()}-${span}-1` }, w3c(id, '01')],
  ['X-B3, sampled', { 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': '1' }, w3c(id, '01')],
  ['X-B3, true', { 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': 'true' }, w3c(id, '01')],
  ['X-B3, debug', { 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-flags': '1' }, w3c(id, '01')],
  ['X-B3, undecided', { 'x-b3-traceid': short, 'x-b3-spanid': span }, w3c(padded, '00')],
  ['b3 before X-B3', { b3: `${id}-${span}-1`, 'x-b3-traceid': other, 'x-b3-spanid': other }, w3c(id, '01')],
  ['uber-trace-id', { 'uber-trace-id': `${id}:${span}:0:1` }, w3c(id, '01')],
  ['uber-trace-id, zeros left out', { 'uber-trace-id': `${short}:${span}:0:1` }, w3c(padded, '01')],
  ['uber-trace-id, escaped', { 'uber-trace-id': `${id}%3A${span}%3a0%3A0` }, w3c(id, '00')],
  ['uber-trace-id, debug', { 'uber-trace-id': `${id}:${span}:0:3` }, w3c(id, '01')],
  ['grpc-trace-bin, sampled', { 'grpc-trace-bin': binary(1) }, w3c(id, '01')],
  ['grpc-trace-bin, other bits', { 'grpc-trace-bin': binary(0xfe) }, w3c(id, '00')],
  ['W3C first', { traceparent: w3c(id, '00'), b3: `${other}${other}-${other}-1` }, w3c(id, '00')],
  ['B3 behind a broken W3C', { traceparent: 'x', b3: `${id}-${span}-1` }, w3c(id, '01')],
];

const notUnderstood: [string, Record<string, string>][] = [
  ['b3: 1', { b3: '1' }],
  ['b3: d', { b3: 'd' }],
  ['b3, an unknown state', { b3: `${id}-${span}-2` }],
  ['b3, too many parts', { b3: `${id}-${span}-1-${other}-1` }],
  ['b3, a broken parent', { b3: `${id}-${span}-1-xyz` }],
  ['b3, all zero', { b3: `${'0'.repeat(32)}-${span}-1` }],
  ['b3, twice', { b3: `${id}-${span}-1, ${id}-${span}-1` }],
  ['b3, ids of a wrong length', { b3: `${id.slice(1)}-${span}-1` }],
  ['X-B3 without a span', { 'x-b3-traceid': id, 'x-b3-sampled': '1' }],
  ['X-B3, a decision alone', { 'x-b3-sampled': '1' }],
  ['uber-trace-id, zero', { 'uber-trace-id': `0:${span}:0:1` }],
  ['uber-trace-id, three parts', { 'uber-trace-id': `${id}:${span}:1` }],
  ['uber-trace-id, too long', { 'uber-trace-id': `0${id}:${span}:0:1` }],
  ['grpc-trace-bin, version 1', { 'grpc-trace-bin': `AQ${binary(1).slice(2)}` }],
  [
    'grpc-trace-bin, cut',
    { 'grpc-trace-bin': Buffer.from(binary(1), 'base64').subarray(0, 20).toString('base64') },
  ],
  ['grpc-trace-bin, no base64', { 'grpc-trace-bin': '%%%' }],
  ['grpc-trace-bin, zero', { 'grpc-trace-bin': binary(1, '0'.repeat(32)) }],
];

describe('what is read', () => {
  it.each(understood)('%s', async (_, headers, expected) => {
    expect(await passedOn(headers)).toEqual({ traceparent: expected });
  });

  it.each(notUnderstood)('nothing: %s', async (_, headers) => {
    expect(await passedOn(headers)).toEqual({});
  });

  it.each<[string, Record<string, string>]>([
    ['b3: 0', { b3: '0' }],
    ['x-b3-sampled: 0', { 'x-b3-sampled': '0' }],
    ['x-b3-sampled: false', { 'x-b3-sampled': 'false' }],
  ])('a no without a trace keeps everything below from being recorded: %s', async (_, headers) => {
    expect(await passedOn(headers)).toEqual({
      traceparent: expect.stringMatching(/^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-00$/),
    });
    sdk = tracingSdk();
    const { traceparent } = await passedOn(headers);
    expect(traceparent).toMatch(/-00$/);
    expect(sdk.spans()).toEqual([]);
  });

  it('a no is one trace, however often it is looked at', () => {
    const call = createCall({
      side: 'server',
      service: 's',
      operation: 'GET',
      headers: carrier({ b3: '0' }),
    });
    expect(traceOf(call)).toEqual(traceOf(call));
    expect(traceOf(call)?.flags).toBe('00');
  });

  it('with an SDK the span is a child of what came', async () => {
    sdk = tracingSdk();
    await passedOn({ b3: `${id}-${span}-1` });
    const [server] = sdk.ofKind('SERVER');
    expect(server?.spanContext().traceId).toBe(id);
    expect(server?.parentSpanContext).toMatchObject({ spanId: span, isRemote: true });
  });
});

describe('formats that were chosen', () => {
  const headers = { traceparent: w3c(id, '01'), b3: `${other}${other}-${other}-1`, baggage: 'a=1' };

  it('are read in that order', async () => {
    const how = { extract: ['b3', 'w3c'] } as const;
    expect(await passedOn(headers, how)).toEqual({ traceparent: `00-${other}${other}-${other}-01` });
    expect(await passedOn({ traceparent: w3c(id, '01') }, how)).toEqual({ traceparent: w3c(id, '01') });
  });

  it('and no others', async () => {
    expect(await passedOn({ b3: `${id}-${span}-1` }, { extract: ['w3c'] })).toEqual({});
    expect(await passedOn({ b3: `${id}-${span}-1` }, { extract: ['b3multi'] })).toEqual({});
  });

  it.each<[string, PropagationOptions['inject'] & object, Record<string, string>]>([
    ['b3', ['b3'], { b3: `${id}-${span}-1` }],
    ['b3multi', ['b3multi'], { 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': '1' }],
    ['uber', ['uber'], { 'uber-trace-id': `${id}:${span}:0:1` }],
    [
      'several',
      ['w3c', 'b3', 'baggage'],
      { traceparent: w3c(id, '01'), b3: `${id}-${span}-1`, baggage: 'a=1' },
    ],
    ['none', [], {}],
  ])('are written: %s', async (_, inject, expected) => {
    expect(await passedOn({ traceparent: w3c(id, '01'), baggage: 'a=1' }, { inject })).toEqual(expected);
  });

  it.each<[string, Record<string, string>]>([
    ['b3', { b3: `${id}-${span}-d` }],
    ['b3multi', { 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-flags': '1' }],
    ['uber', { 'uber-trace-id': `${id}:${span}:0:3` }],
  ])('keep the debug flag: %s', async (format, came) => {
    const inject = [format] as PropagationOptions['inject'];
    expect(await passedOn(came, { inject })).toEqual(came);
    sdk = tracingSdk();
    const sent = Object.entries(await passedOn(came, { inject }));
    expect(sent.map(([name]) => name)).toEqual(Object.keys(came));
    expect(sent.map(([, value]) => value).join()).toMatch(
      format === 'b3' ? /-d$/ : format === 'uber' ? /:3$/ : /,1$/,
    );
  });

  it.each([
    [{ extract: ['w3c', 'zipkin'] }, /tracing\.propagation\.extract\[1\].*"zipkin"/],
    [{ inject: ['grpc-trace-bin'] }, /inject\[0\]/],
    [{ inject: 'w3c' }, /inject must be an array/],
    [{ read: [] }, /read/],
  ])('are checked: %j', (how, message) => {
    expect(() =>
      tracing({ side: 'client', semantics: httpClientSemantics, propagation: how as never }),
    ).toThrow(message);
  });
});

describe('a propagator', () => {
  const getter = {
    keys: (from: Record<string, string>) => Object.keys(from),
    get: (from: Record<string, string>, name: string) => from[name],
  };
  const setter = {
    set: (into: Record<string, string>, name: string, value: string) => {
      into[name] = value;
    },
  };

  it('reads and writes for others', () => {
    const formats = propagator({ extract: ['b3', 'baggage'], inject: ['w3c', 'uber', 'baggage'] });
    const within = formats.extract(ROOT_CONTEXT, { b3: `${id}-${span}-1`, baggage: 'a=1;p,b=2' }, getter);
    expect(trace.getSpanContext(within)).toMatchObject({ traceId: id, spanId: span, traceFlags: 1 });
    const sent = {};
    formats.inject(within, sent, setter);
    expect(sent).toEqual({
      traceparent: w3c(id, '01'),
      'uber-trace-id': `${id}:${span}:0:1`,
      baggage: 'a=1;p,b=2',
    });
    expect(formats.fields()).toEqual(['traceparent', 'tracestate', 'uber-trace-id', 'baggage']);
  });

  it('takes a carrier that gives lists, and nothing from one that gives nothing', () => {
    const formats = propagator();
    const lists = { keys: () => ['traceparent'], get: () => [w3c(id, '01'), w3c(id, '01')] };
    expect(trace.getSpanContext(formats.extract(ROOT_CONTEXT, {}, lists))?.traceId).toBe(id);
    const contradicting = { keys: () => ['traceparent'], get: () => [w3c(id, '01'), w3c(id, '00')] };
    expect(trace.getSpanContext(formats.extract(ROOT_CONTEXT, {}, contradicting))).toBeUndefined();
    expect(formats.extract(ROOT_CONTEXT, {}, getter)).toBe(ROOT_CONTEXT);
  });

  it('says in which words all stacks speak that were told nothing else', async () => {
    propagation.setGlobalPropagator(propagator({ extract: ['uber'], inject: ['b3'] }));
    expect(await passedOn({ 'uber-trace-id': `${id}:${span}:0:1` })).toEqual({ b3: `${id}-${span}-1` });
    expect(await passedOn({ traceparent: w3c(id, '01') })).toEqual({});
    expect(await passedOn({ traceparent: w3c(id, '01') }, { inject: ['w3c'] })).toEqual({
      traceparent: w3c(id, '01'),
    });
  });

  it('beside an SDK too', async () => {
    sdk = tracingSdk({ propagator: propagator({ inject: ['b3'] }) });
    const sent = await passedOn({ traceparent: w3c(id, '01') });
    expect(Object.keys(sent)).toEqual(['b3']);
    expect(sent['b3']).toMatch(new RegExp(`^${id}-(?!${span})[\\da-f]{16}-1$`));
  });
});

describe('the context of the caller', () => {
  it('is not touched by what a call reads', async () => {
    sdk = tracingSdk();
    const before = context.active();
    await passedOn({ b3: `${id}-${span}-d` });
    expect(context.active()).toBe(before);
  });

  it('without headers there is no trace', () => {
    const call: Call = createCall({ side: 'server', service: 's', operation: 'GET', headers: carrier({}) });
    expect(traceOf(call)).toBeUndefined();
  });
});
