import { exponential } from '../../engine/streams.mjs';

const workMs = 0.3;

/**
 * Servers with an idle thread and two connections to a database each, for which calls stand in a line that no server reports. Of
 * one in five, the database is twice as slow.
 *
 * @type {import('../cell.mjs').Scenario}
 */
export const pools = {
  id: 'pools',
  title: 'idle threads: calls wait for two connections each, a fifth of them twice as slow',
  loads: [0.7, 0.9],
  chosenOn: true,
  replicas: () =>
    Array.from({ length: 30 }, (_, index) => ({ connections: 2, wait: index % 5 === 0 ? 2.3 : 1.15 })),
  work: (random) => exponential(random, workMs),
};
