import { type Call, derive } from '../core/call.js';
import type { Carrier } from '../core/carrier.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import { handOn } from '../core/receiver.js';
import { tooLate } from './expired.js';
import { parseGrpcTimeout } from './grpc-timeout.js';
import { parseTimeoutMs, timeoutHeader } from './timeout-header.js';

/** Options of {@link acceptDeadline}. */
export interface AcceptDeadlineOptions {
  /**
   * Whether to believe the caller, for all calls or call by call. Whatever is not `true`, a promise for example, and
   * what it throws count as `false`. A caller can only shorten its own call, so believing strangers harms none but
   * themselves.
   *
   * @defaultValue `true`
   */
  readonly trust?: boolean | ((call: Call) => boolean) | undefined;
  /**
   * Values above this are taken for mistakes and ignored, in milliseconds; above 0. A smaller value ignores callers with
   * long timeouts. No effect above the server's own timeout.
   *
   * @defaultValue `86_400_000`
   */
  readonly maxMs?: number | undefined;
  /**
   * Taken off what the caller says it has left, for the way back, in milliseconds; 0 or more. A larger value gives up
   * earlier, so that the refusal still reaches the caller. No effect on calls that have no more than that left.
   *
   * @defaultValue `0`
   */
  readonly marginMs?: number | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link AcceptDeadlineOptions}. */
export const acceptDeadlineDefaults = {
  trust: true,
  maxMs: 86_400_000,
  marginMs: 0,
  clock: systemClock,
} as const;

type Trust = (call: Call) => boolean;

interface Settings {
  readonly trust: boolean | Trust | undefined;
  readonly maxMs: number;
  readonly marginMs: number;
  readonly clock: Clock;
}

/** In these headers of others `0` means that there is no limit. */
const foreign = ['x-envoy-expected-rq-timeout-ms', 'x1-bmspy-timeout'] as const;

/**
 * How much time a caller says it has left: the least of the valid values of `x-keelson-timeout-ms`, `grpc-timeout`,
 * `x-envoy-expected-rq-timeout-ms` and kratos v1's `x1-bmspy-timeout`. Malformed values count as absent.
 *
 * @param headers - of the inbound message
 * @param maxMs - larger values count as absent
 * @returns milliseconds; 0 for none, `Infinity` if nothing valid is said
 */
export function inboundTimeoutMs(headers: Carrier, maxMs: number = acceptDeadlineDefaults.maxMs): number {
  const none = Number.POSITIVE_INFINITY;
  const valid = (ms: number | undefined): number => (ms !== undefined && ms <= maxMs ? ms : none);
  const ours = headers.get(timeoutHeader);
  let least = ours === undefined ? none : valid(parseTimeoutMs(ours));
  const grpc = headers.get('grpc-timeout');
  if (grpc !== undefined) least = Math.min(least, valid(parseGrpcTimeout(grpc)));
  for (const name of foreign) {
    const value = headers.get(name);
    if (value !== undefined) least = Math.min(least, valid(parseTimeoutMs(value) || undefined));
  }
  return least;
}

function trustOf(given: boolean | Trust = acceptDeadlineDefaults.trust): Trust {
  if (typeof given === 'boolean') return () => given;
  if (typeof given !== 'function')
    throw aboutOption(
      new TypeError(`acceptDeadline.trust must be a boolean or a function, got ${String(given)}`),
    );
  return (call) => {
    try {
      // A promise is truthy whatever it will say, and nobody here can wait for it.
      return given(call) === true;
    } catch {
      return false;
    }
  };
}

/**
 * Takes over the deadline that a caller sent along, so that nobody works for an answer that nobody awaits.
 *
 * Use it on servers, outside of `deadline`, which enforces it. It can only shorten the time that the server itself would
 * give. Calls that this call makes inherit it, so what is left shrinks from hop to hop.
 *
 * @throws GovernanceError (as a rejection) `DEADLINE_EXCEEDED`, before the handler runs, if the caller has no time left;
 * TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const server = compose([acceptDeadline({ marginMs: 5 }), deadline({ timeoutMs: 2_000 })], handler);
 * ```
 *
 * Source: gRPC over HTTP/2, "Requests"; Envoy, "HTTP header manipulation"; kratos v1 `pkg/net/http/blademaster`, which
 * takes a fixed margin of 20 ms off where more is left.
 */
export function acceptDeadline<Req, Res>(options?: AcceptDeadlineOptions): Middleware<Req, Res> {
  const { trust, maxMs, marginMs, clock } = resolveOptions<Settings>(
    'acceptDeadline',
    { ...acceptDeadlineDefaults, trust: undefined },
    options,
    { maxMs: { above: 0 }, marginMs: { min: 0 } },
  );
  const trusted = trustOf(trust);
  return (next) =>
    handOn(next, (call) => {
      const saidMs = inboundTimeoutMs(call.headers, maxMs);
      if (saidMs === Number.POSITIVE_INFINITY || !trusted(call)) return call;
      if (saidMs === 0) throw tooLate(call);
      const deadline = clock.now() + (saidMs > marginMs ? saidMs - marginMs : saidMs);
      return deadline < call.deadline ? derive(call, { deadline }) : call;
    });
}
