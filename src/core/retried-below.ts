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

/**
 * Notes on the inbound call that is served now, if there is one: an outgoing call of it failed and is not to be retried.
 *
 * @param now - when that call came to its end; monotonic milliseconds
 */
export function noteRetriedBelow(now: number = systemClock.now()): void {
  currentCall()?.values.set(failedBelow, now);
}

/**
 * Notes on the inbound call that is served now, if there is one: an outgoing call of it failed, and nothing keeps whoever
 * called from trying again. If it began after a failure that {@link noteRetriedBelow} is for, the handler knew of that and
 * went on: this is what it fails for. One that ran beside it says nothing.
 *
 * Not for calls that succeed: a handler may log a failure elsewhere before it passes it on. What a word too many costs is
 * one retry; one too few costs what each tier above multiplies.
 *
 * @param began - when it was asked for, by the same clock
 */
export function noteRetriableAbove(began: number): void {
  const { values } = currentCall() ?? {};
  const failedAt = values?.get(failedBelow);
  if (failedAt !== undefined && began >= failedAt) values?.set(failedBelow, undefined);
}

/**
 * Whether a failure of this inbound call may be one of its outgoing calls, which was retried or refused already: the last of
 * those that failed one after another. Of several that ran at one time each counts.
 */
export function retriedBelow(call: Call | undefined): boolean {
  return call?.values.get(failedBelow) !== undefined;
}
