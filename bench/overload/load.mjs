// Calls one server after the other, as its parent says.
import { closedLoop } from './closed-loop.mjs';
import { openLoop } from './open-loop.mjs';

/**
 * @typedef {object} Task
 * @property {import('./tally.mjs').Target} target
 * @property {import('./closed-loop.mjs').ClosedLoop} [closed]
 * @property {import('./open-loop.mjs').OpenLoop} [open]
 */

process.on('message', async (/** @type {Task} */ { target, closed, open }) => {
  if (closed) process.send?.(await closedLoop(target, closed));
  if (open) process.send?.(await openLoop(target, open));
});
process.once('disconnect', () => process.exit());
process.send?.({});
