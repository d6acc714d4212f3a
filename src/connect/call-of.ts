import type { ContextKey, ContextValues, HandlerContext } from '@connectrpc/connect';
import type { Call } from '../core/call.js';

const callKey: ContextKey<Call | undefined> = {
  id: Symbol.for('keelson.connect.call'),
  defaultValue: undefined,
};

/** Notes the call that a request is. */
export function markCall(values: ContextValues, call: Call): void {
  values.set(callKey, call);
}

/**
 * The call that a handler is at: its deadline, its cancellation, its values, who sent it.
 *
 * @param context - what a handler gets beside its message; or the context values, for interceptors
 * @returns `undefined` on a server that is not governed
 * @example
 * ```ts
 * const get = async (request, context) => {
 *   const tenant = callOf(context)?.key;
 * ```
 */
export function callOf(context: HandlerContext | ContextValues): Call | undefined {
  return ('values' in context ? context.values : context).get(callKey);
}
