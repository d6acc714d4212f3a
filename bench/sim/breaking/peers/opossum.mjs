import { Buckets } from './buckets.mjs';
import { gateOf } from './gate-of.mjs';

const resetMs = 30_000;
const errorRatio = 0.5;

/**
 * Source: nodeshift/opossum 9.0.0, `lib/circuit.js`, with its defaults: opens when more than half of the calls of ten
 * seconds failed, refusals among the calls; after half a minute one call decides.
 */
export function opossum() {
  const fires = new Buckets(10_000, 10);
  const failures = new Buckets(10_000, 10);
  /** @type {'closed' | 'open' | 'pending' | 'probing'} */
  let state = 'closed';
  let openedAt = 0;
  return gateOf({
    admit: (now) => {
      fires.add(now, false);
      if (state === 'open' && now - openedAt >= resetMs) state = 'pending';
      if (state === 'pending') {
        state = 'probing';
        return true;
      }
      return state === 'closed';
    },
    ended: (now, succeeded) => {
      if (succeeded) {
        if (state === 'probing') state = 'closed';
        return;
      }
      failures.add(now, false);
      const failed = failures.sums(now).total / fires.sums(now).total;
      if (state === 'probing' || (state === 'closed' && failed > errorRatio)) {
        state = 'open';
        openedAt = now;
      }
    },
  });
}
