import type { Endpoint } from '../core/endpoint.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import { type Random, systemRandom } from '../core/random.js';
import { Tournament } from '../stats/tournament.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { Draw, QuickDice, shuffled } from './draw.js';
import { EndpointSet, Member, type MemberLease } from './endpoint-set.js';
import type { LoadMeter, Metering } from './meter.js';
import { checkedMetering } from './metering.js';
import { serverBacklog } from './server-backlog.js';
import { SlowStart, type SlowStartOptions } from './slow-start.js';

/** Options of {@link leastLoad}. */
export interface LeastLoadOptions {
  /**
   * Makes the load meter of an endpoint that joined: {@link serverBacklog}, {@link c3}, {@link responseTime}, or your
   * own. Of one that never forgets why an endpoint was dear, only `probeRatio` brings that endpoint back.
   *
   * @defaultValue `undefined`, a {@link serverBacklog} of its own
   */
  readonly meter?: Metering | undefined;
  /**
   * Where the registered weight counts. `draw`: in the shares of an idle service, and a light endpoint has to be as much
   * less loaded to be preferred. `none`: nowhere. No effect while all weights are equal.
   *
   * @defaultValue `'draw'`
   */
  readonly weighting?: 'draw' | 'none' | undefined;
  /**
   * Loads that exceed the lowest by no more than this part count as equal to it, and chance decides; 0 or more. A larger value
   * spreads the calls of an idle service more evenly, and reacts to larger differences only.
   *
   * @defaultValue `0.05`
   */
  readonly toleranceRatio?: number | undefined;
  /**
   * Part of the calls with which those that were passed over for long are tried, in turn, to see whether they have recovered; 0 to
   * 0.1. A larger value finds out sooner and pays more for it; with 0, only what the meter forgets brings one back.
   *
   * @defaultValue `0.003`
   */
  readonly probeRatio?: number | undefined;
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

/** Defaults of {@link LeastLoadOptions}. */
export const leastLoadDefaults = {
  /** One for each balancer: endpoints are compared with the others of their service. */
  meter: undefined as Metering | undefined,
  weighting: 'draw' as 'draw' | 'none',
  toleranceRatio: 0.05,
  probeRatio: 0.003,
  slowStart: undefined as SlowStartOptions | undefined,
  random: systemRandom,
};

/** In this time everybody is looked at again once, some at a time: loads also change while nothing happens. */
const reviewMs = 200;
const roundMs = 25;
/** As in {@link p2c}: noise in two equal loads must not undo a draw by weight. */
const margin = 1.5;
/**
 * One that is missing from a list or two of a registry is the same process when it comes back, not a newcomer. Shorter than an
 * ejection ({@link outlierEjection}), which ends with a new beginning.
 */
const keepMs = 2000;
/** Passed over is who got less than this part of its fair share, by weight. */
const neglected = 1 / 4;
/** How many are looked at for somebody who was passed over. */
const lookedAt = 64;

/** Whose loads changed since the last pick: a list that allocates nothing, from each to the one before. */
interface News {
  last: Rated<Endpoint> | null;
}

class Rated<E extends Endpoint> extends Member<E> {
  /** Where it stands in the tournament; -1 when it has left. */
  place = -1;
  /** Part of its weight that counted at the last look. */
  part = 1;
  /** The pick that took it last; -1 before it is in the order. */
  pickedIn = -1;
  /** Whose load changed before; `undefined` when this one's did not. */
  private before: Rated<Endpoint> | null | undefined = undefined;

  constructor(
    endpoint: E,
    private readonly meter: LoadMeter,
    private readonly news: News,
  ) {
    super(endpoint);
  }
  override start(now: number): void {
    this.moved();
    this.meter.start(now);
  }
  override answer(outcome: Outcome, startedAt: number, now: number, feedback: Feedback | undefined): void {
    this.moved();
    this.meter.answer(outcome, startedAt, now, feedback);
  }
  override end(now: number): void {
    this.moved();
    this.meter.end(now);
  }
  override load(now: number): number {
    return this.meter.load(now) / this.share(now);
  }
  fit(now: number): boolean {
    return this.meter.fit === undefined || this.meter.fit(now);
  }
  private moved(): void {
    if (this.before !== undefined) return;
    this.before = this.news.last;
    this.news.last = this;
  }
  /** Leaves the news, whose last it is. */
  seen(): void {
    this.news.last = this.before ?? null;
    this.before = undefined;
  }
  look(now: number): void {
    this.part = this.share(now);
    const dearness = this.meter.load(now) / this.part;
    // What is no number must not win by being neither more nor less than others.
    this.dearness = dearness >= 0 ? dearness : dearness < 0 ? 0 : Number.POSITIVE_INFINITY;
  }
}

class LeastLoad<E extends Endpoint> implements Balancer<E> {
  private readonly set: EndpointSet<E, Rated<E>>;
  private readonly news: News = { last: null };
  private draw: Draw<Rated<E>>;
  /** The members in an order of this client's own: among equals, no two clients prefer the same. */
  private order: readonly Rated<E>[] = [];
  private tournament = new Tournament(1);
  /** 0 while all weigh the same. */
  private heaviest = 0;
  /** What all weigh together; while all weigh the same, how many there are. */
  private totalWeight = 0;
  /** 1 and what is tolerated: what a load must exceed the lowest by, as a factor, to lose to it. */
  private readonly slack: number;
  private readonly dice: QuickDice;
  private reviewedAt = Number.NEGATIVE_INFINITY;
  private reviewer = 0;
  private picks = 0;
  /** Picks between two probes. */
  private readonly probeEvery: number;
  private probeIn: number;
  private prober = 0;

