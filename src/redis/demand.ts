/**
 * How much was asked for over the last `spanMs`, what is older counting less. A call costs one addition; the
 * arithmetic is done when somebody wants to know.
 */
export class Demand {
  private recent = 0;
  private asked = 0;
  private since = Number.NaN;

  constructor(private readonly spanMs: number) {}

  /** A call asks for so much. */
  add(cost: number): void {
    this.asked += cost;
  }

  /** The amount now. What came since the last look is taken as spread over that time. */
  settle(now: number): number {
    const spans = (now - this.since) / this.spanMs;
    const asked = this.asked;
    this.since = now;
    this.asked = 0;
    // The first look, or a clock that stepped back: no time has passed.
    if (!(spans > 0)) this.recent += asked;
    else this.recent = this.recent * Math.exp(-spans) + (asked * -Math.expm1(-spans)) / spans;
    return this.recent;
  }
}
