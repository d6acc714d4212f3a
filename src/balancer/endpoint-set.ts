import type { ComparedLoads } from '../core/call.js';
import type { Endpoint } from '../core/endpoint.js';
import { wrongKind } from '../core/options.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { EndpointSnapshot, Lease, Witness } from './balancer.js';
import type { SlowStart } from './slow-start.js';

/** Weights outside this range are pulled to its ends, so that 0 is as good as nothing and no sum overflows. */
const lightest = 1e-3;
const heaviest = 1e6;
/** Of an endpoint that has none. */
const usual = 100;

/** How far a lease has come. Numbers are compared faster than booleans. */
const underWay = 0;
const observed = 1;
const released = 2;

/** Where a member that left is remembered. */
interface Leavers<E extends Endpoint> {
  /** One of its leases is over. */
  forgetLeaver(member: Member<E>): void;
}

/** What a balancer remembers of one endpoint. Balancers that remember more extend it. */
export class Member<E extends Endpoint> {
  /** Leases that are not released. */
  inflight = 0;
  /** Registered weight, made safe to divide by. */
  weight = 1;
  /** The update that last named it. */
  seenIn = 0;
  /** When an update first did not. */
  leftAt = Number.NEGATIVE_INFINITY;
  /** Who hears of the calls that begin now. */
  witness: Witness | undefined = undefined;
  /** Its load as it was compared last, by balancers that compare. */
  dearness = 0;
  private ramp: SlowStart | undefined = undefined;
  private warmAt = Number.NEGATIVE_INFINITY;
  /** The set that remembers it while it is in no list; `undefined` while it is in. */
  leftFrom: Leavers<E> | undefined = undefined;

  constructor(public endpoint: E) {}

  /** The registry said something new about it. */
  renew(endpoint: E): void {
    this.endpoint = endpoint;
    // A registry may say anything, nothing included.
    const weight: unknown = endpoint.weight;
    const said = typeof weight === 'number' && !Number.isNaN(weight);
    this.weight = said ? Math.min(heaviest, Math.max(lightest, weight)) : usual;
  }
  /** It joined a set that was running. */
  chill(ramp: SlowStart, now: number): void {
    this.ramp = ramp;
    this.warmAt = now + ramp.rampMs;
  }
  /** Ends its slow start. */
  warm(): void {
    this.ramp = undefined;
    this.warmAt = Number.NEGATIVE_INFINITY;
  }
  /** Whether its slow start goes on. */
  isCold(now: number): boolean {
    return now < this.warmAt;
  }
  /** Part of its weight that counts now: 1, or less during a slow start. */
  share(now: number): number {
    return this.ramp === undefined ? 1 : this.ramped(this.ramp, now);
  }
  private ramped(ramp: SlowStart, now: number): number {
    return now < this.warmAt ? ramp.share(now - this.warmAt + ramp.rampMs) : 1;
  }
  /** A call starts. Only balancers that measure loads have to know, of this and of what follows. */
  start(_now: number): void {}
  /** The first response of a call, or its end if there was none. */
  answer(_outcome: Outcome, _startedAt: number, _now: number, _feedback: Feedback | undefined): void {}
  /** A call that was answered is over. */
  end(_now: number): void {}
  /** What an observer is shown as its load. */
  load(_now: number): number | undefined {
    return this.inflight;
  }
}

/**
 * The lease of every balancer that keeps an {@link EndpointSet}: the one object of a call. It sees to it that the meter and the
 * witness are told each thing once, so that they need none of their own.
 */
export class MemberLease<E extends Endpoint> implements Lease<E> {
  private stage = underWay;
  /** Who was compared with it and not picked. */
  rival: Member<E> | undefined = undefined;

  /** @param witness - who heard of its begin: others may have come since */
  constructor(
    readonly endpoint: E,
    readonly reason: string,
    private readonly member: Member<E>,
    private readonly witness: Witness | undefined,
    private readonly startedAt: number,
  ) {}

  /** Whether the first response, or the end, has been seen. */
  get answered(): boolean {
    return this.stage !== underWay;
  }

  compared(): ComparedLoads | undefined {
    const { member, rival } = this;
    if (rival === undefined) return undefined;
    return { load: member.dearness, rival: rival.endpoint, rivalLoad: rival.dearness };
  }

  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.stage !== underWay) return;
    this.stage = observed;
    this.member.answer(outcome, this.startedAt, now, feedback);
    this.witness?.heard(outcome, now);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    const { stage, member, witness } = this;
    if (stage === released) return;
    this.stage = released;
    member.inflight--;
    if (member.leftFrom !== undefined) member.leftFrom.forgetLeaver(member);
    // All counts first: a meter of the user's that throws must not cost a place in flight for ever.
    if (witness !== undefined) witness.ended();
    if (stage === underWay) member.answer(outcome, this.startedAt, now, feedback);
    member.end(now);
    if (stage === underWay && witness !== undefined) witness.heard(outcome, now);
  }
}

