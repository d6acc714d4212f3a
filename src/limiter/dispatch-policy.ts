import type { Band } from './dispatch-band.js';
import { CallCosts, type OperationCost } from './dispatch-costs.js';
import { DispatchLine } from './dispatch-line.js';
import { StartPace } from './dispatch-pace.js';
import { StartLimit } from './dispatch-start-limit.js';
import type { DispatchAsk, DispatchTicket } from './dispatch-ticket.js';

/** What the policy decides by; see the options of the queue. */
export interface DispatchRules {
  readonly budgetMs: number;
  readonly leastCalls: number;
  readonly burstRatio: number;
  readonly minShareRatio: number;
  readonly maxQueued: number;
  readonly sliceMs: number;
  readonly partitions: Readonly<Record<string, number>>;
  readonly startLimit: boolean;
}

/** Why a call that had been taken will not run. */
export type DropReason = 'pushed out' | 'too late';

/** A call as the policy looks at it. */
interface Asked {
  readonly band: Band;
  readonly operation: OperationCost;
  readonly costMs: number;
  /** With whom it shares. */
  readonly flow: string;
  readonly deadline: number;
}

/** Of the budget so much may be begun and not done, and a call that finds nobody waiting starts at once. */
const aheadShare = 0.22;
/** Until so many calls have run, or a few for a whole budget, nobody knows what they cost: the first are the dearest. */
const coldCalls = 8;
const fewestColdCalls = 3;
/** Shortest time between two accounts of how busy the thread was; milliseconds. */
const accountMs = 50;
/** How busy it is, is remembered over about so much time; milliseconds. */
const busyOverMs = 350;
/** What was measured longer ago does not speak against a call: who is refused is not measured. Milliseconds. */
const staleMs = 1000;
/** While less work than this is asked for in a millisecond, in milliseconds, what waits is a burst that passes. */
const bearable = 1;
/** A thread that is busier than this is itself what calls wait for. */
const spareRatio = 0.8;
/** No limit of starts is lower. */
const leastStarts = 4;

/**
 * Decides which calls a thread takes and when each starts. A pure machine: it is told the time and numbers.
 *
 * A call that is taken waits; `next` gives the one to be started now, whose synchronous part ends with `yielded`, and
 * which is over with `answered`. `rest` and `turned` frame a turn of the loop.
 */
export class DispatchPolicy<Ticket extends DispatchTicket> {
  /** How many calls were started and are not answered yet. */
  running = 0;
  readonly line: DispatchLine;
  readonly starts: StartLimit;
  private readonly costs: CallCosts;
  private readonly pace: StartPace;
  private accountedAt = Number.NaN;
  private accountedBusy = Number.NaN;
  private waitedThroughout = false;
  private busyRatio = 0;
  /** How many calls have run, up to `coldCalls`, and for how long. */
  private ran = 0;
  private ranMs = 0;

  /**
   * @param rules - what it decides by
   * @param drop - told of calls that had been taken and will not run; they are out of the queue by then
   */
  constructor(
    private readonly rules: DispatchRules,
    private readonly drop: (ticket: Ticket, reason: DropReason) => void,
  ) {
    this.costs = new CallCosts(rules.partitions);
    this.line = new DispatchLine(rules.minShareRatio);
    this.pace = new StartPace({ sliceMs: rules.sliceMs, aheadMs: rules.budgetMs * aheadShare });
    this.starts = new StartLimit(rules.startLimit ? leastStarts : Number.POSITIVE_INFINITY);
  }

  /** What a call costs the thread on average, with all that belongs to it; milliseconds. */
  get serviceMs(): number {
    return this.costs.meanMs;
  }
  /** How long a call may be expected to wait, for it to be taken; milliseconds. */
  get budgetMs(): number {
    return Math.max(this.rules.budgetMs, this.rules.leastCalls * this.costs.meanMs);
  }

  /** How long a call of lowest priority that came now would wait; milliseconds. */
  backlogMs(now: number): number {
    return this.pace.loopMs(now) + this.line.queuedMs;
  }

  /** Whether a call that came now would be refused. Leaves no trace, unless it says so: then it was asked for. */
  refuses(ask: DispatchAsk | undefined, now: number): boolean {
    const asked = this.lookAt(ask);
    if (this.admits(asked, now)) return false;
    asked.band.ask(asked.costMs, now);
    return true;
  }

  /** Whether a call is taken, and then whether it waits. What runs at once costs no more than the decision. */
  offer(ticket: Ticket, now: number): 'run' | 'wait' | 'refuse' {
    const { line } = this;
    const asked = this.lookAt(ticket.ask);
    const { band, operation, costMs } = asked;
    band.ask(costMs, now);
    if (!this.admits(asked, now)) return 'refuse';
    if (line.queued === 0 && this.mayStart(now)) {
      ticket.operation = operation;
      ticket.costMs = costMs;
      ticket.band = band;
      this.start(ticket, now);
      return 'run';
    }
    ticket.state = 'queued';
    this.put(ticket, asked);
    if (line.queued > 1 && !this.isCold) this.makeRoom(ticket, band, now);
    return 'wait';
  }

