import { Buckets } from './buckets.mjs';
import { gateOf } from './gate-of.mjs';

const buckets = 40;
const k = 1.5;
const minK = 1.1;
const protection = 5;
const forcePassMs = 1000;

/**
 * Source: zeromicro/go-zero at 11f2109, `core/breaker/googlebreaker.go` and `bucket.go` (unchanged since e0c1605 of 2024):
 * `k` falls with the latest buckets in which calls failed and none succeeded, the chance of a refusal with those in which
 * none failed, and one call passes each second. A bucket of refusals alone is neither.
 *
 * @param {() => number} random
 */
export function goZero(random) {
  const window = new Buckets(10_000, buckets);
  let lastPass = 0;
  return gateOf({
    admit: (now) => {
      let total = 0;
      let good = 0;
      let working = 0;
      let failing = 0;
      for (const one of window.live(now)) {
        total += one.total;
        good += one.good;
        const bad = one.total - one.good - one.refused;
        if (bad > 0) working = 0;
        else if (one.good > 0) working++;
        if (one.good > 0) failing = 0;
        else if (bad > 0) failing++;
      }
      const weight = Math.max(minK, k - ((k - minK) * failing) / buckets);
      const ratio = (total - protection - weight * good) / (total + 1);
      if (ratio <= 0) return true;
      if (lastPass > 0 && now - lastPass > forcePassMs) {
        lastPass = now;
        return true;
      }
      if (random() < (ratio * (buckets - working)) / buckets) {
        window.refuse(now);
        return false;
      }
      lastPass = now;
      return true;
    },
    ended: (now, succeeded) => window.add(now, succeeded),
  });
}
