import type { Ask, Gate, Permit } from '../core/gate.js';
import { checkChoice, checkNumber, resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { costOf } from './cost.js';
import { KeyedLedger, type RateLedger, SharedLedger } from './rate-ledger.js';

/** Options of {@link rate}. */
export interface RateOptions {
  /** Calls, or cost, per second in the long run. Above 0. */
  readonly perSecond: number;
  /**
   * How much may come at once after a rest; 1 or more. A larger value forgives bunched calls, a smaller one spaces
   * them. A call that costs more than this is always refused. Without it, one second's worth: `perSecond`, at least 1.
   *
   * @defaultValue `undefined`
   */
  readonly burst?: number | undefined;
  /**
   * What has a rate of its own: each `key` of a call (a tenant, a user, an address), each `operation`, or whatever a
   * function makes of the call. A call without that part counts under the empty key. Without it all calls share one
   * rate.
   *
   * @defaultValue `undefined`
   */
  readonly by?: 'key' | 'operation' | ((ask: Ask | undefined) => string) | undefined;
  /**
   * Most keys that are remembered; a whole number, 1 or more. A key whose burst is full again costs nothing to
   * forget; beyond `maxKeys` keys in use one of them starts afresh. A larger value costs about 100 bytes a key. No
   * effect without `by`.
   *
   * @defaultValue `10_000`
   */
  readonly maxKeys?: number | undefined;
}

/** Defaults of {@link RateOptions}. */
export const rateDefaults = { burst: undefined, by: undefined, maxKeys: 10_000 } as const;

/** What {@link rate} says of one key. */
export interface RateSnapshot {
  /** How much would pass now; at most the burst. */
  readonly available: number;
  /** How many keys are remembered. */
  readonly keys: number;
}

/** Refuses what comes faster than a rate. */
export interface RateLimiter extends Gate {
  /** How long until a call like this would pass, in milliseconds: 0 if it would now, `undefined` if it never will. */
  retryAfterMs(now: number, ask?: Ask): number | undefined;
  /** How much is left for the key of such a call. */
  snapshot(now: number, ask?: Ask): RateSnapshot;
}

/** Whole costs add up exactly; this is for fractions, and far below any call. */
const tolerance = 1e-6;

/** A clock that is behind by more than this was set back; by less, somebody read it early. */
const lateMs = 1000;

class Rate implements RateLimiter {
  readonly code = 'RATE_LIMITED';
  /** Sum of the refunds that left others behind them: tells a permit by how much its debt may have shrunk meanwhile. */
  refunded = 0;
  private origin = Number.NaN;
  private latest = 0;

  constructor(
    private readonly perMs: number,
    private readonly burst: number,
    private readonly ledger: RateLedger,
    private readonly keyOf: (ask: Ask | undefined) => string,
  ) {}

  tryAcquire(now: number, ask?: Ask): Permit | null {
    const time = this.count(now);
    const key = this.keyOf(ask);
    const cost = costOf(ask);
    const arrival = this.arrival(key, time) + cost;
    if (arrival > time + this.burst + tolerance) return null;
    this.ledger.set(key, arrival, time);
    return new Passage(this, key, cost, arrival);
  }

  retryAfterMs(now: number, ask?: Ask): number | undefined {
    const cost = costOf(ask);
    if (cost > this.burst) return undefined;
    const time = this.count(now);
    return Math.max(0, (this.arrival(this.keyOf(ask), time) + cost - this.burst - time) / this.perMs);
  }

  snapshot(now: number, ask?: Ask): RateSnapshot {
    const time = this.count(now);
    const owed = this.arrival(this.keyOf(ask), time) - time;
    return { available: Math.max(0, this.burst - owed), keys: this.ledger.size };
  }

  /**
   * Takes a passage back. A later arrival at an idle limit starts from its own time, and what was owed before it no
   * longer matters; so a refund may not exceed what this passage still adds, or calls would pass that the rate
   * forbids. `arrival - now`, less what was refunded meanwhile, is a lower bound of that, and exact if nothing came
   * between. The refund of the passage that came last changes nobody else's arrival and is not counted, so that calls
   * taken back in the reverse order leave no trace.
   */
  refund(passage: Passage, now: number): void {
    const time = this.count(now);
    const since = this.refunded - passage.refunded;
    const amount = Math.min(passage.cost, passage.arrival - since - time);
    const owed = this.ledger.get(passage.key);
    if (!(amount > 0) || owed === Number.NEGATIVE_INFINITY) return;
    // Not `===`: what was added and taken back may be a hair off where it was.
    const cameLast = since === 0 && Math.abs(owed - passage.arrival) <= tolerance;
    if (!cameLast) this.refunded += amount;
    this.ledger.set(passage.key, owed - amount, time);
  }

  /**
   * Time counted in calls, from the first call on: small numbers, to which whole costs add without rounding. It never
   * goes back. A caller that read the clock a little earlier than the last one finds that no time has passed; after a
   * real step back time goes on from where it was.
   */
  private count(now: number): number {
    if (!Number.isFinite(now)) return this.latest;
    if (Number.isNaN(this.origin)) this.origin = now;
    const time = (now - this.origin) * this.perMs;
    if (time >= this.latest) this.latest = time;
    else if (this.latest - time > lateMs * this.perMs) this.origin = now - this.latest / this.perMs;
    return this.latest;
  }

  /** When the next call may come at the earliest without using the burst, and not before now. */
  private arrival(key: string, time: number): number {
    return Math.max(time, this.ledger.get(key));
  }
}

class Passage implements Permit {
  readonly refunded: number;
  private open = true;
  constructor(
    private readonly rate: Rate,
    readonly key: string,
    readonly cost: number,
    readonly arrival: number,
  ) {
    this.refunded = rate.refunded;
  }
  observe(): void {
    // A rate counts calls, not answers.
  }
  release(outcome: Outcome, now: number): void {
    if (!this.open) return;
    this.open = false;
    if (outcome === 'unsent') this.rate.refund(this, now);
  }
}

const keyReaders = {
  key: (ask: Ask | undefined): string => ask?.key ?? '',
  operation: (ask: Ask | undefined): string => ask?.operation ?? '',
};

const shared = (): string => '';

function readerOf(by: RateOptions['by']): (ask: Ask | undefined) => string {
  if (by === undefined) return shared;
  if (typeof by === 'function') return by;
  return keyReaders[checkChoice('rate.by', by, ['key', 'operation'])];
}

/**
 * Refuses calls that come faster than a rate, with a burst on top: a quota, per caller if wanted.
 *
 * Use it to share a service fairly among tenants, or to keep to what somebody else's API allows. It does not protect
 * a server from overload, for it knows nothing of how busy the server is: use {@link bbr} for that. The count is of
 * this process alone.
 *
 * `unsent` gives the cost back; every other end of a call leaves it spent.
 *
 * With `by` it keeps one number per key, where `keyed` around a `rate` would keep a gate and a list entry; and it
 * forgets keys that owe nothing, where `keyed` forgets those least recently used.
 *
 * @param options - rate, burst, keys
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `RATE_LIMITED`
 * @example
 * ```ts
 * const perTenant = rate({ perSecond: 10, burst: 20, by: 'key' });
 * const rows = await attempt(perTenant, () => db.query('select 1'), { key: tenant });
 * ```
 *
 * Source: GCRA, the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"); the same decisions as a token
 * bucket. We keep time in units of calls, so that whole costs add up exactly, add a refund that never lets more pass
 * than `burst + perSecond * t`, and survive a clock that steps back.
 */
export function rate(options: RateOptions): RateLimiter {
  const fields: { [Field in keyof RateOptions]-?: RateOptions[Field] | undefined } = {
    perSecond: undefined,
    ...rateDefaults,
  };
  const given = resolveOptions('rate', fields, options, {
    burst: { min: 1 },
    maxKeys: { min: 1, integer: true },
  });
  const perSecond = checkNumber('rate.perSecond', given.perSecond, { above: 0 });
  const keyOf = readerOf(given.by);
  const ledger = given.by === undefined ? new SharedLedger() : new KeyedLedger(given.maxKeys as number);
  return new Rate(perSecond / 1000, given.burst ?? Math.max(1, perSecond), ledger, keyOf);
}
