import { type Call, derive, fork } from '../core/call.js';
import { type CancelSource, cancelSource } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import type { Outcome } from '../core/outcome.js';
import { discard, type Protocol, whenOver } from '../core/protocol.js';
import { wheelOf } from '../core/timer-wheel.js';
import { verdictOf } from '../core/verdict.js';
import { Alarm } from './alarm.js';
import type { HedgeDelay } from './hedge-delay.js';
import { exhausted, resend } from './resend.js';
import type { RetryBudget } from './retry-budget.js';

/** What all races of one `hedge` share. */
export interface Course<Req, Res> {
  readonly next: Handler<Req, Res>;
  readonly protocol: Protocol<Req, Res>;
  readonly budget: RetryBudget;
  /** Whether a success here feeds the budget. */
  readonly deposits: boolean;
  readonly delay: HedgeDelay;
  readonly maxHedges: number;
  readonly clock: Clock;
}

/** One copy of the call. */
interface Copy {
  readonly call: Call;
  readonly source: CancelSource;
}

/** How a copy ended without winning. */
interface Failure<Res> {
  readonly copy: Copy;
  readonly outcome: Outcome;
  /** Boxed: a response may be `undefined`. */
  readonly response: { readonly value: Res } | undefined;
  readonly error: unknown;
}

class Race<Req, Res> {
  private readonly running = new Set<Copy>();
  private readonly startedAt: number;
  private latest: Call;
  private hedges = 0;
  private over = false;
  private alarm: Alarm | undefined = undefined;
  /** The failure that counts if none of the copies that still run succeeds. */
  private held: Failure<Res> | undefined = undefined;

  constructor(
    private readonly course: Course<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
    private readonly resolve: (response: Res) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    this.startedAt = course.clock.now();
    this.latest = call;
  }

  start(): void {
    const source = cancelSource(this.call.cancel);
    this.send(this.request, { source, call: derive(this.call, { cancel: source }) });
    this.schedule(this.startedAt);
  }

  private send(request: Req, copy: Copy): void {
    this.latest = copy.call;
    this.running.add(copy);
    invoke(this.course.next, request, copy.call)
      .then(
        (response) => this.answered(copy, response),
        (error: unknown) => this.rejected(copy, error),
      )
      // A protocol that throws is a bug, which the caller has to see.
      .catch((fault: unknown) =>
        this.failed({ copy, outcome: 'ignored', response: undefined, error: fault }),
      );
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

  private answered(copy: Copy, response: Res): void {
    const { protocol } = this.course;
    if (this.over) {
      discard(protocol, response);
      return;
    }
    this.running.delete(copy);
    const outcome = protocol.classify(response, undefined);
    if (outcome === 'success') this.succeeded();
    else if (outcome !== 'ignored') {
      this.failed({ copy, outcome, response: { value: response }, error: undefined });
      return;
    }
    this.finish();
    this.deliver(copy, response);
  }

  private rejected(copy: Copy, error: unknown): void {
    if (this.over) return;
    this.running.delete(copy);
    const { outcome } = verdictOf(error, copy.call, this.course.protocol);
    this.failed({ copy, outcome, response: undefined, error });
  }

  private succeeded(): void {
    const { clock, delay, deposits, budget } = this.course;
    const now = clock.now();
    delay.add(this.call.operation, now - this.startedAt, now);
    if (deposits) budget.deposit();
  }

  /** What says nothing of a callee (the caller's abort, a bad request) ends the race; else the copies that run go on. */
  private failed(failure: Failure<Res>): void {
    const result = this.moreTelling(failure);
    const wait = failure.outcome !== 'ignored' && this.running.size > 0;
    this.held = wait ? result : undefined;
    if (wait) return;
    this.finish();
    if (result.response !== undefined) {
      this.deliver(result.copy, result.response.value);
      return;
    }
    result.copy.source.dispose();
    this.reject(result.error);
  }

  /** Of two failures the later; but a refusal on this side tells less than any answer. */
  private moreTelling(failure: Failure<Res>): Failure<Res> {
    const { held } = this;
    if (held === undefined) return failure;
    const refused = failure.outcome === 'unsent';
    this.drop(refused ? failure : held);
    return refused ? held : failure;
  }

  private drop({ copy, response }: Failure<Res>): void {
    copy.source.dispose();
    if (response !== undefined) discard(this.course.protocol, response.value);
  }

  private finish(): void {
    this.over = true;
    this.alarm?.cancel();
    if (this.held !== undefined) this.drop(this.held);
    this.held = undefined;
    if (this.running.size === 0) return;
    const { service, side } = this.call;
    const lost = refusal('CANCELLED', `${service}: another copy answered`, { service, side });
    for (const { source } of this.running) source.abort(lost);
    this.running.clear();
  }

  /** The caller's abort has to reach the body as long as there is one. */
  private deliver(copy: Copy, response: Res): void {
    whenOver(this.course.protocol, response, () => copy.source.dispose());
    this.resolve(response);
  }
}

/** Runs a call in up to `1 + maxHedges` copies; the first answer that is no failure wins, and the others are cancelled. */
export function race<Req, Res>(course: Course<Req, Res>, request: Req, call: Call): Promise<Res> {
  return new Promise((resolve, reject) => new Race(course, request, call, resolve, reject).start());
}
