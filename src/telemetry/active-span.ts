import { type Context, context, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api';
import { currentCall } from '../core/current.js';
import { isUnused } from './open-telemetry.js';
import { receivedContext } from './propagation.js';
import { scopeOf } from './trace-scope.js';

/**
 * The context of the running code: the active one, or, where no context manager carries it, that of the inbound call which is
 * served.
 */
export function runningContext(): Context {
  const active = isUnused() ? ROOT_CONTEXT : context.active();
  if (trace.getSpan(active) !== undefined) return active;
  const call = currentCall();
  if (call === undefined) return active;
  return scopeOf(call)?.context ?? (call.side === 'server' ? receivedContext(call, active) : active);
}

/** The span that the running code belongs to, if it is recorded here. */
export function recordedSpan(): Span | undefined {
  if (isUnused()) return undefined;
  const span = trace.getSpan(runningContext());
  return span?.isRecording() ? span : undefined;
}
