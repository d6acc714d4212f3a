import type { Outcome } from '../core/outcome.js';
import { RollingCounter } from '../stats/rolling-counter.js';

const buckets = 20;
const over = 0;
const failed = 1;
const offered = 2;
const refused = 3;

/** How many calls a server had lately, by how they fared. */
export class CallRates {
  private readonly counts: RollingCounter;
  private sinceMs = Number.NaN;

  /** @param windowMs - what is lately */
  constructor(private readonly windowMs: number) {
    this.counts = new RollingCounter(windowMs, buckets, 4);
  }

  /** A call of that priority came. */
  came(now: number, priority: number): void {
    // Before the first there was no time in which none came.
    if (!(now >= this.sinceMs)) this.sinceMs = now;
    if (priority <= 0) this.counts.add(now, offered);
  }

  /** It was refused for overload. */
  turnedAway(now: number, priority: number): void {
    if (priority <= 0) this.counts.add(now, refused);
  }

  /** A call is over that was not refused. */
  ended(now: number, outcome: Outcome): void {
    this.counts.add(now, over);
    if (outcome === 'failure') this.counts.add(now, failed);
  }

  perSecond(now: number): number {
    return this.rate(now, over);
  }
  errorsPerSecond(now: number): number {
    return this.rate(now, failed);
  }

  /** Share of the calls of default priority or less that was let in; `undefined` while none is refused. */
  admitRatio(now: number): number | undefined {
    const away = this.counts.total(now, refused);
    if (away === 0) return undefined;
    // Some that are refused now came before the window.
    return Math.max(0, 1 - away / Math.max(away, this.counts.latest(offered)));
  }

  private rate(now: number, channel: number): number {
    const total = this.counts.total(now, channel);
    if (total === 0) return 0;
    const lived = now - this.sinceMs;
    // Of a shorter life the first calls would look like a flood.
    const span = Math.min(this.windowMs, Math.max(lived, this.windowMs / 4)) || this.windowMs;
    return (total * 1000) / span;
  }
}
