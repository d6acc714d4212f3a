import type { Metadata } from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { inboundOf } from './inbound-of.js';

/**
 * The call that a handler is at: its deadline, its cancellation, its values, who sent it.
 *
 * @param call - what grpc-js gives to a handler of any of the four kinds; nothing inside a handler of nice-grpc, whose
 * context has its `call` by `governMiddleware`
 * @returns `undefined` on a server that is not governed
 * @example
 * ```ts
 * const sayHello = (call, callback) => {
 *   callOf(call)?.cancel.onAbort(() => query.stop());
 * ```
 */
export function callOf(call?: { readonly metadata: Metadata }): Call | undefined {
  return (call && inboundOf(call)?.call) ?? currentCall();
}
