/** Sums of many small inflows end a hair below the whole token that they are; that must not cost a caller its turn. */
const slack = 1e-9;

/**
 * Tokens that flow in at a steady rate up to a ceiling, and can also be put in. Time is an argument.
 */
export class TokenBucket {
  private tokens: number;
  private filledAt = Number.NaN;

  /**
   * @param perSecond - steady inflow
   * @param ceiling - most it holds
   * @param initial - what it starts with, at most the ceiling
   */
  constructor(
    private readonly perSecond: number,
    private readonly ceiling: number,
    initial: number = ceiling,
  ) {
    this.tokens = Math.min(ceiling, initial);
  }

  /** What is in it now. */
  level(now: number): number {
    this.fill(now);
    return this.tokens;
  }

  /**
   * Puts tokens in; what is above the ceiling is lost, what is not above 0 is nothing. Needs no time: the inflow since
   * is added at the next look.
   */
  put(amount: number): void {
    if (amount > 0) this.tokens = Math.min(this.ceiling, this.tokens + amount);
  }

  /** Takes tokens if there are enough. Less than nothing is nothing, and `NaN` is never there. */
  take(amount: number, now: number): boolean {
    this.fill(now);
    if (!(this.tokens + slack >= amount)) return false;
    this.tokens = Math.max(0, this.tokens - Math.max(0, amount));
    return true;
  }

  private fill(now: number): void {
    const elapsed = now - this.filledAt;
    // A clock that steps back adds nothing and takes nothing away, and time runs on from there.
    this.filledAt = now;
    if (elapsed > 0 && elapsed < Number.POSITIVE_INFINITY)
      this.tokens = Math.min(this.ceiling, this.tokens + (elapsed / 1000) * this.perSecond);
  }
}
