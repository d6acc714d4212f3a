import { exponential } from '../../engine/streams.mjs';
import { bound, costs, handler, through } from './shape.mjs';

/** Whose calls these are, if not those of the greedy one. */
export const greedyKey = 'greedy';

/** One key sends 2.5 times what the server can, fifty others half of that together. @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario} */
export const greedy = (lengths) => ({
  ...bound('async'),
  id: 'greedy',
  name: 'one of 51 keys sends 5/6 of 3x',
  phases: through(3, lengths),
  highShare: 0,
  kinds: (random) => () => {
    const cpuMs = exponential(random, 3);
    const key = random() < 5 / 6 ? greedyKey : `key-${Math.floor(random() * 50)}`;
    return { program: handler('async', cpuMs), weight: cpuMs + costs.parseMs, key };
  },
});
