import { gradient, vegas } from 'keelson/limiter';
import { gated } from './gated.mjs';

/** The shipped `gradient()`: Netflix Gradient2 with its defaults. @type {import('../run.mjs').Contender} */
export const gradients = { id: 'gradient', name: 'gradient', make: () => gated(gradient()) };

/** The shipped `vegas()`: that of Netflix with its defaults. @type {import('../run.mjs').Contender} */
export const vegases = {
  id: 'vegas',
  name: 'vegas',
  make: ({ random }) => gated(vegas({ random: random('jitter') })),
};
