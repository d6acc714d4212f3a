import { Buckets } from './buckets.mjs';
import { gateOf } from './gate-of.mjs';

const threshold = 0.2;
const durationMs = 30_000;
const halfOpenAfterMs = 10_000;

/**
 * Source: connor4312/cockatiel 3.2.1, `SamplingBreaker` and `CircuitBreakerPolicy`, with the numbers of its readme: opens
 * when more than a fifth of the calls of half a minute failed, at 25 calls per second or more; after ten seconds one call
 * decides.
 */
export function cockatiel() {
  const window = new Buckets(durationMs, 30);
  const fewest = (durationMs * 5) / (threshold * 1000);
  /** @type {'closed' | 'open' | 'half-open'} */
  let state = 'closed';
  let openedAt = 0;
  return gateOf({
    admit: (now) => {
      if (state === 'open' && now - openedAt >= halfOpenAfterMs) {
        state = 'half-open';
        return true;
      }
      return state === 'closed';
    },
    ended: (now, succeeded) => {
      if (succeeded) {
        if (state === 'half-open') {
          window.clear();
          state = 'closed';
        }
        window.add(now, true);
        return;
      }
      window.add(now, false);
      const { total, good } = window.sums(now);
      const tripped = total >= fewest && total - good > threshold * total;
      if (state === 'half-open' || (state === 'closed' && tripped)) {
        state = 'open';
        openedAt = now;
      }
    },
  });
}
