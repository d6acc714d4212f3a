import { resolveOptions } from '../core/options.js';
import type { ServerLoad } from '../core/outcome.js';
import { Ledger } from './tied-ledger.js';
import { ReplicaView } from './tied-view.js';

/** Options of {@link tiedPolicy}. */
export interface TiedPolicyOptions {
  /**
   * How long to give the first copy to start before the second is sent, in milliseconds; 0 or more. Without it one and a
   * half times the round trip to that endpoint, which is measured. The platform's timers know no less than 1 ms.
   *
   * @defaultValue `undefined`
   */
  readonly delayMs?: number | undefined;
  /**
   * Least delay that is measured, in milliseconds; 0 or more. No effect with `delayMs`.
   *
   * @defaultValue `0.2`
   */
  readonly minDelayMs?: number | undefined;
  /**
   * Calls that occupy their server for less than this are not tied, in milliseconds; 0 or more. A copy that is taken back
   * costs both ends some 0.1 ms together: a larger value spends less of it on calls that are cheap anyway.
   *
   * @defaultValue `0.5`
   */
  readonly minServiceMs?: number | undefined;
  /**
   * Endpoints that are busy for less than this part of the time get no second copy beside them; 0 to 1. One with a line
   * that such a load does not explain is not spared: it stood still. A larger value sends fewer copies, and leaves more of
   * the waits that chance makes.
   *
   * @defaultValue `0.5`
   */
  readonly minLoadRatio?: number | undefined;
  /**
   * Most second copies, as a part of the calls; 0 to 1. A smaller value bounds what copies cost servers that are full.
   *
   * @defaultValue `1`
   */
  readonly maxCopyRatio?: number | undefined;
  /**
   * Most calls of which both copies may run, as a part of all; 0 to 1. While there were more, no second copies are sent. A
   * larger value lets in more of the work that is done twice.
   *
   * @defaultValue `0.05`
   */
  readonly maxDuplicateRatio?: number | undefined;
}

/** Defaults of {@link TiedPolicyOptions}. */
export const tiedPolicyDefaults = {
  delayMs: undefined as number | undefined,
  minDelayMs: 0.2,
  minServiceMs: 0.5,
  minLoadRatio: 0.5,
  maxCopyRatio: 1,
  maxDuplicateRatio: 0.05,
};

/** When to send a second copy, and whether. It is told numbers and the time, and asks for nothing. */
export interface TiedPolicy {
  /**
   * How long to give a copy that goes to an endpoint, in milliseconds; `Infinity` when a second would not pay.
   *
   * @returns `undefined` while nothing can be said of that endpoint: it told of no start yet, or of no load lately
   */
  delayMs(endpoint: string, now: number): number | undefined;
  /** Whether an endpoint tells of starts. */
  tells(endpoint: string): boolean;
  /** A call begins: it earns its part of a second copy. */
  called(): void;
  /** Takes one second copy from the budget, if there is one. */
  withdraw(): boolean;
  /** An endpoint answered, and told its load. */
  reported(endpoint: string, load: ServerLoad, now: number): void;
  /** A copy started, and this side knew of it after so many milliseconds. */
  started(endpoint: string, afterMs: number, now: number): void;
  /** An endpoint answered a copy and had not told that it started: it does not, or something between drops it. */
  silent(endpoint: string): void;
  /**
   * Both copies ran.
   *
   * @param likely - 1, or how likely it is where the server does not say
   */
  duplicated(likely?: number): void;
  /** How likely it is that a copy had started when it was taken back, where the server does not say; 0 to 1. */
  likelyStarted(endpoint: string, now: number): number;
}

/** Endpoints come and go; the one that was heard of first is forgotten for one above this. */
const maxEndpoints = 4096;
/** A notice needs one round trip; half of one more is for its spread, or an idle endpoint would be doubted too. */
const roundTrips = 1.5;

class Policy implements TiedPolicy {
  private readonly views = new Map<string, ReplicaView>();
  private readonly copies: Ledger;
  private readonly duplicates: Ledger;

