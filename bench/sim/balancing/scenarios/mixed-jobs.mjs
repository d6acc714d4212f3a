import { exponential } from '../../engine/streams.mjs';

const cheapMs = 1;
const dearMs = 21;
const dearRatio = 0.1;

/** Nine cheap calls to one dear one, which together take 3 ms on average. @type {import('../cell.mjs').Scenario} */
export const mixedJobs = {
  id: 'mixed-jobs',
  title: 'nine calls of 1 ms to one of 21 ms',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  work: (random) => exponential(random, random() < dearRatio ? dearMs : cheapMs),
};
