import type { Permit } from '../core/gate.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { Inflight } from './inflight.js';

/** A limiter that learns from how long its calls took. */
export interface RttLearner {
  readonly inflight: Inflight;
  /** A call is over, with the verdict of its first response. */
  learn(call: RttPermit, now: number): void;
}

/**
 * The place of one call. It keeps the verdict of the first response and the time of the end: Little's law wants the time
 * for which the place was held.
 */
export class RttPermit implements Permit {
  /** A failure is `lost` if the time of the call ran out. */
  verdict: Outcome | 'lost' | undefined = undefined;
  private held = true;
  constructor(
    private readonly limiter: RttLearner,
    readonly cost: number,
    readonly startedAt: number,
  ) {}

  observe(outcome: Outcome, _now: number, feedback?: Feedback): void {
    this.verdict ??= outcome === 'failure' && feedback?.timedOut ? 'lost' : outcome;
  }

  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (!this.held) return;
    this.held = false;
    this.limiter.inflight.leave(this.cost);
    // Whatever somebody claims to have seen of it.
    if (outcome === 'unsent') this.verdict = outcome;
    else this.observe(outcome, now, feedback);
    this.limiter.learn(this, now);
  }
}
