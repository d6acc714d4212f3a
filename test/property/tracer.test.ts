import { createTraceState, type Span, SpanKind } from '@opentelemetry/api';
import fc from 'fast-check';
import type { EndedSpan, SamplingMode } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { caller, collector, tracedHere } from '../doubles/traced-here.js';

/** Anything that somebody might set, and some that nobody should. */
const anything = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withTypedArray: true,
    withSparseArray: true,
  }),
  fc.constantFrom(Symbol('s'), () => 1, Number.NaN),
  fc.func(fc.anything()),
);

const isClean = (value: unknown): boolean => {
  if (typeof value === 'number') return Number.isFinite(value);
  if (!Array.isArray(value)) return typeof value === 'string' || typeof value === 'boolean';
  const types = new Set(value.filter((element) => element !== null).map((element) => typeof element));
  return (
    types.size <= 1 &&
    value.every((element) => element === null || (!Array.isArray(element) && isClean(element)))
  );
};

describe('attributes', () => {
  it('are clean and within the limits, whatever is set', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), anything), { maxLength: 60 }), (entries) => {
        const limits = { maxAttributes: 20, maxAttributeLength: 100, maxSpanBytes: 2000 };
        const here = tracedHere({ limits });
        const span = here.start('x');
        for (const [name, value] of entries) span.setAttribute(name, value as never);
        span.addEvent('e', Object.fromEntries(entries) as never).end();
        const ended = here.span('x');
        const names = ended.pairs.filter((_, at) => at % 2 === 0);
        expect(new Set(names).size).toBe(names.length);
        expect(names.length).toBeLessThanOrEqual(20);
        expect(Object.values(ended.attributes).every(isClean)).toBe(true);
        for (const event of ended.events) expect(Object.values(event.attributes).every(isClean)).toBe(true);
        expect(ended.bytes).toBeLessThanOrEqual(2000);
      }),
    );
  });

  it('are the last that was set, of those that fit', () => {
    const entry = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer());
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 400 }), (entries) => {
        const here = tracedHere();
        const span = here.start('x');
        for (const [name, value] of entries) span.setAttribute(name, value);
        span.end();
        expect(here.span('x').attributes).toEqual(Object.fromEntries(entries));
      }),
    );
  });
});

/** What a span begins below: what a caller sent with that flag, another span, or nothing. */
type Below = 0 | 1 | 'undecided' | 'span' | 'nothing';

type Step =
  | { readonly do: 'start'; readonly at: number; readonly kind: SpanKind; readonly below: Below }
  | { readonly do: 'end' | 'fail' | 'ids'; readonly at: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'flush'; readonly at: number }
  | { readonly do: 'break' | 'close' }
  | { readonly do: 'sample'; readonly mode: SamplingMode };

/** Keeps traces for their outcome, and holds a few spans until that is known. */
const frugal = { perSecond: 1e-9, rareMs: 1e12, ringBytes: 600 };

const undecided = createTraceState('keelson=tail');

/** A sink that throws while it is broken. */
function brittleSink() {
  const broken = { now: false };
  const taken: EndedSpan[] = [];
  const refused: EndedSpan[] = [];
  const sink = {
    ...collector(),
    taken,
    refused,
    accept(span: EndedSpan) {
      (broken.now ? refused : taken).push(span);
      if (broken.now) throw new Error('broken');
    },
  };
  return { sink, broken };
}

const at = fc.nat({ max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      at,
      kind: fc.constantFrom(SpanKind.INTERNAL, SpanKind.CLIENT),
      below: fc.constantFrom<Below[]>(0, 1, 'undecided', 'span', 'span', 'span', 'nothing'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'fail' as const, 'ids' as const), at }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: -5000, max: 40_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('sample' as const),
      mode: fc.constantFrom(
        'off' as const,
        'ratio' as const,
        'rateLimit' as const,
        'always' as const,
        ...Array<'tail'>(4).fill('tail'),
      ),
    }),
  },
);

