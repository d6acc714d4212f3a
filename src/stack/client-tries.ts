import type { RetryBudget, RetryBudgetSnapshot } from '../retry/retry-budget.js';

/** What the calls of a client do beyond their first tries. */
export interface ClientTries extends RetryBudgetSnapshot {
  /** Second copies of slow calls so far, of `withdrawn`. */
  readonly hedges: number;
}

/** A budget as one of those who draw on it sees it: tells how much that one was given. */
export class CountedBudget implements RetryBudget {
  /** Tries that were allowed here. */
  given = 0;
  constructor(private readonly budget: RetryBudget) {}

  deposit(): void {
    this.budget.deposit();
  }
  withdraw(now: number): boolean {
    const allowed = this.budget.withdraw(now);
    if (allowed) this.given++;
    return allowed;
  }
  snapshot(now: number): RetryBudgetSnapshot {
    return this.budget.snapshot(now);
  }
}
