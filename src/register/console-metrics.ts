import type { Clock, Timer } from '../core/clock.js';
import type { DistributionPoint, HistogramPoint, MetricData, MetricSource } from '../meter/metric-data.js';

/** How a {@link ConsoleMetrics} is made. */
export interface ConsoleMetricsOptions {
  /** Time between two writings. */
  readonly intervalMs: number;
  readonly write: (text: string) => Promise<void>;
  readonly clock: Clock;
}

/** Writes metrics from time to time. */
export interface ConsoleMetrics {
  /** Writes now; never rejects. */
  flush(): Promise<void>;
  /** Writes no more by itself. */
  close(): void;
}

function distribution({ attributes, count, sum, min, max }: DistributionPoint, of: HistogramPoint) {
  const counts = of.counts.map((among, at) => [of.bounds[at] ?? 'more', among] as const);
  // Most buckets of most histograms are empty, and nobody reads the rest for them.
  const buckets = Object.fromEntries(counts.filter(([, among]) => among > 0));
  return { attributes, count, sum, min, max, buckets };
}

function pointsOf(metric: MetricData): readonly object[] {
  if (metric.kind === 'exponential')
    return metric.points.map((point, at) => distribution(point, metric.explicit[at] as HistogramPoint));
  if (metric.kind === 'histogram') return metric.points.map((point) => distribution(point, point));
  return metric.points.map(({ attributes, value }) => ({ attributes, value }));
}

/** One metric as a line of JSON, for whoever looks on while developing. */
function line(metric: MetricData): string {
  return JSON.stringify({
    metric: metric.name,
    kind: metric.kind,
    unit: metric.unit,
    scope: metric.scope.name,
    at: new Date(metric.points[0]?.atMs ?? 0).toISOString(),
    points: pointsOf(metric),
  });
}

/**
 * Writes what was measured, a line for each metric, each interval and when asked; `OTEL_METRICS_EXPORTER=console`. Does not hold
 * the process.
 *
 * Source: OpenTelemetry, "Metrics Exporter - Standard output", with the "Periodic exporting MetricReader".
 */
export function consoleMetrics(
  source: MetricSource,
  { intervalMs, write, clock }: ConsoleMetricsOptions,
): ConsoleMetrics {
  let timer: Timer | undefined;
  const flush = async (): Promise<void> => {
    try {
      const metrics = await source.collect();
      if (metrics.length > 0) await write(metrics.map(line).join('\n'));
    } catch {
      // Who reads it sees that it is missing.
    }
  };
  const arm = (): void => {
    timer = clock.after(intervalMs, () => {
      arm();
      void flush();
    });
  };
  arm();
  return { flush, close: () => timer?.cancel() };
}
