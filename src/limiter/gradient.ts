import { type GradientOptions, type GradientSettings, gradientSettings } from './gradient-options.js';
import { LawLimiter, type RttLaw, type RttLimiter } from './rtt-limiter.js';
import type { RttSample } from './rtt-window.js';

/** The long-term rtt is a plain mean of so many windows before it becomes an exponential one. */
const warmupWindows = 10;
/** Twice the rtt of now: the long-term one is of an overload that is over, and leaves it sooner than by averaging. */
const stale = 2;
const staleDecay = 0.95;
/** One window takes no more than half of the limit. */
const steepest = 0.5;

class Gradient implements RttLaw {
  baseRttMs = Number.NaN;
  private estimate: number;
  private windows = 0;

  constructor(private readonly settings: GradientSettings) {
    this.estimate = settings.initialLimit;
  }

  get limit(): number {
    return Math.floor(this.estimate);
  }

  update({ rttMs, peak }: RttSample): void {
    const { minLimit, maxLimit, queueSize, rttTolerance, smoothing } = this.settings;
    const longMs = this.average(rttMs);
    if (longMs / rttMs > stale) this.baseRttMs = longMs * staleDecay;
    const { estimate } = this;
    // Less than half of it was in use: how long calls took says nothing of the limit.
    if (peak < estimate / 2) return;
    const gradient = Math.max(steepest, Math.min(1, (rttTolerance * longMs) / rttMs));
    const wanted = estimate * gradient + queueSize;
    const smoothed = estimate * (1 - smoothing) + wanted * smoothing;
    this.estimate = Math.max(minLimit, Math.min(maxLimit, smoothed));
  }

  private average(rttMs: number): number {
    const { longWindows } = this.settings;
    const weight = this.windows < warmupWindows ? 1 / ++this.windows : 2 / (longWindows + 1);
    const before = Number.isNaN(this.baseRttMs) ? rttMs : this.baseRttMs;
    this.baseRttMs = before + weight * (rttMs - before);
    return this.baseRttMs;
  }
}

/**
 * An adaptive limit that shrinks while calls take longer than they do in the long run, and grows while they do not.
 *
 * Use it where what is scarce is not this process: in front of a database or another service that many calls wait for, on
 * a server whose handlers mostly wait, or on a client for one callee. It needs no load signal. Where the CPU of this
 * thread is scarce, `dispatchQueue` holds a shorter queue and knows priorities, and {@link bbr} knows when there is no
 * overload. Around a handler that never awaits it refuses nothing, because in one Node thread such calls follow each
 * other and are never in flight together.
 *
 * In an overload that lasts for hundreds of windows the long-term rtt comes to be that of the overload, and the limit
 * grows to `maxLimit`: that is how the law forgives a callee that became slower for good, and why `maxLimit` matters.
 *
 * @param options - the limits, and how fast they are followed
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`; when a
 * place falls free nobody knows, so there is no `retryAfterMs`
 * @example
 * ```ts
 * const limiter = gradient({ maxLimit: 400 });
 * const rows = await attempt(limiter, () => db.query('select 1'));
 * ```
 *
 * Source: Netflix/concurrency-limits `Gradient2Limit` behind a `WindowedLimit`, commit 78a74b9, with their defaults. We
 * differ: cost and priority; what finds nothing in flight passes; `overload` and `ignored` calls teach nothing; a clock
 * that steps back ends the window.
 */
export function gradient(options?: GradientOptions): RttLimiter {
  const settings = gradientSettings(options);
  return new LawLimiter(new Gradient(settings), settings);
}
