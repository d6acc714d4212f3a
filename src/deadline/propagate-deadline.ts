import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import { handOn } from '../core/receiver.js';
import { tooLate } from './expired.js';
import { formatTimeoutMs, timeoutHeader } from './timeout-header.js';

/** Options of {@link propagateDeadline}. */
export interface PropagateDeadlineOptions {
  /**
   * From when the time that is left is counted. `'pick'`, the moment at which `balance` picked the endpoint, spares a look
   * at the clock and is right where nothing waits between the two. No effect on a call without such a moment.
   *
   * @defaultValue `'now'`
   */
  readonly from?: 'now' | 'pick' | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link PropagateDeadlineOptions}. */
export const propagateDeadlineDefaults = { from: 'now', clock: systemClock } as const;

interface Settings {
  readonly from: 'now' | 'pick';
  readonly clock: Clock;
}

/**
 * Tells the callee how much time is left, in the header `x-keelson-timeout-ms`.
 *
 * Use it in the endpoint stack, innermost, so that each try tells what is left when it is sent. Not over gRPC, which
 * carries deadlines itself. A time and not a point in time travels: the clocks of two machines do not agree.
 *
 * A call without a deadline is sent as it is; one whose deadline has passed is not sent.
 *
 * @throws GovernanceError (as a rejection) `DEADLINE_EXCEEDED`; TypeError for unknown options
 * @example
 * ```ts
 * const endpointStack = compose([attemptTimeout({ perTryMs: 500 }), propagateDeadline()], wire);
 * ```
 *
 * Source: `grpc-timeout`, whose semantics these are, in the plainest form for HTTP. kratos v1 did the same in
 * `x1-bmspy-timeout`; later generations send nothing over HTTP.
 */
export function propagateDeadline<Req, Res>(options?: PropagateDeadlineOptions): Middleware<Req, Res> {
  const { from, clock } = resolveOptions<Settings>('propagateDeadline', propagateDeadlineDefaults, options);
  const fromPick = checkChoice('propagateDeadline.from', from, ['now', 'pick']) === 'pick';
  return (next) =>
    handOn(next, (call) => {
      if (call.deadline === Number.POSITIVE_INFINITY) return call;
      const leftMs = call.deadline - ((fromPick ? call.attempt.pickedAt : undefined) ?? clock.now());
      if (leftMs <= 0) throw tooLate(call);
      call.headers.set(timeoutHeader, formatTimeoutMs(leftMs));
      return call;
    });
}
