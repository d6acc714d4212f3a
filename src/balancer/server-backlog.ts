import type { Permit } from '../core/gate.js';
import { resolveOptions } from '../core/options.js';
import type { Feedback, Outcome, ServerLoad } from '../core/outcome.js';
import { FrugalMedian } from '../stats/frugal-median.js';
import type { LoadMeter, Metering } from './meter.js';

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
/**
 * Half of the time that a call occupies the thread counts: a machine that is really slow is avoided while others idle,
 * and the noise in the average of one that is not does not matter.
 */
const serviceShare = 0.5;
/** A call that was answered and goes on (a long body, a stream) against one that waits. */
const openShare = 1 / 8;
/**
 * How fast a report is forgotten while no call is under way: of what makes the endpoint dearer than the mean of all, after `t` ms at
 * most `this / t` ms are believed, 10 ms after 10 s. Halves 10 ms in 10 s and 150 ms in 0.7 s: the queue of a pause is gone
 * soon, and one that is a little worse than others is left alone for long. From half to three times this the simulation
 * cannot tell; to forget faster is to go and look, which costs calls.
 */
const memoryMsMs = 100_000;
/** Answers of which the mean backlog of all endpoints is made: some seconds of a quiet client, a moment of a busy one. */
const fleetAnswers = 64;
/** Whoever speaks of more time than this cannot be right. */
const mostMs = 3_600_000;
/** What latency alone suggests is believed up to so many times the usual latency: it may have been a dear call. */
const mostUsual = 10;
/** Without a report, what a call occupies its thread for is taken as a quarter of the usual latency. */
const guessedService = 0.25;
/** Latency beyond its backlog that is explained by nothing counts from so many times the usual on. */
const suspicious = 2;
/** A first failure costs at most this part of the time the endpoint had served well. */
const firstFailure = 0.1;
/** Above what anybody who is not at rest can cost. */
const resting = 1e6;
/** Load of an endpoint that has calls in flight and never answered one: dearer than all others. */
const unmeasured = 1e12;

/** What the endpoints of one service have in common: what one of them is like while nothing else is known of it. */
class Fleet {
  /** Latency but for the backlog. */
  readonly typical = new FrugalMedian();
  /** Mean backlog of those that answered last. */
  backlogMs = 0;

