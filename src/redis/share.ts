import type { Clock, Timer } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { Allowance } from './allowance.js';
import { Demand } from './demand.js';
import { KnownDebt } from './known-debt.js';
import type { Link, Report } from './link.js';
import { Outage } from './outage.js';
import type { Grant } from './script.js';
import { StandIn, type StandInTerms } from './stand-in.js';
import type { Asker, Trip } from './trip.js';
import { passed, unknown } from './verdict.js';
import { type WaitEnds, Waiter } from './waiter.js';

/** What all keys of one limit have in common. */
export interface Terms extends StandInTerms {
  readonly name: string;
  readonly aheadMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly link: Link;
  readonly report: Report;
}

/** Braces are what places a key of a cluster: up to the first that closes. With one within, all such keys would be one place. */
const escaped = (key: string): string => key.replace(/[%}]/g, (found) => (found === '%' ? '%25' : '%7D'));

/** What is ahead is refilled when this part of it is left; of less than two there is no part. */
const refillRatio = 1 / 4;

/** This process's share of one key: what it was granted and has not used, what it knows of the rest, and who waits. */
export class Share implements Asker {
  private readonly allowance = new Allowance();
  private readonly demand: Demand;
  private readonly known: KnownDebt;
  private readonly outage: Outage;
  private readonly standIn: StandIn;
  private readonly redisKey: string;
  private waiters: Waiter[] = [];
  private trip: Trip | undefined;
  /** How much the trip asks for. */
  private asked = 0;
  /** With less than that at hand it is time to ask for more. */
  private refillAt = 0;
  private returning: Timer | undefined;
  private whenIdle: (() => void) | undefined;

  constructor(
    private readonly key: string,
    private readonly terms: Terms,
  ) {
    this.demand = new Demand(terms.aheadMs);
    this.known = new KnownDebt(terms.perSecond / 1000, terms.burst);
    this.outage = new Outage(0, terms.random);
    this.standIn = new StandIn(terms, this.known);
    this.redisKey = `keelson:{${terms.name}:${escaped(key)}}`;
  }

  /** How many calls wait. */
  get waiting(): number {
    return this.waiters.filter(({ over }) => !over).length;
  }

  /** Whether it decides without Redis. */
  get isAway(): boolean {
    return this.outage.lasts || this.terms.link.isAway;
  }

  /** How much may pass without a question. */
  held(now: number): number {
    this.allowance.expire(now);
    return this.allowance.left;
  }

  /** Decides now, or says `unknown`: then {@link wait} is next. */
  decide(now: number, cost: number): number {
    const { allowance } = this;
    if (cost > this.terms.burst) return Number.POSITIVE_INFINITY;
    this.demand.add(cost);
    // Who waits comes first: a large call would wait for ever while small ones take what is there for it.
    if (this.waiters.length === 0 && allowance.take(cost, now)) {
      if (allowance.left < this.refillAt) this.refill(now);
      return passed;
    }
    if (this.isAway) return this.decideAlone(now, cost);
    if (this.trip !== undefined) return unknown;
    const waitMs = this.known.waitMs(now, cost - allowance.left);
    return waitMs > 0 ? waitMs : unknown;
  }

  /** Lets a call wait for Redis. */
  wait(cost: number, ends: WaitEnds): void {
    const now = this.terms.clock.now();
    const waiter = new Waiter(cost, now, ends);
    // Its caller gave up beforehand: nobody would ask on its account, and so nobody would take it out again.
    if (waiter.over) return;
    this.waiters.push(waiter);
    if (this.trip === undefined) this.askForWaiters(now);
  }

  answered(grant: Grant, trip: Trip): void {
    const { allowance, known, terms } = this;
    const now = terms.clock.now();
    this.trip = undefined;
    this.standIn.reset();
    known.learn(grant.debt, now);
    if (grant.granted > 0) {
      const until = trip.sentAt + 2 * terms.aheadMs;
      allowance.put(grant.granted, grant.mark, { from: trip.sentAt, until });
    }
    if (grant.granted < this.asked && terms.burst - grant.debt < 1) known.pause(this.pauseMs());
    // As of the question, that counted on what was there then; even if the answer took longer than a lease.
    for (const waiter of this.waiters)
      if (!waiter.over && allowance.take(waiter.cost, trip.sentAt)) waiter.pass();
    this.waiters = this.waiters.filter((waiter) => {
      if (waiter.over) return false;
      const waitMs = known.waitMs(now, waiter.cost - allowance.left);
      if (waitMs > 0 || now - waiter.since >= terms.timeoutMs) waiter.refuse(waitMs);
      return !waiter.over;
    });
    this.refillAt = allowance.left < 2 ? 0 : Math.max(1, allowance.left * refillRatio);
    this.askForWaiters(now);
    this.rest(now);
    if (this.outage.ended()) terms.report(false, this.key, undefined);
  }

