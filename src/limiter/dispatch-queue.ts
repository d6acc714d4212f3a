import type { Call } from '../core/call.js';
import type { EarlyRefuser } from '../core/early-refusal.js';
import { type GovernanceError, refusal } from '../core/errors.js';
import type { Ask } from '../core/gate.js';
import type { Middleware } from '../core/handler.js';
import { direct, type Receiver, type Start, startOf } from '../core/receiver.js';
import { type DispatchQueueOptions, type DispatchSettings, dispatchSettings } from './dispatch-options.js';
import { DispatchPolicy, type DropReason } from './dispatch-policy.js';
import { type RefusalListener, Refusals } from './dispatch-refusals.js';
import { Visit } from './dispatch-visit.js';

/** What a {@link DispatchQueue} says of itself. */
export interface DispatchSnapshot {
  /** Calls that wait. */
  readonly queued: number;
  /** How long a call of lowest priority that came now would wait, by what is known; milliseconds. */
  readonly backlogMs: number;
  /** Longest that a call may be expected to wait; milliseconds. */
  readonly budgetMs: number;
  /** What a call costs the thread on average, with all that belongs to it; milliseconds. */
  readonly serviceMs: number;
  /** Calls that were started and are not answered yet. */
  readonly running: number;
  /** Most that may run at once; `Infinity` while nothing speaks for a limit. */
  readonly runningLimit: number;
  /** Share of the calls of default priority or less that were let in lately; `undefined` while none is refused. */
  readonly admitRatio: number | undefined;
  /** Whether it refused lately. */
  readonly shedding: boolean;
}

/** Takes the calls of one thread, and runs their handlers in turn. */
export interface DispatchQueue extends EarlyRefuser {
  /** Queues the calls of one server. All servers of a thread share one queue, since they share its time. */
  middleware<Req, Res>(): Middleware<Req, Res>;
  /** How long a call of lowest priority that came now would wait; milliseconds. */
  backlogMs(now: number): number;
  /**
   * Tells somebody else of its refusals too, besides `onTransition` and `onRefuse` of its options; an app does so with the
   * queues of its servers.
   *
   * @returns what ends that
   */
  listen(listener: Pick<DispatchQueueOptions, 'onTransition' | 'onRefuse'>): () => void;
  /** For metrics and panels; costs little, changes no decision. */
  snapshot(now: number): DispatchSnapshot;
}

class Queue implements DispatchQueue {
  readonly code = 'OVERLOADED';
  private readonly policy: DispatchPolicy<Visit>;
  private readonly refusals: Refusals;
  private armed = false;
  private restedAt = 0;
  /** How long the handlers of the last turn took; milliseconds. */
  private ranMs = 0;
  private seen = Number.NaN;

  constructor(private readonly settings: DispatchSettings) {
    this.refusals = new Refusals(settings);
    this.policy = new DispatchPolicy<Visit>(settings, (visit, reason) => this.drop(visit, reason));
  }

  get refusing(): boolean {
    return this.refusals.shedding && this.policy.line.queued > 0;
  }

  refuseEarly(now: number, ask: Ask): boolean {
    if (!this.policy.refuses(ask, now)) return false;
    const priority = ask.priority ?? 0;
    this.refusals.came(now, priority);
    this.refusals.refused(now, priority);
    return true;
  }

  /** Sooner than what waits now has been worked off, or could have been, nothing has changed. */
  retryAfterMs(now: number): number {
    return Math.max(this.policy.budgetMs, this.policy.backlogMs(now));
  }

  backlogMs(now: number): number {
    return this.policy.backlogMs(now);
  }

  listen(listener: RefusalListener): () => void {
    return this.refusals.listen(listener);
  }

  snapshot(now: number): DispatchSnapshot {
    const { policy, refusals } = this;
    refusals.look(now);
    return {
      queued: policy.line.queued,
      backlogMs: policy.backlogMs(now),
      budgetMs: policy.budgetMs,
      serviceMs: policy.serviceMs,
      running: policy.running,
      runningLimit: policy.starts.limit,
      admitRatio: refusals.admitRatio(now),
      shedding: refusals.shedding,
    };
  }

  middleware<Req, Res>(): Middleware<Req, Res> {
    return (next) => {
      // One queue for the messages of all wires: what it is given for a request goes back to that request's own handler.
      const start = startOf(next) as Start<unknown, unknown>;
      const take = (request: unknown, call: Call, outer: Receiver<Res>): void =>
        this.take(new Visit(this, start, request, call, outer as Receiver<unknown>));
      return direct<Req, Res>(take, this.settings.clock);
    };
  }

  /** A call that runs is over. */
  ended(visit: Visit): number | undefined {
    // One that is answered before its handler returns is over when that has.
    if (visit.opening) {
      visit.brief = true;
      return undefined;
    }
    const now = this.settings.clock.now();
    this.over(visit, now);
    return now;
  }

  private over(visit: Visit, now: number): void {
    const { policy } = this;
    policy.answered(visit, now);
    if (policy.line.queued > 0) this.arm(now);
  }

  /** The client of a call that waits has gone. */
  withdraw(visit: Visit): boolean {
    return this.policy.withdraw(visit);
  }

