import type { SpanContext } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import type { ReceivedSpan } from './received-span.js';
import { formatTraceparent, parseTraceparent } from './trace-parent.js';
import { parseTracestate } from './trace-state.js';

/** Reads `traceparent` and `tracestate`, by the rules of W3C Trace Context, level 2. */
export function readW3c(headers: Carrier): ReceivedSpan | undefined {
  const parent = parseTraceparent(headers.get('traceparent'));
  if (parent === undefined) return undefined;
  const traceState = parseTracestate(headers.get('tracestate'));
  const { traceId, spanId, traceFlags } = parent;
  return { traceId, spanId, traceFlags, isRemote: true, ...(traceState && { traceState }) };
}

/** Writes headers by replacing: a second `traceparent` would make the callee begin a new trace. */
export function writeW3c(span: SpanContext, headers: Carrier): void {
  headers.set('traceparent', formatTraceparent(span));
  const state = span.traceState?.serialize() ?? '';
  // A carrier cannot take a header back; a list that belongs to another trace becomes an empty one, which is valid.
  if (state !== '' || headers.get('tracestate') !== undefined) headers.set('tracestate', state);
}
