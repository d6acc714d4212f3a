import {
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  type Tracer,
  type TraceState,
  trace,
} from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { InstrumentationScope } from './ended-span.js';
import type { IdPool } from './id-pool.js';
import { type Fate, LocalTrace } from './local-trace.js';
import { OverflowSpan } from './overflow-span.js';
import { RecordedSpan, type SpanOrigin, type SpanStart } from './recorded-span.js';
import type { Resource } from './resource.js';
import { FirstSpan } from './sampler.js';
import type { Decision } from './sampling-rule.js';
import { SpanHandle } from './span-handle.js';
import type { SpanKeeper } from './span-keeper.js';
import type { SpanLimits } from './span-limits.js';
import { suppressKey } from './suppression.js';
import { randomFlag, sampledFlag } from './trace-flags.js';
import type { TracerCounts } from './tracer-counts.js';
import { contextOf, noSpan, PassedSpan, UnrecordedSpan, UnrecordedTrace } from './unrecorded-span.js';

/** What all tracers of one origin share. */
export interface TracerParts {
  readonly resource: Resource;
  readonly limits: SpanLimits;
  readonly clock: Clock;
  readonly ids: IdPool;
  readonly keeper: SpanKeeper;
  readonly counts: TracerCounts;
  readonly active: () => Context;
}

/** What `startActiveSpan` runs. */
type Within<Result> = (span: Span) => Result;

/** Makes the spans of one library. */
export class SpanTracer implements Tracer, SpanOrigin {
  readonly resource: Resource;
  readonly limits: SpanLimits;
  readonly clock: Clock;

  constructor(
    readonly scope: InstrumentationScope,
    private readonly parts: TracerParts,
  ) {
    this.resource = parts.resource;
    this.limits = parts.limits;
    this.clock = parts.clock;
  }

  startSpan(name: string, options?: SpanOptions, within: Context = this.parts.active()): Span {
    // Nothing is in it: each look would cost as much as what is left to do.
    if (within === ROOT_CONTEXT) return this.begin(name, options, within);
    const parent = options?.root === true ? undefined : trace.getSpan(within);
    if (parent instanceof UnrecordedSpan && parent !== noSpan) return parent.below();
    if (within.getValue(suppressKey) === true) return noSpan;
    if (parent === undefined) return this.begin(name, options, within);
    if (parent instanceof SpanHandle && this.isOurs(parent)) return this.child(name, options, within, parent);
    if (parent instanceof OverflowSpan && this.isOurs(parent)) return this.overflow(name, options, parent);
    return this.enter(name, options, within, parent.spanContext());
  }

  startActiveSpan<F extends Within<unknown>>(name: string, fn: F): ReturnType<F>;
  startActiveSpan<F extends Within<unknown>>(name: string, options: SpanOptions, fn: F): ReturnType<F>;
  startActiveSpan<F extends Within<unknown>>(
    name: string,
    options: SpanOptions,
    within: Context,
    fn: F,
  ): ReturnType<F>;
  startActiveSpan<F extends Within<unknown>>(
    name: string,
    ...rest: [F] | [SpanOptions, F] | [SpanOptions, Context, F]
  ): ReturnType<F> {
    const fn = rest[rest.length - 1] as F;
    const options = rest.length > 1 ? (rest[0] as SpanOptions) : undefined;
    const around = rest.length > 2 ? (rest[1] as Context) : this.parts.active();
    const span = this.startSpan(name, options, around);
    return context.with(trace.setSpan(around, span), fn as Within<ReturnType<F>>, undefined, span);
  }

  ending(span: RecordedSpan): void {
    this.parts.keeper.ending(span);
  }

  ended(span: RecordedSpan, now: number): void {
    this.parts.keeper.ended(span, now);
  }

  /** A span of other tracers in this process is like a caller: what becomes of its trace is not known here. */
  private isOurs({ trace: its }: SpanHandle | OverflowSpan): boolean {
    return its.counts === this.parts.counts;
  }

  private unrecorded(traceId: string, flags: number, state: TraceState | undefined): Span {
    return new UnrecordedSpan(new UnrecordedTrace(this.parts.ids, traceId, flags, state));
  }

  private overflow(name: string, options: SpanOptions | undefined, parent: SpanHandle | OverflowSpan): Span {
    const kind = options?.kind ?? SpanKind.INTERNAL;
    return new OverflowSpan({ name, kind, context: parent.spanContext(), trace: parent.trace }, this.clock);
  }

