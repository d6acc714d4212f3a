/** @typedef {{ slot: number, total: number, good: number, refused: number }} Bucket */

/** Counts by time, in a ring of buckets. */
export class Buckets {
  /** @type {Bucket[]} */
  #ring;
  #widthMs;

  /** @param {number} windowMs @param {number} count */
  constructor(windowMs, count) {
    this.#widthMs = windowMs / count;
    this.#ring = Array.from({ length: count }, () => ({ slot: -1, total: 0, good: 0, refused: 0 }));
  }

  /** A call ended. @param {number} now @param {boolean} good */
  add(now, good) {
    const at = this.#at(now);
    at.total++;
    if (good) at.good++;
  }

  /** A call was refused: one in total, and neither good nor bad. @param {number} now */
  refuse(now) {
    const at = this.#at(now);
    at.total++;
    at.refused++;
  }

  /** @param {number} now */
  #at(now) {
    const slot = Math.floor(now / this.#widthMs);
    const at = /** @type {Bucket} */ (this.#ring[slot % this.#ring.length]);
    if (at.slot !== slot) Object.assign(at, { slot, total: 0, good: 0, refused: 0 });
    return at;
  }

  /** Those that are in the window, the oldest first. @param {number} now @returns {Bucket[]} */
  live(now) {
    const slot = Math.floor(now / this.#widthMs);
    const oldest = slot - this.#ring.length;
    return this.#ring.filter((one) => one.slot > oldest && one.slot <= slot).sort((a, b) => a.slot - b.slot);
  }

  /** @param {number} now */
  sums(now) {
    const slot = Math.floor(now / this.#widthMs);
    const oldest = slot - this.#ring.length;
    let total = 0;
    let good = 0;
    for (const one of this.#ring) {
      if (one.slot <= oldest || one.slot > slot) continue;
      total += one.total;
      good += one.good;
    }
    return { total, good };
  }

  clear() {
    for (const one of this.#ring) one.slot = -1;
  }
}
