import type { Attempt } from '../core/call.js';
import type { Protocol } from '../core/protocol.js';

/** A request that can be sent again, in a box: the request itself may be `undefined`. */
export interface Resend<Req> {
  /** What to send. */
  readonly request: Req;
}

/** The request once more, or `undefined` if it cannot be sent again. A protocol that does not say can send it as it is. */
export function resend<Req, Res>(protocol: Protocol<Req, Res>, request: Req): Resend<Req> | undefined {
  if (protocol.replay === undefined) return { request };
  const again = protocol.replay(request);
  return again === undefined ? undefined : { request: again };
}

/** Whether tries went to all endpoints there are. Unknown counts as no: then the leaf does not pick. */
export function exhausted(attempt: Attempt): boolean {
  const { choices, avoid, endpoint } = attempt;
  if (choices === undefined) return false;
  const again = endpoint === undefined || avoid?.has(endpoint.id) === true;
  return choices <= (avoid?.size ?? 0) + (again ? 0 : 1);
}
