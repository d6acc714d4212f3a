import type { EarlyRefuser } from '../core/early-refusal.js';
import type { Ask, Permit } from '../core/gate.js';
import {
  type BbrOptions,
  type BbrSettings,
  bbrSettings,
  type LoadReaders,
  type LoadReading,
  loadReaders,
} from './bbr-options.js';
import { BbrWindow } from './bbr-window.js';
import { costOf } from './cost.js';
import { Inflight } from './inflight.js';
import type { Limiter, LimiterSnapshot } from './limiter.js';
import { priorityShare } from './priority-share.js';
import { type RttLearner, RttPermit } from './rtt-permit.js';

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
export interface BbrLimiter extends Limiter, EarlyRefuser {
  /**
   * Tells it by what to go if its options name no load; else it does nothing. An app does so with the limits of its servers.
   *
   * @returns what ends that: then it goes by what it was told before, if that has not ended
   */
  heed(load: LoadReading): () => void;
  snapshot(now: number): BbrSnapshot;
}

/**
 * What others lose of what may wait when an important call is refused for it, and what they get back with each bucket
 * while refusing lasts: they swing about where one important call in some seconds is refused. When it is over they have
 * all of it at once.
 */
const roomLoss = 0.9;
const roomGain = 0.002;

class Bbr implements BbrLimiter, RttLearner {
  readonly code = 'OVERLOADED';
  readonly inflight = new Inflight();
  private readonly window: BbrWindow;
  private readonly bucketMs: number;
  private load: LoadReaders;
  /** What it was told to heed, the latest last. */
  private heeded: readonly LoadReaders[] = [];
  private readonly countFailures: boolean;
  private limit: number;
  private shedding = false;
  /** When the cool-down began. Says something only while shedding. */
  private stampedAt = 0;
  /** When it last let a call in, and when before that. */
  private passedAt = Number.NEGATIVE_INFINITY;
  private passedBefore = Number.NEGATIVE_INFINITY;
  /** Of what may wait, the share that is left to calls which are not important. */
  private room = 1;

  constructor(private readonly settings: BbrSettings) {
    this.bucketMs = settings.windowMs / settings.buckets;
    this.window = new BbrWindow({ ...settings, bucketMs: this.bucketMs });
    this.load = loadReaders(settings.load);
    this.countFailures = settings.failures === 'count';
    this.limit = settings.minLimit;
  }

  heed(load: LoadReading): () => void {
    const readers = loadReaders(load);
    this.heedOnly([...this.heeded, readers]);
    return () => this.heedOnly(this.heeded.filter((other) => other !== readers));
  }

  tryAcquire(now: number, ask?: Ask): Permit | null {
    const cost = costOf(ask);
    if (this.refuses(now, ask, cost)) return null;
    this.passedBefore = this.passedAt;
    this.passedAt = now;
    this.inflight.enter(cost);
    return new RttPermit(this, cost, now);
  }

  get refusing(): boolean {
    return this.shedding;
  }

  refuseEarly(now: number, ask: Ask): boolean {
    return this.refuses(now, ask, costOf(ask));
  }

  retryAfterMs(now: number): number | undefined {
    if (!this.shedding) return undefined;
    const { cooldownMs } = this.settings;
    // Sooner than a bucket from now nothing can have changed; and more than all of it is left only to a clock that
    // stepped back.
    return Math.max(this.bucketMs, Math.min(cooldownMs, this.stampedAt + cooldownMs - now));
  }

