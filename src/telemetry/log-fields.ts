import { traceOf } from './correlation.js';

/** The trace of a line of log, in the field names that OpenTelemetry has for logs that are not its own. */
export interface LogFields {
  /** 32 lower-case hex digits. */
  readonly trace_id: string;
  /** 16 lower-case hex digits. */
  readonly span_id: string;
  /** Two hex digits; `01` is sampled. */
  readonly trace_flags: string;
}

/**
 * The fields that tell of which trace and span the running code is part, for any logger.
 *
 * @returns `undefined` where there is no trace
 * @example
 * ```ts
 * log.info({ ...logFields(), order }, 'paid');
 * ```
 *
 * Source: OpenTelemetry, "Trace Context in non-OTLP Log Formats".
 */
export function logFields(): LogFields | undefined {
  const ids = traceOf();
  return ids && { trace_id: ids.traceId, span_id: ids.spanId, trace_flags: ids.flags };
}
