/** @typedef {import('./attempt.mjs').Attempt} Attempt */

/**
 * One CPU thread: runs what comes in the order it came, one call at a time, at a speed that may change at any moment.
 * A call that was started cannot be stopped, as nobody can stop a handler that does not yield.
 */
export class Thread {
  /** Calls that wait or run. */
  queued = 0;
  /** CPU time of those that wait and were not cancelled, at speed 1. */
  #waitingWork = 0;
  /** @type {Attempt[]} */
  #line = [];
  #head = 0;
  /** What has come besides calls and was not read yet. @type {((now: number) => void)[]} */
  #unread = [];
  /** Calls that had their turn already and were made to wait. @type {Attempt[]} */
  #resumed = [];
  /** @type {Attempt | undefined} */
  #running = undefined;
  #left = 0;
  #settledAt = 0;
  #beganAt = 0;
  #speed = 1;
  /** Work for calls that were cancelled before they started: they had been read and parsed. */
  #owed = 0;
  /** @type {ReturnType<import('../engine/world.mjs').World['at']> | undefined} */
  #end = undefined;

  /**
   * @param {import('../engine/world.mjs').World} world
   * @param {(attempt: Attempt, busyMs: number, now: number) => void} ran
   * @param {(attempt: Attempt, now: number) => boolean} mayStart `false`: its turn passes, and it is out of the queue
   */
  constructor(world, ran, mayStart) {
    this.world = world;
    this.ran = ran;
    this.mayStart = mayStart;
  }

  /** @param {Attempt} attempt @param {number} now */
  push(attempt, now) {
    this.queued++;
    attempt.thread = this;
    attempt.stage = 'waiting';
    this.#waitingWork += attempt.workMs;
    this.#line.push(attempt);
    if (this.#running === undefined) this.#next(now);
    else this.#announce();
  }

  /** Takes back a call that had its turn before; it is the next. @param {Attempt} attempt @param {number} now */
  resume(attempt, now) {
    this.queued++;
    attempt.stage = 'waiting';
    this.#waitingWork += attempt.workMs;
    this.#resumed.push(attempt);
    if (this.#running === undefined) this.#next(now);
  }

  /** Takes a call out that has not started. @param {Attempt} attempt @param {number} costMs */
  drop(attempt, costMs) {
    attempt.stage = 'over';
    this.#announce();
    this.queued--;
    this.#waitingWork -= attempt.workMs;
    this.#owed += costMs;
  }

  /** @param {(now: number) => void} act */
  whenFree(act) {
    if (this.#running === undefined && this.#speed > 0) act(this.world.now);
    else this.#unread.push(act);
  }

  /** Everything is lost. @param {number} now */
  clear(now) {
    this.#unread = [];
    if (this.#end !== undefined) this.world.cancel(this.#end);
    this.#end = undefined;
    this.#running = undefined;
    this.#line = [];
    this.#head = 0;
    this.#resumed = [];
    this.#left = 0;
    this.#owed = 0;
    this.#waitingWork = 0;
    this.queued = 0;
    this.#settledAt = now;
  }

  /** @param {number} speed 0 stands still @param {number} now */
  setSpeed(speed, now) {
    this.#settle(now);
    this.#speed = speed;
    if (this.#running !== undefined) this.#schedule();
    else if (speed > 0) this.#read(now);
  }

  /** CPU time until a new call would start, at speed 1. @param {number} now */
  workMs(now) {
    if (this.#running === undefined) return 0;
    const left = this.#left - (now - this.#settledAt) * this.#speed;
    return Math.max(0, left) + Math.max(0, this.#waitingWork);
  }

  /** @param {number} now */
  #settle(now) {
    if (this.#running !== undefined) this.#left -= (now - this.#settledAt) * this.#speed;
    this.#settledAt = now;
  }

  #schedule() {
    if (this.#end !== undefined) this.world.cancel(this.#end);
    this.#end =
      this.#speed > 0
        ? this.world.after(Math.max(0, this.#left) / this.#speed, (now) => this.#finish(now))
        : undefined;
  }

  /** @param {number} now */
  #finish(now) {
    const attempt = /** @type {Attempt} */ (this.#running);
    this.#running = undefined;
    this.#end = undefined;
    this.queued--;
    this.ran(attempt, now - this.#beganAt, now);
    this.#read(now);
    if (this.#running === undefined) this.#next(now);
  }

  /** @param {number} now */
  #read(now) {
    if (this.#unread.length === 0) return;
    const acts = this.#unread;
    this.#unread = [];
    for (const act of acts) act(now);
  }

  /** @param {number} now */
  #next(now) {
    for (;;) {
      const attempt = this.#resumed.shift() ?? this.#first();
      if (attempt === undefined) {
        this.#waitingWork = 0;
        return;
      }
      if (attempt.stage !== 'waiting') continue;
      if (!this.mayStart(attempt, now)) {
        this.queued--;
        this.#waitingWork -= attempt.workMs;
        continue;
      }
      attempt.stage = 'running';
      this.#waitingWork -= attempt.workMs;
      this.#running = attempt;
      this.#left = attempt.workMs + this.#owed;
      this.#owed = 0;
      this.#beganAt = now;
      this.#settledAt = now;
      this.#schedule();
      this.#announce();
      return;
    }
  }

  /** Tells which call is the next. */
  #announce() {
    while (this.#head < this.#line.length && this.#line[this.#head]?.stage !== 'waiting') this.#head++;
    const next = this.#line[this.#head];
    if (next !== undefined) next.call.client.isNext(next);
  }

  /** @returns {Attempt | undefined} */
  #first() {
    if (this.#head === this.#line.length) {
      this.#line = [];
      this.#head = 0;
      return undefined;
    }
    const attempt = this.#line[this.#head++];
    if (this.#head > 1024) {
      this.#line = this.#line.slice(this.#head);
      this.#head = 0;
    }
    return attempt;
  }
}
