/**
 * How a call ended, as evidence about whoever answered it.
 *
 * - `success`: latency and success both count.
 * - `failure`: the callee's fault: 5xx, UNAVAILABLE, reset, timeout.
 * - `overload`: the callee shed it: 429, RESOURCE_EXHAUSTED, or keelson's own shed header.
 * - `ignored`: says nothing of the callee: cancelled here, bad request, given less time than it needs.
 * - `unsent`: acquired, then never sent: undo, refund, record nothing.
 */
export type Outcome = 'success' | 'failure' | 'overload' | 'ignored' | 'unsent';

/** What a server says of its own load, piggybacked on a response. Every field is optional; unknown ones are ignored. */
export interface ServerLoad {
  /** CPU in use against what the process may use; 0 is idle, 1 is saturated. */
  readonly cpuRatio?: number;
  /** Calls in flight on the server when it answered. */
  readonly inflight?: number;
  /** Work that waits before a new call would start; milliseconds. */
  readonly backlogMs?: number;
  /** What one call occupies its thread for, on average; milliseconds. */
  readonly serviceMs?: number;
  /** Calls that it finished lately, of all its clients; per second. */
  readonly perSecond?: number;
  /** Calls that failed there lately; per second. */
  readonly errorsPerSecond?: number;
  /** Share of the calls of default priority that it let in lately, 0 to 1; absent while it refuses nobody. */
  readonly admitRatio?: number;
}

/** Further evidence that comes with an {@link Outcome}. */
export interface Feedback {
  /** The call ended because its time ran out. */
  readonly timedOut?: boolean;
  /**
   * The callee asked to be left alone for this long; milliseconds. `Infinity`: this call is not to be tried again at all,
   * because it was further down already; that says nothing of how long to stay away.
   */
  readonly retryAfterMs?: number;
  /** The callee shed the call because all its callers together are too many, not for what this one is allowed. */
  readonly overloaded?: boolean;
  /** The callee's own report of its load. */
  readonly load?: ServerLoad;
}
