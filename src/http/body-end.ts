import { type Cancellation, uncancelled } from '../core/cancel.js';
import { isGovernanceError } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import { classifyError } from './wire-error.js';

/**
 * The end of one response body, and who wants to know. A cloned body has several holders: it is over when one of them has
 * read it to its end, for then the connection has nothing more, or when all have let go.
 */
export class BodyEnd {
  private outcome: Outcome | undefined;
  private listeners: ((outcome: Outcome) => void)[] = [];
  private holders = 0;

  /**
   * @param verdict - what the response itself said; a body that ends well adds nothing to it
   * @param cancel - whether the caller gave up: an error after that is the caller's own
   */
  constructor(
    private readonly verdict: Outcome,
    private readonly cancel: Cancellation = uncancelled,
  ) {}

  /** @returns `false` when it is over; then `done` is not called */
  listen(done: (outcome: Outcome) => void): boolean {
    if (this.outcome !== undefined) return false;
    this.listeners.push(done);
    return true;
  }

  /** Another holder. */
  hold(): void {
    this.holders++;
  }

  /** A holder lets go without having read to the end. */
  drop(): void {
    if (--this.holders <= 0) this.finish('ignored');
  }

  /** Read to the end. */
  complete(): void {
    this.finish(this.verdict);
  }

  /** Broke off. */
  fail(error: unknown): void {
    this.finish(this.cancel.aborted ? blame(this.cancel.reason) : classifyError(error));
  }

  private finish(outcome: Outcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    const { listeners } = this;
    this.listeners = [];
    for (const done of listeners) {
      try {
        done(outcome);
      } catch {
        // Whoever reads the body has no part in this, and the other listeners have to be told.
      }
    }
  }
}

/** A caller who gave up says nothing of the callee; time that ran out does. */
function blame(reason: unknown): Outcome {
  return isGovernanceError(reason) && reason.code === 'DEADLINE_EXCEEDED' ? 'failure' : 'ignored';
}

let abandoned = 0;

/**
 * How many response bodies were neither read nor cancelled, and were found by the garbage collector, since the process
 * began. Until it finds one, its call counts as in flight and its connection is not free. For metrics and tests.
 */
export function abandonedBodies(): number {
  return abandoned;
}

const collected = new FinalizationRegistry<BodyEnd>((end) => {
  abandoned++;
  end.drop();
});

/**
 * One response object's part in a body. The response and whatever reads from it refer to their hold, so that it is
 * collected only when nobody can read any more.
 */
export class BodyHold {
  private done = false;

  constructor(readonly end: BodyEnd) {
    end.hold();
    collected.register(this, end, this);
  }

  complete(): void {
    if (this.leave()) this.end.complete();
  }
  fail(error: unknown): void {
    if (this.leave()) this.end.fail(error);
  }
  drop(): void {
    if (this.leave()) this.end.drop();
  }
  private leave(): boolean {
    if (this.done) return false;
    this.done = true;
    collected.unregister(this);
    return true;
  }
}
