/**
 * Addresses with one to four processes behind them, each with its own queue, as the cluster module makes them. A call comes
 * to any of them, and the answer tells of that one.
 *
 * @type {import('../cell.mjs').Scenario}
 */
export const manyThreads = {
  id: 'many-threads',
  title: '12 addresses with one to four processes each',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () =>
    Array.from({ length: 12 }, (_, index) => ({ threads: 1 + (index % 4), weight: 100 * (1 + (index % 4)) })),
};
