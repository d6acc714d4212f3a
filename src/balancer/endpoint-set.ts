import type { Endpoint } from '../core/endpoint.js';
import { freePermit, type Permit } from '../core/gate.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { EndpointSnapshot, Lease, Witness } from './balancer.js';
import type { SlowStart } from './slow-start.js';

/** Weights outside this range are pulled to its ends, so that 0 is as good as nothing and no sum overflows. */
const lightest = 1e-3;
const heaviest = 1e6;

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
  private ramp: SlowStart | undefined = undefined;
  private warmAt = Number.NEGATIVE_INFINITY;

  constructor(public endpoint: E) {}

  /** The registry said something new about it. */
  renew(endpoint: E): void {
    this.endpoint = endpoint;
    const { weight } = endpoint;
    this.weight = Math.min(heaviest, Math.max(lightest, Number.isNaN(weight) ? 100 : weight));
  }
  /** It joined a set that was running. */
  chill(ramp: SlowStart, now: number): void {
    this.ramp = ramp;
    this.warmAt = now + ramp.rampMs;
  }
  /** Ends its slow start. */
  warm(): void {
    this.warmAt = Number.NEGATIVE_INFINITY;
  }
  /** Whether its slow start goes on. */
  isCold(now: number): boolean {
    return now < this.warmAt;
  }
  /** Part of its weight that counts now: 1, or less during a slow start. */
  share(now: number): number {
    if (this.ramp === undefined || now >= this.warmAt) return 1;
    return this.ramp.share(now - this.warmAt + this.ramp.rampMs);
  }
  /** A call starts. */
  start(_now: number): Permit {
    return freePermit;
  }
  /** Something that a call told may have changed its load. */
  moved(): void {
    // Only balancers that remember loads have to know.
  }
  /** What an observer is shown as its load. */
  load(_now: number): number | undefined {
    return this.inflight;
  }
}

/** Two who hear of one call: an ejection around another. */
class Witnesses implements Witness {
  constructor(
    private readonly first: Witness,
    private readonly second: Witness,
  ) {}
  heard(outcome: Outcome, now: number): void {
    this.first.heard(outcome, now);
    this.second.heard(outcome, now);
  }
  ended(): void {
    this.first.ended();
    this.second.ended();
  }
}

/** The lease of every balancer that keeps an {@link EndpointSet}. */
export class MemberLease<E extends Endpoint, M extends Member<E>> implements Lease<E> {
  readonly endpoint: E;
  /** Whether the first response, or the end, has been seen. */
  answered = false;
  private released = false;
  private witness: Witness | undefined = undefined;

  constructor(
    private readonly set: EndpointSet<E, M>,
    private readonly member: M,
    private readonly permit: Permit,
    readonly reason: string,
  ) {
    this.endpoint = member.endpoint;
  }

  attend(witness: Witness): void {
    this.witness = this.witness === undefined ? witness : new Witnesses(this.witness, witness);
  }
  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.answered) return;
    this.answered = true;
    this.member.moved();
    this.permit.observe(outcome, now, feedback);
    this.witness?.heard(outcome, now);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.released) return;
    this.released = true;
    const { member, witness } = this;
    const heard = this.answered;
    this.answered = true;
    member.inflight--;
    member.moved();
    if (member.inflight === 0) this.set.forgetLeaver(member);
    // All counts first: a meter of the user's that throws must not cost a place in flight for ever.
    witness?.ended();
    this.permit.release(outcome, now, feedback);
    if (!heard) witness?.heard(outcome, now);
  }
}

/**
 * The endpoints of a balancer, each with its state. The array is rebuilt by {@link update} only, so that a pick
 * allocates nothing but its lease.
 *
 * A member that leaves is remembered while it has leases, and as long as the set is told to: if it comes back before, it is the
 * same member.
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

  /** Replaces the list. An id that comes twice counts once. */
  update(endpoints: readonly E[], now: number): void {
    this.updates++;
    const members: M[] = [];
    for (const endpoint of endpoints) {
      const member = this.known.get(endpoint.id) ?? this.join(endpoint, now);
      if (member.seenIn === this.updates) continue;
      member.seenIn = this.updates;
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

  /** Takes a lease on a member. */
  lease(member: M, reason: string, now: number): MemberLease<E, M> {
    const permit = member.start(now);
    member.inflight++;
    return new MemberLease(this, member, permit, reason);
  }

  /** Drops the state of a member that has left, unless the next update is to do so; one that is in the list stays. */
  forgetLeaver(member: M): void {
    if (member.seenIn !== this.updates && this.keepMs === 0) this.known.delete(member.endpoint.id);
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

  private away(member: M, now: number): void {
    if (member.seenIn === this.updates - 1) member.leftAt = now;
    const remembered = Math.abs(now - member.leftAt) < this.keepMs;
    if (member.inflight === 0 && !remembered) this.known.delete(member.endpoint.id);
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
