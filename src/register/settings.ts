import { type Attributes, DiagLogLevel } from '@opentelemetry/api';
import type { Bound } from '../core/options.js';
import type { Trust } from '../http/inbound.js';
import type { HistogramKind } from '../meter/metric-view.js';
import { telemetryBounds } from '../otel/telemetry-options.js';
import { metricExporterBounds } from '../otlp/metric-exporter-options.js';
import { spanExporterBounds } from '../otlp/span-exporter-options.js';
import { spoolBounds } from '../otlp/spool-options.js';
import type { ExtractFormat, InjectFormat } from '../telemetry/propagation-options.js';
import { type SpanLimitsOptions, spanLimitsBounds } from '../tracer/span-limits.js';
import { type Environment, EnvironmentReader, shown } from './environment-reader.js';
import { namedHosts } from './inner-host.js';
import { propagators } from './propagators.js';
import { type SamplingChoice, samplingChoice } from './sampling-choice.js';
import { SignalReader, type SignalSettings } from './signal-settings.js';
import { tellUnread } from './unread.js';

/** What the environment says. */
export interface RegisterSettings {
  readonly disabled: boolean;
  readonly service: string | undefined;
  readonly version: string | undefined;
  readonly resource: Attributes;
  readonly traces: 'otlp' | 'console' | 'none';
  readonly metrics: 'otlp' | 'prometheus' | 'console' | 'none';
  readonly tracesTo: SignalSettings;
  readonly metricsTo: SignalSettings;
  readonly prometheus: { readonly host: string; readonly port: number };
  readonly metricIntervalMs: number | undefined;
  readonly histogram: HistogramKind | undefined;
  /** Whether measurements are kept with the spans that they were made in. */
  readonly exemplars: boolean | undefined;
  /** From which level on OpenTelemetry's `diag` is printed; `undefined`: it stays as it is. */
  readonly logLevel: DiagLogLevel | undefined;
  readonly sampling: SamplingChoice;
  readonly extract: readonly ExtractFormat[] | undefined;
  readonly inject: readonly InjectFormat[] | undefined;
  readonly limits: SpanLimitsOptions;
  readonly batchSpans: number | undefined;
  readonly delayMs: number | undefined;
  readonly spoolFolder: string | undefined;
  readonly spoolBytes: number | undefined;
  readonly shutdownTimeoutMs: number | undefined;
  readonly trust: Trust;
  /** Hosts of the same network whose names do not tell: names, and `*.example.com` for all below one. */
  readonly innerHosts: readonly string[];
  readonly hooks: ReadonlySet<Hook>;
}

/** What is traced. */
export type Hook = 'http-server' | 'http-client' | 'fetch' | 'http2';

const allHooks: readonly Hook[] = ['http-server', 'http-client', 'fetch', 'http2'];

/** One exporter of those that are named; several are not made. */
function exporter<Name extends string>(
  from: EnvironmentReader,
  variable: string,
  known: readonly Name[],
): Name | undefined {
  const names = from.list(variable);
  if (names === undefined) return undefined;
  const [first] = names.flatMap((name) => known.find((one) => one === name) ?? []);
  if (first === undefined || names.length > 1)
    from.note(
      `${variable}: of ${shown(names.join(','))} ${first === undefined ? `none is known here, so that ${known[0]} is used` : `only ${first} is used`}; there are ${known.join(', ')}`,
    );
  return first;
}

function limits(from: EnvironmentReader): SpanLimitsOptions {
  const { maxAttributes, maxEvents, maxLinks, maxAttributeLength } = spanLimitsBounds;
  const either = (name: string, bound: Bound) =>
    from.number(`OTEL_SPAN_${name}`, bound) ?? from.number(`OTEL_${name}`, bound);
  return {
    maxAttributes: either('ATTRIBUTE_COUNT_LIMIT', maxAttributes),
    maxEvents: from.number('OTEL_SPAN_EVENT_COUNT_LIMIT', maxEvents),
    maxLinks: from.number('OTEL_SPAN_LINK_COUNT_LIMIT', maxLinks),
    maxAttributeLength: either('ATTRIBUTE_VALUE_LENGTH_LIMIT', maxAttributeLength),
  };
}

