import type { Random } from '../core/random.js';

/** With fewer calls in mind than this nothing is refused. Nor do fewer in a row say that there is room again. */
const fewest = 10;
/** How often what is in mind fades: in steps of this share of the window. */
const stepRatio = 1 / 20;
/** Fewer shed calls than this are none: sums that fade never reach 0. */
const trifle = 0.01;
/**
 * At the limit of a callee one call of some ten is shed. After so many without any, the limit is elsewhere, and the rate
 * grows in proportion to their number.
 */
const unusualRun = 24;
/**
 * The least share of the calls that passes, and the least share of that. A callee that sheds the same share whatever is
 * sent to it, because others send it so much, would else see ever less of whoever holds back. It is also what is wasted on
 * a callee of which ever more is asked: at ten times what it can do 0.26 calls for each that it does, with a fifth 0.4.
 */
const leastShare = 0.16;
/** What may pass in one go after a pause. More, and a callee that is at its limit has to shed some; less, and pauses are lost. */
const mostCredit = 5;

/** What the latest call weighs in what share is let in of those that were sent from here. */
const lately = 1 / 16;
/** If it is so much less than the callee says of all, that is not true of these: calls that matter less are shed first. */
const contrary = 1 / 2;

/** How a {@link ShedThrottle} is set. */
export interface ShedThrottleSettings {
  readonly k: number;
  readonly overloadK: number;
  readonly maxRequests: number;
  readonly windowMs: number;
  readonly probeIntervalMs: number;
  readonly random: Random;
}

/**
 * Sends a callee that sheds little more than it takes: `k` calls for each that succeeds, at an even pace.
 *
 * Whether anything is refused is decided as by the throttle that this comes from: `requests > k * successes`, refusals
 * among the requests. What is refused is not: that one casts a die for each call, so that the callee now gets five in a
 * row and then none, and has to shed the ones and is idle at the others. Here calls pass at `k` times the rate of the
 * successes, and one is refused if it comes before its time. That is the whole difference between 10 % of waste at 87 % of
 * the capacity and 5 % at 99 %, at a callee of 50 calls per second that lets 4 wait.
 *
 * What it has in mind are sums that fade, by number and by time; all alike, so that fading changes no ratio.
 *
 * Source: Beyer et al., "Site Reliability Engineering", chapter 21, client-side throttling.
 */
export class ShedThrottle {
  /** The share that is refused now; 0 while everything passes. */
  ratio = 0;
  /** Calls that were answered, shed, or refused here. */
  requests = 0;
  successes = 0;
  /** With none of them in mind nothing is refused. */
  sheds = 0;
  /** They decide nothing here; they fade with the rest, for whoever looks. */
  failures = 0;
  /** The time in which all that happened. */
  private spanMs = 0;
  private fadedAt = Number.NaN;
  /** What has been saved up for letting calls pass; each that passes takes 1. */
  private credit = 0;
  private creditedAt = Number.NaN;
  /** Calls that were answered since one was shed. */
  private run = 0;
  /** The share of calls that was let in lately, as it was seen here. */
  private letIn = 1;
  /** When the callee last said what share it lets in. */
  private statedAt = Number.NaN;

  constructor(private settings: ShedThrottleSettings) {}

  /** Takes other settings; what is in mind stays. */
  set(settings: ShedThrottleSettings): void {
    this.settings = settings;
    this.weigh();
  }

  /** Whether a call passes. One that does not is a request without a success. */
  admit(now: number): boolean {
    this.fade(now);
    if (this.ratio === 0) return true;
    const sinceMs = now - this.creditedAt;
    const earned = sinceMs > 0 ? this.credit + sinceMs * this.perMs(now) : this.credit;
    const credit = earned < mostCredit ? earned : mostCredit;
    this.creditedAt = now;
    // Drawn, and not 1: calls of two kinds that come in turns must not all be refused of one kind.
    const admitted = credit > this.settings.random();
    this.credit = admitted ? credit - 1 : credit;
    if (!admitted) this.count(now);
    return admitted;
  }

  /** A call that was let in was not sent. */
  refund(): void {
    this.credit = Math.min(mostCredit, this.credit + 1);
  }

  /** The callee said itself that it sheds: its overload is that of all who call it. */
  stated(now: number): void {
    this.statedAt = now;
  }

  /** The callee let a call in and did not say so. After some of them it has room again. */
  retracted(): void {
    if (this.run >= fewest) this.statedAt = Number.NaN;
  }

  /** Whether the calls that were sent from here are shed far more than the callee says of all. */
  contradicts(told: number): boolean {
    return this.letIn < contrary * told;
  }