  constructor(private readonly options: typeof leastLoadDefaults) {
    const { slowStart, random } = options;
    const meter = checkedMetering('leastLoad.meter', options.meter ?? serverBacklog());
    this.slack = 1 + options.toleranceRatio;
    this.probeEvery = Math.ceil(1 / options.probeRatio);
    this.probeIn = this.probeEvery;
    this.dice = new QuickDice(random);
    this.set = new EndpointSet(
      (endpoint, now) => new Rated(endpoint, meter(endpoint, now), this.news),
      slowStart && new SlowStart(slowStart),
      keepMs,
    );
    this.draw = new Draw([], this.dice, false);
  }

  update(endpoints: readonly E[], now: number): void {
    const { weighting, random } = this.options;
    for (const member of this.order) member.place = -1;
    this.set.update(endpoints, now);
    const { members } = this.set;
    this.draw = new Draw(members, this.dice, weighting === 'draw');
    this.heaviest = this.draw.weighted ? Math.max(...members.map(({ weight }) => weight)) : 0;
    this.totalWeight = this.draw.weighted
      ? members.reduce((sum, { weight }) => sum + weight, 0)
      : members.length;
    this.order = shuffled(members, random);
    this.tournament = new Tournament(Math.max(1, members.length));
    this.order.forEach((member, place) => {
      member.place = place;
      if (member.pickedIn < 0) member.pickedIn = this.picks;
      this.look(member, now);
    });
    this.reviewedAt = now;
    this.reviewer = 0;
    this.prober = 0;
  }

  pick(now: number, hint?: PickHint): Lease<E> | null {
    if (this.news.last !== null) this.catchUp(now);
    const passedMs = now - this.reviewedAt;
    // Below 0: a clock that stepped back.
    if (passedMs >= roundMs || passedMs < 0) this.review(passedMs, now);
    const { order } = this;
    if (order.length < 2 || this.heaviest > 0 || hint !== undefined || this.picks >= this.probeIn)
      return this.pickWithCare(now, hint?.avoid);
    // Among equals by weight it need not be asked what each weighs.
    const best = order[this.tournament.winner] as Rated<E>;
    const drawn = order[this.dice.below(order.length)] as Rated<E>;
    const mine = drawn.part === 1 ? drawn.dearness : this.spared(drawn);
    return best.dearness * this.slack < mine ? this.prefer(best, drawn, now) : this.prefer(drawn, best, now);
  }

  attend(id: string, witness: Witness): void {
    this.set.attend(id, witness);
  }

  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.set.snapshot(now);
  }

  private pickWithCare(now: number, avoid: ReadonlySet<string> | undefined): Lease<E> | null {
    const { order } = this;
    if (order.length === 0) return null;
    if (order.length === 1) return this.take(order[0] as Rated<E>, 'only', now);
    if (avoid !== undefined && avoid.size > 0) return this.pickAvoiding(avoid, now);
    if (this.picks >= this.probeIn) {
      const member = this.passedOver(now);
      if (member !== undefined) return this.take(member, 'forced', now);
    }
    return this.choose(order[this.tournament.winner] as Rated<E>, this.draw.any(), now);
  }

  /** Those to avoid leave the tournament for this one pick. When they are all, it is as if nobody were to be avoided. */
  private pickAvoiding(avoid: ReadonlySet<string>, now: number): Lease<E> {
    const drawn = this.draw.except(undefined, avoid);
    for (const id of avoid) this.bench(id);
    const best = this.order[this.tournament.winner] as Rated<E>;
    for (const id of avoid) {
      const member = this.set.find(id);
      if (member !== undefined && member.place >= 0) this.seat(member);
    }
    return drawn === undefined
      ? this.choose(this.order[this.tournament.winner] as Rated<E>, this.draw.any(), now)
      : this.choose(avoid.has(best.endpoint.id) ? drawn : best, drawn, now);
  }

