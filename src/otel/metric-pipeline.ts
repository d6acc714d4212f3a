import { inNameOf } from '../core/in-name-of.js';
import { type Exposition, exposition } from '../meter/exposition.js';
import { type Meters, meters } from '../meter/meters.js';
import { type MetricExporter, metricExporter } from '../otlp/metric-exporter.js';
import type { Resource } from '../tracer/resource.js';
import {
  type TelemetryMetricsOptions,
  type TelemetrySettings,
  telemetryMetricsDefaults,
} from './telemetry-options.js';

/** What measures, and what tells of it. */
export interface MetricPipeline {
  readonly meters: Meters;
  readonly text: Exposition;
  /** `undefined` where metrics are only scraped. */
  readonly exporter: MetricExporter | undefined;
}

type Sending = Exclude<NonNullable<TelemetryMetricsOptions['push']>, false>;

const names = { metricExporter: 'telemetry.metrics.push', meters: 'telemetry.metrics' };

/**
 * Makes what measures.
 *
 * @returns `undefined` when nobody wants to know
 * @throws TypeError or RangeError, naming the option
 */
export function metricPipeline(settings: TelemetrySettings, resource: Resource): MetricPipeline | undefined {
  const { metrics, endpoint, protocol, headers, warn, clock } = settings;
  if (metrics === undefined) return undefined;
  const { push = telemetryMetricsDefaults.push, ...options } = metrics;
  const sending: Sending | undefined = push === false ? undefined : push;
  return inNameOf(names, () => {
    const made = meters({ ...options, clock });
    const pushes = sending !== undefined && (endpoint ?? sending.url ?? sending.endpoint) !== undefined;
    const exporter = pushes
      ? metricExporter(made, { endpoint, protocol, headers, warn, ...sending, resource, clock })
      : undefined;
    return { meters: made, text: exposition({ resource: resource.attributes }), exporter };
  });
}