  /** A call was answered or shed, by a callee that takes in such a part of what it gets; what was seen of that, 1 or 0. */
  answered(now: number, part: number, seen = part): void {
    this.fade(now);
    this.letIn += (seen - this.letIn) * lately;
    this.successes += part;
    this.sheds += 1 - part;
    this.run = part < 1 ? 0 : this.run + 1;
    this.count(now);
  }

  /** A call failed. */
  failed(now: number): void {
    this.fade(now);
    this.failures++;
  }

  /** So many calls in a row were answered since anything was told of last, by a callee that sheds nothing. */
  calm(now: number, calls: number): void {
    const sinceMs = now - this.fadedAt;
    const { windowMs } = this.settings;
    this.pass(now);
    // As if they had come evenly: those of them that are older than the window weigh little.
    const kept = sinceMs > 0 ? (windowMs / sinceMs) * -Math.expm1(-sinceMs / windowMs) : 1;
    this.requests += calls * kept;
    this.successes += calls * kept;
    this.run += calls;
    this.letIn = 1 - (1 - this.letIn) * (1 - lately) ** calls;
    this.bound(now);
  }

  /**
   * Begins anew with a guess at the rate that the callee can take, which a few calls overrule. It was down until now: if it
   * sheds, that is the whole of it, said or not.
   */
  begin(now: number, perMs: number): void {
    this.forget();
    this.fadedAt = now;
    this.creditedAt = now;
    this.statedAt = now;
    this.requests = 2 * fewest;
    this.successes = fewest;
    this.sheds = fewest;
    this.spanMs = fewest / perMs;
    this.weigh();
  }

  /** Begins anew with nothing. */
  forget(): void {
    this.requests = 0;
    this.successes = 0;
    this.sheds = 0;
    this.failures = 0;
    this.spanMs = 0;
    this.credit = 0;
    this.run = 0;
    this.letIn = 1;
    this.statedAt = Number.NaN;
    this.ratio = 0;
  }

  /** Lets time pass. */
  fade(now: number): void {
    const sinceMs = now - this.fadedAt;
    if (sinceMs >= 0 && sinceMs < this.settings.windowMs * stepRatio) return;
    this.pass(now);
    this.weigh();
  }

  private pass(now: number): void {
    const sinceMs = now - this.fadedAt;
    this.fadedAt = now;
    // A clock that stepped back counts as no time passed.
    if (sinceMs < 0) this.statedAt += sinceMs;
    if (!(sinceMs > 0)) return;
    const { windowMs } = this.settings;
    this.scale(Math.exp(-sinceMs / windowMs));
    this.spanMs += windowMs * -Math.expm1(-sinceMs / windowMs);
  }

  /** The rate that is let through. Never less than that of probes: without any call nothing would be learned again. */
  private perMs(now: number): number {
    const spanMs = Math.max(1, this.spanMs + now - this.fadedAt);
    const { k, successes, sheds } = this;
    // Fewer are shed than `k` is for: callers have gaps in which nothing comes, and what a gap costs is made up for.
    const spare = Math.max(1, (k * successes) / (successes + sheds));
    const wanted = k * successes * spare * Math.max(1, this.run / unusualRun);
    const perMs = Math.max(wanted, this.leastShare * this.requests) / spanMs;
    return Math.max(perMs, 1 / this.settings.probeIntervalMs);
  }

  private get k(): number {
    return this.isStated ? this.settings.overloadK : this.settings.k;
  }

  private get isStated(): boolean {
    return this.fadedAt - this.statedAt < this.settings.windowMs;
  }

  /** In proportion to what is let in of what is sent, where it is not one caller's quota: a fifth of a flood is a flood. */
  private get leastShare(): number {
    const { successes, sheds } = this;
    if (sheds === 0 || !this.isStated) return leastShare;
    return leastShare * Math.max(leastShare, successes / (successes + sheds));
  }

  private count(now: number): void {
    this.requests++;
    this.bound(now);
    this.weigh();
  }

  /** Down to half of what is too much: not at each call, but seldom. */
  private bound(now: number): void {
    const { maxRequests } = this.settings;
    if (this.requests < 2 * maxRequests) return;
    this.pass(now);
    this.scale(maxRequests / this.requests);
  }

  private scale(by: number): void {
    this.requests *= by;
    this.successes *= by;
    this.failures *= by;
    this.spanMs *= by;
    this.sheds = this.sheds * by < trifle ? 0 : this.sheds * by;
  }

  private weigh(): void {
    const { requests, successes, sheds } = this;
    const excess = requests - this.k * successes;
    this.ratio = sheds > 0 && excess > 0 && requests >= fewest ? excess / (requests + 1) : 0;
  }
}