  take(backlogMs: number): void {
    this.backlogMs += (backlogMs - this.backlogMs) / fleetAnswers;
  }
}

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
  private stampedAt: number;
  /** Its latency but for the backlog. */
  private readonly usual = new FrugalMedian();
  private handicapMs = 0;
  /** Failures in a row. */
  private run = 0;
  private failedAt: number;
  private restUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: typeof serverBacklogDefaults,
    private readonly fleet: Fleet,
    now: number,
  ) {
    // As if it were idle, it would get a call of every client at once.
    this.backlogMs = fleet.backlogMs;
    this.stampedAt = now;
    this.failedAt = now;
  }

  start(now: number): Permit {
    this.waiting++;
    this.startedSum += now;
    return new ServerBacklogPermit(this, now);
  }

  load(now: number): number {
    const leftMs = this.restUntil - now;
    // More than the longest rest is a clock that stepped back.
    const restMs = leftMs > 0 && leftMs <= this.options.maxRestMs ? resting + leftMs : 0;
    if (!this.known && this.waiting > 0) return unmeasured * this.waiting;
    const dearMs = this.backlogMs + serviceShare * this.serviceMs + this.handicapMs;
    if (this.waiting === 0) {
      const ageMs = now - this.stampedAt;
      const aboveMs = dearMs - this.fleet.backlogMs;
      const forgottenMs =
        ageMs > 0 && aboveMs > 0 ? aboveMs - (aboveMs * memoryMsMs) / (memoryMsMs + ageMs * aboveMs) : 0;
      return floorMs + restMs + dearMs - forgottenMs + this.open * openShare * this.serviceMs;
    }
    const ownMs = (this.waiting + this.open * openShare) * this.options.ownCallWeight * this.serviceMs;
    const lateMs = now - this.startedSum / this.waiting - this.usual.value - this.backlogMs;
    return floorMs + restMs + dearMs + ownMs + (lateMs > 0 ? lateMs : 0);
  }

  /** The first response of a call, or its end. */
  answer(outcome: Outcome, startedAt: number, now: number, feedback: Feedback | undefined): void {
    this.waiting--;
    this.startedSum = this.waiting === 0 ? 0 : this.startedSum - startedAt;
    if (outcome === 'unsent') return;
    const elapsedMs = Math.max(0, now - startedAt);
    if (outcome === 'success') this.run = 0;
    else this.raise(elapsedMs, now);
    if (outcome === 'failure' || outcome === 'overload') this.rest(outcome, now, feedback?.retryAfterMs);
    const load = feedback?.load;
    const reported = load !== undefined && believable(load.backlogMs);
    if (reported) this.report(load, now);
    if (outcome !== 'success') return;
    if (!reported) this.infer(elapsedMs, now);
    this.measure(reported ? elapsedMs - this.backlogMs : elapsedMs);
  }
  stays(): void {
    this.open++;
  }
  goes(): void {
    this.open--;
  }

  private report({ backlogMs, serviceMs }: ServerLoad, now: number): void {
    this.backlogMs = backlogMs as number;
    this.serviceMs = believable(serviceMs) && serviceMs > 0 ? serviceMs : this.guess();
    this.fleet.take(this.backlogMs);
    this.stampedAt = Math.max(this.stampedAt, now);
  }

  private measure(ownMs: number): void {
    // A first call that was slow to connect would take dozens of others to be forgotten.
    if (!this.known) this.usual.add(this.fleet.typical.value);
    this.usual.add(ownMs);
    this.fleet.typical.add(ownMs);
    this.known = true;
    if (this.serviceMs === 0) this.serviceMs = this.guess();
    const excessMs = this.usual.value - suspicious * this.fleet.typical.value;
    this.handicapMs = excessMs > 0 ? excessMs : 0;
  }

  /** The server says nothing: what its answers took beyond what is usual stands for what waits there. */
  private infer(elapsedMs: number, now: number): void {
    const usualMs = this.fleet.typical.value;
    const excessMs = Math.min(mostUsual * usualMs, elapsedMs - usualMs);
    const sampleMs = excessMs > 0 ? excessMs : 0;
    this.backlogMs = this.known ? (this.backlogMs + sampleMs) / 2 : sampleMs;
    this.fleet.take(sampleMs);
    this.serviceMs = this.guess();
    this.stampedAt = Math.max(this.stampedAt, now);
  }

  private guess(): number {
    const usualMs = this.fleet.typical.value;
    return usualMs > 0 ? guessedService * usualMs : 0;
  }

  /** A call that ended without an answer tells that an answer takes longer than that. */
  private raise(elapsedMs: number, now: number): void {
    const aboveMs = elapsedMs - (this.known ? this.usual.value : 0);
    if (!(aboveMs > this.backlogMs)) return;
    this.backlogMs = Math.min(mostMs, aboveMs);
    this.stampedAt = Math.max(this.stampedAt, now);
  }

  private rest(outcome: 'failure' | 'overload', now: number, askedMs: number | undefined): void {
    const { coolOffMs, maxRestMs } = this.options;
    const servedMs = Math.max(0, now - this.failedAt);
    this.failedAt = now;
    // One that sheds is alive, and a part of its calls is what it still can serve: its failures are not counted up.
    if (outcome === 'failure') this.run++;
    const coolMs =
      this.run > 1 ? coolOffMs * 2 ** (this.run - 1) : Math.min(coolOffMs, firstFailure * servedMs);
    // Infinity asks for no retry, not for a rest.
    const asked = askedMs !== undefined && askedMs < Number.POSITIVE_INFINITY && askedMs > coolMs;
    const restMs = Math.min(maxRestMs, asked ? askedMs : coolMs);
    this.restUntil = Math.max(this.restUntil, now + restMs);
  }
}

/** What a server says may be anything. */
function believable(ms: number | undefined): ms is number {
  return typeof ms === 'number' && ms >= 0 && ms <= mostMs;
}

class ServerBacklogPermit implements Permit {
  private answered = false;
  private released = false;
  constructor(
    private readonly meter: ServerBacklog,
    private readonly startedAt: number,
  ) {}
  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.answered || this.released) return;
    this.answered = true;
    this.meter.answer(outcome, this.startedAt, now, feedback);
    this.meter.stays();
  }
  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.released) return;
    this.released = true;
    if (this.answered) this.meter.goes();
    else this.meter.answer(outcome, this.startedAt, now, feedback);
  }
}

/**
 * What one more call would wait for, by the server's own word: the work that it reports to be before it
 * (`Feedback.load.backlogMs`, which servers of keelson send with each answer), and what this client has sent there since.
 * Named for the field it reads, which is what Node's event loop makes of the queue length and utilisation that others report.
 *
 * `load = 10 ms + backlog + half of what a call occupies there + own calls × 8 × what a call occupies + what they are overdue`,
 * in milliseconds.
 * - A report is believed as it is, however old: with many clients it says little after 20 ms, but to go and look costs a call. Only
 *   what makes an endpoint dearer than the mean is forgotten, slowly, while this client sends nothing there.
 * - An own call counts as several: the report went to others, who send too.
 * - Calls that wait longer than usual add what they are late: a process that hangs or pauses shows before any timeout.
 * - After a failure the endpoint rests, longer with each further one: a process that refuses fast is never the cheapest.
 * - A server that reports nothing is judged by latency: what its last answers took beyond the usual stands for its
 *   backlog. And whoever answers later than twice the usual, for no backlog that it reports, pays for what is above that.
 * - Without any data an endpoint is as good as the mean, and gets no second call before the first has answered.
 * - What cannot be right (`NaN`, below 0, above an hour) is no report.
 *
 * For {@link leastLoad}. Make one for each balancer: what is usual is learned from all endpoints of one service. Not for servers
 * whose calls wait elsewhere than for their thread (a database, a lock): {@link responseTime} sees that.
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
