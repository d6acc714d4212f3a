import {
  context,
  createContextKey,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { seededRandom } from 'keelson/testing';
import { contextStorage, resource, tracers } from 'keelson/tracer';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, collector, contextOf, tracedHere } from '../../doubles/traced-here.js';

/** Throws whatever is asked. */
const hostile = (): ProxyHandler<Date> => {
  const fault = (): never => {
    throw new Error('hostile');
  };
  return { get: fault, getPrototypeOf: fault };
};

describe('tracers', () => {
  it('hands an ended span to the sink in the shape of the SDK and with its cheap fields', () => {
    const here = tracedHere({ resource: resource({ 'service.name': 'orders' }) });
    const root = here.start('GET /users/:id', undefined, { kind: SpanKind.SERVER, attributes: { a: 1 } });
    here.clock.advanceSync(10);
    const child = here.start('query', root, { kind: SpanKind.CLIENT, links: [{ context: caller(1) }] });
    child.setAttributes({ 'db.system.name': 'mysql', rows: 3 }).setAttribute('rows', 4);
    here.clock.advanceSync(2.5);
    child.addEvent('row', { n: 1 });
    child.end();
    here.clock.advanceSync(1);
    root.end();

    const span = here.span('query');
    expect(span).toMatchObject({
      name: 'query',
      kind: SpanKind.CLIENT,
      ended: true,
      status: { code: SpanStatusCode.UNSET },
      attributes: { 'db.system.name': 'mysql', rows: 4 },
      pairs: ['db.system.name', 'mysql', 'rows', 4],
      startedMs: 1_700_000_000_010,
      endedMs: 1_700_000_000_012.5,
      startTime: [1_700_000_000, 10_000_000],
      endTime: [1_700_000_000, 12_500_000],
      duration: [0, 2_500_000],
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
      flags: 0x103,
      composite: undefined,
      instrumentationScope: { name: 'test' },
    });
    expect(span.resource.attributes).toEqual({ 'service.name': 'orders' });
    expect(span.events).toMatchObject([
      { name: 'row', attributes: { n: 1 }, atMs: 1_700_000_000_012.5, time: [1_700_000_000, 12_500_000] },
    ]);
    expect(span.links).toMatchObject([{ context: caller(1), attributes: {} }]);
    expect(span.parentSpanContext).toBe(root.spanContext());
    expect(span.spanContext().traceId).toBe(root.spanContext().traceId);
    expect(here.sink.names).toEqual(['query', 'GET /users/:id']);
    expect(here.provider.counts).toMatchObject({ recorded: 2, delivered: 2 });
  });

  it('makes valid ids that differ, and says that they are random', () => {
    const here = tracedHere();
    const ids = Array.from({ length: 1000 }, () => here.start('x').spanContext());
    expect(ids.every(isSpanContextValid)).toBe(true);
    expect(new Set(ids.map(({ spanId }) => spanId)).size).toBe(1000);
    expect(new Set(ids.map(({ traceId }) => traceId)).size).toBe(1000);
    expect(new Set(ids.map(({ traceFlags }) => traceFlags))).toEqual(new Set([3]));
  });

  it('repeats its ids when told, and takes those of the platform else', () => {
    const one = tracedHere({ random: seededRandom(7) })
      .start('x')
      .spanContext();
    const other = tracedHere({ random: seededRandom(7) })
      .start('x')
      .spanContext();
    expect(one).toEqual(other);
    const chance = () => tracers({ sink: collector(), sampling: { mode: 'always' } }).getTracer('t');
    expect(chance().startSpan('x', {}, ROOT_CONTEXT).spanContext()).not.toEqual(
      chance().startSpan('x', {}, ROOT_CONTEXT).spanContext(),
    );
  });

  it('never makes an id of zeros', () => {
    const here = tracedHere({ random: () => 0 });
    expect(isSpanContextValid(here.start('x').spanContext())).toBe(true);
  });

  it('begins a new trace for `root`, and below a parent whose ids are no ids', () => {
    const here = tracedHere();
    const parent = here.start('parent');
    const root = here.start('root', parent, { root: true });
    expect(root.spanContext().traceId).not.toBe(parent.spanContext().traceId);
    const broken = here.start('broken', { traceId: 'x', spanId: 'y', traceFlags: 1 });
    expect(isSpanContextValid(broken.spanContext())).toBe(true);
    broken.end();
    expect(here.span('broken').parentSpanContext).toBeUndefined();
  });

  it('takes the spans of other tracers in this process for callers', () => {
    const tail = { sampling: { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 } } as const;
    const [one, other] = [tracedHere(tail), tracedHere(tail)];
    for (const here of [one, other]) for (let n = 0; n < 2; n++) here.run('x', 0);
    const parent = one.start('x');
    other.start('x', parent).setStatus({ code: 2 }).end();
    expect(other.sink.spans.at(-1)?.parentSpanContext).toEqual(parent.spanContext());
    expect(other.provider.counts).toMatchObject({ recorded: 3, delivered: 3 });
    parent.end();
    expect(one.provider.counts).toMatchObject({ recorded: 3, delivered: 2 });

    const tight = tracedHere({ limits: { maxTraceSpans: 1 } });
    const root = tight.start('x');
    const beyond = tight.start('beyond', root);
    const apart = tracedHere();
    apart.start('apart', beyond).end();
    expect(apart.sink.names).toEqual(['apart']);
    expect(tight.provider.counts.overLimit).toBe(1);
  });

  it('takes options that are none', () => {
    const here = tracedHere();
    here.start('one', undefined, null as never).end();
    here.start('two', undefined, { links: null, startTime: new Proxy(new Date(), hostile()) } as never).end();
    here.start('three', undefined, { links: 5 } as never).end();
    expect(here.sink.names).toEqual(['one', 'two', 'three']);
  });

  it('continues the trace of a caller, as part of it', () => {
    const here = tracedHere();
    here.start('in', caller(1)).end();
    const span = here.span('in');
    expect(span.spanContext()).toMatchObject({ traceId: caller(1).traceId, traceFlags: 1 });
    expect(span.parentSpanContext).toEqual(caller(1));
    expect(span.flags).toBe(0x301);
  });

  it('makes nothing where tracing is suppressed', () => {
    const here = tracedHere();
    const silent = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
    const tracer = here.provider.getTracer('t');
    const span = tracer.startSpan('x', {}, contextOf(here.start('parent')).setValue(silent, true));
    expect(isSpanContextValid(span.spanContext())).toBe(false);
    expect(span.isRecording()).toBe(false);
    // Below it, but no longer suppressed: a new trace, and not a child of nothing.
    expect(isSpanContextValid(here.start('later', span).spanContext())).toBe(true);
  });

  it.each([
    ['UNSET is no status to set', [[2, 'broken'], [0]], { code: 2, message: 'broken' }],
    [
      'the later ERROR counts',
      [
        [2, 'one'],
        [2, 'two'],
      ],
      { code: 2, message: 'two' },
    ],
    [
      'OK overrules an ERROR, and its message',
      [
        [2, 'one'],
        [1, 'fine'],
      ],
      { code: 1 },
    ],
    ['OK is final', [[1], [2, 'late']], { code: 1 }],
    ['a message that is no text is none', [[2, 17 as never]], { code: 2 }],
    ['a code that does not exist is none', [[9 as never]], { code: 0 }],
  ] as [string, [number, string?][], object][])('sets the status: %s', (_, steps, expected) => {
    const here = tracedHere();
    const span = here.start('x');
    for (const [code, message] of steps) span.setStatus({ code, ...(message !== undefined && { message }) });
    span.end();
    expect(here.span('x').status).toEqual(expected);
  });

  it('takes nothing after the end, counts what comes, and ends once', () => {
    const here = tracedHere();
    const span = here.start('x');
    expect(span.isRecording()).toBe(true);
    span.end();
    expect(span.isRecording()).toBe(false);
    here.clock.advanceSync(100);
    span
      .setAttribute('a', 1)
      .setAttributes({ b: 1 })
      .addEvent('e')
      .addLink({ context: caller(1) });
    span.addLinks([]).setStatus({ code: 2 }).updateName('y');
    span.recordException(new Error('late'));
    span.end();
    expect(here.sink.spans).toHaveLength(1);
    expect(here.span('x')).toMatchObject({ attributes: {}, events: [], links: [], status: { code: 0 } });
    expect(here.span('x').duration).toEqual([0, 0]);
    expect(here.provider.counts.late).toBe(9);
  });

  it('records what was thrown, whatever it was', () => {
    const here = tracedHere();
    const span = here.start('x');
    class Odd extends RangeError {
      override name = 'Odd';
    }
    const hostile = {
      get message() {
        throw new Error('no');
      },
    };
    span.recordException(new Odd('too much'));
    span.recordException('text');
    span.recordException(hostile as never);
    span.recordException(undefined as never);
    span.recordException({ code: 5, message: 'plain' } as never);
    span.end();
    expect(here.span('x').events.map(({ name }) => name)).toEqual(Array(5).fill('exception'));
    const [odd, ...others] = here.span('x').events.map(({ attributes }) => attributes);
    expect(odd).toMatchObject({ 'exception.type': 'Odd', 'exception.message': 'too much' });
    expect(odd?.['exception.stacktrace']).toContain('too much');
    expect(others).toEqual([
      { 'exception.message': 'text' },
      { 'exception.message': '[unreadable]' },
      { 'exception.message': 'undefined' },
      { 'exception.type': 'Object', 'exception.message': 'plain' },
    ]);
  });

  it('shows an open span to code that reads it like one of the SDK', () => {
    const here = tracedHere();
    const span = here.start('x', caller(1), { kind: SpanKind.SERVER }) as unknown as Record<string, unknown>;
    expect(span).toMatchObject({ name: 'x', kind: SpanKind.SERVER, ended: false, attributes: {} });
    expect(span['parentSpanContext']).toEqual(caller(1));
    (span['end'] as () => void).call(span);
    expect(span).toMatchObject({ name: '', ended: true, attributes: {}, events: [], links: [] });
    expect(span['resource']).toBeUndefined();
  });

  it('takes names that are none', () => {
    const here = tracedHere();
    const name = { toString: () => 'never called' };
    here
      .start(name as never)
      .updateName(undefined as never)
      .end();
    here.start(Symbol('s') as never).end();
    expect(here.sink.names).toEqual(['undefined', 'Symbol(s)']);
  });

  describe('with a context manager', () => {
    afterEach(() => {
      context.disable();
      trace.disable();
    });

    it('starts active spans in each of the three ways', async () => {
      const here = tracedHere();
      context.setGlobalContextManager(contextStorage());
      const tracer = here.provider.getTracer('t');
      const key = createContextKey('k');
      const said = await tracer.startActiveSpan('outer', async (outer) => {
        await Promise.resolve();
        expect(trace.getActiveSpan()).toBe(outer);
        tracer.startActiveSpan('inner', { kind: SpanKind.CLIENT }, (inner) => inner.end());
        tracer.startActiveSpan('apart', {}, ROOT_CONTEXT.setValue(key, 1), (apart) => {
          expect(context.active().getValue(key)).toBe(1);
          apart.end();
        });
        outer.end();
        return 'done';
      });
      expect(said).toBe('done');
      expect(here.span('inner').parentSpanContext?.spanId).toBe(here.span('outer').spanContext().spanId);
      expect(here.span('inner').kind).toBe(SpanKind.CLIENT);
      expect(here.span('apart').parentSpanContext).toBeUndefined();
    });
  });

  it('gives one tracer for one name, and its scope to the spans', () => {
    const { provider, sink } = tracedHere();
    const tracer = provider.getTracer('lib', '1.2.3', { schemaUrl: 'https://x/1' });
    expect(provider.getTracer('lib', '1.2.3', { schemaUrl: 'https://x/1' })).toBe(tracer);
    expect(provider.getTracer('lib', '1.2.4')).not.toBe(tracer);
    tracer.startSpan('x', {}, ROOT_CONTEXT).end();
    expect(sink.spans[0]?.instrumentationScope).toEqual({
      name: 'lib',
      version: '1.2.3',
      schemaUrl: 'https://x/1',
    });
  });

  it('flushes and closes its sink and processors, once', async () => {
    const calls: string[] = [];
    const processor = {
      onStart: () => void calls.push('start'),
      onEnd: () => void calls.push('end'),
      forceFlush: async () => void calls.push('forceFlush'),
      shutdown: async () => Promise.reject(new Error('broken')),
    };
    const here = tracedHere({ processors: [processor] });
    here.start('x').end();
    await here.provider.forceFlush();
    await Promise.all([here.provider.close(100), here.provider.shutdown()]);
    await here.provider.flush();
    expect(calls).toEqual(['start', 'end', 'forceFlush']);
    expect(here.sink.calls).toEqual(['flush 30000', 'close 100']);
    expect(here.provider.counts.faults).toBe(1);
    expect(here.start('y').isRecording()).toBe(false);
  });

  it('waits for a processor no longer than it is told, and for a sink that does not end hardly longer', async () => {
    const never = () => new Promise<void>(() => {});
    const here = tracedHere({ sink: { accept() {}, flush: never, close: never } });
    const flushed = here.provider.flush(500);
    await here.clock.advance(750);
    await flushed;
    const closed = here.provider.close(500);
    await here.clock.advance(750);
    await closed;
    const hanging = { onStart() {}, onEnd() {}, forceFlush: never, shutdown: never };
    const there = tracedHere({ processors: [hanging] });
    const both = Promise.all([there.provider.flush(500), there.provider.close(500)]);
    await there.clock.advance(500);
    await both;
  });

  it('lets a sink do what it does last when its time is over', async () => {
    const done: string[] = [];
    const late = (what: string) => async (timeoutMs: number) => {
      await new Promise<void>((resolve) => here.clock.after(timeoutMs, resolve));
      await Promise.resolve();
      done.push(what);
    };
    const here = tracedHere({ sink: { accept() {}, flush: late('flush'), close: late('close') } });
    const flushed = here.provider.flush(500).then(() => done.push('flushed'));
    await here.clock.advance(500);
    await flushed;
    const closed = here.provider.close(500).then(() => done.push('closed'));
    await here.clock.advance(500);
    await closed;
    expect(done).toEqual(['flush', 'flushed', 'close', 'closed']);
  });

  it('survives a sink and processors that throw', () => {
    const fault = () => {
      throw new Error('broken');
    };
    const here = tracedHere({
      sink: { ...collector(), accept: fault },
      processors: [
        {
          onStart: fault,
          onEnding: fault,
          onEnd: fault,
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    });
    here.start('x').end();
    expect(here.provider.counts).toMatchObject({ faults: 4, delivered: 0, lost: { sink_failed: 1 } });
  });

  it('survives processors that are async and reject', async () => {
    const fault = () => Promise.reject(new Error('broken'));
    const processor = { onStart: fault, onEnding: fault, onEnd: fault, forceFlush: fault, shutdown: fault };
    const here = tracedHere({ processors: [processor] });
    here.start('x').end();
    await here.provider.flush();
    expect(here.provider.counts).toMatchObject({ faults: 4, delivered: 1 });
  });

  it.each([
    [{}, TypeError, 'tracers.sink must be a span sink'],
    [{ sink: collector(), compresMs: 1 }, TypeError, 'did you mean compressMs?'],
    [{ sink: collector(), compressMs: -1 }, RangeError, 'tracers.compressMs'],
    [{ sink: collector(), maxOpenMs: 0 }, RangeError, 'tracers.maxOpenMs'],
    [{ sink: collector(), maxOpenSpans: 0 }, RangeError, 'tracers.maxOpenSpans'],
    [{ sink: collector(), maxOpenBytes: 0 }, RangeError, 'tracers.maxOpenBytes'],
    [{ sink: collector(), limits: { maxSpanBytes: 1 } }, RangeError, 'tracers.limits.maxSpanBytes'],
    [{ sink: collector(), sampling: { mode: 'some' } }, RangeError, 'tracers.sampling.mode'],
    [{ sink: collector(), sampling: { ratio: 2 } }, RangeError, 'tracers.sampling.ratio'],
    [{ sink: collector(), sampling: { remote: 'x' } }, RangeError, 'tracers.sampling.remote'],
    [
      { sink: collector(), sampling: { routes: { 'GET /x': { mode: 'ratio', ratio: -1 } } } },
      RangeError,
      'tracers.sampling.routes["GET /x"].ratio',
    ],
    [{ sink: collector(), sampling: { routes: { x: {} } } }, RangeError, 'routes["x"].mode'],
  ])('refuses %j', (options, kind, message) => {
    const make = () => tracers(options as never);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });
});
