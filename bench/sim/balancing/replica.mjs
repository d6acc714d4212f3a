import { LoadReport } from './load-report.mjs';
import { Thread } from './thread.mjs';

/** @typedef {import('./attempt.mjs').Attempt} Attempt */
/**
 * @typedef {object} ReplicaPlan
 * @property {number} [speed] 1 is the usual
 * @property {number} [threads] processes behind one address, each with its own queue; a call comes to any of them
 * @property {number} [weight] as registered; 100 is the usual
 * @property {string} [zone]
 * @property {number} [wait] how much longer than usual its calls wait for something else than the thread, as a factor
 * @property {number} [connections] to that something: how many may wait for it at a time, others wait for them in the order they came
 * @property {boolean} [holdsAnswers] a pause also keeps answers back of which only the I/O was left
 */

/**
 * One process, or a few behind one address: a queue before its thread, then I/O beside it, then the answer. The I/O comes
 * after the CPU time of a call, and its end needs no more of the thread, as if the kernel sent the answer;
 * only with `holdsAnswers` a pause keeps it back.
 */
export class Replica {
  up = true;
  /** Which process runs there: a crash ends one and a restart begins the next. */
  incarnation = 0;
  paused = false;
  /** When the pause ends, for the oracle. */
  pausedUntil = 0;
  /** Factors of the speed. */
  #drag = 1;
  #warmth = 1;
  /** Calls on their way to it, and their CPU time: for oracles. */
  awaited = 0;
  awaitedMs = 0;
  /** @type {Set<Attempt>} */
  #inside = new Set();
  /** @type {Attempt[]} */
  #held = [];
  /** Calls that have a connection, and those that wait for one. */
  #connected = 0;
  /** @type {Attempt[]} */
  #line = [];
  /** Called when its queue has become empty. @type {((replica: Replica, now: number) => void)[]} */
  onIdle = [];
  /** Recent latencies as the server sees them, for rules that probe. @type {((attempt: Attempt, now: number) => void)[]} */
  onAnswer = [];

  /**
   * @param {import('../engine/world.mjs').World} world
   * @param {number} index @param {Required<Pick<ReplicaPlan, 'speed' | 'threads' | 'weight'>> & ReplicaPlan} plan
   * @param {import('../engine/streams.mjs').Random} random which thread a call comes to
   */
  constructor(world, index, plan, random) {
    this.world = world;
    this.index = index;
    this.plan = plan;
    this.random = random;
    const ran = (/** @type {Attempt} */ attempt, /** @type {number} */ busyMs, /** @type {number} */ now) =>
      this.#ran(attempt, busyMs, now);
    const mayStart = (/** @type {Attempt} */ attempt, /** @type {number} */ now) =>
      attempt.call.client.mayStart(attempt, now);
    this.threads = Array.from({ length: plan.threads }, () => new Thread(world, ran, mayStart));
    this.reports = this.threads.map(() => new LoadReport());
    this.#retime(0);
  }

  /** @returns {import('keelson/core').Endpoint} */
  endpoint() {
    const id = `r${this.index}.${this.incarnation}`;
    const { weight, zone } = this.plan;
    return { id, url: `http://10.0.0.${this.index}:80`, weight, zone, metadata: {} };
  }

