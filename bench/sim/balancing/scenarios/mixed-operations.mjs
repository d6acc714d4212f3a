import { lognormal } from '../../engine/streams.mjs';

const dearRatio = 0.3;
const sigma = 0.5;

/** Seven calls in ten wait 4 ms, and three 100 ms, for something else than the thread. @type {import('../cell.mjs').Scenario} */
export const mixedOperations = {
  id: 'mixed-operations',
  title: 'three in ten calls wait 100 ms and the others 4 ms, at the same endpoints',
  loads: [0.7, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  waiting: (random) => lognormal(random, random() < dearRatio ? 100 : 4, sigma),
};
