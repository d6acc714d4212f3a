import type { Endpoint } from '../core/endpoint.js';
import { resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { Draw, GivenDice } from './draw.js';
import { EndpointSet, Member } from './endpoint-set.js';
import { SlowStart, type SlowStartOptions } from './slow-start.js';

/** Options of {@link weightedRandom}. */
export interface WeightedRandomOptions {
  /**
   * Lets newcomers start with a part of their weight; `{}` for the usual ramp.
   *
   * @defaultValue `undefined`, newcomers count in full at once
   */
  readonly slowStart?: SlowStartOptions | undefined;
  /**
   * Uniform in [0, 1).
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link WeightedRandomOptions}. */
export const weightedRandomDefaults = {
  slowStart: undefined as SlowStartOptions | undefined,
  random: systemRandom,
};

/** Draws that land on a newcomer in its slow start and are thrown away, at most. */
const redraws = 8;

class WeightedRandom<E extends Endpoint> implements Balancer<E> {
  private readonly set: EndpointSet<E, Member<E>>;
  private draw: Draw<Member<E>>;

  constructor(
    private readonly random: Random,
    slowStart: SlowStartOptions | undefined,
  ) {
    this.set = new EndpointSet((endpoint) => new Member(endpoint), slowStart && new SlowStart(slowStart));
    this.draw = new Draw([], new GivenDice(random), true);
  }
  update(endpoints: readonly E[], now: number): void {
    this.set.update(endpoints, now);
    this.draw = new Draw(this.set.members, new GivenDice(this.random), true);
  }
  pick(now: number, hint?: PickHint): Lease<E> | null {
    if (this.set.members.length === 0) return null;
    let member = this.draw.except(undefined, hint?.avoid) ?? this.draw.any();
    for (let left = redraws; left > 0; left--) {
      const share = member.share(now);
      if (share === 1 || this.random() < share) break;
      member = this.draw.except(undefined, hint?.avoid) ?? this.draw.any();
    }
    return this.set.lease(member, 'random', now);
  }
  attend(id: string, witness: Witness): void {
    this.set.attend(id, witness);
  }
  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.set.snapshot(now);
  }
}

/**
 * Anybody, in proportion to weight; constant time per pick.
 *
 * Use it with very many clients and endpoints, where knowing one's own calls tells nothing, or to compare with. Not
 * when endpoints differ in speed: at 90 % use, chance alone queues four times as much as {@link p2c} does.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: the alias method, see `Draw`.
 */
export function weightedRandom<E extends Endpoint = Endpoint>(options?: WeightedRandomOptions): Balancer<E> {
  const { random, slowStart } = resolveOptions('weightedRandom', weightedRandomDefaults, options);
  return new WeightedRandom(random, slowStart);
}
