import type { PickEvidence } from '../core/call.js';
import type { Endpoint } from '../core/endpoint.js';
import type { Permit } from '../core/gate.js';
import type { Outcome } from '../core/outcome.js';

/** Hears of the calls to one endpoint, beside the balancer that picks it. */
export interface Witness {
  /** A call begins. */
  began(): void;
  /** The first response of a call, or its end if there was none; once for each. */
  heard(outcome: Outcome, now: number): void;
  /** A call is over. */
  ended(): void;
}

/** A permit for one endpoint. */
export interface Lease<E extends Endpoint> extends Permit, PickEvidence {
  /** Who was picked. */
  readonly endpoint: E;
  /** Why that one, in a word: `least`, `p2c`, `forced`, `only`, `hash`. */
  readonly reason: string;
}

/** What a pick may take into account. */
export interface PickHint {
  /** For balancers that keep a key on an endpoint. */
  readonly key?: string | undefined;
  /** Ids of endpoints to pass over while there are others; when all are in it, it is as if it were empty. */
  readonly avoid?: ReadonlySet<string> | undefined;
}

/** How one endpoint stands with a balancer, for people and panels. */
export interface EndpointSnapshot {
  /** Identity of the endpoint. */
  readonly id: string;
  /** Where it is. */
  readonly url: string;
  /** Its share of the traffic as it counts now: during a slow start, less than the registered weight. */
  readonly weight: number;
  /** Leases that are not released. */
  readonly inflight: number;
  /** What the balancer's meter says; comparable within one snapshot only. `undefined` while it is not measured. */
  readonly load: number | undefined;
  /** Until when it is out of the picks, on the clock's scale; `undefined` while it is in. */
  readonly ejectedUntil: number | undefined;
}

/** Chooses among endpoints. Synchronous, and told the time. */
export interface Balancer<E extends Endpoint = Endpoint> {
  /** Replaces the set. State of endpoints that stay (same id) is kept; of those that left, dropped after their last lease or some seconds later. */
  update(endpoints: readonly E[], now: number): void;
  /** @returns a lease, or `null` when there is nobody to pick */
  pick(now: number, hint?: PickHint): Lease<E> | null;
  /**
   * From now on this witness hears of each call to an endpoint of the set that begins, in place of whoever did before. Said again
   * after each update. The leases of a balancer that cannot do this have to be wrapped, one by one.
   */
  attend?(id: string, witness: Witness): void;
  /** One entry per endpoint of the set, for observers: it walks the set. */
  snapshot?(now: number): readonly EndpointSnapshot[];
}
