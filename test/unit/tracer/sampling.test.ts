import {
  createContextKey,
  createTraceState,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace,
} from '@opentelemetry/api';
import { seededRandom } from 'keelson/testing';
import type { SamplingOptions } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { caller, contextOf, tracedHere } from '../../doubles/traced-here.js';

const sampled = (span: Span): boolean => (span.spanContext().traceFlags & 1) === 1;
const stateOf = (span: Span): string | undefined => span.spanContext().traceState?.serialize();

function shareOf(sampling: SamplingOptions, count = 20_000): number {
  const here = tracedHere({ sampling, random: seededRandom(3) });
  let kept = 0;
  for (let n = 0; n < count; n++) if (here.start('x').isRecording()) kept++;
  return kept / count;
}

describe('always', () => {
  it('keeps all, and says that each stands for itself', () => {
    const here = tracedHere({ sampling: { mode: 'always' } });
    const span = here.start('x');
    expect(sampled(span)).toBe(true);
    expect(stateOf(span)).toBe('ot=th:0');
    expect(stateOf(here.start('child', span))).toBe('ot=th:0');
  });
});

describe('off', () => {
  it('makes nothing of nothing, and passes on what came as it came', () => {
    const here = tracedHere({ sampling: { mode: 'off' } });
    const none = here.start('x');
    expect(trace.isSpanContextValid(none.spanContext())).toBe(false);
    expect(trace.isSpanContextValid(here.start('below', none).spanContext())).toBe(false);
    const { traceId, spanId } = caller(1);
    const passed = here.start('x', caller(1, createTraceState('a=b')));
    expect(passed.spanContext()).toMatchObject({ traceId, spanId, traceFlags: 1 });
    expect(stateOf(passed)).toBe('a=b');
    expect(passed.isRecording()).toBe(false);
    passed.end();
    expect(here.sink.spans).toEqual([]);
    expect(here.provider.counts.recorded).toBe(0);
  });
});

describe('what is passed on', () => {
  it.each([['off'], ['a route that is off']])('with %s hangs below the caller at any depth', (which) => {
    const routes = { x: { mode: 'off' } } as const;
    const here = tracedHere({ sampling: which === 'off' ? { mode: 'off' } : { mode: 'always', routes } });
    const passed = here.start('x', caller(1));
    const below = here.start('further', here.start('below', passed));
    expect(below.spanContext()).toMatchObject({ spanId: caller(1).spanId, traceFlags: 1 });
    expect(below.isRecording()).toBe(false);
  });
});

describe('ratio', () => {
  it.each([[0.5], [0.1], [0.01]])('keeps a share of %d', (ratio) => {
    const share = shareOf({ mode: 'ratio', ratio });
    // Five standard deviations of a binomial distribution.
    const bound = 5 * Math.sqrt((ratio * (1 - ratio)) / 20_000);
    expect(Math.abs(share - ratio)).toBeLessThan(bound);
  });

  it('keeps none at 0 and all at 1', () => {
    expect(shareOf({ mode: 'ratio', ratio: 0 }, 1000)).toBe(0);
    expect(shareOf({ mode: 'ratio', ratio: 1 }, 1000)).toBe(1);
  });

  // Thresholds of the specification: T = 2^56 (1 - ratio), four digits after leading f, no zeros at the end.
  it.each([
    [1, '0'],
    [0.5, '8'],
    [0.25, 'c'],
    [0.1, 'e666'],
    [0.01, 'fd70a'],
    [0.001, 'ffbe77'],
    [1 / 3, 'aaab'],
  ])('writes the threshold of %d as %s, and keeps what is not below', (ratio, th) => {
    const here = tracedHere({ sampling: { mode: 'ratio', ratio }, random: seededRandom(5) });
    let kept = 0;
    for (let n = 0; n < 5000 || kept === 0; n++) {
      const span = here.start('x');
      const { traceId } = span.spanContext();
      expect(sampled(span)).toBe(traceId.slice(18) >= th.padEnd(14, '0'));
      expect(span.isRecording()).toBe(sampled(span));
      expect(stateOf(span)).toBe(sampled(span) ? `ot=th:${th}` : undefined);
      if (sampled(span)) kept++;
    }
  });

  it('keeps the traces that a smaller ratio keeps', () => {
    const of = (ratio: number) => {
      const here = tracedHere({ sampling: { mode: 'ratio', ratio }, random: seededRandom(9) });
      // Unsampled and sampled spans take as many ids, so both runs see the same.
      return Array.from({ length: 2000 }, () => here.start('x')).map(sampled);
    };
    const [few, many] = [of(0.05), of(0.3)];
    expect(few.some(Boolean)).toBe(true);
    expect(few.every((kept, at) => !kept || many[at])).toBe(true);
  });
});

