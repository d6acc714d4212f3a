import type { Call } from './call.js';
import { systemClock } from './clock.js';
import { currentCall } from './current.js';
import { callKey } from './values.js';

/**
 * Response header by which a server says of the failure that it reports: it began further down, where it was retried or
 * refused already. Its one value is `no`: whoever called is not to try again. Each tier that did would multiply what the
 * tiers below it send. Over gRPC `grpc-retry-pushback-ms: -1` says the same.
 */
export const retryHeader = 'x-keelson-retry';

/** The value of {@link retryHeader}. */
export const noRetry = 'no';

/** How long to stay away, in {@link Feedback.retryAfterMs}, if it is not to be tried again at all. */
export const neverAgain = Number.POSITIVE_INFINITY;

/** When the failure below came to an end that the answer may be made of. */
const failedBelow = callKey<number | undefined>('keelson.retriedBelow');

/** Whoever serves a call for longer than this after a failure below is not asked whether he has moved on. */
const memoryMs = 60_000;

/** When a failure was noted last, on whichever call: where that is long ago, nobody has to look. */
let latest = Number.NEGATIVE_INFINITY;

/**
 * Notes on the inbound call that is served now, if there is one: an outgoing call of it failed and is not to be retried.
 *
 * @param now - when that call came to its end; monotonic milliseconds
 */
export function noteRetriedBelow(now: number = systemClock.now()): void {
  const inbound = currentCall();
  if (inbound === undefined) return;
  latest = now;
  inbound.values.set(failedBelow, now);
}

/**
 * Notes on the inbound call that is served now, if there is one: an outgoing call of it ended, otherwise than those that
 * {@link noteRetriedBelow} is for. If it began after a failure, the handler knew of that and went on: whatever it answers is
 * not made of that failure any more. One that ran beside it says nothing.
 *
 * @param began - when it was asked for, by the same clock
 */
export function noteWentOn(began: number): void {
  // Nearly always: nothing failed lately. Also for a time that is none.
  if (!(began - latest <= memoryMs)) return;
  const { values } = currentCall() ?? {};
  const failedAt = values?.get(failedBelow);
  if (failedAt !== undefined && began >= failedAt) values?.set(failedBelow, undefined);
}

/**
 * Whether a failure of this inbound call may be one of its outgoing calls, which was retried or refused already: the last of
 * those that followed one another. Of several that ran at one time each counts.
 */
export function retriedBelow(call: Call | undefined): boolean {
  return call?.values.get(failedBelow) !== undefined;
}
