import type { Clock, Timer } from '../core/clock.js';

/** A clock that moves only when told. */
export interface ManualClock extends Clock {
  /**
   * Moves on, running what falls due in order of time; lets promises settle between timers. A negative number sets the
   * clock back, and runs nothing.
   */
  advance(ms: number): Promise<void>;
  /** Moves on without letting promises settle: for synchronous policies. */
  advanceSync(ms: number): void;
  /** How many timers wait. */
  readonly pending: number;
}

interface Waiting {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** The platform's own, also in a test that replaces it later. */
const { setImmediate } = globalThis;

/** Lets every promise that is already resolved run on, however long the chain: all of it runs before the next turn. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class Manual implements ManualClock {
  private readonly waiting = new Set<Waiting>();
  private order = 0;
  private time: number;
  private readonly wallOffset: number;

  constructor(startMs: number, wallMs: number) {
    this.time = startMs;
    this.wallOffset = wallMs - startMs;
  }
  get pending(): number {
    return this.waiting.size;
  }
  now(): number {
    return this.time;
  }
  wallMs(): number {
    return this.time + this.wallOffset;
  }
  after(ms: number, run: () => void): Timer {
    const entry = { at: this.time + Math.max(0, ms), order: this.order++, run };
    this.waiting.add(entry);
    return { cancel: () => void this.waiting.delete(entry) };
  }
  async advance(ms: number): Promise<void> {
    const until = this.time + ms;
    await settle();
    for (let next = this.due(until); next; next = this.due(until)) {
      this.run(next);
      await settle();
    }
    this.reach(until, ms);
    await settle();
  }
  advanceSync(ms: number): void {
    const until = this.time + ms;
    for (let next = this.due(until); next; next = this.due(until)) this.run(next);
    this.reach(until, ms);
  }
  /** Unless asked to go back: who was moved further by what fell due stays there. */
  private reach(until: number, ms: number): void {
    this.time = ms < 0 ? until : Math.max(this.time, until);
  }
  private due(until: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const entry of this.waiting) {
      if (entry.at > until) continue;
      if (!first || entry.at < first.at || (entry.at === first.at && entry.order < first.order))
        first = entry;
    }
    return first;
  }
  private run(entry: Waiting): void {
    this.waiting.delete(entry);
    this.time = Math.max(this.time, entry.at);
    entry.run();
  }
}

/**
 * Makes a clock that stands still until a test moves it.
 *
 * @param startMs - first value of `now()`
 * @param wallMs - first value of `wallMs()`
 */
export function manualClock(startMs = 0, wallMs = 1_700_000_000_000): ManualClock {
  return new Manual(startMs, wallMs);
}
