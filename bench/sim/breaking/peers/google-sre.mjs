import { Buckets } from './buckets.mjs';
import { gateOf } from './gate-of.mjs';

/**
 * Source: Beyer et al., "Site Reliability Engineering", chapter 21: K = 2 over two minutes, refusals among the requests.
 *
 * @param {() => number} random
 */
export function googleSre(random) {
  const window = new Buckets(120_000, 120);
  return gateOf({
    admit: (now) => {
      const { total, good } = window.sums(now);
      if (random() >= (total - 2 * good) / (total + 1)) return true;
      window.add(now, false);
      return false;
    },
    ended: (now, succeeded) => window.add(now, succeeded),
  });
}
