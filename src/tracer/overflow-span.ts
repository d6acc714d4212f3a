import {
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
  SpanStatusCode,
} from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { LocalTrace } from './local-trace.js';
import { statusOf } from './span-status.js';

/** Whose place a span would have, were there room for it. */
export interface OverflowStart {
  readonly name: string;
  readonly kind: SpanKind;
  /** The nearest recorded ancestor: what is called hangs below that, and not below a span that nobody will see. */
  readonly context: SpanContext;
  readonly trace: LocalTrace;
}

/** A span beyond the limit of its trace: it is counted and timed, and nothing that is written on it is kept. */
export class OverflowSpan implements Span {
  readonly trace: LocalTrace;
  readonly name: string;
  readonly kind: SpanKind;
  private readonly context: SpanContext;
  private readonly startedAt: number;
  failed = false;
  private over = false;

  constructor(
    start: OverflowStart,
    private readonly clock: Clock,
  ) {
    this.name = start.name;
    this.kind = start.kind;
    this.context = start.context;
    this.trace = start.trace;
    this.startedAt = clock.now();
    start.trace.exceed();
  }

  spanContext(): SpanContext {
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
  setStatus(status: SpanStatus): this {
    const said = statusOf(status);
    if (said !== undefined) this.failed = said.code === SpanStatusCode.ERROR;
    return this;
  }
  updateName(): this {
    return this;
  }
  end(): void {
    if (this.over) return;
    this.over = true;
    const lengthMs = Math.max(0, this.clock.now() - this.startedAt);
    this.trace.spill().add(this, lengthMs);
    if (this.failed) this.trace.failed = true;
  }
  isRecording(): boolean {
    return false;
  }
  recordException(): void {
    // It is the status that says whether it failed.
  }
}
