/** Costs add up by fractions. */
const tolerance = 1e-9;

interface Lot {
  left: number;
  /** Usable from then; a time before it means that the clock stepped back, and nobody knows how old this is. */
  from: number;
  until: number;
  mark: string;
}

const nothing = (): Lot => ({ left: 0, from: Number.NaN, until: Number.NaN, mark: '' });

const timeOf = (mark: string): number => Number(mark.split(' ')[1]);

/**
 * Tokens that this process was granted and has not used. A token is used within its lease or not at all: that is what
 * bounds how much more can pass than Redis allows. There are two lots, since one is refilled before it is used up.
 */
export class Allowance {
  private older = nothing();
  private newer = nothing();
  private spare = 0;
  private spareMark = '';

  /** What is at hand, as of the last look. */
  get left(): number {
    return this.older.left + this.newer.left;
  }

  /** How long until the last of it is too old. */
  leftMs(now: number): number {
    const { left, from, until } = this.newer.left > 0 ? this.newer : this.older;
    return left > 0 ? Math.min(until - now, until - from) : 0;
  }

  /** What was not used in time, or came too late, and is to be given back. */
  get unused(): number {
    return this.spare;
  }

  /** Takes tokens if there are enough. */
  take(cost: number, now: number): boolean {
    this.expire(now);
    const { older, newer } = this;
    if (older.left + newer.left + tolerance < cost) return false;
    older.left -= cost;
    if (older.left < tolerance) {
      newer.left = Math.max(0, newer.left + older.left);
      older.left = 0;
      this.older = newer;
      this.newer = older;
    }
    return true;
  }

  /** A grant came in. */
  put(amount: number, mark: string, lease: { readonly from: number; readonly until: number }): void {
    const { older, newer } = this;
    // Where there are two already, they become one that ends with the earlier.
    if (older.left > 0) older.left += newer.left;
    const lot = older.left > 0 ? newer : older;
    lot.left = amount;
    lot.mark = mark;
    lot.from = lease.from;
    lot.until = lease.until;
  }

  /** What is at hand and too old becomes spare. */
  expire(now: number): void {
    if (this.isOver(this.older, now)) {
      this.discard(this.older.left, this.older.mark);
      this.older.left = 0;
      const { older } = this;
      this.older = this.newer;
      this.newer = older;
      if (this.isOver(this.older, now)) this.expire(now);
    }
  }

  /** Everything becomes spare. */
  surrender(): void {
    for (const lot of [this.older, this.newer]) {
      this.discard(lot.left, lot.mark);
      lot.left = 0;
    }
  }

  /** Such an amount, granted with that mark, is not used here. */
  discard(amount: number, mark: string): void {
    if (!(amount > tolerance)) return;
    // Of several the oldest: its mark allows least, so it never gives back too much.
    if (this.spare === 0 || timeOf(mark) < timeOf(this.spareMark)) this.spareMark = mark;
    this.spare += amount;
  }

  /** What goes back with the next question: amount and mark. */
  giveBack(): readonly [amount: number, mark: string] {
    const given = [this.spare, this.spareMark] as const;
    this.spare = 0;
    return given;
  }

  private isOver(lot: Lot, now: number): boolean {
    return lot.left > 0 && !(now >= lot.from && now < lot.until);
  }
}
