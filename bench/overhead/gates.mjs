import { sre, threshold } from 'keelson/breaker';
import { allOf, attempt } from 'keelson/core';
import { bbr, concurrency, rate } from 'keelson/limiter';
import { awaited, told } from '../harness.mjs';
import { answer } from './baselines.mjs';

/** Each case has gates of its own. @type {Record<string, () => import('keelson/core').Gate>} */
const gates = {
  sre: () => sre(),
  threshold: () => threshold(),
  // Not the load of this machine: a limiter that begins to refuse is not what is measured.
  bbr: () => bbr({ load: () => 0.5 }),
  concurrency: () => concurrency({ limit: 100 }),
  rate: () => rate({ perSecond: 1e9 }),
  'allOf(sre, concurrency)': () => allOf([sre(), concurrency({ limit: 100 })]),
};

/** Breakers and limiters, alone and by `attempt`. @returns {import('../harness.mjs').Subject} */
export function gateCases() {
  const sync = Object.entries(gates).map(([name, make]) => ({
    id: `gate.${name}`,
    name: `${name}: tryAcquire + release`,
    against: 'sync',
    batch: told(pairOf(make())),
  }));
  const timed = sre();
  const awaiting = Object.entries(gates).map(([name, make]) => ({
    id: `attempt.${name}`,
    name: `attempt(${name}, fn)`,
    batch: awaited(attemptOf(make())),
  }));
  return {
    title: 'Gates',
    cases: [
      ...sync,
      {
        id: 'gate.sre.clock',
        name: 'sre, and both times read from the clock',
        against: 'sync',
        batch: told(() => {
          const permit = timed.tryAcquire(performance.now());
          permit?.release('success', performance.now());
          return permit === null ? 0 : 1;
        }),
      },
      ...awaiting,
    ],
  };
}

/** @param {import('keelson/core').Gate} gate @returns {(time: { now: number }) => number} */
function pairOf(gate) {
  return ({ now }) => {
    const permit = gate.tryAcquire(now);
    if (permit === null) return 0;
    permit.release('success', now);
    return 1;
  };
}

/** @param {import('keelson/core').Gate} gate */
function attemptOf(gate) {
  return () => attempt(gate, answer);
}
