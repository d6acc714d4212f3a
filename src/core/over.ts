import type { Call } from './call.js';
import { callKey } from './values.js';

/** Set by server wires when a call is over, its response closed. */
export const callOver = callKey<boolean>('keelson.over');

/**
 * The deadline that an outgoing call takes over from the inbound one it is made in. What a handler leaves running when
 * its call is over, a poller for example, would otherwise keep a deadline that has passed for ever.
 */
export function inheritedDeadline(inbound: Call | undefined): number {
  return inbound === undefined || inbound.values.get(callOver) ? Number.POSITIVE_INFINITY : inbound.deadline;
}
