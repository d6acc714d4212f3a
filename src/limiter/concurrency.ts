import type { Ask, Permit } from '../core/gate.js';
import { checkNumber, resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { costOf } from './cost.js';
import { Inflight } from './inflight.js';
import type { Limiter, LimiterSnapshot } from './limiter.js';

/** Options of {@link concurrency}. */
export interface ConcurrencyOptions {
  /**
   * How much may be in flight at once: calls, or the sum of their costs. Above 0; `Infinity` for no limit.
   *
   * A larger value lets more wait inside the handler, a smaller one refuses more. A call that costs more than this is
   * always refused.
   */
  readonly limit: number;
}

/** A fixed limit that can be changed while it works. */
export interface ConcurrencyLimiter extends Limiter {
  /**
   * Changes the limit at once. What is in flight stays; below the amount in flight, new calls wait for it to fall.
   *
   * @throws TypeError or RangeError for options that are out of range; then nothing changes
   */
  reconfigure(options: ConcurrencyOptions): void;
}

function limitIn(options: ConcurrencyOptions): number {
  const fields: { limit: number | undefined } = { limit: undefined };
  const { limit } = resolveOptions('concurrency', fields, options);
  return checkNumber('concurrency.limit', limit, { above: 0, infinite: true });
}

class Place implements Permit {
  private held = true;
  constructor(
    private readonly inflight: Inflight,
    private readonly cost: number,
  ) {}
  observe(): void {
    // The place is taken until the end, whatever the first response says.
  }
  release(_outcome: Outcome, _now: number): void {
    if (!this.held) return;
    this.held = false;
    this.inflight.leave(this.cost);
  }
}

class Concurrency implements ConcurrencyLimiter {
  readonly code = 'OVERLOADED';
  private readonly inflight = new Inflight();
  constructor(private limit: number) {}

  tryAcquire(_now: number, ask?: Ask): Permit | null {
    const cost = costOf(ask);
    if (this.inflight.amount + cost > this.limit) return null;
    this.inflight.enter(cost);
    return new Place(this.inflight, cost);
  }
  get refusing(): boolean {
    return this.inflight.amount + 1 > this.limit;
  }
  refuseEarly(_now: number, ask: Ask): boolean {
    return this.inflight.amount + costOf(ask) > this.limit;
  }
  reconfigure(options: ConcurrencyOptions): void {
    this.limit = limitIn(options);
  }
  snapshot(): LimiterSnapshot {
    return { inflight: this.inflight.amount, limit: this.limit };
  }
}

/**
 * Lets a fixed amount be in flight at once and refuses the rest.
 *
 * Use it where the right number is known and does not change: a connection pool, memory per call, a licence. Where it
 * depends on the machine and on the traffic, use {@link bbr}. Around a handler that never awaits it refuses nothing,
 * because in one Node thread such calls follow each other and are never in flight together.
 *
 * @param options - the limit; it has no default, because nobody but you can know it
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`; when
 * a place falls free nobody knows, so there is no `retryAfterMs`
 * @example
 * ```ts
 * const pool = concurrency({ limit: 20 });
 * const rows = await attempt(pool, () => db.query('select 1'));
 * pool.reconfigure({ limit: 50 });
 * ```
 */
export function concurrency(options: ConcurrencyOptions): ConcurrencyLimiter {
  return new Concurrency(limitIn(options));
}
