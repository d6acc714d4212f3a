import type { RejectionCode } from './errors.js';
import type { Ask } from './gate.js';

/**
 * Says of requests, before calls are made of them, that they would be refused. A limiter of a server is one if it can
 * tell from an {@link Ask} alone. A wire that asks it spares what a call costs, which under overload is most of what a
 * refusal costs.
 */
export interface EarlyRefuser {
  /** What its refusals are called. */
  readonly code: RejectionCode;
  /** Whether it refuses anything at all just now. Read for each request, so it has to cost as little as a field. */
  readonly refusing: boolean;
  /**
   * Asked only while `refusing`. What it refuses is not asked about again, so it counts here; what it lets come is asked
   * in the usual order afterwards, so it leaves no trace here.
   *
   * @param now - monotonic milliseconds; a clock that steps back is tolerated
   * @returns whether the request is refused
   */
  refuseEarly(now: number, ask: Ask): boolean;
  /** After a refusal: how long to stay away, in milliseconds, if it can tell. */
  retryAfterMs?(now: number, ask?: Ask): number | undefined;
}

/** Whether something, a gate for example, is an {@link EarlyRefuser} as well. */
export function isEarlyRefuser(thing: unknown): thing is EarlyRefuser {
  return typeof (thing as Partial<EarlyRefuser> | null | undefined)?.refuseEarly === 'function';
}
