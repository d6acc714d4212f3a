/** @typedef {import('./call.mjs').Call} Call */
/** @typedef {import('./thread.mjs').Thread} Thread */

/**
 * Connections that carry many calls, as HTTP/2 does: a poll phase sees one event per connection, however many calls wait
 * in it, and reads them all.
 *
 * @param {Thread} thread @param {number} count @param {import('../engine/streams.mjs').Random} random
 * @returns {(call: Call) => void}
 */
export function connections(thread, count, random) {
  const lines = Array.from({ length: count }, () => new Connection());
  return (call) => {
    const line = /** @type {Connection} */ (lines[Math.floor(random() * count)]);
    line.calls.push(call);
    if (line.calls.length === 1) thread.ready(line);
  };
}

class Connection {
  /** @type {Call[]} */
  calls = [];
  /** @type {Call[] | undefined} */
  #reading;
  #at = 0;
  /** @param {number} now */
  step(now) {
    if (this.#reading === undefined) {
      this.#reading = this.calls;
      this.calls = [];
      this.#at = 0;
    }
    for (; this.#at < this.#reading.length; this.#at++) {
      const ms = this.#reading[this.#at]?.step(now) ?? -1;
      if (ms >= 0) return ms;
    }
    this.#reading = undefined;
    return -1;
  }
}
