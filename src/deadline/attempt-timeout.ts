import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { checkNumber, resolveOptions } from '../core/options.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { direct } from '../core/receiver.js';
import { TimeLimit } from './time-limit.js';

/** Options of {@link attemptTimeout}. */
export interface AttemptTimeoutOptions<Req, Res> {
  /**
   * Longest time from the start of a try to its response, in milliseconds; above 0. A larger value gives slow endpoints
   * a chance and leaves less time for another. No effect where it reaches beyond the call's deadline.
   */
  readonly perTryMs: number;
  /**
   * Tells when a response is over, so that the caller's abort reaches its body, and lets go of a response that comes
   * too late. Needed wherever responses have bodies; without it a response is over when it is there.
   *
   * @defaultValue `undefined`
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link AttemptTimeoutOptions}. */
export const attemptTimeoutDefaults = { protocol: undefined, clock: systemClock } as const;

interface Settings<Req, Res> {
  readonly perTryMs: number | undefined;
  readonly protocol: Protocol<Req, Res> | undefined;
  readonly clock: Clock;
}

/**
 * Limits the time of one try, so that another can be made within the deadline of the call.
 *
 * Use it in the endpoint stack, inside of `retry` and of the endpoint's gates, where some endpoints hang while others
 * answer. Not instead of `deadline`: tries add up. Not with a limit near the usual latency: that makes every brown-out
 * worse; `hedge` asks a second endpoint without giving up the first.
 *
 * A try that is over its time counts as the endpoint's failure, and `retry` repeats it if the call has time left. The
 * callee is told the time of the try, not of the call, if {@link propagateDeadline} is inside of this.
 *
 * @throws GovernanceError (as a rejection) `DEADLINE_EXCEEDED`; TypeError or RangeError for options out of range
 * @example
 * ```ts
 * const endpointStack = compose([attemptTimeout({ perTryMs: 500, protocol }), propagateDeadline()], wire);
 * ```
 *
 * Source: Envoy's `per_try_timeout`.
 */
export function attemptTimeout<Req, Res>(options: AttemptTimeoutOptions<Req, Res>): Middleware<Req, Res> {
  const { perTryMs, clock, protocol } = resolveOptions<Settings<Req, Res>>(
    'attemptTimeout',
    { ...attemptTimeoutDefaults, perTryMs: undefined },
    options,
  );
  const timeoutMs = checkNumber('attemptTimeout.perTryMs', perTryMs, { above: 0 });
  if (protocol !== undefined) checkProtocol('attemptTimeout.protocol', protocol);
  return (next) => {
    const limit = new TimeLimit(next, clock, protocol);
    return direct((request, call, outer) => limit.run(request, call, timeoutMs, outer), clock);
  };
}
