import { LatencyHistogram } from '../stats/latency-histogram.js';

/** What is remembered of latencies. */
const windowMs = 30_000;
/** With fewer samples a percentile says little, and a first copy is given all its time. */
const minSamples = 50;
/** Operations are of low cardinality; should they not be, the later ones are not measured and not hedged. */
const maxOperations = 256;

/** When to send a second copy. */
export interface HedgeDelay {
  /** How long to give the first copy, in milliseconds; `Infinity` while nothing is known. */
  delayMs(operation: string, now: number): number;
  /** A first copy took this long; one that lost took at least this long. */
  add(operation: string, latencyMs: number, now: number): void;
}

/** Always the same delay. */
export function fixedDelay(delayMs: number): HedgeDelay {
  return { delayMs: () => delayMs, add: () => undefined };
}

/** The latency that a share of the first copies of that operation did not exceed in the last half minute. */
export function measuredDelay(percentile: number, minDelayMs: number): HedgeDelay {
  const histograms = new Map<string, LatencyHistogram>();
  return {
    delayMs(operation, now) {
      const histogram = histograms.get(operation);
      if (histogram === undefined || histogram.count(now) < minSamples) return Number.POSITIVE_INFINITY;
      return Math.max(minDelayMs, histogram.quantile(percentile, now));
    },
    add(operation, latencyMs, now) {
      let histogram = histograms.get(operation);
      if (histogram === undefined) {
        if (histograms.size >= maxOperations) return;
        histogram = new LatencyHistogram(windowMs);
        histograms.set(operation, histogram);
      }
      histogram.add(latencyMs, now);
    },
  };
}
