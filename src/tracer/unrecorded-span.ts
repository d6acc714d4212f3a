import { INVALID_SPAN_CONTEXT, type Span, type SpanContext, type TraceState } from '@opentelemetry/api';
import { IdPool, type NewIds } from './id-pool.js';

/** What the spans of a trace that is not recorded have in common. */
export class UnrecordedTrace {
  constructor(
    /** Where its spans get their ids. */
    readonly pool: IdPool,
    private id: NewIds | string,
    readonly flags: number,
    readonly state: TraceState | undefined,
  ) {}

  get traceId(): string {
    if (typeof this.id !== 'string') this.id = this.id.traceId;
    return this.id;
  }
}

/**
 * A span that is not sampled: what is written on it is not kept. Its ids are made when somebody asks: of what stays within
 * the process nobody does.
 */
export class UnrecordedSpan implements Span {
  protected context: SpanContext | undefined = undefined;

  /** @param ids - that it begins its trace with */
  constructor(
    protected readonly trace: UnrecordedTrace,
    private ids: NewIds | undefined = undefined,
  ) {}

  /** A span below it. */
  below(): UnrecordedSpan {
    return new UnrecordedSpan(this.trace);
  }

  spanContext(): SpanContext {
    if (this.context !== undefined) return this.context;
    const { traceId, pool, flags, state } = this.trace;
    const spanId = this.ids === undefined ? pool.spanId() : this.ids.spanId;
    this.ids = undefined;
    this.context = contextOf(traceId, spanId, flags, state);
    return this.context;
  }
  setAttribute(): this {
    return this;
  }
  setAttributes(): this {
    return this;
  }
  addEvent(): this {
    return this;
  }
  addLink(): this {
    return this;
  }
  addLinks(): this {
    return this;
  }
  setStatus(): this {
    return this;
  }
  updateName(): this {
    return this;
  }
  end(): void {
    // There is nothing to end.
  }
  isRecording(): boolean {
    return false;
  }
  recordException(): void {
    // There is nothing to write it on.
  }
}

/**
 * Stands for the span of a caller, where nothing is recorded whatever the caller has decided. What is called from here hangs
 * below the caller's span, at any depth: below one of our own it would hang below a span that nobody has.
 */
export class PassedSpan extends UnrecordedSpan {
  constructor({ traceId, spanId, traceFlags, traceState }: SpanContext, pool: IdPool) {
    super(new UnrecordedTrace(pool, traceId, traceFlags, traceState));
    this.context = contextOf(traceId, spanId, traceFlags, traceState);
  }

  override below(): UnrecordedSpan {
    return this;
  }
}

/** The ids of a span, with every field: one shape is faster, and to the api absent and undefined say the same. */
export function contextOf(
  traceId: string,
  spanId: string,
  traceFlags: number,
  traceState: TraceState | undefined,
): SpanContext {
  return { traceId, spanId, traceFlags, traceState } as SpanContext;
}

/** What is started where there is no tracing: nothing is passed on for it. */
export const noSpan = new PassedSpan(INVALID_SPAN_CONTEXT, new IdPool());
