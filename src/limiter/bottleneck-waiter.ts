import type { Call } from '../core/call.js';
import { isGovernanceError, refusal } from '../core/errors.js';
import { type Wheel, WheelEntry } from '../core/timer-wheel.js';
import type { Place } from './bottleneck-place.js';

/** Where a {@link Waiter} stands. */
export interface Standing {
  /** It stands there no longer; it is to be refused with that error. */
  leave(waiter: Waiter, error: unknown): void;
  /** Makes a refusal. */
  refusal(call: Call, why: string): Error;
}

/** How a wait ends: exactly one of the two is called, once. */
export interface WaitEnds {
  readonly resolve: (place: Place) => void;
  readonly reject: (error: unknown) => void;
}

/** A call that waits for a place: until it has one, its time is up, or its caller gives up. */
export class Waiter extends WheelEntry {
  private forget: (() => void) | undefined;

  constructor(
    at: number,
    readonly call: Call,
    readonly cost: number,
    private readonly standing: Standing,
    private readonly ends: WaitEnds,
  ) {
    super(at);
  }

  wait(wheel: Wheel): void {
    wheel.add(this);
    this.forget = this.call.cancel.onAbort(() => this.standing.leave(this, givenUp(this.call)));
  }

  fire(): void {
    const { call, standing } = this;
    standing.leave(this, standing.refusal(call, 'no place under its quota in time'));
  }

  admit(place: Place): void {
    this.end();
    this.ends.resolve(place);
  }

  refuse(error: unknown): void {
    this.end();
    this.ends.reject(error);
  }

  private end(): void {
    this.cancel();
    this.forget?.();
  }
}

/** The caller's own reason. If it is our deadline, then also that nothing was sent: nobody is to blame. */
export function givenUp(call: Call): unknown {
  const { reason } = call.cancel;
  if (!isGovernanceError(reason) || reason.code !== 'DEADLINE_EXCEEDED') return reason;
  const { service, operation, side } = call;
  const message = `${service} ${operation}: its time ran out while it waited for the quota`;
  return refusal('DEADLINE_EXCEEDED', message, { service, side, unsent: true, cause: reason });
}
