/** What the event loop of a thread took from the operating system since it began. */
export interface LoopEvents {
  /** All that it was woken by or found: connections, what came over them, results of other threads. */
  readonly events: number;
  /** Of those, what was ready before the loop came to ask: it had waited for the turn before. */
  readonly eventsWaiting: number;
}

/** What a backlog meter asks of its thread. Given as an option, a test is a table. What `idleMs` and `events` throw counts as not told. */
export interface BacklogHost {
  /** Monotonic milliseconds, on the scale of `idleMs`. */
  now(): number;
  /** How long the loop has slept since it began, in milliseconds; `undefined` where the platform does not tell. */
  idleMs(): number | undefined;
  /** Totals of the loop; `undefined` where the platform does not count them. */
  events(): LoopEvents | undefined;
  /** Runs a function once, when this turn of the loop is over. Neither wakes the loop nor holds the process. */
  onTurnEnd(run: () => void): void;
}

/** What Node has on the global `performance`; others do not. */
interface NodeTiming {
  readonly idleTime?: number;
  readonly uvMetricsInfo?: LoopEvents;
}

const timing = (): NodeTiming | undefined =>
  (globalThis.performance as { readonly nodeTiming?: NodeTiming }).nodeTiming;

/** What Node's immediates can do, and those of test doubles may not. */
interface Unrefable {
  unref?(): void;
}

/**
 * This thread of Node; in a worker, the worker's own. Reading is a call into libuv, together about 0.2 µs.
 *
 * An immediate that is not ref'd runs after the poll like any other, but lets the poll wait: a chain of them turns with
 * the loop and never turns it.
 */
export const nodeBacklogHost: BacklogHost = {
  now: () => globalThis.performance.now(),
  idleMs: () => timing()?.idleTime,
  events: () => timing()?.uvMetricsInfo,
  onTurnEnd(run) {
    (globalThis.setImmediate(run) as Unrefable).unref?.();
  },
};