  private child(name: string, options: SpanOptions | undefined, within: Context, parent: SpanHandle): Span {
    const { trace: its, ids, record } = parent;
    const { traceId, traceFlags, traceState } = ids;
    if (its.fate === 'dropped') return this.unrecorded(traceId, traceFlags & ~sampledFlag, traceState);
    if (its.spans >= this.limits.maxTraceSpans) return this.overflow(name, options, parent);
    if (record !== undefined) record.exposed = true;
    const flags = its.fate === 'kept' ? traceFlags | sampledFlag : traceFlags;
    const start = {
      name,
      kind: options?.kind ?? SpanKind.INTERNAL,
      context: contextOf(traceId, this.parts.ids.spanId(), flags, traceState),
      parentSpanContext: ids,
      trace: its,
      parent: record,
      isFirst: false,
      now: this.clock.now(),
    };
    return this.record(start, options, within);
  }

  /**
   * The first span of a trace.
   *
   * @param instead - of a caller that it does not follow
   */
  private begin(
    name: string,
    options: SpanOptions | undefined,
    within: Context,
    instead?: SpanContext,
  ): Span {
    const { ids, keeper, clock } = this.parts;
    const { sampler } = keeper;
    if (sampler.isOff) return noSpan;
    const drawn = ids.draw();
    const first = new FirstSpan(name, within, clock);
    const decision = sampler.begin(drawn, first);
    const { fate, state } = decision;
    if (fate === 'dropped' || fate === 'passed') {
      // A route that is off has spans below it, which must not begin traces of their own.
      if (fate === 'passed' && sampler.settings.mode === 'off') return noSpan;
      return new UnrecordedSpan(new UnrecordedTrace(ids, drawn, randomFlag, state), drawn);
    }
    const flags = fate === 'kept' ? randomFlag | sampledFlag : randomFlag;
    const context = contextOf(drawn.traceId, drawn.spanId, flags, state);
    const span = this.open({ first, decision, context, parent: undefined }, options);
    if (instead !== undefined) span.addLink({ context: instead });
    return span;
  }

  /** The first span here of a trace that a caller has begun. */
  private enter(
    name: string,
    options: SpanOptions | undefined,
    within: Context,
    caller: SpanContext | undefined,
  ): Span {
    const { ids, keeper, clock } = this.parts;
    const { sampler } = keeper;
    if (caller === undefined || !isSpanContextValid(caller)) return this.begin(name, options, within);
    if (sampler.restarts(caller)) return this.begin(name, options, within, caller);
    const first = new FirstSpan(name, within, clock);
    const decision = sampler.resume(caller, first);
    const { fate, state } = decision;
    if (fate === 'passed') return new PassedSpan(caller, ids);
    const random = caller.traceFlags & randomFlag;
    if (fate === 'dropped') return this.unrecorded(caller.traceId, random, state);
    const flags = fate === 'kept' ? random | sampledFlag : random;
    const context = contextOf(caller.traceId, ids.spanId(), flags, state);
    return this.open({ first, decision, context, parent: caller }, options);
  }

  private open({ first, decision, context, parent }: Opening, options: SpanOptions | undefined): SpanHandle {
    const { clock, counts } = this.parts;
    const { fate, watched } = decision;
    const { name, within, now } = first;
    const its = new LocalTrace(context.traceId, { now, wallMs: clock.wallMs(), fate: fate as Fate, counts });
    its.watched = watched;
    its.begun = parent === undefined;
    const start = {
      name,
      kind: options?.kind ?? SpanKind.INTERNAL,
      context,
      parentSpanContext: parent,
      trace: its,
      parent: undefined,
      isFirst: true,
      now,
    };
    return this.record(start, options, within);
  }

  private record(start: SpanStart, options: SpanOptions | undefined, within: Context): SpanHandle {
    const record = new RecordedSpan(this, start);
    const handle = new SpanHandle(record, start.context);
    start.trace.spans++;
    if (options) describe(record, options);
    this.parts.keeper.started(record, within);
    return handle;
  }
}

/** What the part of a trace begins with that runs here. */
interface Opening {
  readonly first: FirstSpan;
  readonly decision: Decision;
  readonly context: SpanContext;
  /** The span of the caller. */
  readonly parent: SpanContext | undefined;
}

function describe(record: RecordedSpan, { attributes, links, startTime }: SpanOptions): void {
  if (startTime !== undefined) record.backdate(startTime);
  if (attributes !== undefined) record.setAttributes(attributes);
  // Callers without types pass null.
  if (links) record.addLinks(links);
}
