import type { Endpoint } from '../core/endpoint.js';
import { wrongKind } from '../core/options.js';
import { isUncalled } from '../core/uncalled.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';

/**
 * Leaves endpoints out of a list. A pure function: the same list gives the same result. It runs at updates, never at
 * picks, so it may take its time.
 */
export type EndpointFilter = <E extends Endpoint>(endpoints: readonly E[]) => readonly E[];

/** An empty list shows it: what a filter leaves of that is a list, and a factory that was not called makes none. */
function checkFilter(field: string, filter: unknown): void {
  const what = 'a filter, such as nearZone() makes';
  if (typeof filter !== 'function') throw wrongKind(field, what, filter);
  let left: unknown = [];
  try {
    left = filter([]);
  } catch (thrown) {
    // One that wants to see somebody is none of ours.
    if (isUncalled(filter, thrown)) left = undefined;
  }
  if (!Array.isArray(left)) throw wrongKind(field, what, filter);
}

/**
 * Checks a list of filters before anybody is left out by it.
 *
 * @param field - name of the list, for messages
 * @throws TypeError for what is no list of filters, a factory above all that was not called
 */
export function checkFilters(field: string, filters: unknown): void {
  if (!Array.isArray(filters)) throw wrongKind(field, 'an array of filters', filters);
  filters.forEach((filter, at) => {
    checkFilter(`${field}[${at}]`, filter);
  });
}

class Filtered<E extends Endpoint> implements Balancer<E> {
  readonly attend?: (id: string, witness: Witness) => void;

  constructor(
    private readonly inner: Balancer<E>,
    private readonly filters: readonly EndpointFilter[],
  ) {
    // What the inner one cannot do this one does not offer.
    if (inner.attend !== undefined) this.attend = inner.attend.bind(inner);
  }
  update(endpoints: readonly E[], now: number): void {
    let left = endpoints;
    for (const filter of this.filters) left = filter(left);
    this.inner.update(left, now);
  }
  pick(now: number, hint?: PickHint): Lease<E> | null {
    return this.inner.pick(now, hint);
  }
  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.inner.snapshot?.(now) ?? [];
  }
}

/**
 * A balancer that sees only what its filters leave, in the order they are given.
 *
 * Inside {@link outlierEjection} the filters see only endpoints that are not ejected: a zone without healthy ones then
 * falls back to the others. There is no filter per call; two versions of a service that are called side by side are
 * two balancers.
 *
 * @throws TypeError for what is no balancer or no filter
 * @example
 * ```ts
 * const balancer = outlierEjection(filtered(p2c(), [inVersion('2.1.0'), nearZone({ zone: 'eu-1a' })]));
 * ```
 */
export function filtered<E extends Endpoint = Endpoint>(
  inner: Balancer<E>,
  filters: readonly EndpointFilter[],
): Balancer<E> {
  checkInner('filtered', inner);
  checkFilters('filtered: the second argument', filters);
  return filters.length === 0 ? inner : new Filtered(inner, filters);
}

/** @throws TypeError for what is no balancer */
export function checkInner(owner: string, inner: unknown): void {
  if (typeof (inner as Partial<Balancer> | null | undefined)?.pick !== 'function')
    throw wrongKind(`${owner}: the first argument`, 'a balancer, such as leastLoad() makes', inner);
}

/** Keeps endpoints that run one of these versions, exactly; nobody if there is none. */
export function inVersion(...versions: readonly string[]): EndpointFilter {
  return (endpoints) =>
    endpoints.filter(({ version }) => version !== undefined && versions.includes(version));
}

/** Keeps endpoints that bear all of these labels; nobody if there is none. */
export function labelled(labels: Readonly<Record<string, string>>): EndpointFilter {
  const wanted = Object.entries(labels);
  return (endpoints) =>
    endpoints.filter(({ metadata }) => wanted.every(([name, value]) => metadata[name] === value));
}
