import type { Call } from '../core/call.js';
import { isGovernanceError } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import { type ResponseFlag, responseFlagOf } from '../core/response-flag.js';

/** Whether a call was tried more than once, and in vain. */
export function exhausted(outcome: Outcome, tries: number): boolean {
  return tries > 1 && (outcome === 'failure' || outcome === 'overload');
}

/**
 * Why a call was rejected, if that is a matter of this side. A server whose handler was refused by *its* callee did answer;
 * and what broke between the two is no broken connection of its caller.
 */
export function flagOf(error: unknown, call: Call): ResponseFlag {
  const { cancel, side } = call;
  // A wire that was aborted by a deadline may say only that it was aborted.
  const told = cancel.aborted && !isGovernanceError(error) ? cancel.reason : error;
  if (isGovernanceError(told))
    return told.side === undefined || told.side === side ? responseFlagOf(told, call) : '-';
  if (cancel.aborted) return 'DC';
  return side === 'client' ? responseFlagOf(told, call) : '-';
}
