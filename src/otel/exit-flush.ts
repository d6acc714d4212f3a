import type { Clock } from '../core/clock.js';
import { within } from '../core/within.js';

/** What was recorded, and what has it leave. */
export interface Recorded {
  /** Grows with what is recorded. */
  count(): number;
  /** Ends what is open, so that it counts: it seems that nobody else will. */
  endOpen?(): void;
  /** Sends what is there. Resolves when it has left, or after that time at the latest. */
  flush(timeoutMs: number): Promise<void>;
  /** Lets go of what still holds the process when that time is over. */
  letGo?(): void;
}

/** How long a process may be held. */
export interface EndLimits {
  /** Longest that one end may take, however many flushes it needs; milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** A flush that records something itself is not to keep a process for ever. */
const mostFlushes = 100;
/** When nothing is left to do so soon after a flush, it was the flush that held the process; milliseconds. */
const soonMs = 100;
/** Less is no time: timers run early by a part of a millisecond. */
const leastMs = 5;

/**
 * Has what was recorded leave when nothing is left to do for the process, and keeps it until that is done: requests of
 * telemetry hold nobody. A program that begins something else then goes on being recorded, and it is done again when that
 * is over. When nothing new has come since, what is still open is ended, and leaves too. Calls of `process.exit` leave no time,
 * and nothing of this runs.
 */
export class EndFlush {
  private told = Number.NaN;
  /** Of this end, as is what it may still take. */
  private flushes = 0;
  private leftMs: number;
  private flushedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly recorded: Recorded,
    private readonly limits: EndLimits,
  ) {
    this.leftMs = limits.timeoutMs;
    process.on('beforeExit', this.idle);
  }

  /** The same for whoever asks; what it takes is taken from an end that comes with it. Rejects as `flush` does. */
  flush(): Promise<void> {
    return this.run(this.limits.timeoutMs);
  }

  remove(): void {
    process.off('beforeExit', this.idle);
  }

  /** It is emitted again when what was started is over, and so after each flush. */
  private readonly idle = (): void => {
    const { recorded, limits } = this;
    // Somebody else had something to do: it is another end.
    if (Math.abs(limits.clock.now() - this.flushedAt) > soonMs) {
      this.leftMs = limits.timeoutMs;
      this.flushes = 0;
    }
    if (this.leftMs === 0 || this.flushes === mostFlushes) return;
    if (recorded.count() === this.told) recorded.endOpen?.();
    const now = recorded.count();
    if (now === this.told) return;
    this.told = now;
    this.flushes++;
    // Also a flush that had nothing to wait for is followed by another look.
    const again = (): void => void setImmediate(() => undefined);
    this.run(this.leftMs).then(again, again);
  };

  private async run(ms: number): Promise<void> {
    const { recorded, limits } = this;
    const { clock } = limits;
    const began = clock.now();
    try {
      await within(clock, ms, recorded.flush(ms));
    } finally {
      this.flushedAt = clock.now();
      const leftMs = ms - Math.max(0, this.flushedAt - began);
      this.leftMs = leftMs > leastMs ? leftMs : 0;
      if (this.leftMs === 0) recorded.letGo?.();
    }
  }
}