/** Those without would all be one. */
function checkIds(endpoints: readonly Endpoint[]): void {
  if (!Array.isArray(endpoints)) throw wrongKind('balancer.update: endpoints', 'an array', endpoints);
  const at = endpoints.findIndex((endpoint) => typeof endpoint?.id !== 'string' || endpoint.id === '');
  if (at >= 0) throw wrongKind(`balancer.update: endpoints[${at}].id`, 'a name', endpoints[at]?.id);
}

/**
 * The endpoints of a balancer, each with its state. The array is rebuilt by {@link update} only, so that a pick
 * allocates nothing but its lease.
 *
 * A member that leaves is remembered as long as the set is told to, and by a set that is not told while it has leases: if it
 * comes back before, it is the same member; later it is a newcomer.
 */
export class EndpointSet<E extends Endpoint, M extends Member<E>> {
  /** Those that may be picked, each once, in the order of the list. */
  members: readonly M[] = [];
  private readonly known = new Map<string, M>();
  private updates = 0;

  /**
   * @param make - makes the state of a newcomer
   * @param ramp - how newcomers start; without it, at full weight
   * @param keepMs - how long to remember one that has left, at least
   */
  constructor(
    private readonly make: (endpoint: E, now: number) => M,
    private readonly ramp?: SlowStart | undefined,
    private readonly keepMs = 0,
  ) {}

  /** How many it remembers: the members, and leavers that still have leases. */
  get remembered(): number {
    return this.known.size;
  }

  /**
   * Replaces the list. An id that comes twice counts once.
   *
   * @throws TypeError where one has no id
   */
  update(endpoints: readonly E[], now: number): void {
    checkIds(endpoints);
    this.updates++;
    const members: M[] = [];
    for (const endpoint of endpoints) {
      const member = this.recall(endpoint.id, now) ?? this.join(endpoint, now);
      if (member.seenIn === this.updates) continue;
      member.seenIn = this.updates;
      member.leftFrom = undefined;
      member.renew(endpoint);
      members.push(member);
    }
    this.members = members;
    for (const member of this.known.values()) if (member.seenIn !== this.updates) this.away(member, now);
    if (this.ramp !== undefined) this.callOffRamps(now);
  }

  /** The one of that id, a leaver that still has leases included. */
  find(id: string): M | undefined {
    return this.known.get(id);
  }

  /** Names who hears of the calls to a member that begin from now on. */
  attend(id: string, witness: Witness): void {
    const member = this.known.get(id);
    if (member !== undefined) member.witness = witness;
  }

  /** Takes a lease on a member. */
  lease(member: M, reason: string, now: number): MemberLease<E> {
    member.start(now);
    member.inflight++;
    const { endpoint, witness } = member;
    if (witness !== undefined) witness.began();
    return new MemberLease(endpoint, reason, member, witness, now);
  }

  /** Drops the state of a member that has left and has no leases any more, unless the next update is to do so. */
  forgetLeaver(member: Member<E>): void {
    if (member.inflight === 0 && this.keepMs === 0) this.known.delete(member.endpoint.id);
  }

  /** One entry per member. */
  snapshot(now: number): readonly EndpointSnapshot[] {
    return this.members.map((member) => ({
      id: member.endpoint.id,
      url: member.endpoint.url,
      weight: member.weight * member.share(now),
      inflight: member.inflight,
      load: member.load(now),
      ejectedUntil: undefined,
    }));
  }

  /** Who was away for too long is not known, however few updates there were since. */
  private recall(id: string, now: number): M | undefined {
    const member = this.known.get(id);
    const forgotten = member?.leftFrom !== undefined && this.keepMs > 0 && this.isOld(member, now);
    return forgotten ? undefined : member;
  }

  private isOld({ leftAt }: M, now: number): boolean {
    return Math.abs(now - leftAt) >= this.keepMs;
  }

  private away(member: M, now: number): void {
    if (member.leftFrom === undefined) member.leftAt = now;
    member.leftFrom = this;
    if (member.inflight === 0 && this.isOld(member, now)) this.known.delete(member.endpoint.id);
  }

  private join(endpoint: E, now: number): M {
    const member = this.make(endpoint, now);
    if (this.ramp !== undefined) member.chill(this.ramp, now);
    this.known.set(endpoint.id, member);
    return member;
  }

  /** When most are new, as all are at first, sparing them would only crush the few that are not. */
  private callOffRamps(now: number): void {
    let cold = 0;
    for (const member of this.members) if (member.isCold(now)) cold++;
    if (cold * 2 > this.members.length) for (const member of this.members) member.warm();
  }
}
