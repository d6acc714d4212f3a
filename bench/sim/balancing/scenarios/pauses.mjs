import { exponential, lognormal } from '../../engine/streams.mjs';

const everyMs = 5000;
const meanMs = 150;
const sigma = 0.6;

/** Collections of garbage that stop the world. @type {import('../cell.mjs').Scenario} */
export const pauses = {
  id: 'C',
  title: 'each replica pauses for about 150 ms every 5 s',
  loads: [0.5, 0.7, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  availability: everyMs / (everyMs + meanMs),
  live: ({ world, replicas, draw }) => {
    for (const replica of replicas) {
      const random = draw(`pauses/${replica.index}`);
      const pause = () => {
        const ms = lognormal(random, meanMs, sigma);
        replica.pause(ms);
        world.after(ms + exponential(random, everyMs), pause);
      };
      world.after(exponential(random, everyMs), pause);
    }
  },
};
