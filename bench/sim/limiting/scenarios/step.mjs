import { bound, through } from './shape.mjs';

/**
 * From 0.6 of what the server can do to `load` times that, and back: what the constants were chosen on.
 *
 * @param {import('./shape.mjs').Style} style @param {number} load @param {import('./shape.mjs').Lengths} lengths
 * @returns {import('../run.mjs').Scenario}
 */
export const step = (style, load, lengths) => ({
  ...bound(style),
  id: `step-${load}-${style}`,
  name: `${load}x, ${style}`,
  phases: through(load, lengths),
});
