import type { Endpoint } from '../core/endpoint.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { Draw, GivenDice } from './draw.js';
import { EndpointSet, Member, type MemberLease } from './endpoint-set.js';
import type { LoadMeter, Metering } from './meter.js';
import { checkedMetering } from './metering.js';
import { responseTime } from './response-time.js';
import { SlowStart, type SlowStartOptions } from './slow-start.js';

/** Options of {@link p2c}. */
export interface P2cOptions {
  /**
   * Makes the load meter of an endpoint that joined: {@link responseTime}, {@link peakEwma}, {@link inflightMeter},
   * or your own.
   *
   * @defaultValue `responseTime()`
   */
  readonly meter?: Metering | undefined;
  /**
   * An endpoint that nobody picked for this long wins its next comparison whatever its load, so that what is known
   * of it stays fresh; milliseconds, 0 or more, `Infinity` never. At most one such call is under way at a time. A
   * larger value sends fewer calls to bad endpoints and finds out later that they recovered.
   *
   * @defaultValue `3000`
   */
  readonly forcePickMs?: number | undefined;
  /**
   * Where the registered weight counts. `draw`: candidates are drawn in proportion to it, so that shares are right
   * at any load. `load`: the load is divided by it; an idle service then sends nearly everything to the heaviest.
   * `none`: nowhere. No effect while all weights are equal.
   *
   * @defaultValue `'draw'`
   */
  readonly weighting?: 'draw' | 'load' | 'none' | undefined;
  /**
   * Loads that differ by no more than this part count as equal, and chance decides between them; 0 or more. A larger
   * value spreads the calls of an idle service more evenly over endpoints that are almost alike, and reacts to larger
   * differences only.
   *
   * @defaultValue `0.1`
   */
  readonly toleranceRatio?: number | undefined;
  /**
   * How often to draw again while the meter calls both candidates unfit; a whole number, 0 or more. A larger value
   * finds the few good endpoints of a set that is mostly bad. No effect with meters that have no opinion.
   *
   * @defaultValue `0`
   */
  readonly redraws?: number | undefined;
  /**
   * Sets of at most this size are compared whole instead of by twos; a whole number, 0 or more. A larger value finds
   * the best endpoint of a larger set, and costs a comparison (about 15 ns) for each endpoint at each pick.
   *
   * @defaultValue `0`
   */
  readonly scanUpTo?: number | undefined;
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

/** Defaults of {@link P2cOptions}. */
export const p2cDefaults = {
  meter: responseTime(),
  forcePickMs: 3000,
  weighting: 'draw' as 'draw' | 'load' | 'none',
  toleranceRatio: 0.1,
  redraws: 0,
  scanUpTo: 0,
  slowStart: undefined as SlowStartOptions | undefined,
  random: systemRandom,
};

/**
 * With unequal weights the draw has already given everybody the right share. The second candidate then has to be
 * better by this factor, or noise in two equal loads would undo the draw.
 */
const margin = 1.5;

class Metered<E extends Endpoint> extends Member<E> {
  pickedAt = Number.NEGATIVE_INFINITY;

  constructor(
    endpoint: E,
    private readonly meter: LoadMeter,
  ) {
    super(endpoint);
  }
  override start(now: number): void {
    this.meter.start(now);
  }
  override answer(outcome: Outcome, startedAt: number, now: number, feedback: Feedback | undefined): void {
    this.meter.answer(outcome, startedAt, now, feedback);
  }
  override end(now: number): void {
    this.meter.end(now);
  }
  override load(now: number): number {
    return this.meter.load(now) / this.share(now);
  }
  weigh(now: number): void {
    this.dearness = this.load(now);
  }
  fit(now: number): boolean {
    return this.meter.fit === undefined || this.meter.fit(now);
  }
}

class P2c<E extends Endpoint> implements Balancer<E> {
  private readonly set: EndpointSet<E, Metered<E>>;
  private draw: Draw<Metered<E>>;
  private forced: MemberLease<E> | undefined = undefined;
  private forcedAt = Number.NEGATIVE_INFINITY;
  private readonly dice: GivenDice;

  constructor(private readonly options: typeof p2cDefaults) {
    const { slowStart, random } = options;
    const meter = checkedMetering('p2c.meter', options.meter);
    this.set = new EndpointSet(
      (endpoint, now) => new Metered(endpoint, meter(endpoint, now)),
      slowStart && new SlowStart(slowStart),
    );
    this.dice = new GivenDice(random);
    this.draw = new Draw([], this.dice, false);
  }

  update(endpoints: readonly E[], now: number): void {
    this.set.update(endpoints, now);
    this.draw = new Draw(this.set.members, this.dice, this.options.weighting === 'draw');
  }

