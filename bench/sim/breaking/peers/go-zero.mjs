import { Buckets } from './buckets.mjs';
import { gateOf } from './gate-of.mjs';

const buckets = 40;
const k = 1.5;
const minK = 1.1;
const protection = 5;
const forcePassMs = 1000;

/**
 * Source: zeromicro/go-zero, `core/breaker/googlebreaker.go` of 2024 and later: `k` falls with the buckets that only
 * failed, the chance of a refusal with those that only succeeded, and one call passes each second.
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
        const failed = one.total > one.good;
        working = failed ? 0 : working + 1;
        failing = one.good > 0 ? 0 : failing + 1;
      }
      const weight = Math.max(minK, k - ((k - minK) * failing) / buckets);
      const ratio = (total - protection - weight * good) / (total + 1);
      if (ratio <= 0) return true;
      if (lastPass > 0 && now - lastPass > forcePassMs) {
        lastPass = now;
        return true;
      }
      if (random() < (ratio * (buckets - working)) / buckets) {
        window.add(now, false);
        return false;
      }
      lastPass = now;
      return true;
    },
    ended: (now, succeeded) => window.add(now, succeeded),
  });
}
