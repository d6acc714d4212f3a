import { exponential } from '../../engine/streams.mjs';

/** Times the usual wait, which is 4 ms: near 5, 50 and 200 ms in all. */
const waits = [1, 12, 50];
const workMs = 0.3;

/**
 * Servers whose calls wait for something else than the thread, a third of them twelve and a third fifty times longer. There is
 * room for everybody everywhere, and what they report of their threads is next to nothing.
 *
 * @type {import('../cell.mjs').Scenario}
 */
export const awaiting = {
  id: 'awaiting',
  title: 'idle threads: a third each waits 4, 48 and 200 ms for something else',
  loads: [0.4, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: 30 }, (_, index) => ({ wait: waits[index % waits.length] ?? 1 })),
  work: (random) => exponential(random, workMs),
};
