import { lognormal } from '../../engine/streams.mjs';
import { bound, costs, through } from './shape.mjs';

/** Handlers that compute in one go, for times that differ much: lognormal, sigma 1.5, one in a hundred above 32 ms. @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario} */
export const heavyTail = (lengths) => ({
  ...bound('sync'),
  id: 'heavy-tail',
  name: 'heavy-tailed, sync, 3x',
  phases: through(3, lengths),
  kinds: (random) => () => {
    const cpuMs = lognormal(random, 3, 1.5);
    return { program: [cpuMs], weight: cpuMs + costs.parseMs };
  },
});
