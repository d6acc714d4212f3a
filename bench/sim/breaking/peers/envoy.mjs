import { gateOf } from './gate-of.mjs';

const inARow = 5;
const sweepMs = 10_000;
const baseEjectionMs = 30_000;
const maxEjectionMs = 300_000;

/**
 * Source: envoyproxy/envoy, outlier detection with its defaults: five 5xx in a row eject a host, for half a minute more
 * each time, looked at every ten seconds. Envoy ejects a tenth of the hosts at most; here as if that host were among them.
 */
export function envoy() {
  let run = 0;
  let ejectedAt = Number.NaN;
  let ejections = 0;
  let sweep = 0;
  return gateOf({
    admit: (now) => {
      for (; sweep + sweepMs <= now; sweep += sweepMs) {
        const at = sweep + sweepMs;
        if (at - ejectedAt >= Math.min(maxEjectionMs, baseEjectionMs * ejections)) ejectedAt = Number.NaN;
        else if (Number.isNaN(ejectedAt) && ejections > 0) ejections--;
      }
      return Number.isNaN(ejectedAt);
    },
    ended: (now, succeeded) => {
      run = succeeded ? 0 : run + 1;
      if (run < inARow || !Number.isNaN(ejectedAt)) return;
      ejectedAt = now;
      ejections++;
      run = 0;
    },
  });
}
