import type { Call } from './call.js';
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

const failedBelow = callKey<boolean>('keelson.retriedBelow');

/** Notes on the inbound call that is served now, if there is one: an outgoing call of it failed and is not to be retried. */
export function noteRetriedBelow(): void {
  currentCall()?.values.set(failedBelow, true);
}

/** Whether a failure of this inbound call may be one of its outgoing calls, which was retried or refused already. */
export function retriedBelow(call: Call | undefined): boolean {
  return call?.values.get(failedBelow) === true;
}
