import { type Context, isSpanContextValid, type Span, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import { currentCall } from '../core/current.js';
import { callKey } from '../core/values.js';
import type { Copies } from './copies.js';
import { receivedContext } from './propagation.js';

/** What the spans of one call share. */
export interface TraceScope {
  /** What the spans within the call are children of. */
  readonly context: Context;
  /** Whether the caller gave the whole call up. */
  readonly cancel: Cancellation;
  /** The span around all tries, if there is one and it is recorded. */
  span: Span | undefined;
  /** Tries that reached an endpoint. */
  attempts: number;
  /** Tries that are recorded; `undefined` until there is one. */
  copies: Copies | undefined;
}

const scopeKey = callKey<TraceScope>('keelson.traceScope');

/** The scope of a call, once tracing has seen it. */
export function scopeOf(call: Call): TraceScope | undefined {
  return call.values.get(scopeKey);
}

/** Opens the scope of a call. */
export function openScope(call: Call, within: Context): TraceScope {
  const { cancel } = call;
  const scope: TraceScope = { context: within, cancel, span: undefined, attempts: 0, copies: undefined };
  call.values.set(scopeKey, scope);
  return scope;
}

function hasSpan(within: Context): boolean {
  const span = trace.getSpanContext(within);
  return span !== undefined && isSpanContextValid(span);
}

/**
 * The context that an outgoing call belongs to: that of the running code, or, where no context manager carries it, that
 * of the inbound call.
 */
export function callerContext(active: Context): Context {
  if (hasSpan(active)) return active;
  const inbound = currentCall();
  if (inbound === undefined) return active;
  return scopeOf(inbound)?.context ?? receivedContext(inbound, active);
}
