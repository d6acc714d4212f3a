/** Numbers of which quantiles are wanted, kept one by one: no histogram rounds what is compared. */
export class Sample {
  #values = new Float64Array(1 << 12);
  #count = 0;
  #sorted = true;

  get count() {
    return this.#count;
  }

  /** @param {number} value */
  add(value) {
    if (this.#count === this.#values.length) {
      const wider = new Float64Array(this.#values.length * 2);
      wider.set(this.#values);
      this.#values = wider;
    }
    this.#values[this.#count++] = value;
    this.#sorted = false;
  }

  /** By the nearest rank. @param {number} q 0 to 1 @returns {number} `NaN` of nothing */
  quantile(q) {
    if (this.#count === 0) return Number.NaN;
    if (!this.#sorted) this.#values.subarray(0, this.#count).sort();
    this.#sorted = true;
    const rank = Math.min(this.#count - 1, Math.max(0, Math.ceil(q * this.#count) - 1));
    return this.#values[rank] ?? Number.NaN;
  }

  /** @returns {number} `NaN` of nothing */
  mean() {
    let sum = 0;
    for (let i = 0; i < this.#count; i++) sum += this.#values[i] ?? 0;
    return sum / this.#count;
  }
}