  /** The one that was drawn, unless the best is clearly better: then chance, in proportion to weight, decides among equals. */
  private choose(best: Rated<E>, drawn: Rated<E>, now: number): Lease<E> {
    if (best === drawn) return this.take(best, 'least', now);
    const mine = this.spared(drawn);
    let theirs = best.dearness * this.slack;
    if (this.heaviest > 0) theirs *= Math.max(margin, drawn.weight / best.weight);
    return theirs < mine ? this.prefer(best, drawn, now) : this.prefer(drawn, best, now);
  }

  private prefer(member: Rated<E>, rival: Rated<E>, now: number): Lease<E> {
    const lease = this.take(member, 'least', now);
    if (rival !== member) lease.rival = rival;
    return lease;
  }

  private take(member: Rated<E>, reason: string, now: number): MemberLease<E> {
    member.pickedIn = ++this.picks;
    return this.set.lease(member, reason, now);
  }

  /** What was heard of an endpoint that nobody calls is never put right. */
  private passedOver(now: number): Rated<E> | undefined {
    const { length } = this.order;
    this.probeIn = this.picks + this.probeEvery;
    for (let left = Math.min(length, lookedAt); left > 0; left--) {
      const member = this.order[this.prober] as Rated<E>;
      this.prober = this.prober + 1 >= length ? 0 : this.prober + 1;
      if (this.isNeglected(member) && member.fit(now)) return member;
    }
    return undefined;
  }

  private isNeglected({ pickedIn, weight }: Rated<E>): boolean {
    const fairEvery = this.totalWeight / (this.heaviest > 0 ? weight : 1);
    return pickedIn < this.picks - Math.max(this.probeEvery / 2, fairEvery / neglected);
  }

  /** One in its slow start takes its part of the draws as if it were warm. */
  private spared({ part, dearness }: Rated<E>): number {
    return part < 1 && this.dice.ratio() < part ? dearness * part : dearness;
  }

  private catchUp(now: number): void {
    for (let { last } = this.news; last !== null; last = this.news.last) {
      last.seen();
      this.look(last as Rated<E>, now);
    }
  }

  private look(member: Rated<E>, now: number): void {
    member.look(now);
    if (member.place >= 0) this.seat(member);
  }

  private seat(member: Rated<E>): void {
    const { dearness } = member;
    this.tournament.set(
      member.place,
      this.heaviest > 0 ? (dearness * this.heaviest) / member.weight : dearness,
    );
  }

  private bench(id: string): void {
    const place = this.set.find(id)?.place ?? -1;
    if (place >= 0) this.tournament.set(place, Number.POSITIVE_INFINITY);
  }

  /** Looks at some of those that nothing happened to: as many as the time that passed is of the time for all. */
  private review(passedMs: number, now: number): void {
    const { length } = this.order;
    this.reviewedAt = now;
    for (let left = Math.ceil(length * Math.min(1, Math.abs(passedMs) / reviewMs)); left > 0; left--) {
      this.look(this.order[this.reviewer] as Rated<E>, now);
      this.reviewer = this.reviewer + 1 >= length ? 0 : this.reviewer + 1;
    }
  }
}

/**
 * Takes the endpoint with the lowest load of all, by a tournament that every answer updates: what it costs grows with the
 * logarithm of how many there are. Those that are as good share by chance, in proportion to weight.
 *
 * The right choice with meters that know something worth comparing, {@link serverBacklog} above all. Two choices
 * ({@link p2c}) look at two endpoints of which a client with few calls knows nothing; the whole set has one that it has
 * heard good news of a moment ago. Not for calls that should find a warm cache: {@link rendezvous}.
 *
 * Loads are read when something happened to an endpoint, and all of them every 200 ms.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = leastLoad({ meter: c3({ clients: 20 }), slowStart: {} });
 * balancer.update(endpoints, now);
 * const lease = balancer.pick(now);
 * ```
 *
 * Source: Goren, Vargaftik, Moses, "Distributed dispatching in the parallel server model", 2020, and Vargaftik, Keslassy, Orda, "LSQ:
 * Load Balancing in Large-Scale Heterogeneous Systems with Multiple Dispatchers", 2020: the shortest queue by what this
 * dispatcher alone remembers, however old. A tournament instead of a scan.
 */
export function leastLoad<E extends Endpoint = Endpoint>(options?: LeastLoadOptions): Balancer<E> {
  const resolved = resolveOptions('leastLoad', leastLoadDefaults, options, {
    toleranceRatio: { min: 0 },
    probeRatio: { min: 0, max: 0.1 },
  });
  checkChoice('leastLoad.weighting', resolved.weighting, ['draw', 'none']);
  return new LeastLoad(resolved);
}
