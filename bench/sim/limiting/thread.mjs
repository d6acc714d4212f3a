/**
 * One Node process: a thread that runs an event loop. As in libuv since 1.45 (Node 20) a turn is
 *
 * 1. poll: everything that is ready, at most `pollEvents`, is taken in one go, in the order in which it became ready;
 *    what becomes ready meanwhile waits for the next turn. With nothing ready, no immediate and no timer due it sleeps.
 * 2. check: the immediates that were set before this phase began.
 * 3. timers that are due.
 *
 * Requests wait in the kernel until a poll phase takes them: nothing of ours sees them there. What the platform does
 * show is counted here: idle and active time, events taken and events that were found waiting, turns, CPU time.
 *
 * Source: libuv `src/unix/core.c` (uv_run) and `src/unix/linux.c` (uv__io_poll; 1024 events a call).
 */

/**
 * Work on the thread, in steps. Each `step` says how many ms of CPU pass before the next one; below zero: it is over.
 *
 * @typedef {{ step(now: number): number }} Job
 */
/** @typedef {{ due: number, run: (now: number) => void, cancelled: boolean }} ThreadTimer */
/** A share of a CPU, as a control group's quota gives it. @typedef {{ quotaMs: number, periodMs: number }} Quota */

const pollEvents = 1024;

export class Thread {
  /** Turns of the loop that began. */
  turns = 0;
  /** Events that poll phases took. */
  events = 0;
  /** Of these, the ones that were ready when the loop looked: it did not have to wait for them. */
  eventsWaiting = 0;
  /** Time spent waiting in poll; milliseconds. */
  idleMs = 0;
  /** CPU that was used; milliseconds. */
  cpuMs = 0;
  /** Periods of the quota that began, and those in which it was used up. */
  periods = 0;
  throttledPeriods = 0;
  throttledMs = 0;

  /** @type {Job[]} */
  #ready = [];
  #taken = 0;
  /** @type {Job[]} */
  #immediates = [];
  /** @type {(() => void)[]} */
  #turnEnds = [];
  /** @type {ThreadTimer[]} */
  #timers = [];
  /** @type {Job[]} */
  #batch = [];
  #at = 0;
  /** @type {'poll' | 'check'} */
  #phase = 'poll';
  /** @type {Job | undefined} */
  #job;
  /** Since when it sleeps. */
  #idleSince = 0;
  #asleep = true;
  /** When it awakes for a timer. @type {import('../engine/world.mjs').Happening | undefined} */
  #alarm;
  /** @type {{ quota: Quota, period: number, used: number } | undefined} */
  #quota;
  #resume = () => this.#go();

  /**
   * @param {import('../engine/world.mjs').World} world
   * @param {Quota} [quota]
   */
  constructor(world, quota) {
    this.world = world;
    if (quota !== undefined) this.#quota = { quota, period: -1, used: 0 };
  }

