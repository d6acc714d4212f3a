import type { Endpoint } from '../core/endpoint.js';
import { resolveOptions } from '../core/options.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { EndpointSet, Member } from './endpoint-set.js';
import { SlowStart, type SlowStartOptions } from './slow-start.js';

/** Options of {@link roundRobin}. */
export interface RoundRobinOptions {
  /**
   * Lets newcomers start with a part of their weight; `{}` for the usual ramp.
   *
   * @defaultValue `undefined`, newcomers count in full at once
   */
  readonly slowStart?: SlowStartOptions | undefined;
}

/** Defaults of {@link RoundRobinOptions}. */
export const roundRobinDefaults = { slowStart: undefined as SlowStartOptions | undefined };

class Turn<E extends Endpoint> extends Member<E> {
  /** What it has saved up towards its next turn. */
  credit = 0;
}

class RoundRobin<E extends Endpoint> implements Balancer<E> {
  private readonly set: EndpointSet<E, Turn<E>>;

  constructor(slowStart: SlowStartOptions | undefined) {
    this.set = new EndpointSet((endpoint) => new Turn(endpoint), slowStart && new SlowStart(slowStart));
  }
  update(endpoints: readonly E[], now: number): void {
    this.set.update(endpoints, now);
  }
  pick(now: number, hint?: PickHint): Lease<E> | null {
    const member = this.next(now, hint?.avoid) ?? this.next(now, undefined);
    return member === undefined ? null : this.set.lease(member, 'turn', now);
  }
  attend(id: string, witness: Witness): void {
    this.set.attend(id, witness);
  }
  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.set.snapshot(now);
  }

  private next(now: number, avoid: ReadonlySet<string> | undefined): Turn<E> | undefined {
    let richest: Turn<E> | undefined;
    let total = 0;
    for (const member of this.set.members) {
      if (avoid?.has(member.endpoint.id)) continue;
      const weight = member.weight * member.share(now);
      member.credit += weight;
      total += weight;
      if (richest === undefined || member.credit > richest.credit) richest = member;
    }
    if (richest !== undefined) richest.credit -= total;
    return richest;
  }
}

/**
 * Everybody in turn, in proportion to weight, spread as evenly as can be: weights 5, 1, 1 give `a a b a c a a`.
 *
 * Use it when calls cost the same everywhere, or to compare with. It is blind: a slow endpoint gets its full share.
 * A pick walks the whole set; above some hundreds of endpoints take {@link weightedRandom} or {@link p2c}.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: nginx, smooth weighted round-robin. Turns are kept across updates: endpoints that come and go do not reset
 * the order of the others.
 */
export function roundRobin<E extends Endpoint = Endpoint>(options?: RoundRobinOptions): Balancer<E> {
  return new RoundRobin(resolveOptions('roundRobin', roundRobinDefaults, options).slowStart);
}
