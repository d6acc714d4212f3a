import type { Endpoint } from '../core/endpoint.js';
import { resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { Draw, GivenDice } from './draw.js';
import { EndpointSet, Member } from './endpoint-set.js';
import { Fingerprint } from './hash.js';

/** Options of {@link rendezvous}. */
export interface RendezvousOptions {
  /**
   * Uniform in [0, 1); chooses for calls without a key.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link RendezvousOptions}. */
export const rendezvousDefaults = { random: systemRandom };

class Home<E extends Endpoint> extends Member<E> {
  readonly fingerprint: Fingerprint;
  constructor(endpoint: E) {
    super(endpoint);
    this.fingerprint = new Fingerprint(endpoint.id);
  }
}

class Rendezvous<E extends Endpoint> implements Balancer<E> {
  private readonly set = new EndpointSet<E, Home<E>>((endpoint) => new Home(endpoint));
  private draw: Draw<Home<E>>;

  constructor(private readonly random: Random) {
    this.draw = new Draw([], new GivenDice(random), true);
  }
  update(endpoints: readonly E[], now: number): void {
    this.set.update(endpoints, now);
    this.draw = new Draw(this.set.members, new GivenDice(this.random), true);
  }
  pick(now: number, hint?: PickHint): Lease<E> | null {
    if (this.set.members.length === 0) return null;
    if (hint?.key === undefined) {
      return this.set.lease(this.draw.except(undefined, hint?.avoid) ?? this.draw.any(), 'random', now);
    }
    const key = new Fingerprint(hint.key);
    const home = this.homeOf(key, hint.avoid) ?? this.homeOf(key, undefined);
    return home === undefined ? null : this.set.lease(home, 'hash', now);
  }
  attend(id: string, witness: Witness): void {
    this.set.attend(id, witness);
  }
  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.set.snapshot(now);
  }

  private homeOf(key: Fingerprint, avoid: ReadonlySet<string> | undefined): Home<E> | undefined {
    let home: Home<E> | undefined;
    let best = Number.POSITIVE_INFINITY;
    for (const member of this.set.members) {
      if (avoid?.has(member.endpoint.id)) continue;
      // The first of several exponential arrivals is each one's in proportion to its rate: here, its weight.
      const arrival = -Math.log(key.with(member.fingerprint)) / member.weight;
      if (arrival >= best) continue;
      best = arrival;
      home = member;
    }
    return home;
  }
}

/**
 * Keeps each key (`PickHint.key`) on one endpoint, without any state: every client with the same list agrees. When an
 * endpoint leaves, only its own keys move, evenly over the others; one that joins takes its share and nothing else
 * moves. Weights count. A key whose home is to be avoided goes to its second home.
 *
 * Use it for endpoints that cache by key. Not to spread load: a hot key stays hot. Calls without a key go to anybody,
 * in proportion to weight. A pick walks the whole set, about 20 ns per endpoint; above a thousand, take a
 * {@link subset} first.
 *
 * @throws TypeError for options that are unknown
 * @example
 * ```ts
 * const lease = balancer.pick(now, { key: userId });
 * ```
 *
 * Source: D. Thaler and C. V. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998, with the weights of
 * Wang et al. The hash is FNV-1a with MurmurHash3's finalizer, twice with different seeds. No slow start: a key has one home.
 */
export function rendezvous<E extends Endpoint = Endpoint>(options?: RendezvousOptions): Balancer<E> {
  return new Rendezvous(resolveOptions('rendezvous', rendezvousDefaults, options).random);
}
