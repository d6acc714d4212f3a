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
}
