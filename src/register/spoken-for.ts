import {
  type Context,
  isSpanContextValid,
  propagation,
  type Span,
  type SpanContext,
  SpanKind,
  trace,
} from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { attemptSpan } from '../telemetry/attempt-context.js';
import { serviceNameHeader } from '../telemetry/service-name.js';

interface Wrapped {
  readonly __wrapped?: unknown;
}

/** Whether a function is the wrapper of an instrumentation: all of them mark theirs so. */
export function isWrapper(given: unknown): boolean {
  return typeof given === 'function' && (given as Wrapped).__wrapped === true;
}

function isClientSpan(span: Span): boolean {
  const { kind, ended } = span as { readonly kind?: unknown; readonly ended?: unknown };
  return kind === SpanKind.CLIENT && ended !== true;
}

/** Where the id of a span stands, in the words that we write ourselves. */
const idHeaders = ['traceparent', 'b3', 'x-b3-spanid', 'uber-trace-id'];

/** Whether headers name a span, in whichever words: also in those of a propagator of somebody else that is registered. */
function tellOf({ spanId }: SpanContext, headers: Carrier): boolean {
  const tells = (name: string): boolean => headers.get(name.toLowerCase())?.includes(spanId) === true;
  return idHeaders.some(tells) || propagation.fields().some(tells);
}

/**
 * Whether somebody else has made a CLIENT span of a request and written its headers: its span is the active one, and it is
 * the one in the headers. A CLIENT span alone says nothing: that of a database's client is rightly around one of HTTP.
 *
 * That of a governed call counts also when it is not recorded and nobody can tell its kind. Where there is no tracing it has
 * no ids, and where none are to be written it writes none; then such a call is known by the name that it has written.
 *
 * @param headers - as the request has them
 */
export function isSpokenFor(within: Context, headers: Carrier): boolean {
  const span = trace.getSpan(within);
  if (span === undefined) return false;
  const governed = attemptSpan(within) === span;
  if (governed && headers.get(serviceNameHeader) !== undefined) return true;
  if (!governed && !isClientSpan(span)) return false;
  const ids = span.spanContext();
  return isSpanContextValid(ids) && tellOf(ids, headers);
}