  get speed() {
    return this.plan.speed * this.#drag * this.#warmth;
  }
  get inflight() {
    return this.#inside.size;
  }
  /** Calls that wait for a thread or have one. */
  get queued() {
    if (this.threads.length === 1) return /** @type {Thread} */ (this.threads[0]).queued;
    let sum = 0;
    for (const thread of this.threads) sum += thread.queued;
    return sum;
  }
  /** What its calls wait beside the thread beyond the usual, for oracles; milliseconds. @param {number} usualMs */
  awaitsMs(usualMs) {
    const { connections = 1, wait = 1 } = this.plan;
    return (wait * (1 + this.#line.length / connections) - 1) * usualMs;
  }
  /** Exact CPU time that is to be done before a new call starts, at speed 1, per thread. @param {number} now */
  workMs(now) {
    let sum = 0;
    for (const thread of this.threads) sum += thread.workMs(now);
    return sum / this.threads.length;
  }

  /** A client sends a call. @param {Attempt} attempt */
  coming(attempt) {
    this.awaited++;
    this.awaitedMs += attempt.workMs;
  }

  /** A call has come over the wire. @param {Attempt} attempt @param {number} now */
  arrive(attempt, now) {
    this.awaited--;
    this.awaitedMs -= attempt.workMs;
    if (attempt.stage !== 'travelling') return;
    if (!this.up) {
      attempt.stage = 'over';
      this.#answer(attempt, 'failure', undefined);
      return;
    }
    attempt.cameAt = now;
    attempt.met = this.#inside.size;
    this.#inside.add(attempt);
    const { threads } = this;
    const thread = threads.length === 1 ? 0 : Math.floor(this.random() * threads.length);
    /** @type {Thread} */ (threads[thread]).push(attempt, now);
  }

  /**
   * The client does not want it any more. What has not started never will, and is answered with nothing but the load.
   *
   * @param {Attempt} attempt @param {number} costMs CPU for what was parsed in vain @param {number} now
   * @returns {boolean} whether it runs or ran
   */
  takeBack(attempt, costMs, now) {
    if (attempt.stage === 'running' || attempt.stage === 'away') return true;
    if (attempt.stage === 'over') return false;
    if (attempt.stage === 'waiting') /** @type {Thread} */ (attempt.thread).drop(attempt, costMs);
    attempt.stage = 'over';
    this.#inside.delete(attempt);
    this.#answer(attempt, 'ignored', attempt.thread && this.report(attempt.thread, now));
    return false;
  }

  /** A message about a call is read when the thread has nothing on it: between two calls, and not in a pause. @param {Attempt} attempt @param {(now: number) => void} act */
  hear({ thread }, act) {
    if (thread === undefined) act(this.world.now);
    else thread.whenFree(act);
  }

  /** A call that asked whether it may start is let. @param {Attempt} attempt @param {number} now */
  granted(attempt, now) {
    attempt.granted = true;
    if (attempt.stage === 'asking') /** @type {Thread} */ (attempt.thread).resume(attempt, now);
  }

  /** Nothing runs for so long. @param {number} ms */
  pause(ms) {
    const now = this.world.now;
    const until = now + ms;
    if (until <= this.pausedUntil) return;
    this.pausedUntil = until;
    this.paused = true;
    this.#retime(now);
    this.world.at(until, (at) => {
      if (this.pausedUntil !== until) return;
      this.paused = false;
      this.#retime(at);
      const held = this.#held;
      this.#held = [];
      for (const attempt of held) this.#complete(attempt, at);
    });
  }

  /** Neighbours take their part of the CPU. @param {number} factor */
  drag(factor) {
    this.#drag = factor;
    this.#retime(this.world.now);
  }

  /** Code that is not compiled yet. @param {number} factor */
  warm(factor) {
    this.#warmth = factor;
    this.#retime(this.world.now);
  }

  /** Everything inside is lost, and connections are refused. */
  crash() {
    const now = this.world.now;
    this.up = false;
    for (const thread of this.threads) thread.clear(now);
    for (const attempt of this.#inside) {
      attempt.stage = 'over';
      this.#answer(attempt, 'failure', undefined);
    }
    this.#inside.clear();
    this.#held = [];
    this.#line = [];
  }

  /** A new process on the same address. */
  restart() {
    this.up = true;
    this.incarnation++;
    this.reports = this.threads.map(() => new LoadReport());
  }

  /** What it says of itself, from the thread that answers. @param {Thread} thread @param {number} now */
  report(thread, now) {
    const report = /** @type {LoadReport} */ (this.reports[this.threads.indexOf(thread)]);
    return report.read(thread.queued, this.threads.length === 1 ? this.inflight : thread.queued, now);
  }

  /** @param {number} now */
  #retime(now) {
    const speed = this.paused ? 0 : this.speed;
    for (const thread of this.threads) thread.setSpeed(speed, now);
  }

  /** @param {Attempt} attempt @param {number} busyMs @param {number} now */
  #ran(attempt, busyMs, now) {
    const thread = /** @type {Thread} */ (attempt.thread);
    /** @type {LoadReport} */ (this.reports[this.threads.indexOf(thread)]).ran(busyMs, now);
    attempt.stage = 'away';
    this.#await(attempt);
    if (this.onIdle.length > 0 && thread.queued === 0) for (const told of this.onIdle) told(this, now);
  }

  /** @param {Attempt} attempt */
  #await(attempt) {
    const { connections, wait = 1 } = this.plan;
    if (connections === undefined) {
      this.world.after(attempt.call.ioMs * wait, (at) => this.#complete(attempt, at));
      return;
    }
    if (this.#connected >= connections) {
      this.#line.push(attempt);
      return;
    }
    this.#connected++;
    this.world.after(attempt.call.ioMs * wait, (at) => {
      this.#connected--;
      const next = this.#line.shift();
      if (next !== undefined) this.#await(next);
      this.#complete(attempt, at);
    });
  }

  /** @param {Attempt} attempt @param {number} now */
  #complete(attempt, now) {
    if (attempt.stage !== 'away') return;
    if (this.paused && this.plan.holdsAnswers) {
      this.#held.push(attempt);
      return;
    }
    attempt.stage = 'over';
    this.#inside.delete(attempt);
    const thread = /** @type {Thread} */ (attempt.thread);
    /** @type {LoadReport} */ (this.reports[this.threads.indexOf(thread)]).answered(false, now);
    if (this.onAnswer.length > 0) for (const told of this.onAnswer) told(attempt, now);
    this.#answer(attempt, 'success', this.report(thread, now));
  }

  /**
   * @param {Attempt} attempt @param {import('keelson/core').Outcome} outcome
   * @param {import('keelson/core').ServerLoad | undefined} load
   */
  #answer(attempt, outcome, load) {
    this.world.after(attempt.backMs, (now) => attempt.call.client.answered(attempt, outcome, load, now));
  }
}
