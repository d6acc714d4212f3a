import type { Call } from './call.js';
import type { Clock } from './clock.js';
import { isGovernanceError, refusal } from './errors.js';
import { allOf, type Gate, type Permit } from './gate.js';
import { invoke, type Middleware } from './handler.js';
import type { Feedback, Outcome } from './outcome.js';
import type { Protocol } from './protocol.js';

/** What {@link guard} needs besides its gates. */
export interface GuardOptions<Req, Res> {
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /** Tells the time. */
  readonly clock: Clock;
}

/** The evidence in a rejected call. */
export interface Verdict {
  /** How it ended. */
  readonly outcome: Outcome;
  /** What else is known. */
  readonly feedback: Feedback | undefined;
}

const timedOut: Verdict = { outcome: 'failure', feedback: { timedOut: true } };
const ignored: Verdict = { outcome: 'ignored', feedback: undefined };
const unsent: Verdict = { outcome: 'unsent', feedback: undefined };

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
  return error.code === 'CANCELLED' ? ignored : unsent;
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

/** The refusal of a gate as an error, without a stack. */
export function refusedBy(gate: Gate, now: number, call: Call): Error {
  return refusal(gate.code, `${call.service} ${call.operation}: refused (${gate.code})`, {
    retryAfterMs: gate.retryAfterMs?.(now, call),
    service: call.service,
    side: call.side,
  });
}

/**
 * Follows a call to its end and releases its permit exactly then: at the response's end if the protocol can tell,
 * otherwise at the response, or at the rejection. The one place where outcomes are made.
 *
 * @param running - the call
 * @param permit - what it holds
 * @param call - which call
 * @param options - protocol and clock
 */
export function settle<Req, Res>(
  running: Promise<Res>,
  permit: Permit,
  call: Call,
  options: GuardOptions<Req, Res>,
): Promise<Res> {
  const { protocol, clock } = options;
  return running.then(
    (response) => {
      const now = clock.now();
      try {
        const outcome = protocol.classify(response, undefined);
        const feedback = protocol.feedback?.(response);
        if (protocol.onEnd === undefined) {
          permit.release(outcome, now, feedback);
          return response;
        }
        permit.observe(outcome, now, feedback);
        if (!protocol.onEnd(response, (end) => permit.release(end, clock.now())))
          permit.release(outcome, now);
      } catch (fault) {
        // A protocol that throws is a bug, and must not cost a place in flight for ever.
        permit.release('ignored', now);
        throw fault;
      }
      return response;
    },
    (error: unknown) => {
      const now = clock.now();
      let verdict = ignored;
      try {
        verdict = verdictOf(error, call, protocol);
      } finally {
        permit.release(verdict.outcome, now, verdict.feedback);
      }
      throw error;
    },
  );
}

/**
 * Joins gates to a handler: acquire all or refuse, call, observe, release. The only middleware that knows gates,
 * and the only one that releases.
 *
 * Use it for what counts calls of a whole client or server (a limiter); breakers per endpoint belong to
 * `balance`, which can pick another endpoint when one refuses.
 *
 * @param gates - asked in order; cheapest first
 * @throws GovernanceError (as a rejection) with the code of the gate that refused
 */
export function guard<Req, Res>(
  gates: readonly Gate[],
  options: GuardOptions<Req, Res>,
): Middleware<Req, Res> {
  const gate = allOf(gates);
  const { clock } = options;
  return (next) => (request, call) => {
    const now = clock.now();
    let permit: Permit | null;
    try {
      permit = gate.tryAcquire(now, call);
      if (permit === null) return Promise.reject(refusedBy(gate, now, call));
    } catch (fault) {
      return Promise.reject(fault);
    }
    return settle(invoke(next, request, call), permit, call, options);
  };
}
