/** Shortest wait after a failure; milliseconds. */
const firstMs = 1000;

/** When something that others share may be asked for again: not at once, and ever later while it fails. */
export class Pause {
  private until = Number.NEGATIVE_INFINITY;
  private failures = 0;

  /** @param restMs - wait after a success, and the longest after a failure; milliseconds */
  constructor(private readonly restMs: number) {}

  /** Whether the last time failed. */
  get failing(): boolean {
    return this.failures > 0;
  }
  /** Whether it may be asked for. */
  over(now: number): boolean {
    return now >= this.until;
  }
  /** How long it may not be; milliseconds. */
  leftMs(now: number): number {
    return Math.max(0, this.until - now);
  }
  /** It was got. */
  succeeded(now: number): void {
    this.failures = 0;
    this.until = now + this.restMs;
  }
  /** It was not. */
  failed(now: number): void {
    this.until = now + Math.min(this.restMs, firstMs * 2 ** Math.min(this.failures, 30));
    this.failures++;
  }
}
