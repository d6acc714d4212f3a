import { bound } from './shape.mjs';

/**
 * A load that the server can bear: whoever is refused here is refused for nothing, but for the loss that any queue of
 * that length has (M/M/1/K).
 *
 * @param {import('./shape.mjs').Style} style @param {number} load @param {number} ms
 * @returns {import('../run.mjs').Scenario}
 */
export const steady = (style, load, ms) => ({
  ...bound(style),
  id: `steady-${load}-${style}`,
  name: `steady ${load}x, ${style}`,
  phases: [{ load, ms }],
  judged: 0,
});
