import type { RejectionCode } from './errors.js';
import { wrongKind } from './options.js';
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
  /**
   * Whether it counts only how often calls come, never how many are under way. Without it: whether `code` is
   * `RATE_LIMITED`. Of one made of several: whether all do.
   */
  readonly countsRatesOnly?: boolean;
  /** After a refusal: how long to stay away, in milliseconds, if this gate can tell. */
  retryAfterMs?(now: number, ask?: Ask): number | undefined;
  /**
   * Lets go of what it holds besides memory, timers for example; it refuses from then on, and permits that are out may
   * still be released. Called by whoever made it, once: a stack for the gates of an endpoint that has left.
   */
  dispose?(): void;
}

/** Whether a gate counts only how often calls come, never how many are under way. */
export function countsRatesOnly(gate: Gate): boolean {
  return gate.countsRatesOnly ?? gate.code === 'RATE_LIMITED';
}

/** A permit that holds nothing, for gates that let a call pass without counting it. */
export const freePermit: Permit = { observe: () => undefined, release: () => undefined };

class Joint implements Permit {
  constructor(
    private readonly first: Permit,
    private readonly second: Permit,
  ) {}
  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    this.first.observe(outcome, now, feedback);
    this.second.observe(outcome, now, feedback);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    try {
      this.second.release(outcome, now, feedback);
    } finally {
      // Whatever the other one threw: that must not cost this gate a place in flight for ever.
      this.first.release(outcome, now, feedback);
    }
  }
}

/** Two gates as one; more are two of which the second is two. Lists of permits would cost as much as the gates. */
class Both implements Gate {
  private refuser: Gate;
  constructor(
    private readonly first: Gate,
    private readonly second: Gate,
  ) {
    this.refuser = first;
  }
  get code(): RejectionCode {
    return this.refuser.code;
  }
  get countsRatesOnly(): boolean {
    return countsRatesOnly(this.first) && countsRatesOnly(this.second);
  }
  tryAcquire(now: number, ask?: Ask): Permit | null {
    const first = this.first.tryAcquire(now, ask);
    if (first === null) {
      this.refuser = this.first;
      return null;
    }
    let second: Permit | null = null;
    try {
      second = this.second.tryAcquire(now, ask);
    } finally {
      if (second === null) first.release('unsent', now);
    }
    if (second !== null) return new Joint(first, second);
    this.refuser = this.second;
    return null;
  }
  retryAfterMs(now: number, ask?: Ask): number | undefined {
    return this.refuser.retryAfterMs?.(now, ask);
  }
  dispose(): void {
    try {
      this.first.dispose?.();
    } finally {
      this.second.dispose?.();
    }
  }
}

/** @throws TypeError for what is no gate, a factory above all that was not called */
export function checkGate(field: string, gate: unknown): asserts gate is Gate {
  if (typeof (gate as Partial<Gate> | null | undefined)?.tryAcquire !== 'function')
    throw wrongKind(field, 'a gate, such as sre() makes', gate);
}

const open: Gate = { code: 'OVERLOADED', countsRatesOnly: true, tryAcquire: () => freePermit };

/**
 * Makes one gate of several: a call passes only if all let it pass. What was acquired before a refusal is released
 * as `unsent`, so that no other gate remembers the call.
 *
 * @param gates - asked in this order; put the cheapest and the most likely to refuse first
 * @throws TypeError for what is no array of gates
 */
export function allOf(gates: readonly Gate[]): Gate {
  if (!Array.isArray(gates)) throw wrongKind('allOf: the first argument', 'an array of gates', gates);
  gates.forEach((gate, at) => {
    checkGate(`allOf[${at}]`, gate);
  });
  return gates.length === 0 ? open : gates.reduceRight((joined, gate) => new Both(gate, joined));
}
