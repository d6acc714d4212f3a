import { createTraceState, type Span, type SpanContext } from '@opentelemetry/api';
import type { SamplingOptions } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { caller, type TracedHere, tracedHere } from '../../doubles/traced-here.js';

/** Tail sampling in which nothing is kept but for its outcome: the token and the rare routes are used up. */
function tail(sampling: SamplingOptions = {}, names: readonly string[] = ['x']): TracedHere {
  const here = tracedHere({ sampling: { mode: 'tail', perSecond: 1e-9, rareMs: 1e12, ...sampling } });
  for (const name of names) here.run(name, 1);
  here.run(names[0] as string, 1);
  here.sink.spans.length = 0;
  return here;
}

const fail = (span: Span): Span => span.setStatus({ code: 2 });
const undecided = createTraceState('keelson=tail');

describe('tail', () => {
  it('lets others know that nothing is decided, and records', () => {
    const here = tail();
    const span = here.start('x');
    expect(span.isRecording()).toBe(true);
    expect(span.spanContext().traceFlags).toBe(2);
    expect(span.spanContext().traceState?.serialize()).toBe('keelson=tail');
  });

  it('keeps a trace that failed, whole, and marks its spans as sampled', () => {
    const here = tail();
    const root = here.start('x');
    here.start('before', root).end();
    fail(here.start('broken', root)).end();
    const late = here.start('late', root);
    expect(here.sink.names).toEqual([]);
    root.end();
    expect(here.sink.names).toEqual(['before', 'broken', 'x']);
    here.start('below', late).end();
    late.end();
    expect(here.sink.names).toEqual(['before', 'broken', 'x', 'below', 'late']);
    expect(here.sink.spans.map((span) => span.spanContext().traceFlags)).toEqual([3, 3, 3, 3, 3]);
  });

  it('does not take an error that was put right for one', () => {
    const here = tail();
    fail(here.start('x')).setStatus({ code: 1 }).end();
    expect(here.sink.names).toEqual([]);
  });

  it('keeps one that fails within the grace after its first span, and not later', () => {
    const here = tail({ graceMs: 2000 });
    const [one, other] = [here.start('x'), here.start('x')];
    const [inTime, late] = [here.start('in time', one), here.start('late', other)];
    one.end();
    other.end();
    here.clock.advanceSync(2000);
    fail(inTime).end();
    expect(here.sink.names).toEqual(['x', 'in time']);
    here.clock.advanceSync(1);
    fail(late).end();
    expect(here.sink.names).toEqual(['x', 'in time']);
  });

  it('keeps what is slower than the 95th percentile of its route, once it knows that', () => {
    const here = tail({}, ['x', 'y']);
    here.run('x', 500);
    expect(here.sink.names).toEqual([]);
    for (let n = 0; n < 100; n++) {
      here.run('x', 10 + (n % 10));
      here.run('y', 1000);
    }
    here.sink.spans.length = 0;
    here.clock.advanceSync(2000);
    here.run('x', 15);
    here.run('y', 900);
    expect(here.sink.names).toEqual([]);
    here.run('x', 40);
    expect(here.sink.names).toEqual(['x']);
  });

  it('goes by the name that the first span has in the end', () => {
    const here = tail({}, ['GET', 'GET /slow', 'GET /fast']);
    const request = (name: string, ms: number) => {
      const span = here.start('GET').updateName(name);
      here.clock.advanceSync(ms);
      span.end();
    };
    for (let n = 0; n < 100; n++) request('GET /slow', 200);
    for (let n = 0; n < 100; n++) request('GET /fast', 2);
    here.clock.advanceSync(2000);
    here.sink.spans.length = 0;
    request('GET /slow', 210);
    expect(here.sink.names).toEqual([]);
    request('GET /fast', 50);
    expect(here.sink.names).toEqual(['GET /fast']);
  });

  it('keeps the first of a route that was not seen for long, from its first span on', () => {
    const here = tail({ rareMs: 60_000 }, ['x']);
    const span = here.start('new');
    expect(span.spanContext().traceFlags).toBe(3);
    here.start('child', span).end();
    // Kept from the start: nothing waits for the end.
    expect(here.sink.names).toEqual(['child']);
    span.end();
    here.run('new', 1);
    expect(here.sink.names).toEqual(['child', 'new']);
    here.clock.advanceSync(60_000);
    here.run('new', 1);
    expect(here.sink.names).toEqual(['child', 'new', 'new']);
  });

  it('keeps one that turns out to be of a rare route', () => {
    const here = tail({ rareMs: 60_000 }, ['GET']);
    here.start('GET').updateName('GET /rare').end();
    here.start('GET').updateName('GET /rare').end();
    expect(here.sink.names).toEqual(['GET /rare']);
  });

  it('keeps so many per second from their first span on', () => {
    const here = tracedHere({ sampling: { mode: 'tail', perSecond: 2, rareMs: 1e12 } });
    for (const name of ['a', 'b']) here.run(name, 0);
    here.clock.advanceSync(10_000);
    here.sink.spans.length = 0;
    for (let ms = 0; ms < 5000; ms += 10) here.run(ms % 20 === 0 ? 'a' : 'b', 10);
    expect(here.sink.spans.length).toBeGreaterThanOrEqual(10);
    expect(here.sink.spans.length).toBeLessThanOrEqual(12);
  });

  it('keeps no more of the same than is of use when everything fails', () => {
    const here = tail({ outcomesPerSecond: 10 });
    for (let ms = 0; ms < 2000; ms++) {
      fail(here.start('x')).end();
      here.clock.advanceSync(1);
    }
    expect(here.sink.spans.length).toBeGreaterThanOrEqual(29);
    expect(here.sink.spans.length).toBeLessThanOrEqual(31);
  });

  it('keeps what failed although very much is slow', () => {
    const here = tail({ outcomesPerSecond: 5 });
    for (let n = 0; n < 1000; n++) here.run('x', 1 + (n % 50));
    here.clock.advanceSync(2000);
    here.sink.spans.length = 0;
    for (let n = 0; n < 5; n++) for (let m = 0; m < 4; m++) here.run('x', 60);
    for (let n = 0; n < 4; n++) fail(here.start('x')).setAttribute('broken', true).end();
    expect(here.sink.spans.filter(({ attributes }) => attributes['broken'])).toHaveLength(4);
  });

  it('goes on with what it knows of routes when it is set anew', () => {
    const here = tail();
    for (let n = 0; n < 100; n++) here.run('x', 10);
    here.sink.spans.length = 0;
    here.provider.sample({ mode: 'tail', perSecond: 1e-9, rareMs: 1e12, graceMs: 1 });
    here.clock.advanceSync(2000);
    here.run('x', 10);
    expect(here.sink.names).toEqual([]);
    here.run('x', 40);
    expect(here.sink.names).toEqual(['x']);
  });

  describe('under a caller', () => {
    it('that has decided, decides nothing', () => {
      const here = tail();
      fail(here.start('x', caller(0))).end();
      expect(here.sink.names).toEqual([]);
      expect(here.provider.counts.recorded).toBe(2);
      here.start('x', caller(1)).end();
      expect(here.sink.names).toEqual(['x']);
    });

    it('that has not, decides by the outcome alone', () => {
      const here = tail({ rareMs: 60_000 });
      const root = here.start('never seen', caller(2, undecided));
      expect(root.isRecording()).toBe(true);
      expect(root.spanContext().traceState?.serialize()).toBe('keelson=tail');
      root.end();
      expect(here.sink.names).toEqual([]);
      fail(here.start('x', caller(2, undecided))).end();
      expect(here.sink.names).toEqual(['x']);
      expect(here.span('x').parentSpanContext?.spanId).toBe(caller(2).spanId);
    });

    it('that has not, does nothing in another mode, and tells those below', () => {
      const here = tracedHere({ sampling: { mode: 'always' } });
      const span = here.start('x', caller(2, undecided));
      expect(span.isRecording()).toBe(false);
      expect(span.spanContext().traceState?.serialize()).toBe('keelson=tail');
    });
  });

  describe('the ring of what was not kept', () => {
    it('gives a trace back for so long', () => {
      const here = tail({ ringMs: 30_000 });
      const root = here.start('x');
      here.start('child', root).end();
      root.end();
      const { traceId } = root.spanContext();
      here.clock.advanceSync(30_000);
      expect(here.provider.flushTrace('f'.repeat(32))).toBe(0);
      expect(here.provider.flushTrace(traceId)).toBe(2);
      expect(here.provider.flushTrace(traceId)).toBe(0);
      expect(here.sink.names).toEqual(['child', 'x']);
      here.start('after', root).end();
      expect(here.sink.names).toEqual(['child', 'x', 'after']);
      expect(here.provider.counts.discarded).toBe(0);
    });

    it('forgets it then, in an idle process too, and records no more of it', () => {
      const here = tail({ ringMs: 30_000 });
      const root = here.start('x');
      root.end();
      here.clock.advanceSync(36_000);
      expect(here.provider.counts).toMatchObject({ discarded: 1, evicted: 0 });
      expect(here.provider.flushTrace(root.spanContext().traceId)).toBe(0);
      const late = here.start('late', root);
      expect(late.isRecording()).toBe(false);
      expect(late.spanContext().traceFlags).toBe(2);
      expect(here.clock.pending).toBe(0);
    });

    it('gives all parts of a trace, also those that still run', () => {
      const here = tail();
      const remote: SpanContext = caller(2, undecided);
      here.start('one', remote).end();
      const running = here.start('two', remote);
      here.start('child', running).end();
      expect(here.provider.flushTrace(remote.traceId)).toBe(2);
      running.end();
      expect(here.sink.names).toEqual(['one', 'child', 'two']);
    });

    it('holds no more than its bytes: the oldest goes first', () => {
      const here = tail({ ringBytes: 10_000 });
      const text = 'x'.repeat(1700);
      const ids = Array.from({ length: 8 }, (_, n) => {
        const span = here.start('x', undefined, { attributes: { text, n } });
        span.end();
        return span.spanContext().traceId;
      });
      expect(here.provider.counts).toMatchObject({ discarded: 3, evicted: 3 });
      expect(ids.map((id) => here.provider.flushTrace(id))).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
      // What was given back makes room.
      for (let n = 0; n < 4; n++) here.start('x', undefined, { attributes: { text } }).end();
      expect(here.provider.counts.evicted).toBe(3);
    });

    it('does not hold more because nothing ends', () => {
      const here = tail({ ringBytes: 5000 });
      const root = here.start('x');
      for (let n = 0; n < 20; n++) here.start('child', root, { attributes: { text: 'x'.repeat(700) } }).end();
      // Whether they are missed is not known yet.
      expect(here.provider.counts).toMatchObject({ discarded: 0, lost: { trace_memory_full: 0 } });
      fail(root).end();
      expect(here.sink.names.length).toBeLessThan(7);
      expect(here.provider.counts).toMatchObject({
        discarded: 0,
        evicted: 0,
        lost: { trace_memory_full: 21 - here.sink.names.length },
      });
      expect(here.sink.spans.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(5000);
    });

    it('does not miss what it could not hold of a trace that nobody wants', () => {
      const here = tail({ ringBytes: 5000 });
      const root = here.start('x');
      for (let n = 0; n < 20; n++) here.start('child', root, { attributes: { text: 'x'.repeat(700) } }).end();
      root.end();
      here.clock.advanceSync(40_000);
      const { recorded, delivered, discarded, evicted, lost } = here.provider.counts;
      expect(discarded).toBe(recorded - delivered);
      expect(evicted).toBeGreaterThan(13);
      expect(evicted).toBeLessThan(discarded);
      expect(lost.trace_memory_full).toBe(0);
    });

    it('lets what ends too late go with the rest, not for want of room', () => {
      const here = tail({ ringMs: 30_000 });
      const root = here.start('x');
      const late = here.start('late', root);
      root.end();
      here.clock.advanceSync(40_000);
      late.end();
      expect(here.provider.counts).toMatchObject({ discarded: 2, evicted: 0 });
    });

    it('lets what is old go in pieces, so that no span waits for thousands', () => {
      const here = tail({ ringMs: 4000 });
      for (let n = 0; n < 1000; n++) here.run('x', 0);
      const before = here.provider.counts.discarded;
      here.clock.advanceSync(4001);
      here.run('x', 0);
      expect(here.provider.counts.discarded - before).toBeLessThan(600);
      here.clock.advanceSync(10_000);
      expect(here.provider.counts.discarded - before).toBe(1001);
      expect(here.clock.pending).toBe(0);
    });

    it('survives a clock that is set back', () => {
      const here = tail({ ringMs: 30_000 });
      const root = here.start('x');
      root.end();
      here.clock.advanceSync(-4000);
      here.run('x', 1);
      expect(here.provider.flushTrace(root.spanContext().traceId)).toBe(1);
      here.run('x', 1);
      here.clock.advanceSync(-4_000_000);
      // When a route was seen last is not known any more: the first one is kept.
      here.run('x', 1);
      here.run('x', 1);
      expect(here.provider.counts.discarded).toBe(1);
    });
  });

  it('decides when it is closed: what has failed is kept', async () => {
    const here = tail();
    const [good, bad, worse] = [here.start('x'), here.start('x'), here.start('x')];
    here.start('fine', good).end();
    fail(here.start('broken', bad)).end();
    fail(worse);
    here.run('x', 1);
    await here.provider.close(100);
    expect(here.sink.spans.map(({ name, attributes }) => [name, attributes])).toEqual([
      ['broken', {}],
      ['x', { 'keelson.unended': true }],
      ['x', { 'keelson.unended': true }],
    ]);
    expect(here.provider.counts).toMatchObject({ recorded: 8, delivered: 5, discarded: 3, evicted: 0 });
    expect(good.isRecording()).toBe(false);
    expect(here.clock.pending).toBe(0);
  });

  it('does not judge what it cuts short when it is closed', async () => {
    const here = tail({ rareMs: 60_000 }, ['GET']);
    here.start('GET').updateName('GET /rare');
    await here.provider.close(100);
    expect(here.sink.names).toEqual([]);
    expect(here.provider.counts).toMatchObject({ unended: 1, discarded: 1 });
  });

  it('records nothing below what was recorded before it was closed', async () => {
    const here = tail({}, ['x']);
    const kept = here.start('x', caller(1));
    const open = here.start('x');
    await here.provider.close(100);
    const { recorded } = here.provider.counts;
    for (const parent of [kept, open]) {
      const below = here.start('below', parent);
      expect(below.isRecording()).toBe(false);
      here.start('further', below).end();
      below.end();
    }
    expect(here.provider.counts.recorded).toBe(recorded);
    expect(here.clock.pending).toBe(0);
  });

  it('tells processors of each span once: with the flag if it is kept, without if not', () => {
    const told: string[] = [];
    const processor = {
      onStart: (span: { name: string }) => void told.push(`start ${span.name}`),
      onEnd: (span: { name: string; spanContext(): SpanContext }) =>
        void told.push(`end ${span.name} ${span.spanContext().traceFlags & 1}`),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const here = tracedHere({
      sampling: { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 },
      processors: [processor],
    });
    here.run('x', 0);
    here.run('x', 0);
    expect(told.splice(0)).toEqual(['start x', 'end x 1', 'start x', 'end x 1']);
    here.run('x', 0);
    expect(told.splice(0)).toEqual(['start x']);
    here.clock.advanceSync(40_000);
    expect(told).toEqual(['end x 0']);
  });
});
