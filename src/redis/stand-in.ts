import { TokenBucket } from '../stats/token-bucket.js';
import type { KnownDebt } from './known-debt.js';
import { passed } from './verdict.js';

/** What decides while Redis is away. */
export type WhenAway = 'local' | 'open' | 'closed';

/** What a {@link StandIn} goes by. */
export interface StandInTerms {
  readonly whenAway: WhenAway;
  readonly perSecond: number;
  readonly burst: number;
  readonly processes: number;
}

/** Decides on one key without Redis. */
export class StandIn {
  private bucket: TokenBucket | undefined;

  constructor(
    private readonly terms: StandInTerms,
    private readonly known: KnownDebt,
  ) {}

  /** Redis is back: the next time begins with what it said last. */
  reset(): void {
    this.bucket = undefined;
  }

  /**
   * @param tryMs - how long until Redis is tried again
   * @returns see {@link passed}
   */
  decide(now: number, cost: number, tryMs: number): number {
    const { whenAway, perSecond, burst, processes } = this.terms;
    if (whenAway === 'open') return passed;
    if (whenAway === 'closed') return tryMs;
    // With less than one call at a time nothing would ever pass.
    const ceiling = Math.max(1, burst / processes);
    this.bucket ??= new TokenBucket(
      perSecond / processes,
      ceiling,
      Math.max(0, this.known.free(now)) / processes,
    );
    if (this.bucket.take(cost, now)) return passed;
    if (cost > ceiling) return tryMs;
    return ((cost - this.bucket.level(now)) * processes * 1000) / perSecond;
  }
}
