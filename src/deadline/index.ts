/**
 * Deadlines: how long a call may take (`deadline`), how long one try of it (`attemptTimeout`), and how the time that is
 * left reaches the callee (`propagateDeadline`, `acceptDeadline`).
 *
 * @module
 */
export {
  type AcceptDeadlineOptions,
  acceptDeadline,
  acceptDeadlineDefaults,
  inboundTimeoutMs,
} from './accept-deadline.js';
export { type AttemptTimeoutOptions, attemptTimeout, attemptTimeoutDefaults } from './attempt-timeout.js';
export { type DeadlineOptions, deadline, deadlineDefaults } from './deadline.js';
export { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.js';
export {
  type PropagateDeadlineOptions,
  propagateDeadline,
  propagateDeadlineDefaults,
} from './propagate-deadline.js';
export { formatTimeoutMs, parseTimeoutMs, timeoutHeader } from './timeout-header.js';
