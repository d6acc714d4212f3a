import type { HeldSpan, LocalTrace } from './local-trace.js';

/** How much may be held, and how long. */
export interface HeldLimits {
  readonly ringMs: number;
  readonly ringBytes: number;
}

/** Hears of a trace that nobody will see, and of what was held of it. */
export type Dropped = (trace: LocalTrace, held: readonly HeldSpan[]) => void;

/** Traces that are old go so many at once: after a burst, one span must not wait for thousands of others. */
const mostOldAtOnce = 256;

/**
 * What has ended of traces that are not kept (yet): first while their first span runs, then, in the order of their ends, in a
 * ring from which the oldest go when they are too old or there is no room.
 */
export class HeldTraces {
  private first: LocalTrace | undefined = undefined;
  private last: LocalTrace | undefined = undefined;
  private bytes = 0;

  constructor(
    private limits: HeldLimits,
    private readonly dropped: Dropped,
  ) {}

  /** Whether nothing is in the ring. */
  get isEmpty(): boolean {
    return this.first === undefined;
  }

  /** From now on so much. */
  limit(limits: HeldLimits): void {
    this.limits = limits;
  }

  /**
   * Holds a span of an open trace.
   *
   * @returns whether there was room: there may be none even without the ring, and making it may have cost the very trace
   */
  hold(trace: LocalTrace, span: HeldSpan, now: number): boolean {
    const size = span.bytes;
    this.evict(now, size);
    if (trace.fate !== 'open' || this.bytes + size > this.limits.ringBytes) return false;
    trace.held ??= [];
    trace.held.push(span);
    trace.heldBytes += size;
    this.bytes += size;
    return true;
  }

  /** The first span of a trace has ended, and it was not kept. */
  retire(trace: LocalTrace, now: number): void {
    if (this.last === undefined) this.first = trace;
    else this.last.next = trace;
    this.last = trace;
    this.evict(now, 0);
  }

  /** Hands out what is held of a trace, which is kept after all. It leaves the ring when its turn comes. */
  release(trace: LocalTrace): readonly HeldSpan[] {
    const { held = [] } = trace;
    this.bytes -= trace.heldBytes;
    trace.heldBytes = 0;
    trace.held = undefined;
    return held;
  }

  /** The parts of one trace in the ring. */
  find(traceId: string): readonly LocalTrace[] {
    const found: LocalTrace[] = [];
    for (let trace = this.first; trace !== undefined; trace = trace.next)
      if (trace.traceId === traceId && trace.fate === 'open') found.push(trace);
    return found;
  }

  /**
   * Lets the oldest go that are too old, or in the way.
   *
   * @returns whether none is left that is too old
   */
  evict(now: number, room: number): boolean {
    const { ringBytes, ringMs } = this.limits;
    let left = mostOldAtOnce;
    for (let trace = this.first; trace !== undefined; trace = this.first) {
      // Either way: a clock that was set back would keep them for ever.
      const old = Math.abs(now - trace.endedAt) > ringMs;
      const full = this.bytes + room > ringBytes;
      if (!old && !full && trace.fate === 'open') return true;
      if (!full && left-- === 0) return false;
      this.shift(trace, !old);
    }
    return true;
  }

  /** Lets all go. */
  clear(): void {
    for (let trace = this.first; trace !== undefined; trace = this.first) this.shift(trace, false);
  }

  private shift(trace: LocalTrace, early: boolean): void {
    this.first = trace.next;
    if (this.first === undefined) this.last = undefined;
    trace.next = undefined;
    if (trace.fate !== 'open') return;
    trace.fate = 'dropped';
    trace.crowdedOut = early;
    this.dropped(trace, this.release(trace));
  }
}
