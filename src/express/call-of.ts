import type { IncomingMessage } from 'node:http';
import type { Call } from '../core/call.js';
import { servedCall } from '../http/served-call.js';

/**
 * The call that a request is: its deadline, its cancellation (`cancel.signal`), its headers, its values. `undefined` for a
 * request that is not governed, in a unit test for example.
 *
 * @example
 * ```ts
 * const rows = await db.query(sql, { signal: callOf(req)?.cancel.signal });
 * ```
 */
export function callOf(req: IncomingMessage): Call | undefined {
  return servedCall(req)?.call;
}
