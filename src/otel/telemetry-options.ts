import type { Attributes } from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import type { MetersOptions } from '../meter/meters.js';
import type { HeaderSource } from '../otlp/header-source.js';
import type { OtlpProtocol } from '../otlp/link-options.js';
import type { MetricExporterOptions } from '../otlp/metric-exporter-options.js';
import { processWarning, type SpanExporterOptions } from '../otlp/span-exporter-options.js';
import type { SpoolOptions } from '../otlp/spool-options.js';
import { chosenPropagation, type PropagationOptions } from '../telemetry/propagation-options.js';
import type { SpanExporterShape } from '../tracer/exporter-sink.js';
import type { SpanProcessorShape } from '../tracer/processor-sink.js';
import type { SamplingOptions } from '../tracer/sampling.js';
import type { SpanLimitsOptions } from '../tracer/span-limits.js';

/** How this process measures. */
export interface TelemetryMetricsOptions extends Omit<MetersOptions, 'clock'> {
  /**
   * How metrics are pushed to the collector; `false` where they are scraped by {@link metricsHandler} alone. What is left out
   * is as for spans. No effect without an `endpoint`.
   *
   * @defaultValue `{}`
   */
  readonly push?: Omit<MetricExporterOptions, 'resource' | 'clock'> | false | undefined;
}

/** Defaults of {@link TelemetryMetricsOptions}; the rest are those of `metersDefaults`. */
export const telemetryMetricsDefaults = { push: {} } as const;

/** Options of {@link telemetry}. */
export interface TelemetryOptions {
  /** Logical name of this service: `service.name` of all that leaves. */
  readonly service: string;
  /**
   * Version of this service.
   *
   * @defaultValue none
   */
  readonly version?: string | undefined;
  /**
   * Name of this process among those of the service; must not repeat.
   *
   * @defaultValue none: a random one
   */
  readonly instance?: string | undefined;
  /**
   * Further attributes of the process: `deployment.environment.name`, `k8s.pod.name`.
   *
   * @defaultValue `{}`
   */
  readonly resource?: Attributes | undefined;
  /**
   * A collector that takes OTLP, by its base URL. Without it, an `exporter` and `processors`, no span is made.
   *
   * @defaultValue none
   */
  readonly endpoint?: string | undefined;
  /**
   * In which form the collector takes it.
   *
   * @defaultValue `'http/protobuf'`
   */
  readonly protocol?: OtlpProtocol | undefined;
  /**
   * Sent with each request to the collector, such as an API key; or a function that gives them. One that cannot be sent is refused.
   *
   * @defaultValue `{}`
   */
  readonly headers?: HeaderSource | undefined;
  /**
   * A folder for what cannot be sent, until it can; see {@link SpoolOptions}. Without it an outage of the collector that is
   * longer than the memory lasts loses spans.
   *
   * @defaultValue none
   */
  readonly spool?: SpoolOptions | undefined;
  /**
   * Further options of how spans are sent: batches, memory, retries, TLS.
   *
   * @defaultValue `{}`
   */
  readonly send?:
    | Omit<SpanExporterOptions, 'endpoint' | 'protocol' | 'headers' | 'spool' | 'clock'>
    | undefined;
  /**
   * A span exporter of the OpenTelemetry SDK, instead of an `endpoint` or beside it.
   *
   * @defaultValue none
   */
  readonly exporter?: SpanExporterShape | undefined;
  /**
   * Span processors of the OpenTelemetry SDK.
   *
   * @defaultValue `[]`
   */
  readonly processors?: readonly SpanProcessorShape[] | undefined;
  /**
   * Which traces are kept; can be set anew by {@link Telemetry.setSampling}.
   *
   * @defaultValue `{}`: by how they end, see {@link SamplingOptions}
   */
  readonly sampling?: SamplingOptions | undefined;
  /**
   * How much of a span and of a trace is kept.
   *
   * @defaultValue `{}`: those of `spanLimitsDefaults`
   */
  readonly limits?: SpanLimitsOptions | undefined;
  /**
   * In which words trace and baggage travel, for whatever asks the propagator of the process.
   *
   * @defaultValue `{}`: W3C is written, and everything read
   */
  readonly propagation?: PropagationOptions | undefined;
  /**
   * Whether this process measures, and how. `true` with an `endpoint` pushes to it; without one metrics are there for
   * {@link metricsHandler}.
   *
   * @defaultValue none: with an `endpoint` it does
   */
  readonly metrics?: TelemetryMetricsOptions | boolean | undefined;
  /**
   * Whether it is what the whole process uses, by `@opentelemetry/api`. What somebody has registered already stays, and
   * who comes later takes over, unless by a second copy of the api, which refuses it. `false` for tests.
   *
   * @defaultValue `true`
   */
  readonly register?: boolean | undefined;
  /**
   * Longest time that {@link Telemetry.shutdown} takes; milliseconds, 0 or more. A larger value gets more through to a slow
   * collector, and stops later.
   *
   * @defaultValue `5000`
   */
  readonly shutdownTimeoutMs?: number | undefined;
  /**
   * Takes a line that a user should see: another SDK, copies that do not fit, spans that were lost.
   *
   * @defaultValue `processWarning`, which prints to the standard error output
   */
  readonly warn?: ((message: string) => void) | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link TelemetryOptions}. */