const histograms = {
  explicit_bucket_histogram: 'explicit',
  base2_exponential_bucket_histogram: 'exponential',
} as const;

function histogram(from: EnvironmentReader): HistogramKind | undefined {
  const name = 'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION';
  const chosen = from.choice(name, Object.keys(histograms) as (keyof typeof histograms)[]);
  return chosen && histograms[chosen];
}

function exemplars(from: EnvironmentReader): boolean | undefined {
  const name = 'OTEL_METRICS_EXEMPLAR_FILTER';
  const filter = from.choice(name, ['trace_based', 'always_on', 'always_off'] as const);
  if (filter === 'always_on')
    from.note(`${name}: always_on is as trace_based here; an exemplar without a span leads nowhere`);
  return filter === undefined ? undefined : filter !== 'always_off';
}

const logLevels = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
} as const;

function logLevel(from: EnvironmentReader): DiagLogLevel | undefined {
  const chosen = from.choice('OTEL_LOG_LEVEL', Object.keys(logLevels) as (keyof typeof logLevels)[]);
  return chosen && logLevels[chosen];
}

const trusts: Readonly<Record<string, Trust>> = { private: 'private', all: true, none: false };

function hooks(from: EnvironmentReader): ReadonlySet<Hook> {
  const off = from.list('KEELSON_DISABLED_HOOKS') ?? [];
  const unknown = off.filter((name) => !allHooks.some((hook) => hook === name));
  if (unknown.length > 0)
    from.note(
      `KEELSON_DISABLED_HOOKS: ${shown(unknown.join(','))} is not known, and left out; there are ${allHooks.join(', ')}`,
    );
  return new Set(allHooks.filter((hook) => !off.includes(hook)));
}

/**
 * Reads the environment.
 *
 * @param warn - takes a line for each value that cannot be understood
 */
export function readSettings(environment: Environment, warn: (message: string) => void): RegisterSettings {
  const from = new EnvironmentReader(environment, warn);
  const attributes = { ...from.pairs('OTEL_RESOURCE_ATTRIBUTES') };
  tellUnread(from);
  const chosen = propagators(from);
  const named = attributes['service.name'];
  const version = attributes['service.version'];
  return {
    disabled: from.flag('OTEL_SDK_DISABLED') ?? false,
    service:
      from.text('OTEL_SERVICE_NAME') ?? (typeof named === 'string' && named !== '' ? named : undefined),
    version: typeof version === 'string' ? version : undefined,
    resource: attributes,
    traces: exporter(from, 'OTEL_TRACES_EXPORTER', ['otlp', 'console', 'none'] as const) ?? 'otlp',
    metrics:
      exporter(from, 'OTEL_METRICS_EXPORTER', ['otlp', 'prometheus', 'console', 'none'] as const) ?? 'otlp',
    tracesTo: new SignalReader(from, 'TRACES').read(),
    metricsTo: new SignalReader(from, 'METRICS').read(),
    prometheus: {
      host: from.text('OTEL_EXPORTER_PROMETHEUS_HOST') ?? 'localhost',
      port: from.number('OTEL_EXPORTER_PROMETHEUS_PORT', { min: 0, max: 65_535, integer: true }) ?? 9464,
    },
    metricIntervalMs: from.number('OTEL_METRIC_EXPORT_INTERVAL', metricExporterBounds.intervalMs),
    histogram: histogram(from),
    exemplars: exemplars(from),
    logLevel: logLevel(from),
    sampling: samplingChoice(from),
    extract: chosen,
    inject: chosen,
    limits: limits(from),
    batchSpans: from.number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', spanExporterBounds.batchSpans),
    delayMs: from.number('OTEL_BSP_SCHEDULE_DELAY', spanExporterBounds.lingerMs),
    spoolFolder: from.text('KEELSON_SPOOL_DIR'),
    spoolBytes: from.number('KEELSON_SPOOL_MAX_BYTES', spoolBounds.maxBytes),
    shutdownTimeoutMs: from.number('KEELSON_SHUTDOWN_TIMEOUT_MS', telemetryBounds.shutdownTimeoutMs),
    trust:
      trusts[from.choice('KEELSON_TRUST', ['private', 'all', 'none'] as const) ?? 'private'] ?? 'private',
    innerHosts: namedHosts(from),
    hooks: hooks(from),
  };
}
