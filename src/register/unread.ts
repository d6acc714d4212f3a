import type { EnvironmentReader } from './environment-reader.js';

/** A variable that OpenTelemetry has, and this does not read. */
interface Unread {
  readonly name: string;
  /** What counts instead. */
  readonly instead: string;
  /** Values that ask for what is so anyway; whoever sets one of these is told nothing. */
  readonly agrees?: readonly string[];
}

const noLogs = 'logs are not sent from here';
const bytes = 'what waits is bounded by bytes, `memoryBytes` of telemetry()';
const byOption = 'the limits of a span count for them too';

/** The same for several variables of one beginning. */
function family(prefix: string, ends: readonly string[], instead: string): Unread[] {
  return ends.map((end) => ({ name: prefix + end, instead }));
}

/** Of OpenTelemetry's specification, and of its SDK for Node. */
const unread: readonly Unread[] = [
  { name: 'OTEL_BSP_MAX_QUEUE_SIZE', instead: bytes },
  { name: 'OTEL_BSP_EXPORT_TIMEOUT', instead: 'OTEL_EXPORTER_OTLP_TIMEOUT bounds each request' },
  { name: 'OTEL_METRIC_EXPORT_TIMEOUT', instead: 'OTEL_EXPORTER_OTLP_METRICS_TIMEOUT bounds each request' },
  {
    name: 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
    instead:
      'all sums are cumulative; where deltas are needed, a collector makes them (processor cumulativetodelta)',
    agrees: ['cumulative'],
  },
  { name: 'OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', instead: byOption },
  { name: 'OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', instead: byOption },
  { name: 'OTEL_LOGS_EXPORTER', instead: noLogs, agrees: ['none'] },
  ...family(
    'OTEL_BLRP_',
    ['SCHEDULE_DELAY', 'EXPORT_TIMEOUT', 'MAX_QUEUE_SIZE', 'MAX_EXPORT_BATCH_SIZE'],
    noLogs,
  ),
  ...family('OTEL_LOGRECORD_', ['ATTRIBUTE_COUNT_LIMIT', 'ATTRIBUTE_VALUE_LENGTH_LIMIT'], noLogs),
  ...family(
    'OTEL_EXPORTER_OTLP_LOGS_',
    ['ENDPOINT', 'PROTOCOL', 'HEADERS', 'TIMEOUT', 'COMPRESSION'],
    noLogs,
  ),
  ...family('OTEL_EXPORTER_ZIPKIN_', ['ENDPOINT', 'TIMEOUT'], 'spans leave by OTLP'),
  ...family(
    'OTEL_EXPORTER_JAEGER_',
    ['ENDPOINT', 'AGENT_HOST', 'AGENT_PORT', 'TIMEOUT'],
    'spans leave by OTLP, which Jaeger takes',
  ),
  ...family(
    'OTEL_',
    ['CONFIG_FILE', 'EXPERIMENTAL_CONFIG_FILE'],
    'there are variables, and telemetry() in code',
  ),
  ...family(
    'OTEL_NODE_',
    ['ENABLED_INSTRUMENTATIONS', 'DISABLED_INSTRUMENTATIONS'],
    'KEELSON_DISABLED_HOOKS says what is not traced',
  ),
  {
    name: 'OTEL_NODE_RESOURCE_DETECTORS',
    instead: 'host, process and runtime are told; OTEL_RESOURCE_ATTRIBUTES adds to them',
  },
];

/** Tells of variables that are set for nothing: each in a line. */
export function tellUnread(from: EnvironmentReader): void {
  for (const { name, instead, agrees = [] } of unread) {
    const value = from.text(name);
    if (value !== undefined && !agrees.includes(value.toLowerCase()))
      from.note(`${name} is not read: ${instead}`);
  }
}
