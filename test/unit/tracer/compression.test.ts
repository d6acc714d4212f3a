import { type Span, SpanKind, type SpanOptions } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { caller, contextOf, type TracedHere, tracedHere } from '../../doubles/traced-here.js';

const mysql: SpanOptions = { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'mysql' } };

function shown(here: TracedHere) {
  return here.sink.spans.map(({ name, composite }) => `${name} ${composite?.count ?? 1}`);
}

describe('compression', () => {
  it('makes one span of consecutive calls of one kind, which says what it stands for', () => {
    const here = tracedHere();
    const root = here.start('root');
    for (const ms of [5, 1, 20]) {
      const call = here.start('SELECT', root, mysql).addLinks([]);
      here.clock.advanceSync(ms);
      call.end();
      here.clock.advanceSync(100);
    }
    expect(here.sink.spans).toEqual([]);
    root.end();
    expect(shown(here)).toEqual(['SELECT 3', 'root 1']);
    const span = here.span('SELECT');
    expect(span.composite).toEqual({ count: 3, sumMs: 26, minMs: 1, maxMs: 20 });
    expect(span.attributes).toEqual({
      'db.system.name': 'mysql',
      'keelson.composite.count': 3,
      'keelson.composite.sum_ms': 26,
      'keelson.composite.min_ms': 1,
      'keelson.composite.max_ms': 20,
    });
    expect(span.duration).toEqual([0, 226_000_000]);
    expect(here.provider.counts).toMatchObject({ recorded: 4, delivered: 2, compressed: 2 });
  });

  it('does not touch a single one', () => {
    const here = tracedHere();
    const root = here.start('root');
    here.run('SELECT', 1, root, mysql);
    root.end();
    expect(here.span('SELECT')).toMatchObject({
      composite: undefined,
      attributes: { 'db.system.name': 'mysql' },
    });
  });

  it.each([
    ['another name', (here: TracedHere, root: Span) => here.run('INSERT', 1, root, mysql)],
    [
      'another peer',
      (here: TracedHere, root: Span) =>
        here.run('SELECT', 1, root, { ...mysql, attributes: { 'db.system.name': 'redis' } }),
    ],
    [
      'another kind',
      (here: TracedHere, root: Span) => here.run('SELECT', 1, root, { ...mysql, kind: SpanKind.PRODUCER }),
    ],
    ['one that is no exit', (here: TracedHere, root: Span) => here.run('compute', 1, root)],
    ['a slow one', (here: TracedHere, root: Span) => here.run('SELECT', 51, root, mysql)],
    [
      'a failed one',
      (here: TracedHere, root: Span) => here.start('SELECT', root, mysql).setStatus({ code: 2 }).end(),
    ],
    [
      'one with an event',
      (here: TracedHere, root: Span) => here.start('SELECT', root, mysql).addEvent('e').end(),
    ],
    [
      'one with a link',
      (here: TracedHere, root: Span) =>
        here.start('SELECT', root, { ...mysql, links: [{ context: caller(1) }] }).end(),
    ],
    [
      'one whose ids somebody knows',
      (here: TracedHere, root: Span) => {
        const span = here.start('SELECT', root, mysql);
        span.spanContext();
        span.end();
      },
    ],
    [
      'one with a child',
      (here: TracedHere, root: Span) => {
        const span = here.start('SELECT', root, mysql);
        here.start('connect', span).end();
        span.end();
      },
    ],
    [
      'one of another library',
      (here: TracedHere, root: Span) => {
        const tracer = here.provider.getTracer('other');
        tracer.startSpan('SELECT', mysql, contextOf(root)).end();
      },
    ],
  ])('is broken off by %s', (_, between) => {
    const here = tracedHere();
    const root = here.start('root');
    const select = () => here.run('SELECT', 1, root, mysql);
    select();
    select();
    between(here, root);
    select();
    select();
    root.end();
    const counts = here.sink.spans
      .filter(({ name }) => name === 'SELECT')
      .map(({ composite }) => composite?.count ?? 1);
    expect(counts.filter((count) => count === 2)).toHaveLength(2);
    expect(here.provider.counts.compressed).toBe(2);
  });

  it('is not of spans whose ids a processor has told on', () => {
    const here = tracedHere({
      processors: [
        {
          onStart: (span: Span) => void span.spanContext(),
          onEnd: (span: Span) => void span.spanContext(),
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    });
    const root = here.start('root');
    for (let n = 0; n < 3; n++) here.run('SELECT', 1, root, mysql);
    root.end();
    expect(here.provider.counts).toMatchObject({ delivered: 4, compressed: 0 });
  });

  it('is told however full the span is', () => {
    const here = tracedHere({ limits: { maxAttributes: 1 } });
    const root = here.start('root');
    for (let n = 0; n < 3; n++) here.run('SELECT', 1, root, mysql);
    root.end();
    expect(here.span('SELECT').attributes).toEqual({
      'db.system.name': 'mysql',
      'keelson.composite.count': 3,
      'keelson.composite.sum_ms': 3,
      'keelson.composite.min_ms': 1,
      'keelson.composite.max_ms': 1,
    });
  });

  it('is of siblings only', () => {
    const here = tracedHere();
    const root = here.start('root');
    const [one, other] = [here.start('one', root), here.start('other', root)];
    here.run('SELECT', 1, one, mysql);
    here.run('SELECT', 1, other, mysql);
    here.run('SELECT', 1, one, mysql);
    one.end();
    other.end();
    root.end();
    expect(shown(here)).toEqual(['SELECT 2', 'one 1', 'SELECT 1', 'other 1', 'root 1']);
  });

  it('takes what runs at the same time, and what ends after its parent as it is', () => {
    const here = tracedHere();
    const root = here.start('root');
    const calls = [here.start('SELECT', root, mysql), here.start('SELECT', root, mysql)];
    const late = here.start('SELECT', root, mysql);
    here.clock.advanceSync(3);
    for (const call of calls) call.end();
    root.end();
    late.end();
    expect(shown(here)).toEqual(['SELECT 2', 'root 1', 'SELECT 1']);
    expect(here.sink.spans[0]?.composite).toEqual({ count: 2, sumMs: 6, minMs: 3, maxMs: 3 });
    expect(here.sink.spans[0]?.duration).toEqual([0, 3_000_000]);
  });

  it.each([
    [0, 1, 4],
    [10, 10, 2],
    [10, 11, 4],
  ])('with compressMs %d and calls of %d ms gives %d spans', (compressMs, ms, count) => {
    const here = tracedHere({ compressMs });
    const root = here.start('root');
    for (let n = 0; n < 3; n++) here.run('SELECT', ms, root, mysql);
    root.end();
    expect(here.sink.spans).toHaveLength(count);
  });

  it('makes room in the trace', () => {
    const here = tracedHere({ limits: { maxTraceSpans: 3 } });
    const root = here.start('root');
    for (let n = 0; n < 100; n++) here.run('SELECT', 1, root, mysql);
    root.end();
    expect(shown(here)).toEqual(['SELECT 100', 'root 1']);
    expect(here.provider.counts.overLimit).toBe(0);
  });

  it('works in traces that are held', () => {
    const here = tracedHere({ sampling: { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 } });
    for (let n = 0; n < 2; n++) here.run('root', 0);
    const root = here.start('root');
    for (let n = 0; n < 5; n++) here.run('SELECT', 1, root, mysql);
    expect(here.sink.spans).toHaveLength(2);
    root.setStatus({ code: 2 }).end();
    expect(shown(here)).toEqual(['root 1', 'root 1', 'SELECT 5', 'root 1']);
    expect(here.span('SELECT').spanContext().traceFlags & 1).toBe(1);
  });
});