  constructor(private readonly options: typeof tiedPolicyDefaults) {
    this.copies = new Ledger(options.maxCopyRatio);
    this.duplicates = new Ledger(options.maxDuplicateRatio);
  }

  delayMs(endpoint: string, now: number): number | undefined {
    const view = this.views.get(endpoint);
    if (view === undefined || !view.tells || !view.fresh(now)) return undefined;
    const { minServiceMs, minLoadRatio } = this.options;
    if ((view.serviceMs ?? minServiceMs) < minServiceMs) return Number.POSITIVE_INFINITY;
    if ((view.loadRatio ?? minLoadRatio) < minLoadRatio && !view.jammed(now)) return Number.POSITIVE_INFINITY;
    const delayMs =
      this.options.delayMs ?? Math.max(this.options.minDelayMs, roundTrips * view.roundTripMs(now));
    return view.waitMs(now) > delayMs ? delayMs : Number.POSITIVE_INFINITY;
  }

  tells(endpoint: string): boolean {
    return this.views.get(endpoint)?.tells === true;
  }

  called(): void {
    this.copies.deposit();
    this.duplicates.deposit();
  }

  withdraw(): boolean {
    if (!this.duplicates.open || !this.copies.open) return false;
    this.copies.spend(1);
    return true;
  }

  reported(endpoint: string, load: ServerLoad, now: number): void {
    this.view(endpoint).reported(load, now);
  }

  started(endpoint: string, afterMs: number, now: number): void {
    this.view(endpoint).started(afterMs, now);
  }

  silent(endpoint: string): void {
    const view = this.views.get(endpoint);
    if (view !== undefined) view.tells = false;
  }

  duplicated(likely = 1): void {
    this.duplicates.spend(likely);
  }

  likelyStarted(endpoint: string, now: number): number {
    const view = this.views.get(endpoint);
    if (view === undefined) return 1;
    // Its turn comes at any moment of its wait, and until it is taken back a round trip goes by.
    const tripMs = view.roundTripMs(now);
    const ratio = tripMs / (tripMs + view.waitMs(now));
    return ratio <= 1 ? ratio : 1;
  }

  private view(endpoint: string): ReplicaView {
    let view = this.views.get(endpoint);
    if (view === undefined) {
      if (this.views.size >= maxEndpoints) this.views.delete(this.views.keys().next().value as string);
      view = new ReplicaView();
      this.views.set(endpoint, view);
    }
    return view;
  }
}

/**
 * Decides on second copies of tied calls: only beside an endpoint that tells when it starts what, is busy enough for a
 * wait to be likely, and works long enough on a call for a wait to matter; and never more than two budgets allow.
 *
 * The delay is what tells: a copy that is not started after the time that a notice takes stands in a line, or its server
 * hangs. So what an endpoint said last of its backlog only decides when it is more than that load has anyway: it is many
 * service times old when it is needed.
 *
 * Used by `tied`; by itself for simulations, and for a race of your own.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const policy = tiedPolicy({ maxDuplicateRatio: 0.02 });
 * const delayMs = policy.delayMs(endpoint.id, now) ?? usualMs;
 * ```
 *
 * Source: Dean and Barroso, "The Tail at Scale", CACM 2013 (tied requests, sent twice the mean network delay apart). There
 * the servers cancel each other; here the client hears of starts and cancels, so that servers need not know each other.
 */
export function tiedPolicy(options?: TiedPolicyOptions): TiedPolicy {
  return new Policy(
    resolveOptions('tiedPolicy', tiedPolicyDefaults, options, {
      delayMs: { min: 0 },
      minDelayMs: { min: 0 },
      minServiceMs: { min: 0 },
      minLoadRatio: { min: 0, max: 1 },
      maxCopyRatio: { min: 0, max: 1 },
      maxDuplicateRatio: { min: 0, max: 1 },
    }),
  );
}
