import { type Context, diag } from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import { inTime } from './in-time.js';
import type { HeldSpan } from './local-trace.js';
import type { SpanProcessorShape } from './processor-sink.js';
import type { RecordedSpan } from './recorded-span.js';
import type { SpanSink } from './span-sink.js';
import { lookAfter } from './stray-promise.js';
import type { TracerCounts } from './tracer-counts.js';

/**
 * What a sink has more than it is told: it ends by itself, and what it does last, such as counting what is lost, must not be
 * cut off.
 */
const graceMs = 250;

/** What {@link Outlets} needs. */
export interface OutletsInit {
  readonly sink: SpanSink;
  readonly processors: readonly SpanProcessorShape[];
  readonly counts: TracerCounts;
  readonly clock: Clock;
}

/**
 * Where spans go. Processors hear of each span once when it starts and once when it is known what becomes of it: with the
 * sampled flag if it is kept, without if not, as the SDK's exporters expect it.
 */
export class Outlets {
  private readonly sink: SpanSink;
  private readonly processors: readonly SpanProcessorShape[];
  private readonly counts: TracerCounts;
  private readonly clock: Clock;

  constructor({ sink, processors, counts, clock }: OutletsInit) {
    this.sink = sink;
    this.processors = processors;
    this.counts = counts;
    this.clock = clock;
  }

  started(span: RecordedSpan, within: Context): void {
    for (const processor of this.processors) this.tell(() => processor.onStart(span as never, within));
  }

  ending(span: RecordedSpan): void {
    for (const processor of this.processors) this.tell(() => processor.onEnding?.(span as never));
  }

  /** A span is kept. */
  deliver(span: HeldSpan): void {
    const { counts } = this;
    span.flag(true);
    counts.dropped += span.droppedAttributesCount + span.droppedEventsCount + span.droppedLinksCount;
    try {
      this.sink.accept(span);
      counts.delivered++;
    } catch (fault) {
      counts.lost.sink_failed++;
      this.fault(fault);
    }
    this.ended(span);
  }

  /** A span is not shown: it is not kept, or another one stands for it. */
  withhold(span: HeldSpan): void {
    if (this.processors.length === 0) return;
    span.flag(false);
    this.ended(span);
  }

  /** Resolves once what was delivered so far has left, or when that time is over; never rejects. */
  flush(timeoutMs: number): Promise<void> {
    const { sink, processors } = this;
    return this.all([
      this.wait(timeoutMs + graceMs, () => sink.flush(timeoutMs)),
      ...processors.map((processor) => this.wait(timeoutMs, () => processor.forceFlush())),
    ]);
  }

  /** The same, for good. */
  close(timeoutMs: number): Promise<void> {
    const { sink, processors } = this;
    return this.all([
      this.wait(timeoutMs + graceMs, () => sink.close(timeoutMs)),
      ...processors.map((processor) => this.wait(timeoutMs, () => processor.shutdown())),
    ]);
  }

  private async all(waits: readonly Promise<void>[]): Promise<void> {
    await Promise.all(waits);
  }

  private wait(ms: number, work: () => Promise<void>): Promise<void> {
    return inTime(this.clock, ms, work, this.fault);
  }

  private ended(span: HeldSpan): void {
    for (const processor of this.processors) this.tell(() => processor.onEnd(span as never));
  }

  private tell(run: () => unknown): void {
    try {
      lookAfter(run(), this.fault);
    } catch (fault) {
      this.fault(fault);
    }
  }

  private readonly fault = (fault: unknown): void => {
    if (this.counts.faults++ === 0)
      diag.error('keelson: a span sink or processor threw; further cases are only counted', fault);
  };
}
