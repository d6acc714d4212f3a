import { type Attempt, type Call, derive, fork } from '../core/call.js';
import { cancelSource } from '../core/cancel.js';
import type { Timer } from '../core/clock.js';
import { refusal } from '../core/errors.js';
import { discard } from '../core/protocol.js';
import { type TiedState, tiedCopies } from '../core/tied-copy.js';
import { wheelOf } from '../core/timer-wheel.js';
import { Alarm } from './alarm.js';
import { Contest, type Failure, type Field } from './contest.js';
import type { HedgeDelay } from './hedge-delay.js';
import { exhausted, resend } from './resend.js';
import type { RetryBudget } from './retry-budget.js';
import { type TiedHost, TiedOne } from './tied-one.js';
import type { TiedPolicy } from './tied-policy.js';

/** What all races of one `tied` share. */
export interface TiedCourse<Req, Res> extends Field<Req, Res> {
  readonly policy: TiedPolicy;
  /** When to hedge where an endpoint tells of no starts. */
  readonly delay: HedgeDelay;
  /** Bounds those hedges. */
  readonly budget: RetryBudget;
  /** Whether a success here feeds the budget. */
  readonly deposits: boolean;
}

/** A question about a copy is answered within one turn of its server, or that hangs; milliseconds. */
const controlMs = 1000;
/** How long a copy that was beaten may go on by itself, in milliseconds: its connection is worth the wait. */
const patienceMs = 30_000;

const neverRan = (state: TiedState | undefined): boolean => state === 'withdrawn' || state === 'expired';
/** What the answer to a copy itself says; that its server has the other is no word of where else a copy may be. */
const didNotRun = (state: TiedState | undefined): boolean => state === 'duplicate' || neverRan(state);

/**
 * The two copies of one call. Of a call that may run twice the first to start is kept, and the other taken back. Of any
 * other the second may start only when the server of the first has said that the first never will: whatever is lost or
 * late on the way there, at most one of them runs.
 */
class TiedRace<Req, Res> extends Contest<Req, Res, TiedOne> implements TiedHost {
  private readonly startedAt: number;
  private readonly first: TiedOne;
  private second: TiedOne | undefined = undefined;
  /** Whether the second copy was sent because the first had not started, and not because it was slow to answer. */
  private ties = false;
  /** Whether the first copy is known to never run. */
  private cleared = false;
  /** Whether the server of the first copy was asked to take it back, and has not answered. */
  private asking = false;
  private repeated = false;
  /** Whether the time of the second copy was set. */
  private waits = false;
  private timer: Timer | undefined = undefined;
  private made: string | undefined = undefined;

  constructor(
    private readonly course: TiedCourse<Req, Res>,
    private readonly request: Req,
    call: Call,
    resolve: (response: Res) => void,
    reject: (error: unknown) => void,
  ) {
    super(course, call, resolve, reject);
    this.startedAt = course.clock.now();
    const source = cancelSource(call.cancel);
    // Headers of its own: what marks a copy must not go out with a later try.
    const headers = call.headers.fork?.() ?? call.headers;
    this.first = new TiedOne(this, 1, 'free', derive(call, { cancel: source, headers }), source);
  }

  get id(): string {
    this.made ??= globalThis.crypto.randomUUID();
    return this.made;
  }

  now(): number {
    return this.course.clock.now();
  }

  start(): void {
    const { call, course, first } = this;
    course.policy.called();
    call.values.set(tiedCopies, (attempt) => this.copyOf(attempt));
    this.send(this.request, first);
    this.schedule();
    this.waits = true;
  }

  maySend(copy: TiedOne): boolean {
    // Whoever does not know the mark would simply run it.
    return copy.mode === 'free' || (copy.control !== undefined && this.course.policy.tells(copy.endpoint));
  }

  carried(copy: TiedOne): void {
    // A middleware on the way took its time.
    if (copy !== this.first || !this.waits || this.second !== undefined || this.over) return;
    this.timer?.cancel();
    this.schedule();
  }

  started(copy: TiedOne): void {
    const { policy } = this.course;
    policy.started(copy.endpoint, copy.noticeMs as number, this.now());
    // One that has failed meanwhile is no reason to take the other back.
    if (this.over || !this.ties || !this.running.has(copy)) return;
    if (copy.mode === 'claim') this.claim(copy);
    // Its server has been asked already, and says what holds; to take back both would help nobody.
    else if (!this.asking) {
      this.timer?.cancel();
      const other = copy === this.first ? this.second : this.first;
      if (other !== undefined) this.dismiss(other);
    }
  }

