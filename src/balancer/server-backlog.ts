import { resolveOptions } from '../core/options.js';
import type { Feedback, Outcome, ServerLoad } from '../core/outcome.js';
import { Fleet } from './fleet.js';
import type { LoadMeter, Metering } from './meter.js';
import { UsualLatency } from './usual-latency.js';

/** Options of {@link serverBacklog}. */
export interface ServerBacklogOptions {
  /**
   * How many calls one call of this client stands for while the server has not answered it; 1 or more. The report that made the
   * endpoint attractive went to others as well, and they send too. A larger value spreads this client's calls wider.
   * From 4 to 30 nothing changes much, with one client as with a hundred.
   *
   * @defaultValue `8`
   */
  readonly ownCallWeight?: number | undefined;
  /**
   * How long an endpoint is left alone after a failed call, doubled by each further failure in a row; milliseconds, 0 or
   * more. But after a first failure no longer than a tenth of the time that it had served well: one failed
   * call in a hundred must not take a busy endpoint away. A larger value sends fewer calls to a process that is gone.
   *
   * @defaultValue `300`
   */
  readonly coolOffMs?: number | undefined;
  /**
   * Longest time that an endpoint is left alone, also when it asks for more itself (`retry-after`); milliseconds, 0 or more.
   *
   * @defaultValue `10000`
   */
  readonly maxRestMs?: number | undefined;
}

/** Defaults of {@link ServerBacklogOptions}. */
export const serverBacklogDefaults = { ownCallWeight: 8, coolOffMs: 300, maxRestMs: 10_000 };

/** Every endpoint costs this much: what two loads differ by is seen against it, so differences of the network's size stay small. */
const floorMs = 10;
/** A call that was answered and goes on (a long body, a stream) against one that waits. */
const openShare = 1 / 8;
/**
 * How fast what makes an endpoint dearer than others is forgotten while no call is under way: after `t` ms at most
 * `this / t` ms are believed, 10 ms after 10 s. Halves 10 ms in 10 s and 150 ms in 0.7 s: the queue of a pause is gone
 * soon, and one that is a little worse than others is left alone for long. From half to three times this the simulation
 * cannot tell; to forget faster is to go and look, which costs calls.
 */
const memoryMsMs = 100_000;
/**
 * A backlog above the mean is half forgotten after the mean, so many times: the busier all are, the longer a queue lasts. Where
 * nothing waits anywhere, a few milliseconds that one reported are over soon, and must not keep calls away for minutes.
 */
const lasting = 1000;
/** Whoever speaks of more time than this cannot be right. */
const mostMs = 3_600_000;
/** What latency alone suggests is believed up to so many times the usual latency: it may have been a dear call. */
const mostUsual = 10;
/** Without a report, what a call occupies its thread for is taken as a quarter of the usual latency. */
const guessedService = 0.25;
/**
 * For one of whom nothing is known but answers that took less than its backlog: it lets some pass the line, and is quick. Later ones
 * are passed over: a report is of the moment of the answer, and what has come since the call says nothing of the server.
 */
const leastMs = 0.1;
/** Latency but for the backlog counts from so many times that of the quickest endpoint on: less is chance. */
const suspicious = 2;
/** A thread that is busy for less than this part of the time is not what calls wait for. */
const idle = 0.15;
const secondMs = 1000;
/** Who was not heard of for so many answers to all, and then answers as the quick do, begins anew. */
const longAgo = 100;
/** A first failure costs at most this part of the time the endpoint had served well. */
const firstFailure = 0.1;
/** For so long the time counts that a failed call took. If the endpoint goes on failing, it rests for longer than that anyway. */
const failureMs = 2000;
/** One that only sheds, call after call, so often and for so long, rests for this part of the time since it began to. */
const onlySheds = { calls: 8, ms: 2000, rest: 0.1 };
/** Above what anybody who is not at rest can cost: the backlog that is believed at most, and a thousand calls of an hour each. */
const resting = 1e12;
/** Load of an endpoint that has calls in flight and never answered one: dearer than all others. */
const unmeasured = 1e15;

/**
 * A backlog is what the server said, what its latency suggests, what a call that was given up has waited, or what one has that
 * failed or was shed.
 */