describe('a span that is not sampled', () => {
  it('has ids of its own in the trace, keeps nothing, and hands the decision down', () => {
    const here = tracedHere({ sampling: { mode: 'ratio', ratio: 0 } });
    const span = here.start('x');
    const child = here.start('y', span);
    expect(trace.isSpanContextValid(span.spanContext())).toBe(true);
    expect(child.spanContext().traceId).toBe(span.spanContext().traceId);
    expect(child.spanContext().spanId).not.toBe(span.spanContext().spanId);
    expect(child.spanContext().traceFlags).toBe(2);
    for (const it of [span, child]) {
      it.setAttribute('a', 1)
        .setAttributes({ b: 1 })
        .addEvent('e')
        .addLink({ context: caller(1) })
        .addLinks([]);
      it.setStatus({ code: 2 }).updateName('z').recordException(new Error('e'));
      expect(it.isRecording()).toBe(false);
      it.end();
    }
    expect(Object.keys({ ...span.spanContext() }).sort()).toEqual([
      'spanId',
      'traceFlags',
      'traceId',
      'traceState',
    ]);
    expect(here.sink.spans).toEqual([]);
  });
});

describe('rateLimit', () => {
  it('keeps so many per second of each route, and does not say how many they stand for', () => {
    const here = tracedHere({ sampling: { mode: 'rateLimit', perSecond: 2 } });
    const kept = { a: 0, b: 0 };
    for (let ms = 0; ms < 10_000; ms += 10) {
      for (const route of ['a', 'b'] as const) {
        const span = here.start(route);
        if (sampled(span)) {
          kept[route]++;
          expect(stateOf(span)).toBeUndefined();
        }
      }
      here.clock.advanceSync(10);
    }
    // Two at once, and two for each of ten seconds.
    expect(kept.a).toBeGreaterThanOrEqual(20);
    expect(kept.a).toBeLessThanOrEqual(22);
    expect(kept.b).toBe(kept.a);
  });

  it('is one per second by default, also when that is less often', () => {
    const countIn = (sampling: SamplingOptions) => {
      const here = tracedHere({ sampling });
      let kept = 0;
      for (let s = 0; s < 100; s++) {
        for (let n = 0; n < 5; n++) if (sampled(here.start('x'))) kept++;
        here.clock.advanceSync(1000);
      }
      return kept;
    };
    expect(countIn({ mode: 'rateLimit' })).toBe(100);
    expect(countIn({ mode: 'rateLimit', perSecond: 0.1 })).toBe(10);
  });

  it('stays a limit for names that never end', () => {
    const here = tracedHere({ sampling: { mode: 'rateLimit' } });
    let kept = 0;
    for (let n = 0; n < 20_000; n++) if (sampled(here.start(`GET /users/${n}`))) kept++;
    // One of each of the thousand that are told apart, and one of all others.
    expect(kept).toBe(1001);
    here.clock.advanceSync(600_000);
    // Learnt anew.
    expect(sampled(here.start('GET /fresh'))).toBe(true);
    expect(sampled(here.start('GET /fresh'))).toBe(false);
  });
});

describe('debug in the baggage', () => {
  const debug = (value: string) =>
    propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ debug: { value } }));

  it.each([
    ['ratio', '1', true],
    ['ratio', '0', false],
    ['ratio', 'false', false],
    ['rateLimit', 'true', true],
    ['tail', '', true],
    ['off', '1', false],
  ] as const)('in %s, "%s" keeps the trace: %s', (mode, value, expected) => {
    const here = tracedHere({ sampling: { mode, ratio: 0 } });
    const tracer = here.provider.getTracer('t');
    // The first of a rare route, and the token of the second.
    for (let n = 0; n < 2; n++) tracer.startSpan('x', {}, ROOT_CONTEXT);
    if (mode !== 'off') expect(sampled(tracer.startSpan('x', {}, ROOT_CONTEXT))).toBe(false);
    const span = tracer.startSpan('x', {}, debug(value));
    expect(sampled(span)).toBe(expected);
    expect(stateOf(span)?.includes('ot=')).not.toBe(true);
  });
});

