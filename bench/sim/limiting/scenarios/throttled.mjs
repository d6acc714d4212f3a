import { bound, through } from './shape.mjs';

/**
 * Half a CPU by quota, 50 ms of each 100: what the thread can do is half of what it seems, and it stands still in the
 * rest of each period.
 *
 * @param {import('./shape.mjs').Style} style @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario}
 */
export const throttled = (style, lengths) => {
  const whole = bound(style);
  return {
    ...whole,
    id: `throttled-${style}`,
    name: `half a CPU by quota, ${style}, 3x`,
    perMs: whole.perMs / 2,
    quota: { quotaMs: 50, periodMs: 100 },
    phases: through(3, lengths),
    limit: (load) => whole.limit(load) / 2,
  };
};
