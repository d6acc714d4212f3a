import { SpanKind } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { tracedHere } from '../../doubles/traced-here.js';

describe('a trace with too many spans', () => {
  it('records so many, and tells of the rest by name, kind and outcome', () => {
    const here = tracedHere({ limits: { maxTraceSpans: 3 } });
    const root = here.start('root');
    for (let n = 0; n < 2; n++) here.run('kept', 1, root);
    for (let n = 0; n < 5; n++) here.run('query', 2, root, { kind: SpanKind.CLIENT });
    here.start('query', root, { kind: SpanKind.CLIENT }).setStatus({ code: 2 }).end();
    here.run('query', 3, root);
    root.end();
    expect(here.sink.names).toEqual(['kept', 'kept', 'root']);
    const { attributes, events } = here.span('root');
    expect(attributes).toEqual({ 'keelson.dropped_spans': 7 });
    expect(events.map(({ name, attributes: said }) => [name, said])).toEqual([
      ['keelson.dropped_spans', { name: 'query', kind: 2, failed: false, count: 5, sum_ms: 10 }],
      ['keelson.dropped_spans', { name: 'query', kind: 2, failed: true, count: 1, sum_ms: 0 }],
      ['keelson.dropped_spans', { name: 'query', kind: 0, failed: false, count: 1, sum_ms: 3 }],
    ]);
    expect(here.provider.counts).toMatchObject({ overLimit: 7, lost: { trace_limit: 7 } });
  });

  it('misses those of traces that are kept', () => {
    const sampling = { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 } as const;
    const here = tracedHere({ sampling, limits: { maxTraceSpans: 1 } });
    for (let n = 0; n < 2; n++) here.run('x', 1);
    const [bad, good] = [here.start('x'), here.start('x')];
    for (const root of [bad, good]) here.start('beyond', root).end();
    good.end();
    expect(here.provider.counts).toMatchObject({ overLimit: 2, lost: { trace_limit: 0 } });
    bad.setStatus({ code: 2 }).end();
    here.start('beyond', bad).end();
    expect(here.provider.counts).toMatchObject({ overLimit: 3, lost: { trace_limit: 2 } });
  });

  it('fails with one that is beyond, unless it is set right', () => {
    const sampling = { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 } as const;
    const here = tracedHere({ sampling, limits: { maxTraceSpans: 1 } });
    for (let n = 0; n < 2; n++) here.run('x', 1);
    here.sink.spans.length = 0;
    const given = [[{ code: 2 }, null], [{ code: 2 }, { code: 1 }], [null]] as never[][];
    given.forEach((statuses, n) => {
      const root = here.start('x', undefined, { attributes: { n } });
      const beyond = here.start('beyond', root);
      for (const status of statuses) beyond.setStatus(status);
      beyond.end();
      root.end();
    });
    expect(here.sink.spans.map(({ attributes }) => attributes['n'])).toEqual([0]);
  });

  it('lets what is beyond hang below what is recorded', () => {
    const here = tracedHere({ limits: { maxTraceSpans: 2 } });
    const root = here.start('root');
    const parent = here.start('parent', root);
    const beyond = here.start('beyond', parent);
    const below = here.start('below', beyond);
    expect(beyond.isRecording()).toBe(false);
    // A callee hangs below the nearest span that somebody will see.
    expect(below.spanContext()).toBe(parent.spanContext());
    below
      .setAttribute('a', 1)
      .setAttributes({})
      .addEvent('e')
      .addLinks([])
      .updateName('x')
      .recordException('e');
    below.addLink({ context: root.spanContext() }).end();
    below.end();
    beyond.end();
    parent.end();
    root.end();
    expect(here.span('root').attributes).toEqual({ 'keelson.dropped_spans': 2 });
  });

  it('tells a bounded number of sorts apart, and counts all', () => {
    const here = tracedHere({ limits: { maxTraceSpans: 1 } });
    const root = here.start('root');
    for (let n = 0; n < 1000; n++) here.start(`query ${n}`, root).end();
    root.end();
    expect(here.span('root').attributes).toEqual({ 'keelson.dropped_spans': 1000 });
    expect(here.span('root').events).toHaveLength(32);
  });

  it('has a limit for each part of it in this process', () => {
    const here = tracedHere({ limits: { maxTraceSpans: 1 } });
    for (let n = 0; n < 3; n++) here.start('root').end();
    expect(here.sink.names).toEqual(['root', 'root', 'root']);
  });
});

