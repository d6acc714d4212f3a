/**
 * Tokens that flow in at a steady rate up to a ceiling, and can also be put in. Time is an argument.
 */
export class TokenBucket {
  private tokens: number;
  private filledAt = Number.NaN;

  /**
   * @param perSecond - steady inflow
   * @param ceiling - most it holds
   * @param initial - what it starts with
   */
  constructor(
    private readonly perSecond: number,
    private readonly ceiling: number,
    initial: number = ceiling,
  ) {
    this.tokens = initial;
  }

  /** What is in it now. */
  level(now: number): number {
    this.fill(now);
    return this.tokens;
  }

  /** Puts tokens in; what is above the ceiling is lost. */
  put(amount: number, now: number): void {
    this.fill(now);
    this.tokens = Math.min(this.ceiling, this.tokens + amount);
  }

  /** Takes tokens if there are enough. */
  take(amount: number, now: number): boolean {
    this.fill(now);
    if (this.tokens < amount) return false;
    this.tokens -= amount;
    return true;
  }

  private fill(now: number): void {
    // A clock that steps back adds nothing, and takes nothing away.
    if (now > this.filledAt)
      this.tokens = Math.min(this.ceiling, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond);
    if (!(now <= this.filledAt)) this.filledAt = now;
  }
}