  private take(visit: Visit): void {
    const { policy, refusals } = this;
    const { call } = visit;
    if (call.cancel.aborted) {
      visit.refuse(call.cancel.reason);
      return;
    }
    const now = visit.askedAt;
    refusals.came(now, call.priority);
    // When one comes, not when one ends: of several that end in one turn all are to be in one account.
    if (policy.isDue(now)) policy.account(now, this.busyMs());
    const verdict = policy.offer(visit, now);
    if (verdict === 'run') this.run(visit, now);
    else if (verdict === 'refuse') this.refuse(visit, now);
    else {
      visit.wait();
      if (policy.line.queued > 0) this.arm(now);
    }
  }

  /** @returns when its synchronous part was over */
  private run(visit: Visit, now: number): number {
    // A handler that does not await keeps the thread, and with it every word of who is next, until it is done.
    this.announce(now);
    visit.go(now);
    const end = this.settings.clock.now();
    this.policy.yielded(visit, end);
    if (visit.brief) this.over(visit, end);
    return end;
  }

  private drop(visit: Visit, reason: DropReason): void {
    const { call } = visit;
    const now = this.settings.clock.now();
    if (reason === 'too late' && call.deadline <= now) visit.refuse(tooLate(call));
    else this.refuse(visit, now);
  }

  private refuse(visit: Visit, now: number): void {
    const { service, operation, side, priority } = visit.call;
    this.refusals.refused(now, priority);
    const retryAfterMs = this.retryAfterMs(now);
    visit.refuse(
      refusal('OVERLOADED', `${service} ${operation}: refused (OVERLOADED)`, { retryAfterMs, service, side }),
    );
  }

  private announce(now: number): void {
    (this.policy.line.peek(now) as Visit | undefined)?.announce();
  }

  private arm(now: number): void {
    if (this.armed) return;
    const { policy, settings } = this;
    const pauseMs = policy.pauseMs();
    // Else whoever is answered next arms it.
    if (pauseMs === Number.POSITIVE_INFINITY) return;
    this.armed = true;
    policy.rest(now, this.busyMs());
    this.restedAt = now;
    this.seen = told(settings.events);
    if (pauseMs === 0) {
      this.announce(now);
      settings.turn(this.drain);
    } else settings.clock.after(pauseMs, this.drain).hold?.(true);
  }

  private readonly drain = (): void => {
    const { policy, settings } = this;
    let now = settings.clock.now();
    if (this.sweeps(now)) {
      settings.turn(this.drain);
      return;
    }
    this.armed = false;
    policy.turned(now, this.busyMs());
    const began = now;
    for (let visit = policy.next(now); visit !== undefined; visit = policy.next(now))
      now = this.run(visit, now);
    this.ranMs = now - began;
    if (policy.line.queued > 0) this.arm(now);
  };

  /**
   * Whether the loop should turn once more before the next call starts. libuv accepts one connection a turn, and reads from
   * it in the next: with one handler a turn, new clients would wait in the kernel, where nobody chooses among them. But
   * neither must handlers wait for a flood.
   */
  private sweeps(now: number): boolean {
    const { settings, seen } = this;
    this.seen = told(settings.events);
    const spent = now - this.restedAt;
    return this.seen > seen && spent >= 0 && spent < Math.max(settings.sliceMs, this.ranMs);
  }

  private busyMs(): number {
    return told(this.settings.busyMs);
  }
}

/** What somebody else's function says; nothing of this may break a call. */
function told(tell: () => number): number {
  try {
    return tell();
  } catch {
    return Number.NaN;
  }
}

function tooLate({ service, operation, side }: Call): GovernanceError {
  const message = `${service} ${operation}: its deadline passed while it waited`;
  return refusal('DEADLINE_EXCEEDED', message, { service, side, unsent: true });
}

/**
 * Takes every call as soon as it can be read, and runs the handlers in turn, a slice of them in each turn of the event
 * loop, as long as none has to wait too long; who would is refused when he comes.
 *
 * For servers, one per thread. Without it calls wait in the sockets and in the event loop, where nobody sees them: a limit
 * of calls in flight never meets more than one around a synchronous handler, and one on the load acts when it is late. Here
 * it is known before a call starts how long it would wait. A server that is not busy runs handlers at once, as if there
 * were no queue. Not for clients, nor for what is limited by something else than the thread and its callees: use
 * {@link concurrency} there.
 *
 * What a call costs is learned by operation: its synchronous part is measured, what comes after that is told from how busy
 * the thread was and which calls were answered meanwhile. Name operations, by `routes` for example, or a dear one makes all
 * look dear. How long a call would wait is the work ahead of it: of higher priority, those that will come included; and of
 * its own, where keys share alike, as operations do among calls without a key. Where more waits than may, the newest of
 * the lowest priority gives way, then the newest of who has most. A call that cannot be answered by its deadline any more
 * is not taken, and one whose caller has gone leaves.
 *
 * @param options - how long calls may wait, and who goes first
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `OVERLOADED`, with
 * `retryAfterMs` by which what waits is worked off; `DEADLINE_EXCEEDED` for what is too late when its turn comes
 * @example
 * ```ts
 * const queue = dispatchQueue({ budgetMs: 25, partitions: { 'GET /reports': 0.2 } });
 * const handler = compose([deadline({ timeoutMs: 2_000 }), queue.middleware()], answer);
 * ```
 *
 * Source: refusing by the time in the queue is that of CoDel (Nichols and Jacobson, ACM Queue 2012) and of DAGOR (Zhou et
 * al., SoCC 2018), who learn of it when calls leave; here it is foreseen when they come. Fairness among keys is start-time
 * fair queueing (Goyal et al., SIGCOMM 1996).
 */
export function dispatchQueue(options?: DispatchQueueOptions): DispatchQueue {
  return new Queue(dispatchSettings(options));
}