const reported = 0;
const guessed = 1;
const raised = 2;
const failed = 3;

class ServerBacklog implements LoadMeter {
  /** Calls whose first response came, and which go on. */
  private open = 0;
  /** Calls without a first response, and the sum of their starts: their mean age costs one subtraction. */
  private waiting = 0;
  private startedSum = 0;
  /** Whether it has ever answered. */
  private known = false;
  private backlogMs: number;
  private serviceMs = 0;
  /** How that backlog is known: {@link reported}, {@link guessed}, {@link raised} or {@link failed}. */
  private origin: number;
  /** The answer of all that was its last. */
  private heardIn = 0;
  private stampedAt: number;
  /** Its latency but for the backlog. */
  private readonly usual = new UsualLatency();
  /** Failures in a row. */
  private run = 0;
  /** Sheds since the last success, and when the first of them was. */
  private sheds = 0;
  private shedsFrom = 0;
  private failedAt: number;
  private restUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: typeof serverBacklogDefaults,
    private readonly fleet: Fleet,
    now: number,
  ) {
    // As if it were idle, it would get a call of every client at once.
    this.backlogMs = fleet.backlogMs;
    this.origin = fleet.told ? reported : guessed;
    this.stampedAt = now;
    this.failedAt = now;
  }

  start(now: number): void {
    this.fleet.begun();
    this.waiting++;
    this.startedSum += now;
  }

  load(now: number): number {
    const { waiting } = this;
    if (this.known === false && waiting > 0) return unmeasured * waiting;
    const believedMs = this.origin === guessed ? this.backlogMs * this.fleet.bustle : this.backlogMs;
    const slowMs = this.handicapMs();
    const leftMs = this.restMs(now);
    const dearMs = (leftMs > 0 ? floorMs + (resting + leftMs) : floorMs) + (believedMs + slowMs);
    if (waiting > 0) return this.overdue(dearMs + this.ownMs(), now);
    return dearMs - this.forgottenMs(believedMs, slowMs, now) + this.open * openShare * this.serviceMs;
  }

  fit(now: number): boolean {
    return this.restMs(now) === 0;
  }

  private restMs(now: number): number {
    const leftMs = this.restUntil - now;
    // More than the longest rest is a clock that stepped back.
    return leftMs > 0 && leftMs <= this.options.maxRestMs ? leftMs : 0;
  }

  /** What the calls of this client are taken for. */
  private ownMs(): number {
    return (this.waiting + this.open * openShare) * this.options.ownCallWeight * this.serviceMs;
  }

  /** The same and what those that wait are late. */
  private overdue(dearMs: number, now: number): number {
    const lateMs = now - this.startedSum / this.waiting - this.usual.ms - this.backlogMs;
    return lateMs > 0 ? dearMs + lateMs : dearMs;
  }

  /** What it usually takes above twice what the quickest does. */
  private handicapMs(): number {
    const excessMs = this.usual.ms - suspicious * this.fleet.usualMs;
    return excessMs > 0 ? excessMs : 0;
  }

  private forgottenMs(backlogMs: number, slowMs: number, now: number): number {
    let ageMs = now - this.stampedAt;
    if (!(ageMs > 0)) {
      if (!(ageMs < -secondMs)) return 0;
      // The clock stepped back. What was heard is as old as the step is long.
      ageMs = -ageMs;
    }
    const slowForgottenMs = slowMs > 0 ? slowMs - (slowMs * memoryMsMs) / (memoryMsMs + ageMs * slowMs) : 0;
    const { bustle, backlogMs: everyMs } = this.fleet;
    const saidByCalls = this.origin === guessed || this.origin === failed;
    const aboveMs = backlogMs - (saidByCalls ? everyMs * bustle : everyMs);
    if (!(aboveMs > 0)) return slowForgottenMs;
    if (this.origin === failed) return slowForgottenMs + aboveMs * Math.min(1, ageMs / failureMs);
    const fading = aboveMs / memoryMsMs + (this.origin === raised ? 0 : 1 / (lasting * everyMs * bustle + 1));
    return slowForgottenMs + aboveMs - aboveMs / (1 + ageMs * fading);
  }

  /** The first response of a call, or its end. */
  answer(outcome: Outcome, startedAt: number, now: number, feedback?: Feedback): void {
    this.open++;
    this.fleet.answered();
    this.waiting--;
    this.startedSum = this.waiting === 0 ? 0 : this.startedSum - startedAt;
    if (outcome === 'success') this.succeeded(now > startedAt ? now - startedAt : 0, now, feedback?.load);
    else if (outcome !== 'unsent') this.failed(outcome, startedAt, now, feedback);
  }

  end(): void {
    this.open--;
  }

  private succeeded(elapsedMs: number, now: number, load: ServerLoad | undefined): void {
    this.run = 0;
    this.sheds = 0;
    if (load !== undefined && this.report(load, now)) {
      const ownMs = elapsedMs - this.backlogMs;
      this.reconsider(ownMs);
      this.measure(ownMs);
      return;
    }
    this.reconsider(elapsedMs);
    this.infer(elapsedMs, now);
    this.measure(elapsedMs);
  }

  private failed(outcome: Outcome, startedAt: number, now: number, feedback: Feedback | undefined): void {
    this.raise(Math.max(0, now - startedAt), now, outcome === 'ignored' ? raised : failed);
    if (outcome !== 'ignored') this.rest(outcome, startedAt, now, feedback?.retryAfterMs);
    if (feedback?.load !== undefined) this.report(feedback.load, now);
  }

  /** What was known of it is old, and wrong: it is as a newcomer that has answered once. */
  private reconsider(ownMs: number): void {
    const { fleet } = this;
    const answers = ++fleet.answers;
    if (answers - this.heardIn > longAgo && ownMs <= suspicious * fleet.usualMs) this.known = false;
    this.heardIn = answers;
  }

  /** @returns whether what its calls wait for is what it reports: with a thread that is idle, it is something else */
  private report(load: ServerLoad, now: number): boolean {
    const backlogMs = believable(load.backlogMs);
    if (!(backlogMs >= 0)) return false;
    const serviceMs = believable(load.serviceMs);
    const { perSecond } = load;
    if (perSecond !== undefined && perSecond * serviceMs < idle * secondMs) return false;
    this.backlogMs = backlogMs;
    this.origin = reported;
    this.serviceMs = serviceMs > 0 ? serviceMs : this.guess();
    this.fleet.take(backlogMs, true);
    this.stampedAt = now;
    return true;
  }

  private measure(ownMs: number): void {
    // A first call that was slow to connect would take dozens of others to be forgotten.
    if (!this.known) this.usual.begin(this.fleet.usualMs);
    this.usual.add(this.usual.ms > 0 ? ownMs : Math.max(leastMs, ownMs));
    this.fleet.compare(this.usual.ms);
    this.known = true;
    if (this.serviceMs === 0) this.serviceMs = this.guess();
  }

  /** The server says nothing: what its answers took beyond what is usual stands for what waits there. */
  private infer(elapsedMs: number, now: number): void {
    const usualMs = this.fleet.usualMs;
    const excessMs = Math.min(mostUsual * usualMs, elapsedMs - usualMs);
    const sampleMs = excessMs > 0 ? excessMs : 0;
    // It serves again: what it was like when it failed is over.
    const beforeMs = this.known && this.origin !== failed ? this.backlogMs : 0;
    this.origin = guessed;
    this.backlogMs = (beforeMs + sampleMs) / 2;
    this.fleet.take(sampleMs, false);
    this.serviceMs = this.guess();
    this.stampedAt = now;
  }

  private guess(): number {
    const usualMs = this.fleet.usualMs;
    return usualMs > 0 ? guessedService * usualMs : 0;
  }

  /** A call that ended without an answer tells that an answer takes longer than that. */
  private raise(elapsedMs: number, now: number, origin: number): void {
    const aboveMs = elapsedMs - (this.known ? this.usual.ms : 0);
    if (!(aboveMs > this.backlogMs)) return;
    this.backlogMs = Math.min(mostMs, aboveMs);
    this.origin = origin;
    this.stampedAt = now;
  }

  private rest(outcome: Outcome, startedAt: number, now: number, askedMs: number | undefined): void {
    const coolMs = outcome === 'overload' ? this.shed(now) : this.blame(startedAt, now);
    // Infinity asks for no retry, not for a rest.
    const asked = askedMs !== undefined && askedMs < Number.POSITIVE_INFINITY && askedMs > coolMs;
    const restMs = Math.min(this.options.maxRestMs, asked ? askedMs : coolMs);
    this.restUntil = now + Math.max(this.restMs(now), restMs);
  }

  /** Calls that were under way when another failed tell of the same moment, and are not counted up. */
  private blame(startedAt: number, now: number): number {
    if (startedAt >= this.failedAt) this.run++;
    return this.coolMs(now);
  }

  /**
   * One that sheds is alive, and a part of its calls is what it still can serve: that is no run of failures. When it serves none
   * at all, each rest makes the next a tenth longer, so a busy client does not take for it one that serves few.
   */
  private shed(now: number): number {
    if (this.sheds++ === 0) this.shedsFrom = now;
    const forMs = now - this.shedsFrom;
    const served = this.sheds <= onlySheds.calls || !(forMs > onlySheds.ms);
    return Math.max(this.coolMs(now), served ? 0 : onlySheds.rest * forMs);
  }

  private coolMs(now: number): number {
    const { coolOffMs } = this.options;
    const servedMs = Math.max(0, now - this.failedAt);
    this.failedAt = now;
    return this.run > 1 ? coolOffMs * 2 ** (this.run - 1) : Math.min(coolOffMs, firstFailure * servedMs);
  }
}