describe('debug in the baggage of everything', () => {
  it.each(['ratio', 'rateLimit', 'tail'] as const)('keeps no more than its rate in %s', (mode) => {
    const here = tracedHere({ sampling: { mode, ratio: 0, debugPerSecond: 5, perSecond: 1e-9 } });
    const tracer = here.provider.getTracer('t');
    for (let n = 0; n < 2; n++) tracer.startSpan('x', {}, ROOT_CONTEXT);
    const debug = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ debug: { value: '1' } }));
    let kept = 0;
    for (let ms = 0; ms < 2000; ms++) {
      if (sampled(tracer.startSpan('x', {}, debug))) kept++;
      here.clock.advanceSync(1);
    }
    expect(kept).toBeGreaterThanOrEqual(14);
    expect(kept).toBeLessThanOrEqual(15);
  });
});

describe('a caller whose peer is not trusted', () => {
  const stranger = contextOf(caller(1)).setValue(createContextKey('keelson stranger'), caller(1).traceId);

  it.each(['rateLimit', 'tail'] as const)('keeps no more than the rate in %s', (mode) => {
    const here = tracedHere({ sampling: { mode, perSecond: 5, rareMs: 1e12 } });
    const tracer = here.provider.getTracer('t');
    let kept = 0;
    for (let ms = 0; ms < 2000; ms++) {
      const span = tracer.startSpan('x', {}, stranger);
      if (sampled(span)) kept++;
      else {
        expect(span.isRecording()).toBe(mode === 'tail');
        expect(stateOf(span)).toBe(mode === 'tail' ? 'keelson=tail' : undefined);
      }
      here.clock.advanceSync(1);
    }
    expect(kept).toBeGreaterThanOrEqual(14);
    expect(kept).toBeLessThanOrEqual(16);
    // Of others the word counts, and of another trace in the same context.
    const other = { ...caller(1), traceId: 'a'.repeat(32) };
    for (const span of [here.start('x', caller(1)), tracer.startSpan('x', {}, contextOf(other, stranger))])
      expect(sampled(span)).toBe(true);
  });

  it.each(['ratio', 'always'] as const)('decides in %s, as W3C has it', (mode) => {
    const here = tracedHere({ sampling: { mode, ratio: 0 } });
    expect(sampled(here.provider.getTracer('t').startSpan('x', {}, stranger))).toBe(true);
  });
});

describe('a caller', () => {
  it.each(['ratio', 'rateLimit', 'always', 'tail'] as const)('decides, in %s', (mode) => {
    const here = tracedHere({ sampling: { mode, ratio: mode === 'ratio' ? 0 : 1 } });
    const state = createTraceState('ot=th:8;rv:f0000000000000,x=y');
    const yes = here.start('x', caller(1, state));
    expect(sampled(yes)).toBe(true);
    expect(stateOf(yes)).toBe('ot=th:8;rv:f0000000000000,x=y');
    const no = here.start('x', caller(0, state));
    expect(no.isRecording()).toBe(false);
    expect(no.spanContext().traceFlags).toBe(0);
    expect(stateOf(no)).toBe('ot=th:8;rv:f0000000000000,x=y');
  });

  // The last 14 digits of the trace id are 48eb211c80319c; its flags 3 say that they are random.
  it.each([
    [3, 'ot=th:4', 'ot=th:4'],
    [3, 'ot=th:5', undefined],
    [3, 'ot=th:5;rv:60000000000000', 'ot=th:5;rv:60000000000000'],
    [3, 'ot=rv:40000000000000;th:5;x:1,y=z', 'ot=rv:40000000000000;x:1,y=z'],
    [3, 'ot=th:nope', undefined],
    [3, 'ot=x:1', 'ot=x:1'],
    [1, 'ot=th:5', 'ot=th:5'],
    [1, 'ot=th:5;rv:40000000000000', 'ot=rv:40000000000000'],
  ])('whose threshold does not fit is not believed: flags %d, %s', (flags, given, expected) => {
    const here = tracedHere();
    const span = here.start('x', caller(flags, createTraceState(given)));
    expect(stateOf(span) || undefined).toBe(expected);
    expect(span.spanContext().traceFlags).toBe(flags);
  });

  it('is not followed with `restart`, but linked', () => {
    const here = tracedHere({ sampling: { mode: 'always', remote: 'restart' } });
    const span = here.start('x', caller(0));
    expect(span.spanContext().traceId).not.toBe(caller(0).traceId);
    here.start('child', span).end();
    span.end();
    expect(here.span('x').links[0]?.context).toEqual(caller(0));
    expect(here.span('x').parentSpanContext).toBeUndefined();
    expect(here.span('child').spanContext().traceId).toBe(span.spanContext().traceId);
  });

  it('of ours is told from others by its signature with `restartExternal`', () => {
    const sampling = { mode: 'always', remote: 'restartExternal' } as const;
    const here = tracedHere({ sampling });
    const ours = here.start('x', caller(1));
    expect(ours.spanContext().traceId).not.toBe(caller(1).traceId);
    expect(stateOf(ours)).toBe('keelson=own,ot=th:0');
    const remote: SpanContext = { ...ours.spanContext(), isRemote: true };
    const next = tracedHere({ sampling });
    expect(next.start('y', remote).spanContext().traceId).toBe(remote.traceId);
    const unsampled = tracedHere({ sampling: { ...sampling, mode: 'ratio', ratio: 0 } }).start('x');
    expect(next.start('y', { ...unsampled.spanContext(), isRemote: true }).isRecording()).toBe(false);
    // A parent in this process is no caller.
    expect(next.start('y', { ...caller(1), isRemote: false }).spanContext().traceId).toBe(caller(1).traceId);
  });
});

