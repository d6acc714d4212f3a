import { evidence, sre } from 'keelson/breaker';
import { streams } from '../../engine/streams.mjs';
import { bound, through } from './shape.mjs';

/** The shipped gates that throttle. */
const throttles = { sre, evidence };

/**
 * A handler of 1 ms at ten times what it can: refusing alone would take 0.7 of the thread. Thirty clients, each with a gate
 * that throttles, keep most of it to themselves.
 *
 * @param {import('./shape.mjs').Style} style @param {keyof typeof throttles} throttle
 * @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario}
 */
export const throttlingClients = (style, throttle, lengths) => ({
  ...bound(style, 1),
  id: `clients-${throttle}-${style}`,
  name: `1 ms handler, 30 clients with ${throttle}, ${style}, 10x`,
  phases: through(10, lengths),
  // What is not sent costs nothing: everything the thread has is for the others.
  limit: (load) => Math.min(1, load),
  clients: {
    count: 30,
    make: (index) => throttles[throttle]({ random: streams(index)('throttle') }),
  },
});
