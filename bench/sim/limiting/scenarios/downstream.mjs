import { costs } from './shape.mjs';

/** What the calls wait for: `slots` at a time, in the order in which they came. */
class Downstream {
  /** When each slot falls free. */
  #free;
  /** @param {number} slots @param {(now: number) => number} takesMs */
  constructor(slots, takesMs) {
    this.#free = new Float64Array(slots);
    this.takesMs = takesMs;
  }
  /** @param {number} now @returns {number} how long until an answer comes */
  ask(now) {
    let first = 0;
    for (let slot = 1; slot < this.#free.length; slot++)
      if ((this.#free[slot] ?? 0) < (this.#free[first] ?? 0)) first = slot;
    const end = Math.max(now, this.#free[first] ?? 0) + this.takesMs(now);
    this.#free[first] = end;
    return end - now;
  }
}

/**
 * The thread has time; what the handlers wait for, a pool of 10 that answers in 20 ms, becomes ten times slower for a
 * while. No CPU, no loop shows that.
 *
 * @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario}
 */
export const downstream = ({ calmMs, hardMs }) => ({
  id: 'downstream',
  name: 'downstream slows, 3x of it',
  // Of the pool as it is while slow: 0.15 calls per ms, of 0.05 that it can then answer and 0.5 that it otherwise can.
  perMs: 0.05,
  phases: [
    { load: 3, ms: calmMs },
    { load: 3, ms: hardMs },
    { load: 3, ms: calmMs },
  ],
  costs,
  deadlineMs: 500,
  highShare: 0.2,
  judged: 1,
  limit: () => 1,
  kinds: (_random, world) => {
    const slow = () => world.now >= calmMs && world.now < calmMs + hardMs;
    const pool = new Downstream(10, () => (slow() ? 200 : 20));
    const ask = (/** @type {number} */ now) => pool.ask(now);
    return () => ({ program: [0.1, ask, 0.2], weight: 20 });
  },
});
