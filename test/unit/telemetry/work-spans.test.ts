import { context, diag, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { carrier, createCall, GovernanceError, runWithCall } from 'keelson/core';
import { annotate, isRecorded, resume, span, spanToken, traceOf } from 'keelson/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

let sdk: TracingSdk;
beforeEach(() => {
  sdk = tracingSdk();
});
afterEach(async () => {
  await sdk.stop();
});

const named = (name: string): ReadableSpan => {
  const found = sdk.spans().filter((one) => one.name === name);
  expect(found).toHaveLength(1);
  return found[0] as ReadableSpan;
};

describe('span', () => {
  it('runs a function and gives its result', () => {
    expect(span('add', () => 1 + 1, { attributes: { a: 1 } })).toBe(2);
    expect(named('add')).toMatchObject({
      kind: SpanKind.INTERNAL,
      attributes: { a: 1 },
      status: { code: SpanStatusCode.UNSET },
    });
  });

  it('ends with the promise, and nests', async () => {
    const result = span('outer', async () => {
      await Promise.resolve();
      return await span('inner', () => Promise.resolve('x'));
    });
    expect(sdk.spans()).toEqual([]);
    expect(await result).toBe('x');
    expect(named('inner').parentSpanContext?.spanId).toBe(named('outer').spanContext().spanId);
  });

  it.each<[string, () => unknown]>([
    [
      'thrown',
      () => {
        throw Object.assign(new TypeError('no'), { code: 'ENOPE' });
      },
    ],
    ['rejected', () => Promise.reject(Object.assign(new TypeError('no'), { code: 'ENOPE' }))],
  ])('records what was %s, once', async (_, run) => {
    await expect((async () => await span('fails', run))()).rejects.toThrow('no');
    const made = named('fails');
    expect(made.attributes['error.type']).toBe('ENOPE');
    expect(made.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no' });
    expect(made.events.map(({ name }) => name)).toEqual(['exception']);
  });

  it('takes what is no error, and thenables', async () => {
    expect(() =>
      span('text', () => {
        // biome-ignore lint/style/useThrowOnlyError: people do
        throw 'x';
      }),
    ).toThrow('x');
    expect(named('text').status).toEqual({ code: SpanStatusCode.ERROR, message: 'x' });
    // biome-ignore lint/suspicious/noThenProperty: a promise of somebody else's
    const thenable = { then: (done: (value: number) => void) => done(7) };
    expect(await span('thenable', () => thenable as unknown as Promise<number>)).toBe(7);
    expect(named('thenable').status.code).toBe(SpanStatusCode.UNSET);
  });

  it('one who gave up is nobody’s error', () => {
    const gone = new GovernanceError('CANCELLED', 'gone');
    expect(() =>
      span('gone', () => {
        throw gone;
      }),
    ).toThrow(gone);
    expect(named('gone').status.code).toBe(SpanStatusCode.UNSET);
    expect(named('gone').attributes['keelson.rejection']).toBe('CANCELLED');
  });

  it('may be ended by hand', () => {
    span('by hand', (made) => made.end());
    expect(sdk.spans()).toHaveLength(1);
  });

  it('attributes that throw cost themselves', () => {
    const error = vi.spyOn(diag, 'error').mockImplementation(() => undefined);
    const attributes = {
      get bad(): string {
        throw new Error('bad');
      },
    };
    expect(span('careless', () => 1, { attributes })).toBe(1);
    span('annotated', () => annotate(attributes));
    expect(named('careless').attributes).toEqual({});
    expect(error).toHaveBeenCalled();
    error.mockRestore();
  });

  it('of a message says what the conventions ask for', async () => {
    const messaging = { system: 'bullmq', destination: 'emails', messageId: '7' };
    await span('send it', () => Promise.resolve(), { messaging });
    expect(named('send it')).toMatchObject({
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system': 'bullmq',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 'emails',
        'messaging.message.id': '7',
      },
    });
    span('take', () => 0, { messaging: { system: 'kafka', operation: 'receive' } });
    expect(named('take').kind).toBe(SpanKind.CLIENT);
  });

  it.each([
    [{ kind: 'job' }, /span\.kind/],
    [{ messaging: { system: 'x', operation: 'eat' } }, /messaging\.operation/],
  ])('refuses %j', (options, message) => {
    expect(() => span('x', () => 0, options as never)).toThrow(message);
  });

  it('work that is done once for several is linked to all who wait for it', async () => {
    const waiters = ['a', 'b', 'c'].map((name) => span(name, () => spanToken()));
    await span('load', () => Promise.resolve(), { links: waiters.flatMap((token) => token ?? []) });
    expect(named('load').links.map(({ context: { spanId } }) => spanId)).toEqual(
      ['a', 'b', 'c'].map((name) => named(name).spanContext().spanId),
    );
  });

  it('begins in no trace that is to be silent', () => {
    const quiet = context.active().setValue(
      // The api makes equal keys of equal names.
      Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING'),
      true,
    );
    context.with(quiet, () => span('quiet', () => 0));
    expect(sdk.spans()).toEqual([]);
  });
});

describe('annotate', () => {
  it('says attributes and events, at their time', () => {
    span('work', () => {
      expect(isRecorded()).toBe(true);
      annotate({ 'cache.hit': false });
      annotate('missed', { key: 'cart' });
      annotate('received', {}, 1_700_000_000_000);
    });
    const { attributes, events } = named('work');
    expect(attributes).toEqual({ 'cache.hit': false });
    expect(events.map(({ name, attributes: of }) => [name, of])).toEqual([
      ['missed', { key: 'cart' }],
      ['received', {}],
    ]);
    expect(events[1]?.time[0]).toBe(1_700_000_000);
  });

  it('does nothing where there is no span', () => {
    expect(isRecorded()).toBe(false);
    expect(() => annotate({ a: 1 })).not.toThrow();
    expect(() => annotate('a')).not.toThrow();
  });
});

describe('a token', () => {
  it('is text that any store takes', () => {
    const token = span('make', () => spanToken('orders'));
    expect(JSON.parse(JSON.stringify(token))).toEqual(token);
    expect(token).toEqual({
      traceparent: expect.stringMatching(/^00-[\da-f]{32}-[\da-f]{16}-01$/),
      'x-md-service-name': 'orders',
    });
    expect(spanToken()).toBeUndefined();
    // Whose it is can be told all the same, for the edges of whoever takes it.
    expect(spanToken('orders')).toEqual({ 'x-md-service-name': 'orders' });
  });

  it('links the work to whoever asked for it', async () => {
    const token = span('make', () => spanToken('orders'));
    const messaging = { system: 'bullmq', destination: 'emails' };
    const result = await resume(token, () => span('inside', async () => 'done'), { messaging });
    expect(result).toBe('done');
    const work = named('process emails');
    const maker = named('make').spanContext();
    expect(work.kind).toBe(SpanKind.CONSUMER);
    expect(work.spanContext().traceId).not.toBe(maker.traceId);
    expect(work.parentSpanContext).toBeUndefined();
    expect(work.links.map((link) => link.context)).toEqual([
      expect.objectContaining({ spanId: maker.spanId }),
    ]);
    expect(work.attributes).toMatchObject({
      'service.peer.name': 'orders',
      'messaging.operation.type': 'process',
    });
    expect(named('inside').parentSpanContext?.spanId).toBe(work.spanContext().spanId);
  });

  it('makes it a child on request', () => {
    const token = span('make', () => spanToken());
    resume(token, () => 0, { asChild: true, name: 'work', attributes: { a: 1 } });
    const work = named('work');
    expect(work.spanContext().traceId).toBe(named('make').spanContext().traceId);
    expect(work.parentSpanContext?.spanId).toBe(named('make').spanContext().spanId);
    expect(work.links).toEqual([]);
    expect(work.attributes).toEqual({ a: 1 });
  });

  it('of a batch links all, and is nobody’s child', () => {
    const tokens = ['a', 'b'].map((name) => span(name, () => spanToken()));
    resume([...tokens, undefined], () => 0, {
      asChild: true,
      messaging: { system: 'kafka', destination: 'orders' },
    });
    const work = named('process orders');
    expect(work.links).toHaveLength(2);
    expect(work.parentSpanContext).toBeUndefined();
    expect(work.attributes['messaging.batch.message_count']).toBe(3);
  });

  it.each([
    undefined,
    null,
    {},
    'x',
    7,
    { traceparent: 7 },
    { traceparent: 'x'.repeat(100_000) },
    { traceparent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01` },
  ])('that is broken costs the link alone: %j', (token) => {
    expect(resume(token as never, () => 'done')).toBe('done');
    expect(named('resume').links).toEqual([]);
  });

  it('an error of the work is recorded', async () => {
    await expect(resume(undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(named('resume').status.code).toBe(SpanStatusCode.ERROR);
  });

  it('the work is no part of the call that began the worker', () => {
    const inbound = createCall({ side: 'server', service: 's', operation: 'GET', deadline: 5 });
    const seen = runWithCall(inbound, () => resume(undefined, () => traceOf()?.traceId));
    expect(seen).toBe(named('resume').spanContext().traceId);
  });
});

describe('where no context manager is', () => {
  it('the call that is served has the context', async () => {
    await sdk.stop();
    sdk = tracingSdk({ contextManager: false });
    const token = span('make', (made) => {
      const { traceId, spanId } = made.spanContext();
      return { traceparent: `00-${traceId}-${spanId}-01` };
    });
    const seen = await resume(token, async () => {
      await Promise.resolve();
      annotate({ here: true });
      return traceOf()?.spanId;
    });
    const work = named('resume');
    expect(seen).toBe(work.spanContext().spanId);
    expect(work.attributes).toMatchObject({ here: true });
  });
});

describe('without an SDK', () => {
  const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', baggage: 'a=1' };
  beforeEach(async () => {
    await sdk.stop();
  });

  it('functions simply run', async () => {
    expect(span('x', (made) => made.isRecording())).toBe(false);
    expect(await span('x', () => Promise.resolve(1))).toBe(1);
    expect(() => annotate('x')).not.toThrow();
    expect(isRecorded()).toBe(false);
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('tokens carry on what came', () => {
    const call = createCall({ side: 'server', service: 's', operation: 'GET', headers: carrier(headers) });
    const token = runWithCall(call, () => spanToken());
    expect(token).toEqual({ traceparent: headers.traceparent });
    expect(resume(token, () => traceOf())).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      flags: '01',
    });
  });
});
