import { diag } from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { EndedSpan } from './ended-span.js';
import { Overflow } from './overflow.js';
import type { TracerCounts } from './tracer-counts.js';

/** After so long, wall time is read anew: clocks are corrected. */
const anchorMs = 60_000;

/** A span as the trace that holds it knows it. */
export interface HeldSpan extends EndedSpan {
  /** Sets or clears the sampled flag in its ids. */
  flag(sampled: boolean): void;
}

/** What is decided of a trace here. */
export type Fate = 'kept' | 'open' | 'dropped';

/** What a trace begins with. */
export interface Beginning {
  /** Monotonic. */
  readonly now: number;
  readonly wallMs: number;
  readonly fate: Fate;
  readonly counts: TracerCounts;
}

/**
 * The part of a trace that runs in this process below one first span: the one without a parent, or whose parent is remote.
 * Spans of one part tell the time by one clock, so that they stand in order, and share one fate.
 */
export class LocalTrace {
  fate: Fate;
  /** Whether its tail is watched: its length is a sample for its route. */
  watched = false;
  /** Whether it began here, so that it may be kept for being rare. */
  begun = false;
  /** How many spans are recorded. */
  spans = 0;
  /** A span of it failed. */
  failed = false;
  /** What is beyond the limit. */
  overflow: Overflow | undefined = undefined;
  /** What has ended while the fate is open, or was dropped and could still be asked for. */
  held: HeldSpan[] | undefined = undefined;
  heldBytes = 0;
  /** Spans that there was no room to hold while the fate was open. */
  unheld = 0;
  /** Spans beyond the limit that came while the fate was open. */
  private unrecorded = 0;
  /** Whether it was dropped for want of room. */
  crowdedOut = false;
  /** When the first span ended, monotonic; `NaN` while it runs. */
  endedAt = Number.NaN;
  /** The next in the ring of those that were dropped. */
  next: LocalTrace | undefined = undefined;
  readonly counts: TracerCounts;
  private anchoredAt: number;
  private offset: number;

  constructor(
    readonly traceId: string,
    { now, wallMs, fate, counts }: Beginning,
  ) {
    this.fate = fate;
    this.counts = counts;
    this.anchoredAt = now;
    this.offset = wallMs - now;
  }

  /** Wall time less monotonic time, for spans that begin now. */
  offsetMs(now: number, clock: Clock): number {
    const age = now - this.anchoredAt;
    if (!(age >= 0 && age <= anchorMs)) {
      this.anchoredAt = now;
      this.offset = clock.wallMs() - now;
    }
    return this.offset;
  }

  /** From now on it is kept: what it could not keep until now is lost. */
  keep(): void {
    const { lost } = this.counts;
    this.fate = 'kept';
    lost.trace_memory_full += this.unheld;
    lost.trace_limit += this.unrecorded;
    this.unheld = 0;
    this.unrecorded = 0;
  }

  /** A span began beyond the limit. */
  exceed(): void {
    const { counts } = this;
    counts.overLimit++;
    if (this.fate === 'kept') counts.lost.trace_limit++;
    else this.unrecorded++;
  }

  /** Something was said of a span after its end: counted, and warned of once. */
  late(): void {
    if (this.counts.late++ > 0) return;
    diag.warn('keelson: a span was written to after its end; further cases are only counted');
  }

  /** What is beyond the limit of spans. */
  spill(): Overflow {
    this.overflow ??= new Overflow();
    return this.overflow;
  }
}
