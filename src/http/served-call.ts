import type { Call } from '../core/call.js';

/** A request in the hands of its handler, for whoever sees no more than the request: a framework's handlers. */
export interface ServedCall {
  /** As the handler is given it, with the deadline and the cancellation that hold for it. */
  readonly call: Call;
  /**
   * Tells of an error that somebody else answers, a framework for example. It is a fault if it is answered with 500 or
   * more, or not at all, or comes when the answer has begun.
   */
  note(error: unknown): void;
  /** Ends the call with an error, as if the handler had thrown it: whoever governs it answers. */
  fail(error: unknown): void;
}

// On the request itself, where every copy of the package finds it.
const slot = Symbol.for('keelson.servedCall.v1');

/** Notes that a request is served. */
export function markServed(req: object, served: ServedCall): void {
  (req as { [slot]?: ServedCall })[slot] = served;
}

/** What is known of a request that is served; `undefined` when nothing governs it. */
export function servedCall(req: object): ServedCall | undefined {
  return (req as { [slot]?: ServedCall })[slot];
}

const turnedAway = Symbol.for('keelson.turnedAway.v1');

/** Notes that a request, or a stream of HTTP/2, is refused before a call is made of it: whoever refused it has counted it. */
export function markTurnedAway(req: object): void {
  (req as { [turnedAway]?: true })[turnedAway] = true;
}

/** Whether a request or stream was refused before a call was made of it. */
export function wasTurnedAway(req: object): boolean {
  return (req as { [turnedAway]?: true })[turnedAway] === true;
}
