import type { Call } from '../core/call.js';
import { servedCall } from '../http/served-call.js';
import type { FastifyRequestShape } from './fastify-shape.js';

/**
 * The call that a request is: its deadline, its cancellation (`cancel.signal`), its headers, its values. `undefined` for a
 * request that is not governed.
 *
 * @example
 * ```ts
 * const rows = await db.query(sql, { signal: callOf(request)?.cancel.signal });
 * ```
 */
export function callOf(request: Pick<FastifyRequestShape, 'raw'>): Call | undefined {
  return servedCall(request.raw)?.call;
}
