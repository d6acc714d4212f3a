import type { EndedSpan } from './ended-span.js';

/** Where the spans go that are kept. */
export interface SpanSink {
  /** Takes one. Never throws, never waits; what cannot be kept is counted by the sink. */
  accept(span: EndedSpan): void;
  /** Resolves once what was accepted so far has left, or when that time is over; never rejects. */
  flush(timeoutMs: number): Promise<void>;
  /** The same, and takes nothing from then on; a second call joins the first. */
  close(timeoutMs: number): Promise<void>;
  /**
   * The process ends at this moment: saves or counts what has not left, before it returns, and takes nothing from then on. Never
   * throws. Left out: there is nothing to save, or nobody who counts.
   */
  salvage?(): void;
}
