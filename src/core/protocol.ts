import { aboutOption } from './in-name-of.js';
import type { Feedback, Outcome } from './outcome.js';

/** What a wire knows of its messages. Policies never look at a request or a response themselves. */
export interface Protocol<Req, Res> {
  /** Exactly one of the two is given: how the call ended, as evidence about the callee. */
  classify(response: Res | undefined, error: unknown): Outcome;
  /** What the response says besides: wait this long, my load is that. */
  feedback?(response: Res): Feedback | undefined;
  /**
   * Tells when a response is over, body included. Several listeners on one response are all told.
   *
   * @returns `false` when it already is over; then `done` is not called
   */
  onEnd?(response: Res, done: (outcome: Outcome) => void): boolean;
  /** A request that can be sent again, or `undefined` if this one cannot. */
  replay?(request: Req): Req | undefined;
  /**
   * Whether the callee cannot have seen the request that this response ends: no connection, or refused before it was
   * looked at. Then it may be sent again though the call is not idempotent. Left out: it may always have.
   */
  unseen?(response: Res): boolean;
  /** Lets go of a response that nobody will read: cancels its body, so that its connection and its permits are free. */
  discard?(response: Res): void;
}

/** Discards a response. Never throws: a response that nobody reads has nobody to tell. */
export function discard<Req, Res>(protocol: Protocol<Req, Res>, response: Res): void {
  try {
    protocol.discard?.(response);
  } catch {
    // See above.
  }
}

/** Runs a function when a response is over, body included; at once if it already is, or if the protocol cannot tell. */
export function whenOver<Req, Res>(protocol: Protocol<Req, Res>, response: Res, run: () => void): void {
  if (protocol.onEnd === undefined || !protocol.onEnd(response, run)) run();
}

/**
 * Checks an option that has to be a protocol.
 *
 * @param field - full name for the message: `retry.protocol`
 * @throws TypeError when it is none
 */
export function checkProtocol<Req, Res>(
  field: string,
  protocol: Protocol<Req, Res> | undefined,
): Protocol<Req, Res> {
  if (typeof protocol?.classify === 'function') return protocol;
  throw aboutOption(new TypeError(`${field} must be a Protocol with a classify function`));
}
