import { context, isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { receivedSpan } from './propagation.js';
import { formatFlags } from './trace-parent.js';
import { scopeOf } from './trace-scope.js';

/** What a line of log needs to be found from a trace, and a trace from it. */
export interface TraceIds {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits: the span that the code runs in; without an SDK that of the caller. */
  readonly spanId: string;
  /** Two hex digits; `01` is sampled. */
  readonly flags: string;
}

function spanOf(call: Call): SpanContext | undefined {
  const scope = scopeOf(call);
  if (scope !== undefined) return trace.getSpanContext(scope.context);
  return call.side === 'server' ? receivedSpan(call) : undefined;
}

function activeSpan(): SpanContext | undefined {
  const active = trace.getSpanContext(context.active());
  if (active !== undefined && isSpanContextValid(active)) return active;
  const call = currentCall();
  return call && spanOf(call);
}

/**
 * The trace that a call, or the running code, belongs to. For log fields: `trace_id`, `span_id`, `trace_flags`.
 *
 * Works without an SDK too: then it tells what the caller sent, so that the logs of one request can be found together.
 *
 * @param call - of which call; without it the active span, else the inbound call that the running code serves
 * @returns `undefined` when there is no trace
 * @example
 * ```ts
 * logger.info({ trace_id: traceOf()?.traceId }, 'paid');
 * ```
 */
export function traceOf(call?: Call): TraceIds | undefined {
  const span = call === undefined ? activeSpan() : spanOf(call);
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  return { traceId: span.traceId, spanId: span.spanId, flags: formatFlags(span.traceFlags) };
}
