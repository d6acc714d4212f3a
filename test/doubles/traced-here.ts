import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  trace,
} from '@opentelemetry/api';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { type EndedSpan, type SpanSink, type Tracers, type TracersOptions, tracers } from 'keelson/tracer';

/** A sink that keeps what it gets. */
export interface Collector extends SpanSink {
  readonly spans: EndedSpan[];
  readonly names: string[];
  readonly calls: string[];
}

export function collector(): Collector {
  const spans: EndedSpan[] = [];
  const calls: string[] = [];
  return {
    spans,
    calls,
    get names() {
      return spans.map(({ name }) => name);
    },
    accept: (span) => void spans.push(span),
    flush: async (timeoutMs) => void calls.push(`flush ${timeoutMs}`),
    close: async (timeoutMs) => void calls.push(`close ${timeoutMs}`),
  };
}

/** A source of tracers on a clock of its own. */
export interface TracedHere {
  readonly clock: ManualClock;
  readonly sink: Collector;
  readonly provider: Tracers;
  /** Starts a span below another one, or a caller, or nothing. */
  start(name: string, parent?: Span | SpanContext, options?: SpanOptions): Span;
  /** Starts one and ends it after so long. */
  run(name: string, lengthMs: number, parent?: Span | SpanContext, options?: SpanOptions): Span;
  /** The collected span of that name. */
  span(name: string): EndedSpan;
}

export function contextOf(parent: Span | SpanContext | undefined, base: Context = ROOT_CONTEXT): Context {
  if (parent === undefined) return base;
  return 'isRecording' in parent ? trace.setSpan(base, parent) : trace.setSpanContext(base, parent);
}

/** Everything is kept unless the options say otherwise. */
export function tracedHere(options: Partial<TracersOptions> = {}): TracedHere {
  const clock = manualClock(5000);
  const sink = collector();
  const provider = tracers({
    sink,
    clock,
    random: seededRandom(1),
    sampling: { mode: 'always' },
    ...options,
  });
  const start = (name: string, parent?: Span | SpanContext, given?: SpanOptions): Span =>
    provider.getTracer('test').startSpan(name, given, contextOf(parent));
  return {
    clock,
    sink,
    provider,
    start,
    run(name, lengthMs, parent, given) {
      const span = start(name, parent, given);
      clock.advanceSync(lengthMs);
      span.end();
      return span;
    },
    span(name) {
      const found = sink.spans.find((span) => span.name === name);
      if (found === undefined) throw new Error(`no span ${name} among ${sink.names.join(', ')}`);
      return found;
    },
  };
}

/** What a remote caller sends. */
export function caller(flags: number, state?: SpanContext['traceState']): SpanContext {
  return {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: flags,
    isRemote: true,
    ...(state && { traceState: state }),
  };
}
