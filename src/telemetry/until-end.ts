import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';

type Close<Told> = (told: Told, end: Outcome | undefined) => void;

/** What was seen of a response while it was there, and the response as long as somebody else holds it. */
interface Seen<Res, Told> {
  readonly response: { deref(): Res | undefined };
  told: Told | undefined;
}

/** Stands for a `WeakRef` where there is no object to refer to. A class: a closure beside the other would hold the response. */
class Plain<Res> {
  constructor(private readonly response: Res) {}
  deref(): Res {
    return this.response;
  }
}

function weakly<Res>(response: Res): { deref(): Res | undefined } {
  return typeof response === 'object' && response !== null
    ? (new WeakRef(response) as { deref(): Res | undefined })
    : new Plain(response);
}

/**
 * Says what a response says when it is over, body included; at once if it already is, or if the protocol cannot tell.
 *
 * A response is not held while its end is awaited: one whose body nobody reads would never be collected, and its end never
 * come. When it has gone by then, what it said at the beginning counts.
 *
 * @param tell - what it says; asked at the beginning and, if it is still there, at the end
 * @param close - told once
 */
export function untilEnd<Req, Res, Told>(
  response: Res,
  protocol: Protocol<Req, Res> | undefined,
  { tell, close }: { readonly tell: (response: Res) => Told; readonly close: Close<Told> },
): void {
  const seen: Seen<Res, Told> = { response: weakly(response), told: undefined };
  try {
    const waits = protocol?.onEnd?.(response, (end) => {
      const there = seen.response.deref();
      close(there === undefined ? (seen.told as Told) : tell(there), end);
    });
    if (waits === true) {
      seen.told = tell(response);
      return;
    }
  } catch {
    // A protocol that throws is a bug, which `guard` reports; what is kept of the call must not stay open for it.
  }
  close(tell(response), undefined);
}
