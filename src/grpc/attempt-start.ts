import type { Metadata } from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import { systemClock } from '../core/clock.js';
import type { OutgoingRequest } from './grpc-request.js';
import { grpcMetadata } from './metadata-carrier.js';

/**
 * The deadline of one attempt, as grpc-js takes it and tells the callee. One answer has to be there by the deadline of the
 * attempt. Of a stream that deadline is for its beginning; how long it may last only its caller knows.
 *
 * @returns milliseconds since 1970, or `Infinity`
 */
export function attemptDeadline({ single, deadline }: OutgoingRequest, call: Call): number {
  if (!single) return deadline;
  if (call.deadline === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  const leftMs = call.deadline - (call.attempt.pickedAt ?? systemClock.now());
  return systemClock.wallMs() + Math.max(0, Math.floor(leftMs));
}

/**
 * The metadata of one attempt. A caller that would rather wait for a connection (`waitForReady`) than fail waits for one
 * endpoint only if there is no other: an attempt that fails at once can go elsewhere.
 */
export function attemptMetadata(call: Call): Metadata {
  const metadata = grpcMetadata(call.headers);
  const options = metadata.getOptions();
  if (options.waitForReady !== true || call.attempt.choices === 1) return metadata;
  const own = metadata.clone();
  own.setOptions({ ...options, waitForReady: false });
  return own;
}
