import type { Clock } from '../core/clock.js';
import { plainText } from './plain-text.js';

/** What {@link Outage} needs. */
export interface OutageInit {
  readonly clock: Clock;
  /** Least time between two lines; milliseconds. */
  readonly intervalMs: number;
  /** Takes a line. */
  readonly warn: (message: string) => void;
}

/** A collector that is restarted is away for less; milliseconds. */
const patienceMs = 30_000;

/**
 * Says when nothing gets to the collector: spans that wait are not lost, so nobody would hear of a wrong address before the
 * memory is full.
 */
export class Outage {
  private since: number | undefined;
  private last = '';
  private told = false;
  private toldAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly init: OutageInit) {}

  /** Why nothing gets there now; empty when something does. */
  get why(): string {
    return this.since === undefined ? '' : this.last;
  }

  /** @param waiting - spans */
  failed(why: string, waiting: number): void {
    const { clock, intervalMs } = this.init;
    const now = clock.now();
    this.since ??= now;
    this.last = why;
    if (now - this.since >= patienceMs && now - this.toldAt >= intervalMs) this.tell(waiting);
  }

  succeeded(): void {
    this.since = undefined;
    this.told = false;
  }

  /** Says it, once for each outage; nothing when there is none. */
  tell(waiting: number): void {
    if (this.since === undefined || this.told) return;
    const { clock, warn } = this.init;
    this.told = true;
    this.toldAt = clock.now();
    const seconds = Math.max(0, Math.round((this.toldAt - this.since) / 1000));
    try {
      warn(
        `keelson: no spans have got to the collector for ${seconds} s, ${waiting} wait; last: ${plainText(this.last)}`,
      );
    } catch {
      // Whoever prints must not break what sends.
    }
  }
}
