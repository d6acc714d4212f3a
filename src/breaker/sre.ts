import type { Permit } from '../core/gate.js';
import { type Bounds, resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { type Random, systemRandom } from '../core/random.js';
import { RecentCounter } from '../stats/recent-counter.js';
import { AnnouncedState, checkAnnouncement } from './announced-state.js';
import type { Breaker, BreakerMode, BreakerSnapshot, TransitionHook } from './breaker.js';

/** Options of {@link sre}. */
export interface SreOptions {
  /**
   * How many requests are sent for each one that the callee accepts, before some are refused here; a ratio, 1 or
   * more. With 2 the throttle begins when fewer than half succeed, and settles where one of two that are sent
   * succeeds. A larger value refuses later, wastes more on a callee that is down, and notices sooner that it is back.
   *
   * @defaultValue `2`
   */
  readonly k?: number | undefined;
  /**
   * Requests that the window has to hold before any is refused; a whole number, 1 or more. A larger value needs
   * more evidence, and never refuses callers who send fewer in a window.
   *
   * @defaultValue `10`
   */
  readonly minRequests?: number | undefined;
  /**
   * Requests that are enough to judge by: with more than that in the window, the oldest are forgotten before their
   * time; a whole number, at least `minRequests`, or `Infinity`. A larger value is calmer at high rates, and slower
   * in proportion to notice an outage and its end. No effect on callers who send fewer in a window.
   *
   * @defaultValue `200`
   */
  readonly maxRequests?: number | undefined;
  /**
   * What is remembered at most; milliseconds, 1 or more. A larger value serves callers of fewer requests per second,
   * and recovers more slowly.
   *
   * @defaultValue `5000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Parts of the window; a whole number from 2 to 1000. The window moves by one part at a time. A larger value
   * moves more smoothly for more memory.
   *
   * @defaultValue `10`
   */
  readonly buckets?: number | undefined;
  /**
   * Who decides; see {@link BreakerMode}.
   *
   * @defaultValue `'auto'`
   */
  readonly mode?: BreakerMode | undefined;
  /**
   * Uniform numbers in [0, 1).
   *
   * @defaultValue `Math.random`
   */
  readonly random?: Random | undefined;
  /**
   * Told when refusing begins (`open`) and ends (`closed`). Around the threshold that may be often.
   *
   * @defaultValue none
   */
  readonly onTransition?: TransitionHook | undefined;
}

/** {@link SreOptions} with nothing left open. */
export interface SreSettings {
  readonly k: number;
  readonly minRequests: number;
  readonly maxRequests: number;
  readonly windowMs: number;
  readonly buckets: number;
  readonly mode: BreakerMode;
  readonly random: Random;
  readonly onTransition: TransitionHook | undefined;
}

/** Defaults of {@link SreOptions}. */
export const sreDefaults: SreSettings = {
  k: 2,
  minRequests: 10,
  maxRequests: 200,
  windowMs: 5000,
  buckets: 10,
  mode: 'auto',
  random: systemRandom,
  onTransition: undefined,
};

const bounds: Bounds<SreSettings> = {
  k: { min: 1 },
  minRequests: { min: 1, integer: true },
  maxRequests: { min: 1, integer: true, infinite: true },
  windowMs: { min: 1 },
  buckets: { min: 2, max: 1000, integer: true },
};

function settingsOf(current: SreSettings, given: SreOptions | undefined): SreSettings {
  const settings = resolveOptions('sre', current, given, bounds);
  checkAnnouncement('sre', settings);
  if (settings.maxRequests < settings.minRequests)
    throw new RangeError(
      `sre.maxRequests must be >= sre.minRequests (${settings.minRequests}), got ${settings.maxRequests}`,
    );
  return settings;
}

const windowOf = ({ windowMs, buckets, maxRequests }: SreSettings): RecentCounter =>
  new RecentCounter(windowMs, buckets, maxRequests);

class SrePermit implements Permit {
  private observed = false;
  private released = false;
  constructor(private readonly breaker: Sre) {}

  observe(outcome: Outcome, now: number): void {
    if (this.observed) return;
    this.observed = true;
    this.breaker.learn(outcome, now);
  }
  release(outcome: Outcome, now: number): void {
    if (this.released) return;
    this.released = true;
    this.breaker.inflight--;
    this.observe(outcome, now);
  }
}

class Sre implements Breaker<SreOptions> {
  readonly code = 'BREAKER_OPEN';
  inflight = 0;
  private readonly state: AnnouncedState;
  /** Its marks are requests, its hits are those that were accepted. */
  private window: RecentCounter;
  /** The chance that a call is refused, by the evidence alone. */
  private ratio = 0;

  constructor(private settings: SreSettings) {
    this.state = new AnnouncedState(settings);
    this.window = windowOf(settings);
  }

  tryAcquire(now: number): Permit | null {
    this.advance(now);
    const { mode, random } = this.settings;
    if (mode === 'open') return null;
    if (this.ratio > 0 && mode === 'auto' && random() < this.ratio) {
      this.add(now, false);
      return null;
    }
    this.inflight++;
    return new SrePermit(this);
  }

  /** Takes in how a call ended: once for each, when its verdict is known. */
  learn(outcome: Outcome, now: number): void {
    if (outcome === 'ignored' || outcome === 'unsent') return;
    this.add(now, outcome === 'success');
  }

  snapshot(now: number): BreakerSnapshot {
    this.advance(now);
    const { mode } = this.settings;
    return {
      state: this.state.current,
      mode,
      refusalRatio: mode === 'open' ? 1 : mode === 'closed' ? 0 : this.ratio,
      requests: this.window.marks,
      successes: this.window.hits,
      inflight: this.inflight,
    };
  }

  force(mode: BreakerMode, now: number): void {
    this.reconfigure({ mode }, now);
  }

  reconfigure(options: SreOptions, now: number): void {
    const before = this.settings;
    const after = settingsOf(before, options);
    this.settings = after;
    this.state.by = after;
    const same =
      after.windowMs === before.windowMs &&
      after.buckets === before.buckets &&
      after.maxRequests === before.maxRequests;
    if (!same) this.window = windowOf(after);
    this.window.advance(now);
    this.weigh(now);
  }

  reset(now: number): void {
    this.window.reset();
    this.weigh(now);
  }

  private advance(now: number): void {
    if (this.window.advance(now)) this.weigh(now);
  }

  private add(now: number, accepted: boolean): void {
    this.window.add(now, accepted);
    this.weigh(now);
  }

  /** Judges the window anew; what that means for the state is told on the way. */
  private weigh(now: number): void {
    const { marks, hits } = this.window;
    const { k, minRequests } = this.settings;
    const excess = marks - k * hits;
    this.ratio = marks < minRequests || excess <= 0 ? 0 : excess / (marks + 1);
    this.state.become(this.ratio > 0 ? 'open' : 'closed', now);
  }
}

/**
 * A breaker that refuses as many calls as it has to, and no more: each with the chance
 * `max(0, (requests - k * accepts) / (requests + 1))`.
 *
 * Use it in front of anything that can be down or overloaded, one for each endpoint or each operation. It has no
 * half-open state and waits for no timer: a callee that answers half of the calls keeps getting the half that it can
 * answer, and one that is down gets about one call in `maxRequests`, by which its return is seen. Not for servers:
 * those need a limiter. Where a callee that fails now and then must not be called at all, use {@link threshold}.
 *
 * - What counts. `success` is a request and an accept; `failure` and `overload` are a request; `ignored` and `unsent`
 *   are nothing; a refusal of its own is a request, as in the book: it keeps the chance high while callers insist.
 * - When. At the verdict (the first response, or the end), never at the start: a call in flight says nothing yet.
 *   If it counted, a thousand calls started at once to a healthy callee would be a thousand requests without an
 *   accept, and most of them refused. So a permit adds one request or none, in whatever order calls end, and there
 *   is never anything to take back. A callee that hangs is noticed when the first calls time out: set a timeout.
 *   When everything in flight fails at one moment, that storm fills the window once; `maxRequests` bounds how long
 *   it is remembered.
 * - Why these defaults. A window by time alone suits one rate. That of 2 minutes in the book needs a minute of outage
 *   to react; one of 3 seconds and 100 requests never opens below 33 calls per second; and after an outage the time
 *   to recover grows with the number of requests in the window, because the chance to pass shrinks with it.
 *   5 seconds and 10 requests work from 3 calls per second up; 200 requests as an upper end make a busy caller decide
 *   on its last 200. By simulation, in 20 s of outage at 10, 100 and 1000 calls per second, 40, 170 and 260 calls are
 *   wasted and 95 % is back after 13, 9 and 1 s; without the upper end, at 1000 per second, it is 3600 and 28 s.
 *   The price: 200 failures in a row cost about 700 refusals after them, even if they took a fifth of a second. A
 *   larger `maxRequests` sits through that.
 *
 * It offers no `retryAfterMs`: the next call may pass at once.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const rows = await attempt(sre(), () => db.query('select 1'));
 * ```
 *
 * Source: Beyer et al., "Site Reliability Engineering", chapter 21 "Handling Overload", client-side throttling.
 * We add `minRequests` and `maxRequests`. kratos differs in counting everything but 500, 503 and 504 as accepted; its
 * numbers are in {@link sreKratosV1}, {@link sreKratosV2} and {@link sreKratosV3}.
 */
export function sre(options?: SreOptions): Breaker<SreOptions> {
  return new Sre(settingsOf(sreDefaults, options));
}
