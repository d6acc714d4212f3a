import { exponential, lognormal } from '../../engine/streams.mjs';
import { bound } from './shape.mjs';

/**
 * The thread stands still for 100 ms every two seconds on average: garbage, a big JSON, another process. At 0.6 nobody has
 * to be refused for that.
 *
 * @param {import('./shape.mjs').Style} style @param {number} ms @returns {import('../run.mjs').Scenario}
 */
export const pauses = (style, ms) => ({
  ...bound(style),
  id: `pauses-${style}`,
  name: `pauses of 0.1 s at 0.6x, ${style}`,
  phases: [{ load: 0.6, ms }],
  judged: 0,
  trouble(thread, random) {
    const pause = () => {
      let left = lognormal(random, 100, 0.5);
      thread.ready({
        step() {
          const now = left;
          left = -1;
          return now;
        },
      });
      thread.world.after(exponential(random, 2000), pause);
    };
    thread.world.after(exponential(random, 2000), pause);
  },
});
