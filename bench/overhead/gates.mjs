import { evidence, sre, threshold } from 'keelson/breaker';
import { allOf } from 'keelson/core';
import { bbr, concurrency, gradient, rate, vegas } from 'keelson/limiter';
import { awaited, told } from '../harness.mjs';
import { answer } from './baselines.mjs';

/** Each case has gates of its own. @type {Record<string, () => import('keelson/core').Gate>} */
const gates = {
  evidence: () => evidence(),
  sre: () => sre(),
  threshold: () => threshold(),
  // Not the load of this machine: a limiter that begins to refuse is not what is measured.
  bbr: () => bbr({ load: () => 0.5 }),
  gradient: () => gradient({ initialLimit: 100 }),
  vegas: () => vegas({ initialLimit: 100 }),
  concurrency: () => concurrency({ limit: 100 }),
  rate: () => rate({ perSecond: 1e9 }),
  'allOf(sre, concurrency)': () => allOf([sre(), concurrency({ limit: 100 })]),
};

/**
 * A copy of the code for each gate: the compiler then knows one kind of gate in that place, as it does in a service.
 *
 * @param {string} name
 * @returns {Promise<typeof import('./use-gate.mjs')>}
 */
const copyFor = (name) => import(`./use-gate.mjs?${encodeURIComponent(name)}`);

/** Breakers and limiters, alone and by `attempt`. @returns {Promise<import('../harness.mjs').Subject>} */
export async function gateCases() {
  const copies = await Promise.all(
    Object.entries(gates).map(async ([name, make]) => ({ name, make, use: await copyFor(name) })),
  );
  const { useAtClockTime } = await copyFor('clock');
  return {
    title: 'Gates',
    cases: [
      ...copies.map(({ name, make, use }) => ({
        id: `gate.${name}`,
        name: `${name}: tryAcquire + release`,
        against: 'sync',
        batch: told(use.useAt(make())),
      })),
      {
        id: 'gate.sre.clock',
        name: 'sre, and both times read from the clock',
        against: 'sync',
        batch: told(useAtClockTime(sre())),
      },
      ...copies.map(({ name, make, use }) => ({
        id: `attempt.${name}`,
        name: `attempt(${name}, fn)`,
        batch: awaited(use.useByAttempt(make(), answer)),
      })),
    ],
  };
}