describe('routes', () => {
  const routes = {
    'GET /healthz': { mode: 'off' },
    '/pay/*': { mode: 'always' },
    'GET /half*': { mode: 'ratio', ratio: 0.5 },
    'GET /share': { mode: 'ratio' },
    job: { mode: 'rateLimit', perSecond: 3 },
  } as const;

  it('have rules of their own', () => {
    const here = tracedHere({ sampling: { mode: 'ratio', ratio: 0, routes } });
    const kept = (name: string, count: number) =>
      Array.from({ length: count }, () => here.start(name)).filter(sampled).length;
    expect(kept('GET /healthz', 5)).toBe(0);
    expect(kept('POST /pay/card', 5)).toBe(5);
    expect(kept('GET /halfway', 1000)).toBeGreaterThan(400);
    expect(kept('GET /share', 100)).toBe(0);
    expect(kept('job', 10)).toBe(3);
    expect(kept('GET /other', 100)).toBe(0);
  });

  it('that are off are off for callers too, and for what is below', () => {
    const here = tracedHere({ sampling: { mode: 'always', routes } });
    const span = here.start('GET /healthz');
    expect(here.start('child', span).isRecording()).toBe(false);
    expect(trace.isSpanContextValid(span.spanContext())).toBe(true);
    const passed = here.start('GET /healthz', caller(1));
    expect(passed.isRecording()).toBe(false);
    expect(passed.spanContext()).toMatchObject({ spanId: caller(1).spanId, traceFlags: 1 });
  });
});

describe('sample', () => {
  it('changes the choice at run time; traces that run go on as they are', () => {
    const here = tracedHere({ sampling: { mode: 'always' } });
    const before = here.start('before');
    here.provider.sample({ mode: 'off' });
    expect(here.provider.sampling).toMatchObject({ mode: 'off', perSecond: 1 });
    here.start('child', before).end();
    before.end();
    expect(here.start('after').isRecording()).toBe(false);
    here.provider.sample({ mode: 'always' });
    expect(here.start('again').isRecording()).toBe(true);
    expect(here.sink.names).toEqual(['child', 'before']);
    expect(() => here.provider.sample({ mode: 'most' as never })).toThrow('tracers.sample.mode');
    expect(here.provider.sampling.mode).toBe('always');
  });

  it('does not fill up what was taken, however often it is called', () => {
    const sampling = { mode: 'rateLimit', perSecond: 2 } as const;
    const here = tracedHere({ sampling });
    let kept = 0;
    for (let ms = 0; ms < 5000; ms += 10) {
      if (ms % 100 === 0) here.provider.sample({ ...sampling, perSecond: ms % 200 === 0 ? 2 : 2.001 });
      if (sampled(here.start('x'))) kept++;
      here.clock.advanceSync(10);
    }
    expect(kept).toBeGreaterThanOrEqual(11);
    expect(kept).toBeLessThanOrEqual(13);
  });

  it('follows the parent of another SDK in this process', () => {
    const here = tracedHere({ sampling: { mode: 'ratio', ratio: 0 } });
    const { isRemote: _, ...local } = caller(1);
    const span = here.provider.getTracer('t').startSpan('x', {}, contextOf(local));
    expect(span.isRecording()).toBe(true);
  });
});
