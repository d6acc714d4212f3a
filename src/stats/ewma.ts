/**
 * An average that forgets: a sample that is `tauMs` old weighs 1/e of a fresh one, however many came between.
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

  /** Takes one sample. A clock that stepped back counts as no time passed. */
  add(sample: number, now: number): void {
    if (Number.isNaN(this.current)) {
      this.current = sample;
      this.stampedAt = now;
      return;
    }
    const weight = Math.exp(-Math.max(0, now - this.stampedAt) / this.tauMs);
    this.current = this.current * weight + sample * (1 - weight);
    this.stampedAt = Math.max(this.stampedAt, now);
  }

  /** Jumps to a value and goes on from there. */
  set(value: number, now: number): void {
    this.current = value;
    this.stampedAt = now;
  }
}
