import { type Call, derive, fork } from '../core/call.js';
import { cancelSource } from '../core/cancel.js';
import { wheelOf } from '../core/timer-wheel.js';
import { Alarm } from './alarm.js';
import { Contest, type Field } from './contest.js';
import type { HedgeDelay } from './hedge-delay.js';
import { exhausted, resend } from './resend.js';
import type { RetryBudget } from './retry-budget.js';

/** What all races of one `hedge` share. */
export interface Course<Req, Res> extends Field<Req, Res> {
  readonly budget: RetryBudget;
  /** Whether a success here feeds the budget. */
  readonly deposits: boolean;
  readonly delay: HedgeDelay;
  readonly maxHedges: number;
}

class Race<Req, Res> extends Contest<Req, Res> {
  private readonly startedAt: number;
  private hedges = 0;
  private alarm: Alarm | undefined = undefined;

  constructor(
    private readonly course: Course<Req, Res>,
    private readonly request: Req,
    call: Call,
    resolve: (response: Res) => void,
    reject: (error: unknown) => void,
  ) {
    super(course, call, resolve, reject);
    this.startedAt = course.clock.now();
  }

  start(): void {
    const source = cancelSource(this.call.cancel);
    this.send(this.request, { source, call: derive(this.call, { cancel: source }) });
    this.schedule(this.startedAt);
  }

  /** Goes on by a promise, so that a further copy runs as part of this call and not of whoever armed the wheel. */
  private schedule(now: number): void {
    if (this.over || this.hedges >= this.course.maxHedges) return;
    const at = now + this.course.delay.delayMs(this.call.operation, now);
    if (at === Number.POSITIVE_INFINITY) return;
    new Promise<void>((resolve) => {
      this.alarm = new Alarm(at, resolve);
      wheelOf(this.course.clock).add(this.alarm);
    })
      .then(() => this.hedge())
      .catch(() => {
        // A request or headers that cannot be copied, against their contract: the copies under way go on.
      });
  }

  private hedge(): void {
    const { call, course } = this;
    const now = course.clock.now();
    if (this.over || call.cancel.aborted || now >= call.deadline || exhausted(this.latest.attempt)) return;
    const again = resend(course.protocol, this.request);
    if (again === undefined || !course.budget.withdraw(now)) return;
    this.hedges++;
    const source = cancelSource(call.cancel);
    this.send(again.request, { source, call: fork(call, { cancel: source }) });
    this.schedule(now);
  }

  protected override succeeded(): void {
    const { clock, delay, deposits, budget } = this.course;
    const now = clock.now();
    delay.add(this.call.operation, now - this.startedAt, now);
    if (deposits) budget.deposit();
  }

  protected override ended(): void {
    this.alarm?.cancel();
  }
}

/** Runs a call in up to `1 + maxHedges` copies; the first answer that is no failure wins, and the others are cancelled. */
export function race<Req, Res>(course: Course<Req, Res>, request: Req, call: Call): Promise<Res> {
  return new Promise((resolve, reject) => new Race(course, request, call, resolve, reject).start());
}
