/** What a new client may spend before it has earned anything, and the most that it can save up or owe. */
const initial = 5;
const most = 20;

/**
 * A share of all calls. What is spent is known only afterwards, so it may be overdrawn; then it is closed until calls have
 * paid for it. Of `n` calls at most `initial + ratio * n`, and what was under way, are spent.
 */
export class Ledger {
  private credit: number;

  /** @param ratio - what a call earns; 0 never opens, 1 never closes while each call spends once */
  constructor(private readonly ratio: number) {
    this.credit = ratio > 0 ? initial : 0;
  }

  get open(): boolean {
    return this.credit > 0;
  }

  deposit(): void {
    this.credit = Math.min(most, this.credit + this.ratio);
  }

  /** What is no amount is none. */
  spend(amount: number): void {
    if (amount > 0) this.credit = Math.max(-most, this.credit - amount);
  }
}
