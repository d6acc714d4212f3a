import type { Ask, Permit } from '../core/gate.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import { AnnouncedState } from './announced-state.js';
import type { Breaker, BreakerMode, BreakerSnapshot, BreakerState } from './breaker.js';
import {
  type EvidenceOptions,
  type EvidenceSettings,
  evidenceDefaults,
  evidenceSettings,
} from './evidence-options.js';
import { limitOf, OutageScore } from './outage-score.js';
import { Pace } from './pace.js';
import { ShedThrottle } from './shed-throttle.js';

/** So many successes in a row without a refusal in between, and a callee is back. */
const enough = 8;
/** What a call is part of whose result is evidence of nothing: one that was let through against the breaker's own view. */
const nothing = -1;
/** No call is part of it. */
const never = -2;
/** Added to a period for a call that passed because it matters more than others. Periods are even. */
const privileged = 1;

/** So many successes in a good time are taken in at once. */
const portion = 256;

const observed = 1;
const released = 2;

/** How long the callee asked to be left alone. That it is not to be tried again at all is about the call, and no time. */
function timeAway(feedback: Feedback | undefined): number {
  const ms = feedback?.retryAfterMs;
  return ms !== undefined && ms > 0 && ms < Number.POSITIVE_INFINITY ? ms : 0;
}

class EvidencePermit implements Permit {
  private stage = 0;

  /** @param part - the period in which the call began, see {@link privileged} and {@link nothing} */
  constructor(
    private readonly breaker: Evidence,
    readonly part: number,
  ) {}

  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.stage !== 0) return;
    this.stage = observed;
    this.breaker.learn(this.part, outcome, now, feedback);
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    const { stage } = this;
    if (stage === released) return;
    this.stage = released;
    this.breaker.inflight--;
    if (stage === 0) this.breaker.learn(this.part, outcome, now, feedback);
  }
}

class Evidence implements Breaker<EvidenceOptions> {
  readonly code = 'BREAKER_OPEN';
  inflight = 0;
  private readonly announced: AnnouncedState;
  private readonly score: OutageScore;
  private readonly throttle: ShedThrottle;
  /** For calls of a priority above 0, which pass the other: a server sheds them too where they alone are too many. */
  private readonly privilegedThrottle: ShedThrottle;
  private readonly pace: Pace;
  private state: BreakerState = 'closed';
  /** Grows by 2 with each opening: a result of a call that began in another period is not evidence for this one. */
  private period = 0;
  /** Whether calls have to be decided on: the rest of the time all of them pass. */
  private wary: boolean;
  /** Whether it opened because hardly any call was let in: a probe that is shed then says nothing new. */
  private shut = false;
  /** The period as long as successes only have to be counted, because there is nothing else to know; else {@link never}. */
  private calm = 0;
  /** Successes that were counted, and not yet taken in. */
  private counted = 0;

  constructor(private settings: EvidenceSettings) {
    this.announced = new AnnouncedState(settings);
    this.score = new OutageScore(limitOf(settings.consecutiveFailures));
    this.throttle = new ShedThrottle(settings);
    this.privilegedThrottle = new ShedThrottle(settings);
    this.pace = new Pace(settings);
    this.wary = settings.mode === 'open';
  }

  tryAcquire(now: number, ask?: Ask): Permit | null {
    if (this.wary) return this.decide(now, ask);
    this.inflight++;
    return new EvidencePermit(this, this.period);
  }

  retryAfterMs(now: number): number | undefined {
    return this.settings.mode === 'auto' && this.state === 'open' ? this.pace.waitMs(now) : undefined;
  }

  /** Takes in how a call ended: once for each, when its verdict is known. */
  learn(part: number, outcome: Outcome, now: number, feedback: Feedback | undefined): void {
    if (part === this.calm && outcome === 'success' && feedback?.load?.admitRatio === undefined) {
      if (++this.counted === portion) this.takeIn(now);
    } else this.learnMore(part, outcome, now, feedback);
  }

  snapshot(now: number): BreakerSnapshot {
    const { settings, throttle, privilegedThrottle, inflight } = this;
    this.takeIn(now);
    throttle.fade(now);
    privilegedThrottle.fade(now);
    this.settle();
    this.announced.become(this.state, now);
    return {
      state: this.announced.current,
      mode: settings.mode,
      refusalRatio: this.refusalRatio(),
      requests: Math.round(throttle.requests + throttle.failures + privilegedThrottle.requests),
      successes: Math.round(throttle.successes + privilegedThrottle.successes),
      inflight,
    };
  }

  force(mode: BreakerMode, now: number): void {
    this.reconfigure({ mode }, now);
  }

  reconfigure(options: EvidenceOptions, now: number): void {
    const settings = evidenceSettings(this.settings, options);
    this.settings = settings;
    this.announced.by = settings;
    this.score.limit = limitOf(settings.consecutiveFailures);
    this.pace.settings = settings;
    this.throttle.set(settings);
    this.privilegedThrottle.set(settings);
    this.announced.become(this.state, now);
    this.settle();
  }

