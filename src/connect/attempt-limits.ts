import type { Call } from '../core/call.js';
import { systemClock } from '../core/clock.js';
import { type OutgoingRequest, StreamOutgoing } from './connect-request.js';

/** What `grpc-timeout` holds in milliseconds; whoever has more than these 27 hours is as good as without a deadline. */
const mostMs = 99_999_999;

/**
 * The timeout of one attempt, as transports take it and tell the callee. One answer has to be there by the deadline of the
 * attempt. Of a stream that deadline is for its beginning; how long it may last only its caller knows.
 *
 * @returns milliseconds; without a deadline what the caller said
 */
export function attemptTimeoutMs(request: OutgoingRequest, call: Call): number | undefined {
  const deadline = request instanceof StreamOutgoing ? request.deadline : call.deadline;
  const leftMs = deadline - (call.attempt.pickedAt ?? systemClock.now());
  // Rounded down, so that a callee never believes to have longer than its caller waits; but 0 would be without limit.
  return leftMs <= mostMs ? Math.max(1, Math.floor(leftMs)) : request.timeoutMs;
}
