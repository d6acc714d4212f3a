import type { Edge, EdgeName, EdgePeriod } from './edge.js';
import { EdgeCounts } from './edge-counts.js';

/** Into which windows time is cut, and who wants to know when a new one has begun. */
export interface Windows {
  /** How long one is. */
  readonly windowMs: number;
  /** Told of the first call in a window, of each edge. */
  opened(slot: number): void;
}

/** In which window a moment lies; windows begin at whole multiples of their length. */
export function slotOf(now: number, windowMs: number): number {
  return Math.floor(now / windowMs);
}

/**
 * What is counted of one edge: the window that has begun, the one before, and all before that. Only the first is written
 * to while calls end; reading changes nothing.
 */
export class EdgeTally {
  private current = new EdgeCounts();
  private last = new EdgeCounts();
  /** All but the current window. */
  private readonly before = new EdgeCounts();
  /** What was counted under other names; made when there is any. */
  private absorbed: EdgeCounts | undefined = undefined;
  /** The window in which it was used last. */
  slot = Number.MIN_SAFE_INTEGER;
  /** When that began: a comparison tells that it goes on, where a division would take longer than all the rest. */
  private beganAt = Number.NaN;

  /**
   * @param name - what it is called
   * @param windows - what all edges have in common
   * @param leave - takes it out of where it is found by its name
   */
  constructor(
    readonly name: EdgeName,
    private readonly windows: Windows,
    readonly leave: () => void,
  ) {}

  /** Where a call that ends now is counted. */
  at(now: number): EdgeCounts {
    const sinceMs = now - this.beganAt;
    if (!(sinceMs >= 0 && sinceMs < this.windows.windowMs)) this.turn(now);
    return this.current;
  }

  /** Adds all that another one has counted; it is over by then. */
  absorb(other: EdgeTally): void {
    this.absorbed ??= new EdgeCounts();
    this.absorbed.merge(other.own());
  }

  /**
   * @param slot - the window that has begun
   * @returns `undefined` if there were no calls in that period
   */
  read(period: EdgePeriod, slot: number): Edge | undefined {
    return this.shown(this.countsOf(period, slot));
  }

  /** What was counted since the start under its own name alone. */
  readOwn(): Edge | undefined {
    return this.shown(this.own());
  }

  private shown(counts: EdgeCounts): Edge | undefined {
    return counts.count === 0 ? undefined : { ...this.name, ...shownCounts(counts) };
  }

  private own(): EdgeCounts {
    const all = new EdgeCounts();
    all.merge(this.before);
    all.merge(this.current);
    return all;
  }

  private countsOf(period: EdgePeriod, slot: number): EdgeCounts {
    if (period === 'total') {
      const all = this.own();
      if (this.absorbed !== undefined) all.merge(this.absorbed);
      return all;
    }
    // A clock that stepped back a little: then the window that was used last still stands for the one that has begun.
    const behind = Math.max(0, slot - this.slot) + (period === 'last' ? 0 : 1);
    if (behind === 1) return this.current;
    return behind === 0 ? this.last : new EdgeCounts();
  }

  private turn(now: number): void {
    const { windowMs } = this.windows;
    const slot = slotOf(now, windowMs);
    // By no more than a window back, the clock was corrected, and the window goes on; by more, it was restarted.
    if (slot === this.slot || slot === this.slot - 1 || !Number.isSafeInteger(slot)) return;
    this.before.merge(this.current);
    const spare = this.last;
    this.last = this.current;
    if (slot !== this.slot + 1) this.last.clear();
    spare.clear();
    this.current = spare;
    this.slot = slot;
    this.beganAt = slot * windowMs;
    this.windows.opened(slot);
  }
}

function shownCounts(counts: EdgeCounts): Omit<Edge, keyof EdgeName> {
  const { count, errors, tries, sumMs, maxMs, sketch, requestBytes, responseBytes } = counts;
  return {
    count,
    errors,
    tries,
    durationMs: {
      sum: sumMs,
      max: maxMs,
      p50: sketch.quantile(0.5),
      p95: sketch.quantile(0.95),
      p99: sketch.quantile(0.99),
    },
    ends: counts.ends(),
    requestBytes: requestBytes >= 0 ? requestBytes : undefined,
    responseBytes: responseBytes >= 0 ? responseBytes : undefined,
  };
}
