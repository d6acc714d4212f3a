import type { Call } from '../core/call.js';
import { servedCall } from '../http/served-call.js';
import { type HonoContextShape, nodeBindings } from './hono-shape.js';

/**
 * The call that a context stands for: its deadline, its cancellation (`cancel.signal`), its headers, its values.
 * `undefined` for a request that is not governed, as in `hono.request()`.
 *
 * @example
 * ```ts
 * const rows = await db.query(sql, { signal: callOf(c)?.cancel.signal });
 * ```
 */
export function callOf(c: Pick<HonoContextShape, 'env'>): Call | undefined {
  const bindings = nodeBindings(c);
  return bindings && servedCall(bindings.incoming)?.call;
}
