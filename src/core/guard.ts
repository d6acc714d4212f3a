import type { Call } from './call.js';
import { refusal } from './errors.js';
import { allOf, type Gate, type Permit } from './gate.js';
import type { Middleware } from './handler.js';
import { direct, startOf } from './receiver.js';
import { Settlement, type Settling } from './settlement.js';

/** What {@link guard} needs besides its gates. */
export interface GuardOptions<Req, Res> extends Settling<Req, Res> {}

/** The refusal of a gate as an error, without a stack. */
export function refusedBy(gate: Gate, now: number, call: Call): Error {
  return refusal(gate.code, `${call.service} ${call.operation}: refused (${gate.code})`, {
    retryAfterMs: gate.retryAfterMs?.(now, call),
    service: call.service,
    side: call.side,
  });
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
  return (next) => {
    const start = startOf(next);
    return direct((request, call, outer) => {
      const now = outer.askedAt;
      let permit: Permit | null;
      try {
        permit = gate.tryAcquire(now, call);
        if (permit === null) {
          outer.failed(refusedBy(gate, now, call));
          return;
        }
      } catch (fault) {
        outer.failed(fault);
        return;
      }
      start(request, call, new Settlement(permit, call, outer, options));
    }, options.clock);
  };
}
