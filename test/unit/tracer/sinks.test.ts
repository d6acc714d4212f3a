import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { type ManualClock, manualClock } from 'keelson/testing';
import { contextStorage, type EndedSpan, exporterSink, processorSink } from 'keelson/tracer';
import { afterEach, describe, expect, it } from 'vitest';
import { tracedHere } from '../../doubles/traced-here.js';

type Done = (result: { code: number }) => void;

function spans(count: number): EndedSpan[] {
  const here = tracedHere();
  for (let n = 0; n < count; n++) here.start(`s${n}`).end();
  return here.sink.spans;
}

/** An exporter that answers when told. */
function slowExporter() {
  const batches: string[][] = [];
  const waiting: Done[] = [];
  const calls: string[] = [];
  return {
    batches,
    calls,
    answer: (code = 0) => waiting.shift()?.({ code }),
    export(given: readonly EndedSpan[], done: Done) {
      batches.push(given.map(({ name }) => name));
      waiting.push(done);
    },
    forceFlush: async () => void calls.push('forceFlush'),
    shutdown: async () => void calls.push('shutdown'),
  };
}

function setUp(options = {}) {
  const clock: ManualClock = manualClock();
  const exporter = slowExporter();
  const lost: [string, number][] = [];
  const onLost = (reason: string, count: number) => void lost.push([reason, count]);
  const sink = exporterSink(exporter, { clock, onLost, batch: 2, delayMs: 100, maxQueue: 4, ...options });
  return { clock, exporter, lost, sink };
}

