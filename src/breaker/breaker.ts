import type { Gate } from '../core/gate.js';

/** Whether calls pass: all, none or few (`open`), or a few to find out (`half-open`). */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** Every {@link BreakerMode}. */
export const breakerModes = ['auto', 'open', 'closed', 'observe'] as const;

/**
 * What is done with what a breaker knows; it goes on learning in every mode.
 *
 * - `auto`: it decides.
 * - `open`: everything is refused. These refusals say nothing of the callee, and are not remembered.
 * - `closed`: everything passes, and the state reads `closed`.
 * - `observe`: everything passes, and the state reads what it would be: for trying out settings on live traffic.
 */
export type BreakerMode = (typeof breakerModes)[number];

/**
 * Told of each change of state, with the time at which it was noticed. A change that the passing of time brings is
 * noticed at the next call or snapshot. What it throws, or rejects with, is dropped: it has no caller to go to.
 */
export type TransitionHook = (from: BreakerState, to: BreakerState, now: number) => void;

/** A breaker at one moment. */
export interface BreakerSnapshot {
  /** What it does now, {@link BreakerSnapshot.mode} included. */
  readonly state: BreakerState;
  /** Who decides. */
  readonly mode: BreakerMode;
  /** Share of calls it would refuse at this moment, 0 to 1. In `observe` mode none are. */
  readonly refusalRatio: number;
  /** Calls that its window remembers. */
  readonly requests: number;
  /** Those among them that succeeded. */
  readonly successes: number;
  /** Permits that were given and not yet released. */
  readonly inflight: number;
}

/**
 * Stops calling what does not answer. A gate that refuses by how earlier calls ended.
 *
 * @typeParam Options - what can be changed while it runs
 */
export interface Breaker<Options extends object = object> extends Gate {
  readonly code: 'BREAKER_OPEN';
  /** What it knows at this moment; says the true state even if no call came for long. */
  snapshot(now: number): BreakerSnapshot;
  /** Takes the decision from it, or gives it back with `auto`. */
  force(mode: BreakerMode, now: number): void;
  /**
   * Changes options while calls are in flight; those not named stay. What the window learned is kept unless the
   * window itself changes. Nothing changes when an option is refused.
   *
   * @throws TypeError or RangeError as at construction
   */
  reconfigure(options: Options, now: number): void;
  /** Forgets everything it learned, and closes. Calls in flight go on, and their permits stay good. */
  reset(now: number): void;
}
