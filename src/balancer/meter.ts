import type { Endpoint } from '../core/endpoint.js';
import type { Feedback, Outcome } from '../core/outcome.js';

/**
 * Measures one endpoint; the balancer only compares. The lease of a call tells it of that call, each thing once and in this order:
 * `start`, `answer`, `end`; so it keeps no object per call.
 */
export interface LoadMeter {
  /** A call starts. */
  start(now: number): void;
  /**
   * The first response of a call, or its end if there was none; `unsent` takes back its start.
   *
   * @param startedAt - the `now` of its start
   */
  answer(outcome: Outcome, startedAt: number, now: number, feedback?: Feedback): void;
  /** A call that was answered is over. */
  end(now: number): void;
  /** The higher, the less it should be picked. Comparable among meters of one kind only. */
  load(now: number): number;
  /** Whether it is fit to be picked at all; without it, always. */
  fit?(now: number): boolean;
}

/** Makes the meter of an endpoint that joined. */
export type Metering = (endpoint: Endpoint, now: number) => LoadMeter;