describe('exporterSink', () => {
  it('at the end of the process counts at once what waits and what is on its way, and each span once', async () => {
    const { clock, exporter, lost, sink } = setUp();
    for (const span of spans(5)) sink.accept(span);
    expect(exporter.batches).toEqual([['s0', 's1']]);
    sink.salvage?.();
    expect(lost).toEqual([
      ['shutdown', 3],
      ['shutdown', 2],
    ]);
    exporter.answer();
    sink.salvage?.();
    await sink.close(100);
    await clock.advance(1000);
    expect(lost).toHaveLength(2);
    expect(exporter.batches).toHaveLength(1);
    sink.accept(spans(1)[0] as EndedSpan);
    expect(lost.at(-1)).toEqual(['shutdown', 1]);
  });

  it('sends what is there after a while, and full batches at once, one at a time', async () => {
    const { clock, exporter, lost, sink } = setUp();
    const [a, b, c, d] = spans(4) as [EndedSpan, EndedSpan, EndedSpan, EndedSpan];
    sink.accept(a);
    await clock.advance(99);
    expect(exporter.batches).toEqual([]);
    await clock.advance(1);
    expect(exporter.batches).toEqual([['s0']]);
    for (const span of [b, c, d]) sink.accept(span);
    await clock.advance(1000);
    expect(exporter.batches).toHaveLength(1);
    exporter.answer();
    await clock.advance(0);
    expect(exporter.batches).toEqual([['s0'], ['s1', 's2']]);
    exporter.answer();
    await clock.advance(100);
    expect(exporter.batches).toEqual([['s0'], ['s1', 's2'], ['s3']]);
    expect(lost).toEqual([]);
  });

  it('tells what it loses: no room, a failure, an export that never ends, a late span', async () => {
    const { clock, exporter, lost, sink } = setUp({ exportTimeoutMs: 500 });
    for (const span of spans(7)) sink.accept(span);
    expect(lost).toEqual([['queue_full', 1]]);
    exporter.answer(1);
    await clock.advance(0);
    expect(lost.slice(1)).toEqual([['export_failed', 2]]);
    await clock.advance(500);
    expect(lost.slice(2)).toEqual([['timeout', 2]]);
    exporter.answer();
    exporter.answer();
    await clock.advance(100);
    const closed = sink.close(1000);
    exporter.answer();
    await clock.advance(1000);
    await closed;
    sink.accept(spans(1)[0] as EndedSpan);
    expect(lost.slice(3)).toEqual([['shutdown', 1]]);
    expect(exporter.calls).toEqual(['forceFlush', 'shutdown']);
  });

  it('flushes what was there, through an export that is on its way', async () => {
    const { clock, exporter, sink } = setUp({ maxQueue: 10 });
    for (const span of spans(5)) sink.accept(span);
    let over = false;
    const flushed = sink.flush(1000).then(() => {
      over = true;
    });
    for (const expected of [1, 2, 3]) {
      await clock.advance(0);
      expect(exporter.batches).toHaveLength(expected);
      expect(over).toBe(false);
      exporter.answer();
    }
    await clock.advance(0);
    await flushed;
    expect(exporter.calls).toEqual(['forceFlush']);
  });

  it('flushes and closes no longer than it may, and counts what is left', async () => {
    const { clock, exporter, lost, sink } = setUp();
    for (const span of spans(3)) sink.accept(span);
    const flushed = sink.flush(300);
    await clock.advance(300);
    await flushed;
    const closed = sink.close(300);
    expect(sink.close(1)).toBe(closed);
    expect(sink.flush(1)).toBe(closed);
    await clock.advance(300);
    await clock.advance(0);
    await closed;
    // The one that waits, and the two that are on their way: whether they arrive nobody will know.
    expect(lost).toEqual([
      ['shutdown', 1],
      ['shutdown', 2],
    ]);
    expect(exporter.calls).toEqual(['shutdown']);
    exporter.answer(1);
    await clock.advance(60_000);
    expect(lost).toHaveLength(2);
    expect(exporter.batches).toHaveLength(1);
    expect(exporter.calls).toEqual(['shutdown']);
    expect(clock.pending).toBe(0);
  });

  it('survives an exporter and a listener that are async and reject', async () => {
    const clock = manualClock();
    const lost: string[] = [];
    const sink = exporterSink(
      { export: async () => Promise.reject(new Error('broken')), shutdown: async () => {} },
      {
        clock,
        batch: 1,
        onLost: async (reason) => {
          lost.push(reason);
          throw new Error('broken');
        },
      },
    );
    sink.accept(spans(1)[0] as EndedSpan);
    await clock.advance(0);
    expect(lost).toEqual(['export_failed']);
    await sink.close(100);
    expect(clock.pending).toBe(0);
  });

  it('survives an exporter and a listener that throw', async () => {
    const clock = manualClock();
    const fault = () => {
      throw new Error('broken');
    };
    const sink = exporterSink({ export: fault, shutdown: fault }, { clock, onLost: fault, batch: 1 });
    sink.accept(spans(1)[0] as EndedSpan);
    await sink.flush(100);
    await sink.close(100);
    expect(clock.pending).toBe(0);
  });

  it('exports as part of no call, with tracing suppressed', async () => {
    context.setGlobalContextManager(contextStorage());
    const own = createContextKey('own');
    const silent = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
    const seen: unknown[] = [];
    const sink = exporterSink(
      {
        export(_: never, done: Done) {
          seen.push(context.active().getValue(own), context.active().getValue(silent));
          done({ code: 0 });
        },
        shutdown: async () => {},
      },
      { batch: 1 },
    );
    context.with(ROOT_CONTEXT.setValue(own, 1), () => sink.accept(spans(1)[0] as EndedSpan));
    await sink.close(1000);
    expect(seen).toEqual([undefined, true]);
  });

  it.each([
    [{ maxQueue: 0 }, 'exporterSink.maxQueue'],
    [{ batch: 1.5 }, 'exporterSink.batch'],
    [{ delayMs: -1 }, 'exporterSink.delayMs'],
    [{ exportTimeoutMs: 0 }, 'exporterSink.exportTimeoutMs'],
  ])('refuses %j', (options, message) => {
    expect(() => exporterSink(slowExporter(), options)).toThrow(message);
  });
});

describe('processorSink', () => {
  it('hands spans to a processor, flushes and shuts it down, once', async () => {
    const calls: string[] = [];
    const sink = processorSink({
      onStart: () => void calls.push('start'),
      onEnd: (span: EndedSpan) => void calls.push(`end ${span.name}`),
      forceFlush: async () => void calls.push('forceFlush'),
      shutdown: async () => void calls.push('shutdown'),
    });
    const [one, two] = spans(2) as [EndedSpan, EndedSpan];
    sink.accept(one);
    await sink.flush(100);
    await Promise.all([sink.close(100), sink.close(100)]);
    sink.accept(two);
    expect(calls).toEqual(['end s0', 'forceFlush', 'shutdown']);
  });

  it('survives one that throws, rejects or hangs', async () => {
    const clock = manualClock();
    const sink = processorSink(
      {
        onStart() {},
        onEnd({ name }: EndedSpan) {
          if (name === 's0') throw new Error('broken');
          return Promise.reject(new Error('broken'));
        },
        forceFlush: () => Promise.reject(new Error('broken')),
        shutdown: () => new Promise(() => {}),
      },
      clock,
    );
    for (const span of spans(2)) sink.accept(span);
    await sink.flush(100);
    const closed = sink.close(100);
    await clock.advance(100);
    await closed;
  });
});

afterEach(() => context.disable());
