/** Calls of which the mean is made: enough to calm it, few enough to notice a neighbour that takes the CPU. */
const calls = 20;
/** Time constant of the rates; milliseconds. */
const tauMs = 1000;

/**
 * What a server can tell of itself without knowing the sizes of the calls that wait: how many wait, and how long the last
 * ones kept its thread busy. That time is what the clock shows; a slow or shared CPU shows in it, as it does in a real process.
 */
export class LoadReport {
  serviceMs = 0;
  #perMs = 0;
  #failuresPerMs = 0;
  #stampedAt = 0;
  #busyPerMs = 0;

  /** A call left the thread. @param {number} busyMs @param {number} now */
  ran(busyMs, now) {
    this.serviceMs += (busyMs - this.serviceMs) / (this.serviceMs === 0 ? 1 : calls);
    this.#age(now);
    this.#busyPerMs += busyMs / tauMs;
  }

  /** A call was answered. @param {boolean} failed @param {number} now */
  answered(failed, now) {
    this.#age(now);
    this.#perMs += 1 / tauMs;
    if (failed) this.#failuresPerMs += 1 / tauMs;
  }

  /**
   * @param {number} queued calls that wait for the thread or have it
   * @param {number} inflight @param {number} now
   * @returns {import('keelson/core').ServerLoad}
   */
  read(queued, inflight, now) {
    this.#age(now);
    return {
      cpuRatio: Math.min(1, this.#busyPerMs),
      inflight,
      backlogMs: queued * this.serviceMs,
      serviceMs: this.serviceMs,
      perSecond: this.#perMs * 1000,
      errorsPerSecond: this.#failuresPerMs * 1000,
    };
  }

  /** @param {number} now */
  #age(now) {
    const kept = Math.exp((this.#stampedAt - now) / tauMs);
    this.#stampedAt = now;
    this.#perMs *= kept;
    this.#failuresPerMs *= kept;
    this.#busyPerMs *= kept;
  }
}
