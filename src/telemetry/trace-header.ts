import { isSpanContextValid, type SpanContext } from '@opentelemetry/api';
import { checkChoice, wrongKind } from '../core/options.js';
import { formatTraceparent } from './trace-parent.js';

/** A header of a response that tells which span served it. */
export type TraceHeader = 'traceresponse' | 'server-timing' | 'x-trace-id';

const known: readonly TraceHeader[] = ['traceresponse', 'server-timing', 'x-trace-id'];

/** @throws TypeError or RangeError for what is none */
export function checkTraceHeaders(field: string, headers: readonly TraceHeader[]): readonly TraceHeader[] {
  if (!Array.isArray(headers)) throw wrongKind(field, 'an array of headers', headers);
  return headers.map((header, at) => checkChoice(`${field}[${at}]`, header, known));
}

/**
 * The value of a header.
 *
 * Source: W3C Trace Context, level 3 draft, `traceresponse`; `Server-Timing` is how browsers hear of it, as the tracing of
 * documents by OpenTelemetry and Splunk has it.
 */
export function traceHeaderValue(header: TraceHeader, span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined;
  if (header === 'x-trace-id') return span.traceId;
  const parent = formatTraceparent(span);
  return header === 'traceresponse' ? parent : `traceparent;desc="${parent}"`;
}
