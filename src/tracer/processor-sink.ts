import { type Context, diag } from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
import type { EndedSpan } from './ended-span.js';
import { inTime } from './in-time.js';
import type { SpanSink } from './span-sink.js';
import { lookAfter } from './stray-promise.js';

/**
 * A `SpanProcessor` of the OpenTelemetry SDK, by its shape. Spans are handed over as what it takes; our types are not
 * those of the SDK, and need not be.
 */
export interface SpanProcessorShape {
  /** Hears of a recorded span when it starts, and may set attributes; of none that is not recorded. */
  onStart(span: never, parentContext: Context): void;
  /** Hears of a span as its end begins: the last moment at which it can be changed. */
  onEnding?(span: never): void;
  /** Takes a span that has ended. */
  onEnd(span: never): void;
  /** Sends what it holds back. */
  forceFlush(): Promise<void>;
  /** Ends it, and sends what it holds; it hears of no span afterwards. */
  shutdown(): Promise<void>;
}

class ProcessorSink implements SpanSink {
  private closing: Promise<void> | undefined = undefined;
  private warned = false;

  constructor(
    private readonly processor: SpanProcessorShape,
    private readonly clock: Clock,
  ) {}

  accept(span: EndedSpan): void {
    if (this.closing !== undefined) return;
    try {
      lookAfter(this.processor.onEnd(span as never), this.fault);
    } catch (fault) {
      this.fault(fault);
    }
  }

  flush(timeoutMs: number): Promise<void> {
    return this.closing ?? inTime(this.clock, timeoutMs, () => this.processor.forceFlush());
  }

  close(timeoutMs: number): Promise<void> {
    this.closing ??= inTime(this.clock, timeoutMs, () => this.processor.shutdown());
    return this.closing;
  }

  private readonly fault = (fault: unknown): void => {
    if (!this.warned) diag.error('keelson: a span processor threw; further cases are silent', fault);
    this.warned = true;
  };
}

/**
 * Makes a sink of a span processor that looks at ended spans only, such as a `BatchSpanProcessor`: `onStart` is not called.
 * One that has to see the start as well goes into `processors` of `tracers`.
 *
 * What the processor loses it does not tell.
 *
 * @param clock - limits the waiting
 */
export function processorSink(processor: SpanProcessorShape, clock: Clock = systemClock): SpanSink {
  return new ProcessorSink(processor, clock);
}
