import { physicalLimit } from '../laws.mjs';
import { bound, costs, through } from './shape.mjs';

const periodMs = 5000;
/** @param {number} ms */
const load = (ms) => 0.3 + (2.7 * (ms % periodMs)) / periodMs;

/** From 0.3 to three times what the server can in 5 s, and at once back to 0.3. @param {import('./shape.mjs').Lengths} lengths @returns {import('../run.mjs').Scenario} */
export const sawtooth = (lengths) => ({
  ...bound('async'),
  id: 'sawtooth',
  name: 'sawtooth 0.3x to 3x in 5 s',
  phases: through(load, lengths, 3),
  limit() {
    // The mean over a tooth.
    let sum = 0;
    for (let ms = 5; ms < periodMs; ms += 10) sum += physicalLimit(load(ms), { serveMs: 3, ...costs });
    return sum / (periodMs / 10);
  },
});
