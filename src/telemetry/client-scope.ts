import { type Context, ROOT_CONTEXT, type Tracer } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { isBare, isSuppressed } from './open-telemetry.js';
import { sendReceived } from './propagation.js';
import { type Propagation, processPropagation } from './propagation-options.js';
import { callerContext, openScope, type TraceScope } from './trace-scope.js';

/**
 * Opens the scope of an outgoing call where the running code belongs to whoever makes it. Without an SDK and without a
 * context it writes the headers at once, since they are the same for all tries.
 *
 * @param from - the context of the running code, and in which words headers are written if that was chosen
 * @returns `undefined` when there is nothing to trace and nothing to pass on
 */
export function clientScope(
  call: Call,
  tracer: Tracer | undefined,
  { active, propagation }: { readonly active: Context; readonly propagation: Propagation | undefined },
): TraceScope | undefined {
  if (tracer === undefined && isBare(active)) {
    const inbound = currentCall();
    if (inbound === undefined) return undefined;
    sendReceived(inbound, call.headers, propagation ?? processPropagation());
    return openScope(call, ROOT_CONTEXT);
  }
  return isSuppressed(active) ? undefined : openScope(call, callerContext(active));
}
