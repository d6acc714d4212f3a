import { bound, through } from './shape.mjs';

/**
 * Every second 100 ms at six times what the server can, else 0.3: 0.87 on average. All of it could be answered in time,
 * by whoever lets 0.5 s of work queue up, which is why there is no such thing as the best answer here.
 *
 * @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario}
 */
export const bursts = (lengths) => ({
  ...bound('async'),
  id: 'bursts',
  name: 'bursts of 0.1 s at 6x, 0.87x on average',
  phases: through((ms) => (ms % 1000 < 100 ? 6 : 0.3), lengths, 6),
  limit: () => 0.87,
});