  private copyOf(attempt: Attempt): TiedOne | undefined {
    if (attempt === this.first.call.attempt) return this.first;
    return attempt === this.second?.call.attempt ? this.second : undefined;
  }

  private schedule(): void {
    if (this.over) return;
    const { course, first } = this;
    const now = this.now();
    const tieMs = first.sent ? course.policy.delayMs(first.endpoint, now) : undefined;
    this.ties = tieMs !== undefined;
    if (tieMs === undefined) this.hedge(now);
    else this.rest(now + tieMs);
  }

  /** It cannot be tied, or not any more: then only its answer tells. */
  private hedge(now: number): void {
    const { call, course, startedAt } = this;
    this.ties = false;
    if (call.idempotent) this.rest(startedAt + course.delay.delayMs(call.operation, now));
  }

  /** Goes on by a promise, so that a further copy runs as part of this call and not of whoever armed the timer. */
  private rest(at: number): void {
    if (!(at < Number.POSITIVE_INFINITY)) return;
    new Promise<void>((resolve) => {
      this.timer = this.ties ? this.course.clock.after(at - this.now(), resolve) : this.alarm(at, resolve);
    })
      .then(() => {
        // The platform counts from when its turn began, and so may be a little early.
        if (this.ties && this.now() < at && !this.over) this.rest(at);
        else this.double();
      })
      .catch(() => {
        // A request or headers that cannot be copied, against their contract: the copy under way goes on.
      });
  }

  private alarm(at: number, run: () => void): Alarm {
    const alarm = new Alarm(at, run);
    wheelOf(this.course.clock).add(alarm);
    return alarm;
  }

  private double(): void {
    const { call, course, first } = this;
    const now = this.now();
    if (this.over || call.cancel.aborted || now >= call.deadline || exhausted(this.latest.attempt)) return;
    if (this.ties && first.noticeMs !== undefined) return;
    const mode = call.idempotent ? 'free' : 'claim';
    if (mode === 'claim' && first.control === undefined) return;
    const again = resend(course.protocol, this.request);
    if (again === undefined) return;
    if (this.ties && !course.policy.withdraw()) {
      this.hedge(now);
      return;
    }
    if (!this.ties && !course.budget.withdraw(now)) return;
    const source = cancelSource(call.cancel);
    this.second = new TiedOne(this, 2, mode, fork(call, { cancel: source }), source);
    this.send(again.request, this.second);
  }

  /** The second copy has come to its turn, and asks. */
  private claim(second: TiedOne): void {
    if (this.cleared) this.grant(second);
    else if (this.first.noticeMs !== undefined) this.dismiss(second);
    else {
      this.asking = true;
      this.ask(this.first, 'withdraw', (state) => {
        this.asking = false;
        // The second may have been given up meanwhile: then the first tells by itself what became of it.
        if (this.over || this.cleared || !this.running.has(second)) return;
        if (neverRan(state)) this.clear(second);
        else this.dismiss(second);
      });
    }
  }

  /** The first copy is known to never run. */
  private clear(second: TiedOne): void {
    if (this.cleared) return;
    this.cleared = true;
    const { first } = this;
    if (this.running.delete(first)) this.release(first);
    if (second.noticeMs !== undefined) this.grant(second);
  }

  private grant(second: TiedOne): void {
    if (second.granted) return;
    second.granted = true;
    this.ask(second, 'grant', (state) => {
      // A server that does not have it has not let it start. Without an answer its own end has to tell.
      if (state !== 'unknown' || this.over || !this.running.delete(second)) return;
      second.out = true;
      second.source.abort(this.lost());
      this.repeat();
    });
  }

  /** @param told - gets what the server says, or `undefined` when it does not */
  private ask(
    { control }: TiedOne,
    what: 'withdraw' | 'grant',
    told: (state: TiedState | undefined) => void,
  ): void {
    const limit = cancelSource();
    const alarm = this.alarm(this.now() + controlMs, () => limit.abort(undefined));
    const tell = (state: TiedState | undefined): void => {
      alarm.cancel();
      told(state);
    };
    new Promise<TiedState | undefined>((resolve) => resolve(control?.[what](limit))).then(tell, () =>
      tell(undefined),
    );
  }