/** What a server says may be anything: `NaN` for what cannot be right. */
function believable(ms: number | undefined): number {
  return typeof ms === 'number' && ms >= 0 && ms <= mostMs ? ms : Number.NaN;
}

/**
 * What one more call would wait for, by the server's own word: the work that it reports to be before it
 * (`Feedback.load.backlogMs`, which servers of keelson send with each answer), and what this client has sent there since.
 * Named for the field it reads, which is what Node's event loop makes of the queue length and utilisation that others report.
 *
 * `load = 10 ms + backlog + latency beyond twice that of the quickest endpoint + own calls × 8 × what a call occupies + what they are
 * overdue`, in milliseconds.
 * - A report is believed as it is, also when it is old: with many clients it says little after 20 ms, but to go and look costs a
 *   call. Only what makes an endpoint dearer than the mean is forgotten while this client sends nothing there: slowly where all
 *   are busy, soon where nothing waits anywhere.
 * - An own call counts as several: the report went to others, who send too.
 * - Calls that wait longer than usual add what they are late: a process that hangs or pauses shows before any timeout.
 * - After a failure the endpoint rests, longer with each further one: a process that refuses fast is never the cheapest. After a
 *   shed it rests briefly, since it may serve the next call; one that serves none for seconds rests for longer and longer. How
 *   long a failed call took is forgotten within two seconds.
 * - Who usually answers later than twice what the quickest endpoint does, its backlog left out, pays for what is above that. Each
 *   endpoint counts once, not each answer: one that gets all calls does not become what is usual.
 * - A server that reports nothing, or whose thread is idle so that its calls wait for something else (a database, a lock), is judged
 *   by latency: what its last answers took beyond the quickest stands for its backlog.
 * - Without any data an endpoint is as good as the mean, and gets no second call before the first has answered. One that was
 *   passed over for long and then answers as the quick do begins anew.
 * - What cannot be right (`NaN`, below 0, above an hour) is no report.
 *
 * For {@link leastLoad}. Make one for each balancer: what is usual is learned from all endpoints of one service.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = leastLoad({ meter: serverBacklog({ coolOffMs: 1000 }) });
 * ```
 *
 * Source: the piggybacked queue and the weight of own calls are C3's (Suresh et al., NSDI 2015), in milliseconds of work
 * instead of a cubed count: a queue of dear calls is longer than one of cheap calls, and one constant fits one client and a hundred.
 */
export function serverBacklog(options?: ServerBacklogOptions): Metering {
  const resolved = resolveOptions('serverBacklog', serverBacklogDefaults, options, {
    ownCallWeight: { min: 1 },
    coolOffMs: { min: 0 },
    maxRestMs: { min: 0 },
  });
  const fleet = new Fleet();
  return (_endpoint, now) => new ServerBacklog(resolved, fleet, now);
}