  reset(now: number): void {
    this.score.forget();
    this.forgetSheds();
    this.period += 2;
    this.counted = 0;
    this.enter('closed', now);
    this.settle();
  }

  private decide(now: number, ask: Ask | undefined): Permit | null {
    const { mode } = this.settings;
    if (mode === 'open') return null;
    const part = this.partOf(now, ask);
    // What the throttle has in mind may have faded away.
    this.settle();
    if (part === nothing && mode === 'auto') return null;
    this.inflight++;
    return new EvidencePermit(this, part);
  }

  /** @returns what the call is part of; {@link nothing} if it is to be refused */
  private partOf(now: number, ask: Ask | undefined): number {
    if (this.state === 'open') return this.pace.probe(now) ? this.period : nothing;
    if (this.state === 'half-open') return this.pace.admit(now) ? this.period : nothing;
    // A server sheds the others first: what it does with those says nothing of calls that matter more.
    const matters = ask?.priority !== undefined && ask.priority > 0;
    const throttle = matters ? this.privilegedThrottle : this.throttle;
    if (!throttle.admit(now)) return nothing;
    return matters ? this.period + privileged : this.period;
  }

  private learnMore(part: number, outcome: Outcome, now: number, feedback: Feedback | undefined): void {
    this.takeIn(now);
    this.learnFrom(part, outcome, now, feedback);
    this.settle();
  }

  private learnFrom(part: number, outcome: Outcome, now: number, feedback: Feedback | undefined): void {
    const { period, state } = this;
    if (part !== period && part !== period + privileged) return;
    if (outcome === 'success') {
      this.score.succeeded(1);
      this.learnOfAnswer(part, now, feedback, 1);
      if (state !== 'closed') this.returned(now);
    } else if (outcome === 'ignored' || outcome === 'unsent') this.learnNothing(part, outcome);
    else if (state === 'open') this.learnOfProbe(outcome, now, feedback);
    else if (outcome === 'failure') this.learnOfFailure(now, feedback);
    else this.learnOfShed(part, now, feedback);
  }

  private takeIn(now: number): void {
    const calls = this.counted;
    if (calls === 0) return;
    this.counted = 0;
    this.score.succeeded(calls);
    this.throttle.calm(now, calls);
  }

  /** Looks whether the next call, and its end, need more than a glance. */
  private settle(): void {
    const { state, throttle, privilegedThrottle, settings } = this;
    const closed = state === 'closed';
    this.calm = closed && throttle.sheds === 0 && privilegedThrottle.sheds === 0 ? this.period : never;
    this.wary = !closed || throttle.ratio > 0 || privilegedThrottle.ratio > 0 || settings.mode === 'open';
  }

  /** The callee let it in, 1, or shed it, 0. Which part it lets in it may say better, while there are few calls here. */
  private learnOfAnswer(part: number, now: number, feedback: Feedback | undefined, seen: 0 | 1): void {
    const matters = part !== this.period;
    const throttle = matters ? this.privilegedThrottle : this.throttle;
    const told = feedback?.load?.admitRatio;
    if (told === undefined || !(told >= 0 && told <= 1)) {
      if (feedback?.overloaded === true) throttle.stated(now);
      // What is shed it may answer in haste, without a word; what it lets in it does not.
      else if (seen === 1) throttle.retracted();
      throttle.answered(now, seen);
      return;
    }
    throttle.stated(now);
    // What it says is of calls that matter neither more nor less than others.
    const own = matters || throttle.requests >= this.settings.maxRequests || throttle.contradicts(told);
    throttle.answered(now, own ? seen : told, seen);
  }

  private learnNothing(part: number, outcome: 'ignored' | 'unsent'): void {
    if (this.state === 'closed') {
      if (outcome === 'unsent') (part === this.period ? this.throttle : this.privilegedThrottle).refund();
    } else if (outcome === 'unsent') this.pace.unsent();
    else this.pace.back();
  }

  private learnOfProbe(outcome: 'failure' | 'overload', now: number, feedback: Feedback | undefined): void {
    const { probeIntervalMs } = this.settings;
    const awayMs = timeAway(feedback);
    this.pace.back();
    this.pace.keepAway(now, awayMs);
    // It was down, and lives: others were back before us. From here on the throttle holds back, unless it asked for more.
    if (outcome === 'overload' && !this.shut && awayMs <= probeIntervalMs)
      this.closeShedding(now, 1 / probeIntervalMs);
  }

  private learnOfFailure(now: number, feedback: Feedback | undefined): void {
    this.throttle.failed(now);
    if (this.state === 'half-open') this.pace.slow();
    if (this.score.failed(now)) this.open(now, feedback, false);
  }

  private learnOfShed(part: number, now: number, feedback: Feedback | undefined): void {
    if (this.score.shed(now)) this.open(now, feedback, true);
    // It is back, and has met its limit: what passes now may be a step too much, what passed before was not.
    else if (this.state === 'half-open')
      this.closeShedding(now, this.pace.perMs / this.settings.growthFactor);
    else this.learnOfAnswer(part, now, feedback, 0);
  }

