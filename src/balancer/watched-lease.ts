import type { Endpoint } from '../core/endpoint.js';
import type { Permit } from '../core/gate.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { Lease, Witness } from './balancer.js';

/** Two who hear of the same calls: an ejection around another. */
export class Witnesses implements Witness {
  constructor(
    private readonly first: Witness,
    private readonly second: Witness,
  ) {}
  began(): void {
    this.first.began();
    this.second.began();
  }
  heard(outcome: Outcome, now: number): void {
    this.first.heard(outcome, now);
    this.second.heard(outcome, now);
  }
  ended(): void {
    this.first.ended();
    this.second.ended();
  }
}

/** For the leases of balancers that know no witnesses, and for trial calls. */
export class WatchedLease<E extends Endpoint> implements Lease<E> {
  private answered = false;
  private released = false;

  constructor(
    private readonly witness: Witness,
    readonly endpoint: E,
    readonly reason: string,
    private readonly permit: Permit,
  ) {
    witness.began();
  }
  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.answered) return;
    this.answered = true;
    this.permit.observe(outcome, now, feedback);
    this.witness.heard(outcome, now);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.released) return;
    this.released = true;
    const heard = this.answered;
    this.answered = true;
    // First, whatever the lease of a balancer of the user's throws.
    this.witness.ended();
    this.permit.release(outcome, now, feedback);
    if (!heard) this.witness.heard(outcome, now);
  }
}