describe('a span that nobody ends', () => {
  it('is ended after so long, marked and counted', () => {
    const here = tracedHere({ maxOpenMs: 60_000 });
    const span = here.start('forgotten');
    here.clock.advanceSync(60_000);
    expect(here.sink.names).toEqual([]);
    here.clock.advanceSync(5000);
    expect(here.span('forgotten').attributes).toEqual({ 'keelson.unended': true });
    expect(here.provider.counts).toMatchObject({ unended: 1, delivered: 1 });
    expect(span.isRecording()).toBe(false);
    span.end();
    expect(here.sink.spans).toHaveLength(1);
    expect(here.clock.pending).toBe(0);
  });

  it('is ended when the process has nothing left to do, and what begins then is recorded as before', () => {
    const here = tracedHere();
    const [outer, failed] = [here.start('outer'), here.start('failed')];
    here.provider.endOpen();
    expect(here.sink.names).toEqual(['outer', 'failed']);
    for (const span of [outer, failed]) span.end();
    here.provider.endOpen();
    here.start('next').end();
    expect(here.sink.names).toEqual(['outer', 'failed', 'next']);
    expect(here.provider.counts).toMatchObject({ recorded: 3, unended: 2, delivered: 3 });
    here.start('last');
    here.provider.endOpen();
    expect(here.span('last').attributes).toEqual({ 'keelson.unended': true });
  });

  it('says so however full it is', () => {
    const here = tracedHere({ maxOpenMs: 60_000, limits: { maxSpanBytes: 1024 } });
    here.start('forgotten').setAttribute('text', 'x'.repeat(5000));
    here.clock.advanceSync(70_000);
    expect(here.span('forgotten').attributes).toMatchObject({ 'keelson.unended': true });
    const most = tracedHere({ maxOpenMs: 60_000, limits: { maxAttributes: 2 } });
    most.start('forgotten').setAttributes({ a: 1, b: 2, c: 3 });
    most.clock.advanceSync(70_000);
    expect(most.span('forgotten')).toMatchObject({
      attributes: { a: 1, b: 2, 'keelson.unended': true },
      droppedAttributesCount: 1,
    });
  });

  it('is not one that a caller says began long ago', () => {
    const here = tracedHere({ maxOpenMs: 60_000 });
    const span = here.start('imported', undefined, { startTime: new Date(0) });
    here.clock.advanceSync(10_000);
    expect(here.provider.counts.unended).toBe(0);
    span.end();
  });

  it('is ended early when too many are open, the oldest first', () => {
    const here = tracedHere({ maxOpenSpans: 3 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) here.start(name);
    expect(here.sink.names).toEqual(['a', 'b']);
    expect(here.provider.counts.unended).toBe(2);
  });

  it('is ended early when the open ones take too much, the oldest first', () => {
    const here = tracedHere({ maxOpenBytes: 20_000 });
    const big = { text: 'x'.repeat(6000) };
    const first = here.start('a').setAttributes(big);
    here.start('b', undefined, { attributes: big });
    here.start('c').addEvent('e', big);
    here.start('d').setAttribute('text', big.text);
    here.start('e');
    expect(here.sink.names).toEqual(['a']);
    first.end();
    for (let n = 0; n < 100; n++) here.run('small', 0, undefined, { attributes: big });
    // Those that have ended take nothing any more.
    expect(here.sink.names.slice(0, 3)).toEqual(['a', 'b', 'small']);
    expect(here.provider.counts.unended).toBe(2);
  });

  it('is not ended for its own size while it is the latest', () => {
    const here = tracedHere({ maxOpenBytes: 1000 });
    const [one, other] = ['a', 'b'].map((name) =>
      here.start(name, undefined, { attributes: { text: 'x'.repeat(6000) } }),
    );
    expect([one?.isRecording(), other?.isRecording()]).toEqual([false, true]);
    expect(here.sink.names).toEqual(['a']);
  });

  it('is ended with others like it in pieces', () => {
    const here = tracedHere({ maxOpenMs: 60_000 });
    for (let n = 0; n < 1000; n++) here.start('x');
    let most = 0;
    for (let ms = 0; ms < 100_000; ms++) {
      const before = here.provider.counts.unended;
      here.clock.advanceSync(1);
      most = Math.max(most, here.provider.counts.unended - before);
    }
    expect(here.provider.counts.unended).toBe(1000);
    expect(most).toBeLessThanOrEqual(256);
    expect(here.clock.pending).toBe(0);
  });

  it('is kept by tail sampling, and teaches it nothing', () => {
    const here = tracedHere({
      maxOpenMs: 60_000,
      sampling: { mode: 'tail', perSecond: 1e-9, rareMs: 1e12 },
    });
    for (let n = 0; n < 2; n++) here.run('x', 1);
    here.start('x');
    here.clock.advanceSync(70_000);
    expect(here.sink.spans.map(({ attributes }) => attributes)).toEqual([
      {},
      {},
      { 'keelson.unended': true },
    ]);
    for (let n = 0; n < 60; n++) here.run('x', 10);
    here.clock.advanceSync(2000);
    here.run('x', 100);
    // Slow, since the ten minutes were no sample.
    expect(here.sink.spans).toHaveLength(4);
  });

  it('can wait for ever', () => {
    const here = tracedHere({ maxOpenMs: Number.POSITIVE_INFINITY });
    const span = here.start('stream');
    here.clock.advanceSync(1e9);
    expect(span.isRecording()).toBe(true);
  });

  it('does not keep an idle process at work', () => {
    const here = tracedHere();
    here.run('x', 10);
    here.clock.advanceSync(5000);
    expect(here.clock.pending).toBe(0);
  });

  it('may be ended by a processor while it is ended', () => {
    const here = tracedHere({
      processors: [
        {
          onStart() {},
          onEnding: (span: { end(): void }) => span.end(),
          onEnd() {},
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    });
    here.start('x').end();
    expect(here.sink.names).toEqual(['x']);
  });
});