describe('spans', () => {
  it('end in one place each, and are counted there once, whatever happens to them', () => {
    const sequence = fc.tuple(
      fc.array(step, { maxLength: 120, size: 'max' }),
      fc.array(fc.oneof(step, fc.record({ do: fc.constant('close' as const) })), {
        maxLength: 30,
        size: 'max',
      }),
    );
    fc.assert(
      fc.property(sequence, ([before, after]) => {
        const started: object[] = [];
        const told: EndedSpan[] = [];
        const { sink, broken } = brittleSink();
        const here = tracedHere({
          sink,
          sampling: { ...frugal, mode: 'tail' },
          limits: { maxTraceSpans: 8 },
          maxOpenSpans: 12,
          maxOpenMs: 60_000,
          processors: [
            {
              onStart: (span: object) => void started.push(span),
              onEnd: (span: EndedSpan) => void told.push(span),
              forceFlush: async () => {},
              shutdown: async () => {},
            },
          ],
        });
        const spans: Span[] = [];
        const pick = (index: number) => spans[index % Math.max(1, spans.length)];
        const { counts } = here.provider;
        const parentOf = ({ below, at }: { below: Below; at: number }) => {
          if (below === 'span') return pick(at);
          if (below === 'nothing') return undefined;
          return below === 'undecided' ? caller(2, undecided) : caller(below);
        };
        const settled = () =>
          counts.delivered +
          counts.compressed +
          counts.discarded +
          counts.lost.sink_failed +
          counts.lost.trace_memory_full;
        let closed = false;
        for (const one of [...before, ...after]) {
          switch (one.do) {
            case 'break':
              broken.now = !broken.now;
              break;
            case 'close':
              void here.provider.close();
              closed = true;
              break;
            case 'start':
              spans.push(here.start('x', parentOf(one), { kind: one.kind }));
              break;
            case 'wait':
              here.clock.advanceSync(one.ms);
              break;
            case 'sample':
              here.provider.sample({ ...frugal, mode: one.mode, ratio: 0.5 });
              break;
            case 'flush':
              here.provider.flushTrace(pick(one.at)?.spanContext().traceId ?? '');
              break;
            case 'fail':
              pick(one.at)?.setStatus({ code: 2 }).end();
              break;
            case 'ids':
              pick(one.at)?.spanContext();
              break;
            case 'end':
              pick(one.at)?.end();
          }
          // Nothing is counted before it is known, and nobody is told of what still runs.
          expect(started).toHaveLength(counts.recorded);
          expect(settled()).toBeLessThanOrEqual(told.length);
          const open = closed ? 0 : spans.filter((span) => span.isRecording()).length;
          expect(told.length + open).toBeLessThanOrEqual(counts.recorded);
          if (closed) expect(settled()).toBe(counts.recorded);
        }
        for (const span of spans) span.end();
        here.clock.advanceSync(200_000);

        expect(settled()).toBe(counts.recorded);
        expect(new Set(told).size).toBe(told.length);
        expect(new Set(told)).toEqual(new Set(started));
        const kept = told.filter((span) => (span.spanContext().traceFlags & 1) === 1);
        expect(new Set(kept)).toEqual(new Set([...sink.taken, ...sink.refused]));
        expect(sink.taken).toHaveLength(counts.delivered);
        expect(sink.refused).toHaveLength(counts.lost.sink_failed);
        expect(counts.evicted).toBeLessThanOrEqual(counts.discarded);
        expect(counts.lost.trace_limit).toBeLessThanOrEqual(counts.overLimit);
        for (const span of kept) expect(span.endedMs).toBeGreaterThanOrEqual(span.startedMs);
        const shown = kept.reduce((sum, span) => sum + (span.composite?.count ?? 1), 0);
        // Composites of traces that were not kept are not shown.
        expect(shown).toBeLessThanOrEqual(kept.length + counts.compressed);
        expect(here.clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