  /** A call to a callee that was down succeeded. */
  private returned(now: number): void {
    if (this.state === 'open') {
      this.score.doubt(now);
      this.enter('half-open', now);
    }
    this.pace.quicken();
    if (this.pace.inARow >= enough) this.close(now);
  }

  private open(now: number, feedback: Feedback | undefined, shut: boolean): void {
    this.period += 2;
    this.shut = shut;
    this.forgetSheds();
    this.pace.begin(now, shut);
    this.pace.keepAway(now, timeAway(feedback));
    this.enter('open', now);
  }

  private close(now: number): void {
    this.score.absolve();
    this.enter('closed', now);
  }

  private closeShedding(now: number, perMs: number): void {
    this.throttle.begin(now, perMs);
    this.close(now);
  }

  private forgetSheds(): void {
    this.throttle.forget();
    this.privilegedThrottle.forget();
  }

  private refusalRatio(): number {
    const { mode } = this.settings;
    if (mode !== 'auto') return mode === 'open' ? 1 : 0;
    if (this.state === 'closed') return this.throttle.ratio;
    return this.state === 'open' ? 1 : 1 - this.pace.share;
  }

  private enter(state: BreakerState, now: number): void {
    this.state = state;
    this.announced.become(state, now);
  }
}

/**
 * A breaker that opens on the evidence of an outage, as soon as there is enough of it and whatever the rate of calls; that
 * finds out by single calls, and comes back within a second or two; and that sends a callee which sheds little more than it
 * can take.
 *
 * Use it in front of anything that can be down, one for each endpoint: the default of client stacks. Where one operation can
 * fail and others of the endpoint do not, keep one for each: `keyed(() => evidence())`, at some 1000 bytes and a look-up
 * in a map per call. Not for servers: those need a limiter. {@link sre} refuses in proportion to what fails instead;
 * {@link threshold} has settings that people know from elsewhere.
 *
 * - Closed, it weighs each call against what is usual for the callee, which it learns: five failures in a row where one in
 *   a hundred fails, 18 where three of ten do. A callee that fails half of its calls keeps getting all of them: a brown-out
 *   is no outage, and callers lose less by a failure than by a refusal. From about three quarters on it opens.
 * - Open, one call at a time finds out, `probeIntervalMs` after the one before, later if the callee asked for it
 *   (`retryAfterMs`). What was under way when it opened is no evidence any more. One that is shed shows that the callee lives,
 *   and closes it, at the pace of the probes to begin with.
 * - Half open, from the first success on, calls pass at a rate that each success doubles, or with several in flight each
 *   round trip; failures slow it. After 8 successes without a refusal it is closed.
 * - What is shed (`overload`) is an answer of a callee that lives, and no failure as long as any call is let in: it opens
 *   only after some seventy in a row, however long they take, or where it is usual to shed more than nineteen of twenty and
 *   now all of them are. Then one of ten calls at most finds out, or one in `windowMs` where that is more: what is shed may be
 *   tried again elsewhere within the usual budget of retries.
 *   Where the server says itself that it sheds (`load.admitRatio` or `overloaded`, as servers of keelson do), `overloadK`
 *   calls pass for each success, evenly spaced; where it does not, it may be one tenant of many who is over a quota, and
 *   nothing is refused until half of the calls are shed. While it is closed a sixth of what is asked passes all the same:
 *   whoever holds back shall not starve where others do not. It is less, down to 3 %, where the server says that it sheds and
 *   lets in hardly any of what it is sent. What share it lets in is believed as far as calls here fare like that: those of a
 *   low priority may all be shed where hardly any other is. Calls of a `priority` above 0 are held back only for what is shed of themselves: a
 *   server sheds them last.
 * - `ignored` and `unsent` are nothing, and give their place back.
 *
 * By simulation (`bench/sim/breaking`), 20 s of outage at 10, 100 and 1000 calls per second waste 35, 42 and 55 calls at
 * most, and 95 % is served again after 1.3 s; at 1 % errors it does not open in an hour at any of these rates; a callee of
 * half the capacity sheds 0.09 calls for each that it answers, at more than 99 % of what it can do.
 *
 * A callee that hangs is noticed when the first calls time out: set a timeout.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const breaker = evidence({ onTransition: (from, to) => log.info({ from, to }) });
 * const rows = await attempt(breaker, () => db.query('select 1'));
 * ```
 *
 * Source: Wald's sequential probability ratio test and Page's CUSUM for the opening, TCP's slow start for the way back,
 * "Site Reliability Engineering", chapter 21, for the throttle: none of them in this form. Named for what it decides on;
 * there is no usual word for it.
 */
export function evidence(options?: EvidenceOptions): Breaker<EvidenceOptions> {
  return new Evidence(evidenceSettings(evidenceDefaults, options));
}
