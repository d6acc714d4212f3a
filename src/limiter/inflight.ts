/** The sum of the costs in flight. */
export class Inflight {
  /** The sum now; never negative. */
  amount = 0;
  private holders = 0;

  /** A call of that cost starts. */
  enter(cost: number): void {
    this.amount += cost;
    this.holders++;
  }

  /** The call is over. */
  leave(cost: number): void {
    // Fractional costs leave a rounding residue, which would add up over days; when nobody is in, the sum is zero.
    this.amount = --this.holders === 0 ? 0 : Math.max(0, this.amount - cost);
  }
}
