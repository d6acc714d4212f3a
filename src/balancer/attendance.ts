import type { Endpoint } from '../core/endpoint.js';
import type { Outcome } from '../core/outcome.js';
import type { Witness } from './balancer.js';
import type { Conduct } from './conduct.js';

/** Who draws conclusions from what is heard. */
export interface Judge<E extends Endpoint> {
  /** One that is in served. */
  praise(conduct: Conduct<E>, now: number): void;
  /** Takes the verdict of one call that began in the present term of the endpoint. */
  learn(conduct: Conduct<E>, outcome: Outcome, now: number): void;
}

/** Hears of the calls to one endpoint from one ejection or return to the next. */
export class Attendance<E extends Endpoint> implements Witness {
  private readonly term: number;

  constructor(
    private readonly judge: Judge<E>,
    private readonly conduct: Conduct<E>,
  ) {
    this.term = conduct.term;
  }
  began(): void {
    this.conduct.inflight++;
  }
  heard(outcome: Outcome, now: number): void {
    const { conduct } = this;
    if (conduct.term !== this.term) return;
    if (outcome === 'success' && conduct.ejectedUntil === undefined) this.judge.praise(conduct, now);
    else this.judge.learn(conduct, outcome, now);
  }
  ended(): void {
    this.conduct.inflight--;
  }
}
