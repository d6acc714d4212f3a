import type { Call } from './call.js';
import { isGovernanceError } from './errors.js';
import type { Feedback, Outcome } from './outcome.js';
import type { Protocol } from './protocol.js';

/** The evidence in a rejected call. */
export interface Verdict {
  /** How it ended. */
  readonly outcome: Outcome;
  /** What else is known. */
  readonly feedback: Feedback | undefined;
}

const timedOut: Verdict = { outcome: 'failure', feedback: { timedOut: true } };
/** Nothing. */
export const ignored: Verdict = { outcome: 'ignored', feedback: undefined };
const unsent: Verdict = { outcome: 'unsent', feedback: undefined };

const failed: Verdict = { outcome: 'failure', feedback: undefined };

/** What a server refuses after a look at the call: it took its place and its cost, and says nothing of the server. */
const examined: ReadonlySet<string> = new Set([
  'AUTH_UNAVAILABLE',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
]);

/**
 * What keelson's own refusal says of the callee, if the error is one that was made on this side of the wire: mostly
 * that nothing was sent. Time that ran out is the callee's fault wherever it was noticed, unless it was out before the
 * callee was asked.
 */
export function verdictOnRefusal(error: unknown, side: 'client' | 'server'): Verdict | undefined {
  if (!isGovernanceError(error)) return undefined;
  if (error.unsent && error.side === side) return unsent;
  if (error.code === 'DEADLINE_EXCEEDED' || error.code === 'BODY_IDLE') return timedOut;
  // A server's handler that was refused by *its* callee did run: that is no refusal of ours.
  if (error.side !== side) return undefined;
  if (error.code === 'INVALID_RESPONSE') return failed;
  const looked = side === 'server' && examined.has(error.code);
  return looked || error.code === 'CANCELLED' ? ignored : unsent;
}

/**
 * What a rejection says of the callee. A caller's abort says nothing, a refusal on this side of the wire means that
 * nothing was sent; only then is the protocol asked.
 */
export function verdictOf<Req, Res>(error: unknown, call: Call, protocol: Protocol<Req, Res>): Verdict {
  const refused = verdictOnRefusal(error, call.side);
  if (refused !== undefined) return refused;
  if (call.cancel.aborted)
    return verdictOnRefusal(call.cancel.reason, call.side) === timedOut ? timedOut : ignored;
  return { outcome: protocol.classify(undefined, error), feedback: undefined };
}
