import type { Call } from '../core/call.js';
import { type GovernanceError, refusal } from '../core/errors.js';

/** The end of a call whose time ran out, without a stack. */
export function expired(call: Call, how: string): GovernanceError {
  const { service, operation, side } = call;
  return refusal('DEADLINE_EXCEEDED', `${service} ${operation}: ${how}`, { service, side });
}

/** The refusal of a call whose deadline lies in the past: nothing was sent or run, and nobody is to blame. */
export function tooLate(call: Call): GovernanceError {
  const { service, operation, side } = call;
  const message = `${service} ${operation}: its deadline had passed`;
  return refusal('DEADLINE_EXCEEDED', message, { service, side, unsent: true });
}
