import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';

/** One value with its attributes. */
export interface Point {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly value: unknown;
}

/** An SDK that measures, as applications set it up, its metrics kept in memory. */
export interface MetricsSdk {
  readonly provider: MeterProvider;
  /** Makes it that of the process. */
  register(): void;
  /** Everything that is measured now, by name. */
  collect(): Promise<Map<string, MetricData>>;
  /** The values of one instrument; empty if there is none. */
  points(name: string): Promise<Point[]>;
  stop(): Promise<void>;
}

/** @param temporality - `DELTA` leaves out what nobody shows any more, which else is told for ever */
export function metricsSdk(temporality: 'CUMULATIVE' | 'DELTA' = 'CUMULATIVE'): MetricsSdk {
  const exporter = new InMemoryMetricExporter(AggregationTemporality[temporality]);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const provider = new MeterProvider({ readers: [reader] });
  const collect = async (): Promise<Map<string, MetricData>> => {
    exporter.reset();
    await provider.forceFlush();
    const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
    return new Map(
      scopes.flatMap((scope) => scope.metrics.map((metric) => [metric.descriptor.name, metric])),
    );
  };
  return {
    provider,
    register: () => void metrics.setGlobalMeterProvider(provider),
    collect,
    async points(name) {
      const found = (await collect()).get(name);
      return ((found?.dataPoints ?? []) as DataPoint<unknown>[]).map(({ attributes, value }) => ({
        attributes,
        value,
      }));
    },
    async stop() {
      metrics.disable();
      await provider.shutdown();
    },
  };
}
