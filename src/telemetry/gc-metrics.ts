import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import type { Histogram, Meter, MeterProvider } from '@opentelemetry/api';
import type { Observation } from './observed.js';
import { lazyInstruments } from './open-telemetry.js';

const kinds: ReadonlyMap<number | undefined, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/** The types of Node leave out what an entry of this kind says besides. */
type Pause = PerformanceEntry & { readonly detail?: { readonly kind?: number } | null };

function record(duration: Histogram, { duration: ms, detail }: Pause): void {
  duration.record(ms / 1000, { 'v8js.gc.type': kinds.get(detail?.kind) ?? 'other' });
}

/**
 * Measures pauses for garbage: `v8js.gc.duration`, in seconds, by kind. It listens only while there is an SDK.
 *
 * @param meterProvider - makes the instrument; without it the one that is registered globally
 */
export function gcMetrics(meterProvider?: MeterProvider): Observation {
  let observer: PerformanceObserver | undefined;
  const instruments = lazyInstruments((meter: Meter): true => {
    observer?.disconnect();
    const duration = meter.createHistogram('v8js.gc.duration', {
      unit: 's',
      description: 'Garbage collection duration.',
      advice: { explicitBucketBoundaries: [0.01, 0.1, 1, 10] },
    });
    observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) record(duration, entry);
    });
    observer.observe({ entryTypes: ['gc'] });
    return true;
  }, meterProvider);
  instruments();
  let stopped = false;
  return {
    refresh: () => {
      if (!stopped) instruments();
    },
    stop: () => {
      stopped = true;
      observer?.disconnect();
      observer = undefined;
    },
  };
}
