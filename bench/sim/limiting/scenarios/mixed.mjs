import { exponential } from '../../engine/streams.mjs';
import { bound, costs, handler, through } from './shape.mjs';

/** Nine of ten calls are cheap (0.5 ms), the tenth is dear (20 ms). @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario} */
export const mixed = (lengths) => ({
  ...bound('async', 2.45),
  id: 'mixed',
  name: 'cheap and dear routes, 3x',
  phases: through(3, lengths),
  kinds: (random) => () => {
    const dear = random() < 0.1;
    const cpuMs = exponential(random, dear ? 20 : 0.5);
    const operation = dear ? 'GET /reports' : 'GET /users/:id';
    return { program: handler('async', cpuMs), weight: cpuMs + costs.parseMs, operation, key: operation };
  },
});
