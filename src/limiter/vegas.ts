import { LawLimiter, type RttLaw, type RttLimiter } from './rtt-limiter.js';
import type { RttSample } from './rtt-window.js';
import { type VegasOptions, type VegasSettings, vegasSettings } from './vegas-options.js';

/** How far the limit goes at once: one, and one more for each power of ten from a hundred on. */
function stepOf(limit: number): number {
  let step = 1;
  for (let power = 100; power <= limit; power *= 10) step++;
  return step;
}

class Vegas implements RttLaw {
  baseRttMs = Number.NaN;
  private estimate: number;
  private windows = 0;
  private jitter: number;

  constructor(private readonly settings: VegasSettings) {
    this.estimate = settings.initialLimit;
    this.jitter = this.draw();
  }

  get limit(): number {
    return Math.floor(this.estimate);
  }

  update({ rttMs, peak, lostRatio }: RttSample): void {
    const { minLimit, maxLimit, probeMultiplier, smoothing, lossRatio } = this.settings;
    const { limit, estimate } = this;
    this.windows++;
    if (this.windows >= this.jitter * probeMultiplier * estimate) {
      this.windows = 0;
      this.jitter = this.draw();
      this.baseRttMs = rttMs;
      return;
    }
    // Also while nothing is known.
    if (!(rttMs >= this.baseRttMs)) {
      this.baseRttMs = rttMs;
      return;
    }
    const lost = lostRatio >= lossRatio;
    // Less than half of it was in use: how long calls took says nothing of the limit.
    if (!lost && peak * 2 < estimate) return;
    const step = stepOf(limit);
    const queue = Math.ceil(estimate * (1 - this.baseRttMs / rttMs));
    const wanted = estimate + (lost ? -step : changeFor(queue, step));
    const bounded = Math.max(minLimit, Math.min(maxLimit, wanted));
    this.estimate = (1 - smoothing) * estimate + smoothing * bounded;
  }

  private draw(): number {
    return 0.5 + this.settings.random() / 2;
  }
}

/** By how much the limit changes for such a queue: it is to be from three to six steps long. */
function changeFor(queue: number, step: number): number {
  if (queue <= step) return 6 * step;
  if (queue < 3 * step) return step;
  return queue > 6 * step ? -step : 0;
}

/**
 * An adaptive limit that keeps a short queue: it estimates from rtt how many of the calls in flight wait, and steps up or
 * down until that are a few.
 *
 * Use it where what is scarce is not this process, as {@link gradient}: it finds large limits faster, and is easier to
 * lead astray by a rtt without load that is no longer true, until it probes for it anew. Where the CPU of this thread is
 * scarce, `dispatchQueue` holds a shorter queue and knows priorities. Around a handler that never awaits it refuses
 * nothing, because in one Node thread such calls follow each other and are never in flight together.
 *
 * @param options - the limits, and how fast they are followed
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`; when a
 * place falls free nobody knows, so there is no `retryAfterMs`
 * @example
 * ```ts
 * const limiter = vegas({ initialLimit: 50 });
 * const rows = await attempt(limiter, () => db.query('select 1'));
 * ```
 *
 * Source: Netflix/concurrency-limits `VegasLimit` behind a `WindowedLimit`, commit 78a74b9, with their defaults; the idea
 * is TCP Vegas (Brakmo and Peterson, 1995). We differ: a window counts as loss from a share of timed out calls on, where
 * there one is enough, so that a trickle of them does not take the limit down to 1; cost and priority; what finds nothing
 * in flight passes; `overload` and `ignored` calls teach nothing; a clock that steps back ends the window.
 */
export function vegas(options?: VegasOptions): RttLimiter {
  const settings = vegasSettings(options);
  return new LawLimiter(new Vegas(settings), settings);
}
