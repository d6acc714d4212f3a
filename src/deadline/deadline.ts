import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { type Bound, checkNumber, resolveOptions } from '../core/options.js';
import { timeoutPreference } from '../core/preferences.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { direct } from '../core/receiver.js';
import { TimeLimit } from './time-limit.js';

/** Options of {@link deadline}. */
export interface DeadlineOptions<Req, Res> {
  /**
   * Longest time from the start of a call to its response, all tries together, in milliseconds; above 0, `Infinity`
   * for no limit but the call's own. A function is asked for each call: that is a timeout per operation. A larger value
   * keeps callers waiting, and places in flight taken, for longer. No effect on a call whose own deadline is nearer.
   *
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number | ((call: Call) => number) | undefined;
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

/** Defaults of {@link DeadlineOptions}. */
export const deadlineDefaults = { timeoutMs: 10_000, protocol: undefined, clock: systemClock } as const;

interface Settings<Req, Res> {
  readonly timeoutMs: number | ((call: Call) => number);
  readonly protocol: Protocol<Req, Res> | undefined;
  readonly clock: Clock;
}

const bound: Bound = { above: 0, infinite: true };

/**
 * Gives each call a point in time by which it has its response, and cancels it there.
 *
 * Use it on clients, outside of `retry`, so that the time covers all tries, and on servers before the handler, so that
 * nobody works for a caller who has gone. Not for the time that a body takes: once there is a response, only the
 * caller's own abort ends it.
 *
 * At the deadline the call is rejected, whether or not the wire or the handler heeds the abort that it gets in the same
 * moment. The same holds for the caller's abort, whose reason is the rejection. A call whose deadline has passed is
 * refused before anything is sent or run. A response that comes too late is discarded.
 *
 * The resolution is 4 ms, never early. A call in time costs no timer and no `AbortController`; the signal is made if the
 * wire asks for one.
 *
 * @throws GovernanceError (as a rejection) `DEADLINE_EXCEEDED`; TypeError or RangeError for options out of range
 * @example
 * ```ts
 * const timeoutMs = (call: Call) => (call.operation === 'GET /report' ? 60_000 : 2_000);
 * const client = compose([deadline({ timeoutMs, protocol }), retry({ protocol })], leaf);
 * ```
 *
 * Source: gRPC's deadlines (grpc.io, "Deadlines"). Unlike theirs ours ends at the response, not at the end of the
 * stream, because an event stream over HTTP is one long body.
 */
export function deadline<Req, Res>(options?: DeadlineOptions<Req, Res>): Middleware<Req, Res> {
  const settings = resolveOptions<Settings<Req, Res>>('deadline', deadlineDefaults, options);
  const { timeoutMs, clock, protocol } = settings;
  if (typeof timeoutMs !== 'function') checkNumber('deadline.timeoutMs', timeoutMs, bound);
  if (protocol !== undefined) checkProtocol('deadline.protocol', protocol);
  const timeoutOf = (call: Call): number => {
    const own = call.values.get(timeoutPreference);
    if (own !== undefined) return checkNumber('timeoutMs of the call', own, bound);
    return typeof timeoutMs === 'number'
      ? timeoutMs
      : checkNumber('deadline.timeoutMs', timeoutMs(call), bound);
  };
  return (next) => {
    const limit = new TimeLimit(next, clock, protocol);
    return direct((request, call, outer) => {
      let ownMs: number;
      try {
        ownMs = timeoutOf(call);
      } catch (fault) {
        outer.failed(fault);
        return;
      }
      limit.run(request, call, ownMs, outer);
    }, clock);
  };
}