  private dismiss(copy: TiedOne): void {
    if (this.running.delete(copy)) this.beaten(copy);
  }

  /** Nobody waits for this copy any more. It is taken back where that can be asked for, which spares its connection. */
  protected override beaten(copy: TiedOne): void {
    const { policy } = this.course;
    if (!this.ties || !copy.sent || copy.control === undefined || copy.source.aborted) {
      copy.out = true;
      if (this.ties && copy.sent && copy.mode === 'free' && !copy.source.aborted)
        policy.duplicated(policy.likelyStarted(copy.endpoint, this.now()));
      copy.source.abort(this.lost());
      return;
    }
    this.release(copy);
    this.ask(copy, 'withdraw', (state) => {
      if (state === 'started') policy.duplicated();
      else if (state === undefined || state === 'unknown') copy.source.abort(this.lost());
    });
  }

  /** It ends by itself. */
  private release(copy: TiedOne): void {
    copy.out = true;
    const at = Math.min(this.call.deadline, this.now() + patienceMs);
    copy.patience = this.alarm(at, () => copy.source.abort(this.lost()));
  }

  protected override answered(copy: TiedOne, response: Res): void {
    const { policy, protocol } = this.course;
    const load = protocol.feedback?.(response)?.load;
    if (load !== undefined) policy.reported(copy.endpoint, load, this.now());
    if (copy.out) {
      copy.leave();
      discard(protocol, response);
    } else if (copy.away === undefined || this.over) super.answered(copy, response);
    else this.turnedAway(copy, response);
  }

  /** Its server did not run it, and has said so. A second that waits to be let starts only if the first never has. */
  private turnedAway(copy: TiedOne, response: Res): void {
    const { first, running, second } = this;
    const claimed = copy === first && second?.mode === 'claim' && running.has(second);
    if (claimed && didNotRun(copy.away)) {
      this.clear(second);
      first.leave();
    } else if (running.size > 1 && !claimed) {
      running.delete(copy);
      copy.leave();
    } else if (didNotRun(copy.away) && !this.repeated && !this.call.cancel.aborted) {
      running.delete(copy);
      copy.leave();
      this.repeat();
    } else {
      super.answered(copy, response);
      return;
    }
    discard(this.course.protocol, response);
  }

  /** None of the copies has run, nor will: the call is sent as if it had never been tied. */
  private repeat(): void {
    const again = this.repeated ? undefined : resend(this.course.protocol, this.request);
    this.repeated = true;
    const source = cancelSource(this.call.cancel);
    const copy = new TiedOne(this, 3, 'free', fork(this.call, { cancel: source }), source);
    if (again !== undefined) this.send(again.request, copy);
    else {
      const { service, side } = this.call;
      const error = refusal('CANCELLED', `${service}: no copy was let start`, { service, side });
      this.failed({ copy, outcome: 'ignored', response: undefined, error });
    }
  }

  protected override rejected(copy: TiedOne, error: unknown): void {
    if (copy.out) copy.leave();
    else if (copy === this.second && copy.mode === 'claim' && !copy.granted && this.running.size > 1) {
      // It never ran, and the first copy goes on as if there had been no other.
      this.running.delete(copy);
      copy.leave();
    } else super.rejected(copy, error);
  }

  protected override failed(failure: Failure<TiedOne, Res>): void {
    const { first, second } = this;
    if (failure.copy === first && second?.mode === 'claim' && !second.granted && this.running.has(second)) {
      if (this.unseen(failure)) this.clear(second);
      // It may have run.
      else this.dismiss(second);
    }
    super.failed(failure);
  }

  private unseen({ outcome, response }: Failure<TiedOne, Res>): boolean {
    return outcome === 'unsent' || (response && this.course.protocol.unseen?.(response.value)) === true;
  }

  protected override succeeded(copy: TiedOne): void {
    const { budget, delay, deposits, policy } = this.course;
    const now = this.now();
    delay.add(this.call.operation, now - this.startedAt, now);
    if (deposits) budget.deposit();
    if (copy.sent && copy.noticeMs === undefined) policy.silent(copy.endpoint);
  }

  protected override ended(): void {
    this.timer?.cancel();
  }
}

/** Runs a call in up to two copies of which, as far as servers tell, one runs. */
export function tiedRace<Req, Res>(course: TiedCourse<Req, Res>, request: Req, call: Call): Promise<Res> {
  return new Promise((resolve, reject) => new TiedRace(course, request, call, resolve, reject).start());
}