  /** The call to be started now, if one may be. */
  next(now: number): Ticket | undefined {
    const { line } = this;
    if (line.queued === 0 || !this.mayStart(now)) return undefined;
    for (;;) {
      const ticket = line.next(now) as Ticket | undefined;
      if (ticket === undefined) return undefined;
      this.out(ticket);
      const { deadline = Number.POSITIVE_INFINITY } = ticket.ask ?? {};
      if (now + this.leastMs(ticket.operation, now) <= deadline) {
        // Where nobody waits it takes nothing from anybody.
        if (line.queued > 0) ticket.band?.charge(ticket.costMs);
        this.start(ticket, now);
        return ticket;
      }
      ticket.state = 'over';
      this.drop(ticket, 'too late');
    }
  }

  /** The synchronous part of a call is over. */
  yielded(ticket: Ticket, now: number): void {
    const { operation } = ticket;
    if (operation === undefined) return;
    const ms = now - ticket.startedAt;
    // A clock that stepped back says nothing of how long it took.
    if (ms >= 0) this.costs.began(operation, ms);
    this.pace.yielded(ms >= 0 ? ms : 0, now);
    if (this.isCold) this.warm(ms >= 0 ? ms : 0, now);
    if (ticket.state !== 'running') return;
    ticket.laterMs = operation.laterMs;
    this.pace.opened(ticket.laterMs);
  }

  /** The call was answered, or failed. A second time does nothing. */
  answered(ticket: Ticket, now: number): void {
    if (ticket.state !== 'running') return;
    ticket.state = 'over';
    this.running--;
    this.pace.closed(ticket.laterMs, this.running, now);
    const { operation } = ticket;
    const ms = now - ticket.startedAt;
    if (operation === undefined || !(ms >= 0)) return;
    this.costs.answered(operation, ms, now);
    this.starts.took(ms, operation.usualMs, { now, crowd: this.busyRatio < spareRatio ? this.running : 0 });
  }

  /** Nobody waits for the call any more. @returns whether it was still in the queue */
  withdraw(ticket: Ticket): boolean {
    if (ticket.state !== 'queued') return false;
    this.line.remove(ticket);
    this.out(ticket);
    ticket.state = 'over';
    return true;
  }

  /** What can start now has; the loop goes on. @param busyMs - how long the thread was busy since ever, `NaN` if unknown */
  rest(now: number, busyMs: number): void {
    this.pace.rest(now, busyMs);
  }

  /** The loop has turned since. */
  turned(now: number, busyMs: number): void {
    this.pace.turned(now, busyMs, this.budgetMs);
    this.account(now, busyMs);
  }

  /** Whether it is time for {@link DispatchPolicy.account}. */
  isDue(now: number): boolean {
    return !(now - this.accountedAt < accountMs) || now < this.accountedAt;
  }

  /** Learns from how busy the thread was. Not too often. */
  account(now: number, busyMs: number): void {
    if (!this.isDue(now)) return;
    const passed = now - this.accountedAt;
    const all = this.waitedThroughout ? passed : Number.NaN;
    const busy = Number.isNaN(busyMs) ? all : Math.min(passed, busyMs - this.accountedBusy);
    const ratio = busy >= 0 && passed > 0 ? busy / passed : Number.NaN;
    // Of how busy it was for a long time one account says more than of a short one.
    if (!Number.isNaN(ratio)) this.busyRatio += ((ratio - this.busyRatio) * passed) / (passed + busyOverMs);
    this.costs.account(busy, 1 - ratio, Number.isNaN(ratio) ? 1 : this.busyRatio);
    this.accountedAt = now;
    this.accountedBusy = busyMs;
    this.waitedThroughout = this.line.queued > 0;
  }

  /**
   * How long nothing that waits can start: 0 until the next turn of the loop, `Infinity` until a call is answered;
   * milliseconds.
   */
  pauseMs(): number {
    return this.running >= this.starts.limit ? Number.POSITIVE_INFINITY : this.pace.pauseMs();
  }

  private mayStart(now: number): boolean {
    const { starts, running } = this;
    if (running < starts.limit) return this.pace.mayStart(now, running);
    starts.hold();
    return false;
  }

  private lookAt(ask: DispatchAsk | undefined): Asked {
    const name = ask?.operation ?? '';
    const operation = this.costs.of(name);
    return {
      band: this.line.band(ask?.priority),
      operation,
      costMs: this.costs.costMs(operation),
      flow: ask?.key ?? name,
      deadline: ask?.deadline ?? Number.POSITIVE_INFINITY,
    };
  }

