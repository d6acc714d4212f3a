import type { Endpoint } from '../core/endpoint.js';
import type { Permit } from '../core/gate.js';

/** A permit for one endpoint. */
export interface Lease<E extends Endpoint> extends Permit {
  /** Who was picked. */
  readonly endpoint: E;
  /** Why that one, in a word: `p2c`, `forced`, `only`, `hash`. */
  readonly reason: string;
}

/** What a pick may take into account. */
export interface PickHint {
  /** For balancers that keep a key on an endpoint. */
  readonly key?: string | undefined;
  /** Ids of endpoints to pass over while there are others. */
  readonly avoid?: ReadonlySet<string> | undefined;
}

/** Chooses among endpoints. Synchronous, and told the time. */
export interface Balancer<E extends Endpoint = Endpoint> {
  /** Replaces the set. State of endpoints that stay (same id) is kept; of those that left, dropped after their last lease. */
  update(endpoints: readonly E[], now: number): void;
  /** @returns a lease, or `null` when there is nobody to pick */
  pick(now: number, hint?: PickHint): Lease<E> | null;
}
