import { bound, through } from './shape.mjs';

/** Four HTTP/2 connections carry all calls: one event of the loop may hold many. @param {import('./shape.mjs').Style} style @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario} */
export const multiplexed = (style, lengths) => ({
  ...bound(style),
  id: `multiplexed-${style}`,
  name: `four HTTP/2 connections, ${style}, 3x`,
  phases: through(3, lengths),
  connections: 4,
});