export const telemetryDefaults = {
  version: undefined as string | undefined,
  instance: undefined as string | undefined,
  resource: {} as Attributes,
  endpoint: undefined as string | undefined,
  protocol: 'http/protobuf' as OtlpProtocol,
  headers: {} as HeaderSource,
  spool: undefined as SpoolOptions | undefined,
  send: {} as NonNullable<TelemetryOptions['send']>,
  exporter: undefined as SpanExporterShape | undefined,
  processors: [] as readonly SpanProcessorShape[],
  sampling: {} as SamplingOptions,
  limits: {} as SpanLimitsOptions,
  propagation: {} as PropagationOptions,
  metrics: undefined as TelemetryMetricsOptions | boolean | undefined,
  register: true,
  shutdownTimeoutMs: 5000,
  /** Emits a `warning` of the process with the code `KEELSON_TELEMETRY`, which Node prints. */
  warn: processWarning as (message: string) => void,
  clock: systemClock as Clock,
};

/** Ranges of {@link TelemetryOptions}. */
export const telemetryBounds = { shutdownTimeoutMs: { min: 0 } } as const;

/** {@link TelemetryOptions}, checked. */
export interface TelemetrySettings extends Omit<typeof telemetryDefaults, 'metrics'> {
  readonly service: string;
  /** `undefined`: nothing is measured. */
  readonly metrics: TelemetryMetricsOptions | undefined;
}

function isExporter(given: unknown): boolean {
  return typeof (given as SpanExporterShape | undefined)?.export === 'function';
}

function metricsOf({ metrics, endpoint }: typeof telemetryDefaults): TelemetryMetricsOptions | undefined {
  if (metrics === undefined) return endpoint === undefined ? undefined : {};
  if (typeof metrics === 'boolean') return metrics ? {} : undefined;
  if (typeof metrics !== 'object' || metrics === null)
    throw wrongKind('telemetry.metrics', 'an object or a boolean', metrics);
  return metrics;
}

/** @throws TypeError or RangeError, naming the option */
export function telemetrySettings(options: TelemetryOptions): TelemetrySettings {
  const settings = resolveOptions(
    'telemetry',
    { ...telemetryDefaults, service: '' },
    options,
    telemetryBounds,
  );
  const { service, exporter, processors, resource } = settings;
  if (typeof service !== 'string' || service === '')
    throw aboutOption(new TypeError(`telemetry.service must be a name, got ${JSON.stringify(service)}`));
  if (exporter !== undefined && !isExporter(exporter))
    throw wrongKind('telemetry.exporter', 'a span exporter of the OpenTelemetry SDK', exporter);
  if (!Array.isArray(processors))
    throw wrongKind('telemetry.processors', 'an array of span processors', processors);
  if (typeof resource !== 'object' || resource === null)
    throw wrongKind('telemetry.resource', 'an object of attributes', resource);
  chosenPropagation('telemetry', settings.propagation);
  return { ...settings, metrics: metricsOf(settings) };
}
