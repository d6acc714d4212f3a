import type { Call } from '../core/call.js';
import { servedCall } from '../http/served-call.js';
import type { KoaContextShape } from './koa-shape.js';

/**
 * The call that a context stands for: its deadline, its cancellation (`cancel.signal`), its headers, its values.
 * `undefined` for a request that is not governed.
 *
 * @example
 * ```ts
 * const rows = await db.query(sql, { signal: callOf(ctx)?.cancel.signal });
 * ```
 */
export function callOf(ctx: Pick<KoaContextShape, 'req'>): Call | undefined {
  return servedCall(ctx.req)?.call;
}
