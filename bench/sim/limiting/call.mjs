/** @typedef {import('./thread.mjs').Thread} Thread */

/**
 * What a handler does, in order: numbers at even places are ms of CPU, numbers at odd places ms of waiting for something
 * else, or a function that says how long that takes from now on.
 *
 * @typedef {readonly (number | ((now: number) => number))[]} Program
 */

/**
 * What decides on the calls that the process has read, and is told how they end.
 *
 * @typedef {object} Admission
 * @property {(call: Call, now: number) => 'run' | 'refuse' | 'wait'} arrive a call that has to wait is started or dropped
 *   by whoever said so
 * @property {(call: Call, now: number) => void} [ended] the answer has been written
 * @property {(now: number) => number | undefined} [admitRatio] what it tells clients of how many it lets in
 */

/** What becomes of calls. @typedef {{ refused(call: Call, now: number): void, answered(call: Call, now: number): void }} Ledger */

/** @typedef {object} Costs @property {number} parseMs @property {number} rejectMs */

/** One call on its way through the process: a job of the thread, and an Ask for gates. */
export class Call {
  /** @type {'read' | 'judge' | 'handle' | 'refuse' | 'refused'} */
  #stage = 'read';
  #at = 0;
  /** Whatever the admission wants to keep with it. @type {any} */
  mark = undefined;
  /** Whom its client wants to be told how it ended. @type {((outcome: 'success' | 'overload', now: number) => void) | undefined} */
  whenOver = undefined;

  /**
   * @param {{ thread: Thread, admission: Admission, ledger: Ledger, costs: Costs }} home
   * @param {object} what
   * @param {number} what.arrivedAt
   * @param {number} what.deadlineAt when its client gives up
   * @param {number} what.priority 1 or 0
   * @param {string} what.operation
   * @param {string} what.key
   * @param {Program} what.program
   * @param {number} what.weight how much of what the server can do it takes: ms
   */
  constructor(home, what) {
    this.home = home;
    this.arrivedAt = what.arrivedAt;
    this.deadlineAt = what.deadlineAt;
    this.priority = what.priority;
    this.operation = what.operation;
    this.key = what.key;
    this.program = what.program;
    this.weight = what.weight;
  }

  /** Is it too late for an answer? A process that has polled since knows: the connection is closed. */
  get late() {
    return this.home.thread.world.now > this.deadlineAt;
  }

  /** For a call that waits: the next step refuses it. */
  drop() {
    this.#stage = 'refuse';
  }

  /** Its next steps, up to where it gives the thread back, before this returns. */
  runOn() {
    const { thread } = this.home;
    for (let ms = this.step(thread.world.now); ms >= 0; ms = this.step(thread.world.now)) thread.burn(ms);
  }

  /** @param {number} now @returns {number} */
  step(now) {
    const { admission, ledger, costs, thread } = this.home;
    switch (this.#stage) {
      case 'read':
        this.#stage = 'judge';
        return costs.parseMs;
      case 'judge': {
        this.#stage = 'handle';
        const verdict = admission.arrive(this, now);
        if (verdict !== 'refuse') return verdict === 'wait' ? -1 : 0;
        this.#stage = 'refused';
        return costs.rejectMs;
      }
      case 'refuse':
        this.#stage = 'refused';
        return costs.rejectMs;
      case 'refused':
        ledger.refused(this, now);
        this.whenOver?.('overload', now);
        return -1;
      default: {
        const at = this.#at++;
        const part = this.program[at];
        if (part === undefined) {
          // First: what is written to the socket is written, whatever is done with the permit after that.
          ledger.answered(this, now);
          this.whenOver?.('success', now);
          admission.ended?.(this, now);
          return -1;
        }
        const ms = typeof part === 'function' ? part(now) : part;
        if (at % 2 === 0) return ms;
        thread.world.after(ms, () => thread.ready(this));
        return -1;
      }
    }
  }
}