  snapshot(now: number): BbrSnapshot {
    const load = this.look(now);
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

  learn({ verdict, cost, startedAt }: RttPermit, now: number): void {
    if (verdict === 'unsent' && startedAt === this.passedAt) this.passedAt = this.passedBefore;
    if (verdict !== 'success' && !(this.countFailures && (verdict === 'failure' || verdict === 'lost')))
      return;
    this.advance(now);
    // A clock that stepped back during the call says nothing of how long it took.
    const rttMs = now - startedAt;
    if (rttMs >= 0) this.window.add(cost, rttMs);
  }

  private refuses(now: number, ask: Ask | undefined, cost: number): boolean {
    const load = this.look(now);
    const loaded = load >= this.settings.loadThreshold;
    if (!loaded && !this.shedding) return false;
    const important = ask?.priority !== undefined && ask.priority > 0;
    const share = priorityShare(ask?.priority, this.settings.priorityRatio);
    const full = this.isFull(important ? share : this.room, now);
    if (!full && !this.isOver(cost, share)) return false;
    this.refuse(loaded, now);
    if (full && important) this.yieldRoom();
    return true;
  }

  /** Brings window, limit and cool-down up to date. @returns how loaded the process is */
  private look(now: number): number {
    this.advance(now);
    const load = this.value();
    if (load >= this.settings.loadThreshold) this.window.loaded = true;
    else if (this.shedding) this.cool(now);
    return load;
  }

  private advance(now: number): void {
    if (!this.window.advance(now)) return;
    if (this.room < 1) this.room = Math.min(1, this.room + roomGain);
    const { gain, minLimit } = this.settings;
    const { maxPass, minRttMs } = this.window;
    // Little's law; one more, so that the pipe is full when a place falls free. Not `NaN > minLimit` without data.
    const wanted = Math.floor((gain * maxPass * minRttMs) / this.bucketMs) + 1;
    this.limit = wanted > minLimit ? wanted : minLimit;
  }

  private heedOnly(heeded: readonly LoadReaders[]): void {
    this.heeded = heeded;
    if (this.settings.load === undefined) this.load = heeded.at(-1) ?? loadReaders(undefined);
  }

  private value(): number {
    try {
      return this.load.value();
    } catch {
      return Number.NaN;
    }
  }

  private waiting(): number {
    try {
      return this.load.waiting();
    } catch {
      return Number.NaN;
    }
  }

  /**
   * Whether too much waits where nothing in flight shows it. One call per bucket passes all the same: what burns the
   * thread may be something else, and then a service that answers nobody has gained nothing.
   */
  private isFull(share: number, now: number): boolean {
    if (!(this.waiting() > this.settings.maxWaitingRatio * share)) return false;
    const sinceMs = now - this.passedAt;
    return sinceMs >= 0 && sinceMs < this.bucketMs;
  }

  /** What finds nothing in flight passes: a limit that admits nobody could never learn that it is too low. */
  private isOver(cost: number, share: number): boolean {
    const { amount } = this.inflight;
    return amount > 0 && amount + cost > this.limit * share;
  }

  /** An important call is refused because others got here first: from now on those stop earlier. */
  private yieldRoom(): void {
    this.room = Math.max(1 - this.settings.priorityRatio, this.room * roomLoss);
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
    this.room = 1;
    try {
      const result: unknown = this.settings.onTransition?.(shedding, now);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // A listener is not allowed to cost a call.
    }
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
 * Give it a signal that knows what waits, `backlogSignal()`. It notices an overload within milliseconds, and it is the
 * only one that makes this limiter work around handlers that never await: in one Node thread such calls follow each other
 * and are never in flight together; they wait to be read, and while too much does, whoever is read is refused.
 * `dispatchQueue` serves important calls more surely and holds a shorter queue, for what waits there has an order.
 *
 * Do not use it on clients, whose own load says nothing of the server, nor where what is scarce is not this process but
 * what its handlers wait for: {@link gradient} needs no load.
 *
 * @param options - the load signal, and how to judge
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`;
 * `retryAfterMs` is what is left of the cool-down
 * @example
 * ```ts
 * import { backlogMeter, backlogSignal } from 'keelson/limiter/load';
 * const meter = backlogMeter();
 * meter.start();
 * const limits = allOf([meter.gate, bbr({ load: backlogSignal(meter) })]);
 * const answer = await attempt(limits, () => handle(request));
 * ```
 *
 * Source: go-kratos/aegis `ratelimit/bbr/bbr.go`, which took idea and name from TCP BBR (Cardwell et al., "BBR:
 * Congestion-Based Congestion Control", ACM Queue 2016). We differ: what waits unseen is refused too; the shortest rtt is
 * never learned under load; a gain of 1.25, with which TCP BBR probes for more, so that the limit can grow; throughput
 * averaged over half a second; a floor of 10 instead of 2; the cool-down counts from the last refusal under load;
 * `overload` and `ignored` calls teach nothing; rtts are not rounded; cost and priority. {@link bbrKratos} has it the
 * other way.
 */
export function bbr(options?: BbrOptions): BbrLimiter {
  return new Bbr(bbrSettings(options));
}