  pick(now: number, hint?: PickHint): Lease<E> | null {
    const { members } = this.set;
    if (members.length === 0) return null;
    if (members.length === 1) return this.take(members[0] as Metered<E>, 'only', now);
    let avoid = hint?.avoid;
    if (members.length <= this.options.scanUpTo)
      return this.takeLeast(avoid, now) ?? (this.takeLeast(undefined, now) as Lease<E>);
    let first = this.draw.except(undefined, avoid);
    if (first === undefined) {
      avoid = undefined;
      first = this.draw.any();
    }
    let second = this.draw.except(first, avoid);
    for (let left = this.options.redraws; left > 0 && second !== undefined; left--) {
      if (first.fit(now) || second.fit(now)) break;
      first = this.draw.except(second, avoid) ?? first;
      second = this.draw.except(first, avoid) ?? second;
    }
    if (second === undefined) return this.take(first, 'only', now);
    first.weigh(now);
    second.weigh(now);
    return this.displaces(second, first)
      ? this.takeOrForce(second, first, now)
      : this.takeOrForce(first, second, now);
  }

  attend(id: string, witness: Witness): void {
    this.set.attend(id, witness);
  }

  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.set.snapshot(now);
  }

  private displaces(second: Metered<E>, first: Metered<E>): boolean {
    const { toleranceRatio, weighting } = this.options;
    const mine = first.dearness;
    const other = second.dearness * (1 + toleranceRatio);
    if (first.weight === second.weight || weighting === 'none') return other < mine;
    if (weighting === 'load') return other * first.weight < mine * second.weight;
    return other * Math.max(margin, first.weight / second.weight) < mine;
  }

  private take(member: Metered<E>, reason: string, now: number): MemberLease<E> {
    const lease = this.set.lease(member, reason, now);
    member.pickedAt = now;
    return lease;
  }

  private takeOrForce(winner: Metered<E>, loser: Metered<E>, now: number): Lease<E> {
    const forced = this.mayForce(loser, now);
    const lease = forced ? this.force(loser, now) : this.take(winner, 'p2c', now);
    lease.rival = forced ? winner : loser;
    return lease;
  }

  private mayForce(member: Metered<E>, now: number): boolean {
    const { forcePickMs } = this.options;
    if (!(now - member.pickedAt > forcePickMs)) return false;
    // A forced call that never answers must not keep the others from being looked at for ever.
    return this.forced === undefined || this.forced.answered || now - this.forcedAt > forcePickMs;
  }

  private force(member: Metered<E>, now: number): MemberLease<E> {
    this.forcedAt = now;
    this.forced = this.take(member, 'forced', now);
    return this.forced;
  }

  /**
   * Compares all. It begins with one that is drawn, so that weights count among equals, and goes round from a random
   * place: from the front, all clients of a service would prefer the front of the same list, and from the one that is
   * drawn, the neighbour of one that is slow.
   */
  private takeLeast(avoid: ReadonlySet<string> | undefined, now: number): Lease<E> | undefined {
    const { members } = this.set;
    const { forcePickMs } = this.options;
    const drawn = this.draw.except(undefined, avoid);
    if (drawn === undefined) return undefined;
    let at = this.dice.below(members.length);
    let best = drawn;
    best.weigh(now);
    for (let left = members.length; left > 0; left--) {
      const member = members[at] as Metered<E>;
      at = at + 1 === members.length ? 0 : at + 1;
      if (avoid?.has(member.endpoint.id)) continue;
      if (now - member.pickedAt > forcePickMs && this.mayForce(member, now)) return this.force(member, now);
      if (member === drawn) continue;
      member.weigh(now);
      if (this.displaces(member, best)) best = member;
    }
    return this.take(best, 'least', now);
  }
}

/**
 * Power of two choices: draws two different endpoints at random and takes the one with the lower load. Constant time
 * per pick, and the most loaded endpoint is never picked but when it is forced.
 *
 * The usual choice of other frameworks, and right for meters that cost much to read. With many clients and few calls each, two
 * endpoints drawn by chance are two of which a client knows next to nothing: {@link leastLoad} finds the one that it has good
 * news of. Not for calls that should find a warm cache: {@link rendezvous}.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = p2c({ meter: peakEwma(), slowStart: {} });
 * balancer.update(endpoints, now);
 * const lease = balancer.pick(now);
 * ```
 *
 * Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996; the forced pick is kratos'
 * (`selector/p2c`). State survives updates here, weights shape the draw, and a forced call blocks the next one
 * until it has answered.
 */
export function p2c<E extends Endpoint = Endpoint>(options?: P2cOptions): Balancer<E> {
  const resolved = resolveOptions('p2c', p2cDefaults, options, {
    forcePickMs: { min: 0, infinite: true },
    toleranceRatio: { min: 0 },
    redraws: { min: 0, integer: true },
    scanUpTo: { min: 0, integer: true, infinite: true },
  });
  checkChoice('p2c.weighting', resolved.weighting, ['draw', 'load', 'none']);
  return new P2c(resolved);
}