  failed(error: unknown): void {
    const now = this.terms.clock.now();
    const { waiters } = this;
    const began = this.outage.failed(now);
    this.trip = undefined;
    this.waiters = [];
    for (const waiter of waiters) {
      if (waiter.over) continue;
      const verdict = this.decideAlone(now, waiter.cost);
      if (verdict === passed) waiter.pass();
      else waiter.refuse(verdict);
    }
    this.rest(now);
    if (began) this.terms.report(true, this.key, error);
  }

  cameLate(grant: Grant): void {
    this.allowance.discard(grant.granted, grant.mark);
    this.rest(this.terms.clock.now());
  }

  /** Gives everything back; resolves when that is done, or cannot be. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.whenIdle = resolve;
      this.rest(this.terms.clock.now());
    });
  }

  private decideAlone(now: number, cost: number): number {
    const { link } = this.terms;
    // A question that takes nothing: its answer may come much later, from a client that keeps it until it is connected.
    if (this.trip === undefined && this.outage.remainingMs(now) === 0 && link.mayTry(now)) this.ask(0, 0);
    const tryMs = Math.max(this.outage.remainingMs(now), link.remainingMs(now));
    return this.standIn.decide(now, cost, tryMs);
  }

  private refill(now: number): void {
    if (this.trip !== undefined || this.isAway || this.known.isPaused(now)) return;
    const most = this.target(now) - this.allowance.left;
    if (most >= 1) this.ask(0, most);
    else this.refillAt = 0;
  }

  private askForWaiters(now: number): void {
    const waiters = this.waiters.filter(({ over }) => !over);
    const [first] = waiters;
    if (first === undefined || this.trip !== undefined) return;
    this.allowance.expire(now);
    const { left } = this.allowance;
    const sum = waiters.reduce((total, { cost }) => total + cost, 0);
    this.ask(Math.max(0, first.cost - left), Math.max(sum, this.target(now)) - left);
  }

  /** What this process uses within `aheadMs`, and not more than all may. */
  private target(now: number): number {
    const { aheadMs, perSecond } = this.terms;
    return Math.floor(Math.min(this.demand.settle(now), (perSecond * aheadMs) / 1000));
  }

  /**
   * How long to leave an empty bucket alone, so that a question brings more than a token: half of `aheadMs`, not all
   * processes at once, and not so long that the bucket could fill up and run over. Where nothing is taken in advance
   * every token is worth a question.
   */
  private pauseMs(): number {
    const { aheadMs, burst, perSecond, random } = this.terms;
    if (perSecond * aheadMs < 2000) return 0;
    return Math.min(aheadMs * (0.25 + random() / 2), (500 * burst) / perSecond);
  }

  private ask(least: number, most: number): void {
    const { perSecond, burst, link } = this.terms;
    const [unused, mark] = this.allowance.giveBack();
    const numbers = [perSecond, burst, least, most, unused];
    this.asked = most;
    this.trip = link.send(this.redisKey, [...numbers.map(String), mark], this);
  }

  /** What is left to do when nothing is under way: to give back what was not used, now or when its time is over. */
  private rest(now: number): void {
    const { allowance, terms } = this;
    if (this.trip !== undefined) return;
    if (this.whenIdle !== undefined) this.leave(this.whenIdle);
    // What is left over while Redis is away goes back with the question whether it is there again.
    else if (this.returning === undefined && (allowance.left > 0 || (allowance.unused > 0 && !this.isAway)))
      this.returning = terms.clock.after(allowance.leftMs(now), () => this.giveBack());
  }

  private giveBack(): void {
    const now = this.terms.clock.now();
    this.returning = undefined;
    this.allowance.expire(now);
    if (this.trip === undefined && this.allowance.unused > 0 && !this.isAway) this.ask(0, 0);
    this.rest(now);
  }

  private leave(done: () => void): void {
    this.returning?.cancel();
    this.allowance.surrender();
    if (this.allowance.unused > 0) this.ask(0, 0);
    else done();
  }
}
