/** @typedef {(now: number) => void} Run */
/** @typedef {{ at: number, order: number, run: Run | undefined }} Happening */

/** @param {Happening} a @param {Happening} b */
const earlier = (a, b) => a.at < b.at || (a.at === b.at && a.order < b.order);

/**
 * What happens when, in virtual milliseconds. Nothing here waits: a run of a million events takes about a second, and the
 * same happenings give the same run.
 */
export class World {
  /** The time of what happens now; it never goes back. */
  now = 0;
  /** How many happenings ran. */
  happened = 0;
  /** @type {Happening[]} */
  #heap = [];
  #order = 0;

  /**
   * Of one time, first in is first out. A time that has passed is now.
   *
   * @param {number} at @param {Run} run @returns {Happening} for {@link World.cancel}
   */
  at(at, run) {
    const happening = { at: at > this.now ? at : this.now, order: this.#order++, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(happening);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = /** @type {Happening} */ (heap[parent]);
      if (!earlier(happening, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = happening;
    return happening;
  }

  /** @param {number} ms @param {Run} run @returns {Happening} */
  after(ms, run) {
    return this.at(this.now + ms, run);
  }

  /** It will not happen. After it has, this does nothing. @param {Happening} happening */
  cancel(happening) {
    happening.run = undefined;
  }

  /** Lets everything happen up to a time, that time included. @param {number} until */
  run(until) {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#drop();
      this.now = next.at;
      const { run } = next;
      if (run === undefined) continue;
      next.run = undefined;
      this.happened++;
      run(next.at);
    }
    if (until > this.now && until < Number.POSITIVE_INFINITY) this.now = until;
  }

  #drop() {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    const size = heap.length;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= size) break;
      const right = child + 1;
      if (
        right < size &&
        earlier(/** @type {Happening} */ (heap[right]), /** @type {Happening} */ (heap[child]))
      )
        child = right;
      const below = /** @type {Happening} */ (heap[child]);
      if (!earlier(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}
