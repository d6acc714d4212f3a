/**
 * An average that forgets: what a sample weighed when it came has shrunk to 1/e after `tauMs`, however many came
 * between. A sample comes in with the weight of the time since the one before, so a burst counts as one moment: of
 * several at the same instant only the first counts.
 *
 * Floating point throughout; truncating to whole numbers would stall a rising value below its input.
 */
export class Ewma {
  private current = Number.NaN;
  private stampedAt = Number.NaN;

  /** @param tauMs - time constant; larger remembers longer */
  constructor(private readonly tauMs: number) {}

  /** The average, or `NaN` before the first sample. */
  get value(): number {
    return this.current;
  }

  /**
   * Takes one sample; one that is not finite is left out, or it would be the average for ever. A clock that stepped
   * back counts as no time passed, and time runs on from there.
   */
  add(sample: number, now: number): void {
    if (!Number.isFinite(sample) || Number.isNaN(now)) return;
    if (Number.isNaN(this.current)) {
      this.current = sample;
      this.stampedAt = now;
      return;
    }
    const elapsed = now - this.stampedAt;
    const weight = elapsed > 0 ? Math.exp(-elapsed / this.tauMs) : 1;
    this.current = this.current * weight + sample * (1 - weight);
    this.stampedAt = now;
  }

  /** Jumps to a value and goes on from there. */
  set(value: number, now: number): void {
    this.current = value;
    this.stampedAt = now;
  }
}
