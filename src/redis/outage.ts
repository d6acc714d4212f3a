import type { Random } from '../core/random.js';

const firstMs = 100;
const longestMs = 2000;

/** Failures in a row, and when it is worth trying again: each time after twice as long, not all processes at once. */
export class Outage {
  private failures = 0;
  private since = Number.NaN;
  private until = Number.NaN;

  /** @param tolerated - so many failures in a row are no outage yet */
  constructor(
    private readonly tolerated: number,
    private readonly random: Random,
  ) {}

  /** Whether there is one now. */
  get lasts(): boolean {
    return this.failures > this.tolerated;
  }

  /** How long until it is worth trying again. A clock that stepped back must not keep anybody waiting for the old time. */
  remainingMs(now: number): number {
    return now >= this.since && now < this.until ? this.until - now : 0;
  }

  /** @returns whether an outage began */
  failed(now: number): boolean {
    this.failures++;
    this.postpone(now);
    return this.failures === this.tolerated + 1;
  }

  /** @returns whether an outage ended */
  ended(): boolean {
    const lasted = this.lasts;
    this.failures = 0;
    return lasted;
  }

  /** Nobody is to try for a while: somebody does, or has just failed. */
  postpone(now: number): void {
    const grown = Math.min(longestMs, firstMs * 2 ** Math.min(30, Math.max(0, this.failures - 1)));
    this.since = now;
    this.until = now + grown * (0.5 + this.random() / 2);
  }
}
