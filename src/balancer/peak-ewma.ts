import { resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import type { LoadMeter, Metering } from './meter.js';

/** Options of {@link peakEwma}. */
export interface PeakEwmaOptions {
  /**
   * Time constant of the average; milliseconds, above 0. A larger value avoids an endpoint longer after one slow
   * answer.
   *
   * @defaultValue `10000`
   */
  readonly tauMs?: number | undefined;
}

/** Defaults of {@link PeakEwmaOptions}. */
export const peakEwmaDefaults = { tauMs: 10_000 };

/** Load of an endpoint that has calls in flight and never answered one: dearer than any that did. */
const unmeasured = 1e12;

class PeakEwma implements LoadMeter {
  private inflight = 0;
  private costMs = 0;
  private stampedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly tauMs: number) {}

  start(): void {
    this.inflight++;
  }
  load(now: number): number {
    // Looking counts as an answer that took no time: an endpoint nobody uses becomes attractive again.
    this.take(0, now);
    if (this.costMs === 0) return this.inflight === 0 ? 0 : unmeasured * (this.inflight + 1);
    return this.costMs * (this.inflight + 1);
  }
  answer(outcome: Outcome, startedAt: number, now: number): void {
    if (outcome === 'unsent') return;
    const rttMs = Math.max(0, now - startedAt);
    if (outcome === 'ignored' && !(rttMs > this.costMs)) return;
    this.take(rttMs, now);
  }
  end(): void {
    this.inflight--;
  }

  private take(rttMs: number, now: number): void {
    if (rttMs >= this.costMs) this.costMs = rttMs;
    else {
      const weight = Math.exp(-Math.max(0, now - this.stampedAt) / this.tauMs);
      this.costMs = this.costMs * weight + rttMs * (1 - weight);
    }
    this.stampedAt = Math.max(this.stampedAt, now);
  }
}

/**
 * Peak-sensitive average of latency, times calls in flight: rises at once with a slow answer, forgets slowly.
 *
 * Use it with few clients and many calls each, where a slow endpoint must be left at once. Not where processes pause
 * (garbage collection, noisy neighbours): it avoids an endpoint long after the pause and crowds the others. It does
 * not look at outcomes, so an endpoint that fails fast looks cheap; {@link responseTime} knows better.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: finagle-core, `PeakEwma`. As there, reading the load lets it decay, and an endpoint that has calls in
 * flight and no data is dearer than all others. Here a call that ended as `ignored` can only raise the estimate.
 */
export function peakEwma(options?: PeakEwmaOptions): Metering {
  const { tauMs } = resolveOptions('peakEwma', peakEwmaDefaults, options, { tauMs: { above: 0 } });
  return () => new PeakEwma(tauMs);
}
