/** @typedef {import('./attempt.mjs').Call} Call */

/** Ends calls after the same time, so one queue is enough and a call that was answered costs nothing more. */
export class Deadlines {
  /** @type {Call[]} */
  #calls = [];
  #head = 0;
  #armed = false;

  /** @param {import('../engine/world.mjs').World} world @param {number} ms */
  constructor(world, ms) {
    this.world = world;
    this.ms = ms;
  }

  /** @param {Call} call */
  add(call) {
    this.#calls.push(call);
    if (!this.#armed) this.#arm();
  }

  #arm() {
    let call = this.#calls[this.#head];
    while (call?.done) call = this.#calls[++this.#head];
    if (this.#head > 4096) {
      this.#calls = this.#calls.slice(this.#head);
      this.#head = 0;
    }
    this.#armed = call !== undefined;
    if (call === undefined) return;
    this.world.at(call.at + this.ms, (now) => {
      call.client.expired(call, now);
      this.#arm();
    });
  }
}