  /** Time at which the loop ran something, up to now. */
  get activeMs() {
    return this.world.now - this.idleMs - (this.#asleep ? this.world.now - this.#idleSince : 0);
  }
  get sleptMs() {
    return this.world.now - this.activeMs;
  }

  /** Something becomes ready for the next poll phase. @param {Job} job */
  ready(job) {
    this.#ready.push(job);
    if (this.#asleep) this.#wake();
  }

  /** For the next check phase. @param {Job} job */
  immediate(job) {
    this.#immediates.push(job);
    if (this.#asleep) this.#wake();
  }

  /**
   * For the next check phase too, after what is there already; it neither wakes the loop nor keeps it from sleeping: an
   * immediate that is not ref'd.
   *
   * @param {() => void} run
   */
  onTurnEnd(run) {
    this.#turnEnds.push(run);
  }

  /** A timer of the loop: it never runs early, and late by whatever runs before it. @param {number} ms @param {(now: number) => void} run @returns {ThreadTimer} */
  timer(ms, run) {
    const timer = { due: this.world.now + Math.max(1, ms), run, cancelled: false };
    this.#timers.push(timer);
    if (this.#asleep) this.#setAlarm();
    return timer;
  }

  /**
   * Work within a job that cannot be cut into steps, because what called it goes on when it returns: so much CPU passes
   * before this does.
   *
   * @param {number} ms
   */
  burn(ms) {
    const { world } = this;
    this.cpuMs += ms;
    world.run(this.#endOf(world.now, ms));
  }

  #wake() {
    const { now } = this.world;
    this.#asleep = false;
    this.idleMs += now - this.#idleSince;
    if (this.#alarm !== undefined) this.world.cancel(this.#alarm);
    this.#alarm = undefined;
    this.#poll(false);
    this.#go();
  }

  /** @param {boolean} waiting whether events were ready when it looked */
  #poll(waiting) {
    this.turns++;
    const count = Math.min(pollEvents, this.#ready.length - this.#taken);
    this.#batch = this.#ready.slice(this.#taken, this.#taken + count);
    this.#taken += count;
    if (this.#taken === this.#ready.length) {
      this.#ready = [];
      this.#taken = 0;
    }
    this.events += count;
    if (waiting) this.eventsWaiting += count;
    this.#at = 0;
    this.#phase = 'poll';
  }

  /** Runs until CPU has to pass or there is nothing to do. */
  #go() {
    const { world } = this;
    for (;;) {
      if (this.#job === undefined) {
        this.#job = this.#batch[this.#at++];
        if (this.#job === undefined) {
          if (!this.#advance()) return;
          continue;
        }
      }
      const ms = this.#job.step(world.now);
      if (ms < 0) {
        this.#job = undefined;
        continue;
      }
      if (ms === 0) continue;
      this.cpuMs += ms;
      world.at(this.#endOf(world.now, ms), this.#resume);
      return;
    }
  }

  /** To the next phase. @returns {boolean} whether there is one now: not while it sleeps */
  #advance() {
    if (this.#phase === 'poll') {
      this.#phase = 'check';
      this.#batch = this.#immediates;
      this.#immediates = [];
      this.#at = 0;
      return true;
    }
    this.#endTurn();
    this.#runTimers();
    if (this.#ready.length > this.#taken || this.#immediates.length > 0) {
      this.#poll(true);
      return true;
    }
    this.#asleep = true;
    this.#idleSince = this.world.now;
    this.#setAlarm();
    return false;
  }

  #endTurn() {
    if (this.#turnEnds.length === 0) return;
    const runs = this.#turnEnds;
    this.#turnEnds = [];
    for (const run of runs) run();
  }

  #runTimers() {
    const { now } = this.world;
    if (!this.#timers.some(({ due }) => due <= now)) return;
    const due = this.#timers.filter((timer) => timer.due <= now);
    this.#timers = this.#timers.filter((timer) => timer.due > now);
    due.sort((a, b) => a.due - b.due);
    for (const { run, cancelled } of due) if (!cancelled) run(now);
  }

  #setAlarm() {
    if (this.#alarm !== undefined) this.world.cancel(this.#alarm);
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#timers) next = Math.min(next, due);
    this.#alarm = next < Number.POSITIVE_INFINITY ? this.world.at(next, () => this.#wake()) : undefined;
  }

  /** When so much CPU has been had. @param {number} now @param {number} ms */
  #endOf(now, ms) {
    const limit = this.#quota;
    if (limit === undefined) return now + ms;
    const { quotaMs, periodMs } = limit.quota;
    let at = now;
    for (let left = ms; ; ) {
      const period = Math.floor(at / periodMs + 1e-9);
      if (period > limit.period) {
        this.periods += period - limit.period;
        limit.period = period;
        limit.used = 0;
      }
      const end = (period + 1) * periodMs;
      const can = Math.min(quotaMs - limit.used, end - at);
      if (left <= can) {
        limit.used += left;
        return at + left;
      }
      left -= can;
      limit.used += can;
      if (at + can < end) {
        this.throttledPeriods++;
        this.throttledMs += end - at - can;
      }
      at = end;
    }
  }
}
