import { bbr, bbrKratos } from 'keelson/limiter';
import { loadSignal } from 'keelson/limiter/load';
import { gated } from './gated.mjs';

/**
 * The shipped `bbr(bbrKratos)`, under a CPU signal smoothed as told. That of kratos keeps 0.95 of the old value every
 * 500 ms, a time constant of 9.75 s.
 *
 * Source: go-kratos/aegis `ratelimit/bbr/bbr.go`, `internal/cpu`.
 *
 * @param {string} name @param {{ intervalMs: number, keep: number }} signal
 * @returns {import('../run.mjs').Contender}
 */
export const kratos = (name, { intervalMs, keep }) => ({
  id: `kratos-${intervalMs}-${keep}`,
  name,
  make({ clock, host }) {
    const load = loadSignal({
      clock,
      host,
      intervalMs,
      cpuIntervalMs: intervalMs,
      smoothingMs: -intervalMs / Math.log(keep),
      fullDelayMs: Number.POSITIVE_INFINITY,
    });
    load.start();
    return gated(bbr({ ...bbrKratos, load }));
  },
});