  private admits(asked: Asked, now: number): boolean {
    const { band, operation, costMs, deadline } = asked;
    const { line, starts } = this;
    if (line.queued >= this.rules.maxQueued) return false;
    if (this.isCold) return true;
    const waitMs = this.waitMs(asked, now);
    if (deadline < Number.POSITIVE_INFINITY && now + waitMs + this.leastMs(operation, now) > deadline)
      return false;
    if (line.queued === 0) return waitMs <= this.budgetMs;
    const allowedMs = this.allowedMs(band, now);
    // One at least, or a call that is dear enough would never run.
    if (
      operation.share < 1 &&
      operation.queuedMs > 0 &&
      operation.queuedMs + costMs > operation.share * allowedMs
    )
      return false;
    if (waitMs <= allowedMs) return true;
    // Of the thread's time a share is due to each priority; places that somebody else does not give are another matter.
    return starts.limit === Number.POSITIVE_INFINITY && band.dueMs(now, costMs) >= band.queuedMs + costMs;
  }

  /** How long a call would wait. */
  private waitMs({ band, flow, costMs }: Asked, now: number): number {
    const { line, starts } = this;
    const aheadMs = line.queued === 0 ? 0 : line.aboveMs(band) + band.aheadMs(flow, costMs);
    const loopMs = this.pace.loopMs(now) + aheadMs / this.leftRatio(band, now);
    if (this.running < starts.limit && line.queued === 0) return loopMs;
    return Math.max(loopMs, starts.waitMs(line.countUpTo(band) + 1));
  }

  /** What those of higher priority that keep coming leave of the thread's time. */
  private leftRatio(band: Band, now: number): number {
    return Math.max(1 - this.line.demandAbove(band, now), this.rules.minShareRatio, leastRatio);
  }

  private allowedMs(band: Band, now: number): number {
    const { line, starts, rules } = this;
    const bears = line.demandAbove(band, now) + band.demand(now) < bearable;
    return bears && starts.limit === Number.POSITIVE_INFINITY
      ? this.budgetMs * rules.burstRatio
      : this.budgetMs;
  }

  /**
   * A call is not answered sooner after its start, as far as is known lately. One that is alone is let try: it takes nothing
   * from anybody, and refused it could not show that such calls have become quicker.
   */
  private leastMs(operation: OperationCost | undefined, now: number): number {
    if (operation === undefined || (this.running === 0 && this.line.queued === 0)) return 0;
    return now - operation.seenAt < staleMs ? operation.quickestMs : 0;
  }

  /** Gives up calls of lower priority, and of who has more that waits, for one that was taken before them. */
  private makeRoom(ticket: Ticket, band: Band, now: number): void {
    const { line, pace } = this;
    for (;;) {
      const worst = line.worst(band, now) as Ticket | undefined;
      if (worst === undefined || worst === ticket || worst.band === undefined) return;
      const waitMs = pace.loopMs(now) + line.queuedMs / this.leftRatio(worst.band, now);
      if (waitMs <= this.allowedMs(worst.band, now)) return;
      if (worst.band === band && !hasMore(worst, ticket)) return;
      line.remove(worst);
      this.out(worst);
      worst.state = 'over';
      this.drop(worst, 'pushed out');
    }
  }

  private start(ticket: Ticket, now: number): void {
    ticket.state = 'running';
    ticket.startedAt = now;
    this.running++;
    this.pace.started(now);
  }

  private put(ticket: Ticket, { operation, costMs, band, flow }: Asked): void {
    ticket.operation = operation;
    ticket.costMs = costMs;
    ticket.band = band;
    operation.queuedMs += costMs;
    this.line.add(flow, ticket);
  }

  private get isCold(): boolean {
    return this.ran < coldCalls;
  }

  /** One of the first has run. When it is known what they cost, all who were taken before that are looked at again. */
  private warm(ms: number, now: number): void {
    this.ran++;
    this.ranMs += ms;
    if (this.ran >= fewestColdCalls && this.ranMs >= this.rules.budgetMs) this.ran = coldCalls;
    if (this.isCold) return;
    const { line } = this;
    const waiting: Ticket[] = [];
    for (let ticket = line.next(now); ticket !== undefined; ticket = line.next(now)) {
      if (ticket.operation !== undefined) ticket.operation.queuedMs = 0;
      waiting.push(ticket as Ticket);
    }
    const late: Ticket[] = [];
    for (const ticket of waiting) {
      const asked = this.lookAt(ticket.ask);
      if (this.admits(asked, now)) this.put(ticket, asked);
      else late.push(ticket);
    }
    for (const ticket of late) ticket.state = 'over';
    for (const ticket of late) this.drop(ticket, 'pushed out');
  }

  /** It does not wait any more. */
  private out({ operation, costMs }: Ticket): void {
    if (operation !== undefined) operation.queuedMs = Math.max(0, operation.queuedMs - costMs);
    if (this.line.queued > 0) return;
    this.waitedThroughout = false;
    this.pace.clear();
  }
}

/** Whatever is asked for above it, nobody's wait is more than so many times longer. */
const leastRatio = 0.01;

function hasMore(one: DispatchTicket, other: DispatchTicket): boolean {
  return one.flow !== undefined && other.flow !== undefined && one.flow.queuedMs > other.flow.queuedMs;
}
