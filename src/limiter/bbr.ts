import type { Ask, Permit } from '../core/gate.js';
import type { Outcome } from '../core/outcome.js';
import { type BbrOptions, type BbrSettings, bbrSettings, loadReader } from './bbr-options.js';
import { BbrWindow } from './bbr-window.js';
import { costOf } from './cost.js';
import { Inflight } from './inflight.js';
import type { Limiter, LimiterSnapshot } from './limiter.js';

/** What {@link bbr} says of itself. */
export interface BbrSnapshot extends LimiterSnapshot {
  /** What may be in flight at priority 0 while the limit holds; without load it does not. */
  readonly limit: number;
  /** Shortest mean rtt of the window, milliseconds; `undefined` while nothing was measured. */
  readonly minRttMs: number | undefined;
  /** Most calls that passed per bucket; 0 while nothing was measured. */
  readonly maxPass: number;
  /** What the load signal says; `undefined` if it is not known. */
  readonly load: number | undefined;
  /** Whether it refused lately: from the first refusal until load has fallen and the cool-down has passed. */
  readonly shedding: boolean;
}

/** A limiter whose limit follows what the process can do. */
export interface BbrLimiter extends Limiter {
  snapshot(now: number): BbrSnapshot;
}

class Bbr implements BbrLimiter {
  readonly code = 'OVERLOADED';
  readonly inflight = new Inflight();
  private readonly window: BbrWindow;
  private readonly bucketMs: number;
  private readonly readLoad: () => number;
  private readonly countFailures: boolean;
  private limit: number;
  private shedding = false;
  /** When the cool-down began. Says something only while shedding. */
  private stampedAt = 0;

  constructor(private readonly settings: BbrSettings) {
    this.bucketMs = settings.windowMs / settings.buckets;
    this.window = new BbrWindow({ ...settings, bucketMs: this.bucketMs });
    this.readLoad = loadReader(settings.load);
    this.countFailures = settings.failures === 'count';
    this.limit = settings.minLimit;
  }

  tryAcquire(now: number, ask?: Ask): Permit | null {
    const cost = costOf(ask);
    const loaded = this.look(now);
    if ((loaded || this.shedding) && this.isOver(cost, ask?.priority)) {
      this.refuse(loaded, now);
      return null;
    }
    this.inflight.enter(cost);
    return new BbrPermit(this, cost, now);
  }

  retryAfterMs(now: number): number | undefined {
    if (!this.shedding) return undefined;
    const { cooldownMs } = this.settings;
    // Sooner than a bucket from now nothing can have changed; and more than all of it is left only to a clock that
    // stepped back.
    return Math.max(this.bucketMs, Math.min(cooldownMs, this.stampedAt + cooldownMs - now));
  }

  snapshot(now: number): BbrSnapshot {
    this.look(now);
    const load = this.load();
    const { minRttMs, maxPass } = this.window;
    return {
      inflight: this.inflight.amount,
      limit: this.limit,
      minRttMs: Number.isNaN(minRttMs) ? undefined : minRttMs,
      maxPass,
      load: Number.isNaN(load) ? undefined : load,
      shedding: this.shedding,
    };
  }

  /** A call that was admitted is over, and says something of this process. */
  record(outcome: Outcome, cost: number, rttMs: number, now: number): void {
    if (outcome !== 'success' && !(outcome === 'failure' && this.countFailures)) return;
    this.advance(now);
    // A clock that stepped back during the call says nothing of how long it took.
    if (rttMs >= 0) this.window.add(cost, rttMs);
  }

  /** Brings window, limit and cool-down up to date. @returns whether the process is loaded */
  private look(now: number): boolean {
    this.advance(now);
    const loaded = this.load() >= this.settings.loadThreshold;
    if (loaded) this.window.loaded = true;
    else if (this.shedding) this.cool(now);
    return loaded;
  }

