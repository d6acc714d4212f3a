import type { RejectionCode } from './errors.js';
import type { Feedback, Outcome } from './outcome.js';

/** What a gate may want to know before it answers. A {@link Call} is one, so nothing is allocated. */
export interface Ask {
  /** Low-cardinality name of what is called: `GET /users/:id`. */
  readonly operation?: string | undefined;
  /** Importance: higher is kept longer under overload; 0 when nothing is known. */
  readonly priority?: number | undefined;
  /** How much of a limit the call takes; 1 when absent. */
  readonly cost?: number | undefined;
  /** Whom a keyed limit counts against: a tenant, a user, an address. */
  readonly key?: string | undefined;
}

/** The right to make one call, and the duty to say how it ended. */
export interface Permit {
  /** The first response arrived: latency and verdict. Optional, once; later calls do nothing. */
  observe(outcome: Outcome, now: number, feedback?: Feedback): void;
  /** The call is over (body or stream included). Does what `observe` does if that was not called. A second one does nothing. */
  release(outcome: Outcome, now: number, feedback?: Feedback): void;
}

/**
 * May turn a call away, and learns how it ended. Limiters and breakers are gates. A gate never waits and never
 * asks the time: it is told.
 */
export interface Gate {
  /** What a refusal by this gate is called. Of a gate made of several: the code of the one that refused last. */
  readonly code: RejectionCode;
  /**
   * @param now - monotonic milliseconds; a clock that steps back is tolerated
   * @param ask - what is known of the call
   * @returns a permit, or `null` to refuse
   */
  tryAcquire(now: number, ask?: Ask): Permit | null;
  /** After a refusal: how long to stay away, in milliseconds, if this gate can tell. */
  retryAfterMs?(now: number, ask?: Ask): number | undefined;
}

/** A permit that holds nothing, for gates that let a call pass without counting it. */
export const freePermit: Permit = { observe: () => undefined, release: () => undefined };

class Joint implements Permit {
  constructor(private readonly held: readonly Permit[]) {}
  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    for (const permit of this.held) permit.observe(outcome, now, feedback);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    let i = this.held.length - 1;
    try {
      for (; i >= 0; i--) this.held[i]?.release(outcome, now, feedback);
    } finally {
      // Only when one threw: that must not cost the gates before it a place in flight for ever.
      if (i > 0) new Joint(this.held.slice(0, i)).release(outcome, now, feedback);
    }
  }
}

class AllOf implements Gate {
  private refuser: Gate;
  constructor(private readonly gates: readonly [Gate, Gate, ...Gate[]]) {
    this.refuser = gates[0];
  }
  get code(): RejectionCode {
    return this.refuser.code;
  }
  tryAcquire(now: number, ask?: Ask): Permit | null {
    const held: Permit[] = [];
    try {
      for (const gate of this.gates) {
        const permit = gate.tryAcquire(now, ask);
        if (permit === null) {
          this.refuser = gate;
          new Joint(held).release('unsent', now);
          return null;
        }
        held.push(permit);
      }
    } catch (error) {
      new Joint(held).release('unsent', now);
      throw error;
    }
    return new Joint(held);
  }
  retryAfterMs(now: number, ask?: Ask): number | undefined {
    return this.refuser.retryAfterMs?.(now, ask);
  }
}

const open: Gate = { code: 'OVERLOADED', tryAcquire: () => freePermit };

/**
 * Makes one gate of several: a call passes only if all let it pass. What was acquired before a refusal is released
 * as `unsent`, so that no other gate remembers the call.
 *
 * @param gates - asked in this order; put the cheapest and the most likely to refuse first
 */
export function allOf(gates: readonly Gate[]): Gate {
  const [first, second, ...rest] = gates;
  if (first === undefined) return open;
  if (second === undefined) return first;
  return new AllOf([first, second, ...rest]);
}
