import { exponential } from '../../engine/streams.mjs';
import { bound, costs, through } from './shape.mjs';

const chunks = 8;
const chunkMs = 0.02;

/**
 * Bodies that trickle: the handler is called with the headers and reads eight parts, 20 ms apart on average, before it
 * computes. Such calls are in flight for long and cost nothing meanwhile.
 *
 * @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario}
 */
export const uploads = (lengths) => ({
  ...bound('async'),
  id: 'uploads',
  name: 'bodies that trickle, 3x',
  phases: through(3, lengths),
  kinds: (random) => () => {
    const computeMs = exponential(random, 3 - chunks * chunkMs);
    /** @type {number[]} */
    const body = [];
    for (let chunk = 0; chunk < chunks; chunk++) body.push(chunkMs, exponential(random, 20));
    return { program: [...body, computeMs], weight: computeMs + chunks * chunkMs + costs.parseMs };
  },
});
