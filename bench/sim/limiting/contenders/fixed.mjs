import { concurrency } from 'keelson/limiter';
import { gated } from './gated.mjs';

/** A fixed number in flight, by the shipped `concurrency`. @param {number} limit @returns {import('../run.mjs').Contender} */
export const fixed = (limit) => ({
  id: `fixed-${limit}`,
  name: `fixed ${limit}`,
  make: () => gated(concurrency({ limit })),
});
