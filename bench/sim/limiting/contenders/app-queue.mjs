/** @typedef {import('../call.mjs').Call} Call */

/**
 * What a queue in the process does with the calls that were read.
 *
 * @typedef {object} Discipline
 * @property {(call: Call, now: number) => boolean} enter whether it may wait
 * @property {(now: number) => Call | undefined} next the one whose turn it is; a call for which it is too late may be
 *   {@link Call.drop}ped first and is then refused
 * @property {() => number} size
 * @property {(call: Call, now: number) => void} [ended]
 */

/**
 * A queue in the process, for disciplines that were made for servers which have one: everything readable is read and
 * queued, and the check phase of each turn starts one call.
 *
 * @param {import('../thread.mjs').Thread} thread
 * @param {Discipline} discipline
 * @returns {import('../call.mjs').Admission}
 */
export function appQueue(thread, discipline) {
  let set = false;
  /** @type {Call | undefined} */
  let current;
  const drain = {
    step(/** @type {number} */ now) {
      current ??= discipline.next(now);
      const ms = current === undefined ? -1 : current.step(now);
      if (ms >= 0) return ms;
      current = undefined;
      set = discipline.size() > 0;
      if (set) thread.immediate(drain);
      return -1;
    },
  };
  return {
    arrive(call, now) {
      if (!discipline.enter(call, now)) return 'refuse';
      if (!set) thread.immediate(drain);
      set = true;
      return 'wait';
    },
    ended: (call, now) => discipline.ended?.(call, now),
  };
}

/** First in, first out, or the other way; each call with the time at which it came. */
export class Waiting {
  /** @type {{ call: Call, since: number }[]} */
  #items = [];
  #head = 0;
  get size() {
    return this.#items.length - this.#head;
  }
  /** @param {Call} call @param {number} since */
  push(call, since) {
    this.#items.push({ call, since });
  }
  first() {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
  last() {
    return this.size > 0 ? this.#items.pop() : undefined;
  }
}