  private advance(now: number): void {
    if (!this.window.advance(now)) return;
    const { gain, minLimit } = this.settings;
    const { maxPass, minRttMs } = this.window;
    // Little's law; one more, so that the pipe is full when a place falls free. Not `NaN > minLimit` without data.
    const wanted = Math.floor((gain * maxPass * minRttMs) / this.bucketMs) + 1;
    this.limit = wanted > minLimit ? wanted : minLimit;
  }

  private load(): number {
    try {
      return this.readLoad();
    } catch {
      return Number.NaN;
    }
  }

  /** What finds nothing in flight passes: a limit that admits nobody could never learn that it is too low. */
  private isOver(cost: number, priority = 0): boolean {
    const { amount } = this.inflight;
    if (amount === 0) return false;
    const { priorityRatio } = this.settings;
    const share = priority < 0 ? 1 - priorityRatio : priority > 0 ? 1 + priorityRatio : 1;
    return amount + cost > this.limit * share;
  }

  private refuse(loaded: boolean, now: number): void {
    // Only refusals under load prolong the cool-down: if those within it did, a limit that is too low would hold for
    // as long as the traffic does, with the process idle.
    if (loaded && (!this.shedding || this.settings.cooldownFrom === 'last')) this.stampedAt = now;
    if (!this.shedding) this.become(true, now);
  }

  private cool(now: number): void {
    // Set back, or never a time: it counts from now.
    if (!(now >= this.stampedAt)) this.stampedAt = now;
    if (now - this.stampedAt > this.settings.cooldownMs) this.become(false, now);
  }

  private become(shedding: boolean, now: number): void {
    this.shedding = shedding;
    try {
      const result: unknown = this.settings.onTransition?.(shedding, now);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // A listener is not allowed to cost a call.
    }
  }
}

class BbrPermit implements Permit {
  private verdict: Outcome | undefined = undefined;
  private held = true;
  constructor(
    private readonly limiter: Bbr,
    private readonly cost: number,
    private readonly startedAt: number,
  ) {}

  /** Keeps the verdict only: Little's law wants the time for which the place was held, so rtt runs until `release`. */
  observe(outcome: Outcome): void {
    this.verdict ??= outcome;
  }

  release(outcome: Outcome, now: number): void {
    if (!this.held) return;
    this.held = false;
    this.limiter.inflight.leave(this.cost);
    if (outcome !== 'unsent')
      this.limiter.record(this.verdict ?? outcome, this.cost, now - this.startedAt, now);
  }
}

/**
 * An adaptive limit for a server: while the process is loaded, no more may be in flight than what keeps it busy, and
 * the rest is refused at once instead of waiting until it is too late.
 *
 * The limit is `gain * best throughput * shortest rtt` of the last seconds (Little's law). It holds while `load` is at
 * or above the threshold, and for a cool-down after a refusal; otherwise everything passes. One for the whole server
 * is right in most cases: what is scarce is the process. If operations differ much in cost, give them a `cost`, or a
 * limiter each with `keyed`.
 *
 * Do not use it on clients, whose own load says nothing of the server; nor for handlers that never await: in one Node
 * thread such calls follow each other, wait where no middleware sees them, and are never in flight together.
 *
 * @param options - the load signal, and how to judge
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`;
 * `retryAfterMs` is what is left of the cool-down
 * @example
 * ```ts
 * import { loadSignal } from 'keelson/limiter/load';
 * const load = loadSignal();
 * load.start();
 * const limiter = bbr({ load });
 * const answer = await attempt(limiter, () => handle(request));
 * ```
 *
 * Source: go-kratos/aegis `ratelimit/bbr/bbr.go`, which took idea and name from TCP BBR (Cardwell et al., "BBR:
 * Congestion-Based Congestion Control", ACM Queue 2016). We differ: the shortest rtt is never learned under load; a
 * gain of 2 as in TCP BBR, so that the limit can grow; throughput averaged over half a second; a floor of 10 instead
 * of 2; the cool-down counts from the last refusal under load; `overload` and `ignored` calls teach nothing; rtts are
 * not rounded; cost and priority. {@link bbrKratos} has it the other way.
 */
export function bbr(options?: BbrOptions): BbrLimiter {
  return new Bbr(bbrSettings(options));
}
