import { loadSignal } from 'keelson/limiter/load';

/** A ring of counters; the one that is being filled does not count. */
class Rolling {
  /** @param {number} buckets @param {number} bucketMs */
  constructor(buckets, bucketMs) {
    this.bucketMs = bucketMs;
    this.slots = new Float64Array(buckets).fill(-1);
    this.sums = new Float64Array(buckets);
    this.counts = new Float64Array(buckets);
  }
  /** @param {number} now @param {number} value */
  add(now, value) {
    const slot = Math.floor(now / this.bucketMs);
    const at = slot % this.slots.length;
    if (this.slots[at] !== slot) {
      this.slots[at] = slot;
      this.sums[at] = 0;
      this.counts[at] = 0;
    }
    this.sums[at] = (this.sums[at] ?? 0) + value;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
  }
  /** @param {number} now @param {(sum: number, count: number) => void} visit */
  each(now, visit) {
    const slot = Math.floor(now / this.bucketMs);
    for (let at = 0; at < this.slots.length; at++) {
      const age = slot - (this.slots[at] ?? -1);
      if (age > 0 && age < this.slots.length) visit(this.sums[at] ?? 0, this.counts[at] ?? 0);
    }
  }
}

/**
 * go-zero's shedder with its defaults: window of 5 s in 50 buckets, CPU threshold 0.9, cool-off 1 s. It judges both what
 * is in flight and its average, and lets less in the nearer the CPU is to its end. Its CPU signal keeps 0.95 of the old
 * value every 250 ms; here that of the thread.
 *
 * Source: zeromicro/go-zero `core/load/adaptiveshedder.go`, `core/stat/usage.go`.
 *
 * @type {import('../run.mjs').Contender}
 */
export const goZero = {
  id: 'go-zero',
  name: 'go-zero shedder',
  make({ clock, host }) {
    const intervalMs = 250;
    const load = loadSignal({
      clock,
      host,
      intervalMs,
      cpuIntervalMs: intervalMs,
      smoothingMs: -intervalMs / Math.log(0.95),
      fullDelayMs: Number.POSITIVE_INFINITY,
    });
    load.start();
    const threshold = 0.9;
    const bucketMs = 100;
    const passes = new Rolling(50, bucketMs);
    const rtts = new Rolling(50, bucketMs);
    let flying = 0;
    let averageFlying = 0;
    let overloadedAt = Number.NEGATIVE_INFINITY;
    let droppedRecently = false;

    const maxFlight = (/** @type {number} */ now) => {
      let maxPass = 1;
      passes.each(now, (sum) => (maxPass = Math.max(maxPass, sum)));
      let minRtt = 1000;
      rtts.each(now, (sum, count) => (minRtt = Math.min(minRtt, Math.round(sum / count))));
      return Math.max(1, (maxPass * minRtt) / bucketMs);
    };
    const hot = (/** @type {number} */ now) => {
      if (load.value >= threshold) {
        overloadedAt = now;
        return true;
      }
      if (droppedRecently && now - overloadedAt < 1000) return true;
      droppedRecently = false;
      return false;
    };
    return {
      arrive(call, now) {
        if (hot(now)) {
          const factor = Math.min(1, Math.max(0.1, (1 - load.value) / (1 - threshold)));
          const limit = maxFlight(now) * factor;
          if (averageFlying > limit && flying > limit) {
            droppedRecently = true;
            return 'refuse';
          }
        }
        flying++;
        call.mark = now;
        return 'run';
      },
      ended(call, now) {
        flying--;
        averageFlying = averageFlying * 0.9 + flying * 0.1;
        rtts.add(now, Math.ceil(now - call.mark));
        passes.add(now, 1);
      },
    };
  },
};
