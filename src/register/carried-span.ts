import { type Context, INVALID_SPAN_CONTEXT, type Span, trace } from '@opentelemetry/api';

/** What comes is passed on where nobody records it: a span without effect that has the ids of the caller, or none. */
export function carriedSpan(parent: Context): Span {
  return trace.wrapSpanContext(trace.getSpanContext(parent) ?? INVALID_SPAN_CONTEXT);
}
