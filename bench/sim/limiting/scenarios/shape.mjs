import { exponential } from '../../engine/streams.mjs';
import { physicalLimit } from '../laws.mjs';

/** What reading a request and refusing one take of the thread; milliseconds. */
export const costs = { parseMs: 0.04, rejectMs: 0.03 };

/** How long phases are. @typedef {{ calmMs: number, hardMs: number }} Lengths */

/** Calm, hard, calm. @param {number | ((ms: number) => number)} load @param {Lengths} lengths @param {number} [peak] @returns {import('../run.mjs').Phase[]} */
export const through = (load, { calmMs, hardMs }, peak) => [
  { load: 0.6, ms: calmMs },
  peak === undefined ? { load, ms: hardMs } : { load, ms: hardMs, peak },
  { load: 0.6, ms: calmMs },
];

/** How handlers go about it. @typedef {'async' | 'sync' | 'waiting'} Style */

/** How long they wait between a third of their work and the rest; milliseconds. Who is `sync` does all in one go. */
const waitMs = { async: 5, waiting: 100 };

/** @param {Style} style @param {number} cpuMs @returns {import('../call.mjs').Program} */
export const handler = (style, cpuMs) =>
  style === 'sync' ? [cpuMs] : [cpuMs / 3, waitMs[style], (cpuMs * 2) / 3];

/**
 * What most scenarios share: CPU is what is scarce, and good work is the CPU time of the calls answered in time.
 * Weighing calls by their CPU keeps the luck of the draw out of the result, and whoever picks the short ones wins
 * nothing.
 *
 * @param {Style} style @param {number} [serveMs]
 */
export function bound(style, serveMs = 3) {
  return {
    perMs: 1 / (serveMs + costs.parseMs),
    costs,
    deadlineMs: 500,
    highShare: 0.2,
    judged: 1,
    /** @param {number} load */
    limit: (load) => physicalLimit(load, { serveMs, ...costs }),
    /** @param {import('../../engine/streams.mjs').Random} random */
    kinds: (random) => () => {
      const cpuMs = exponential(random, serveMs);
      return { program: handler(style, cpuMs), weight: cpuMs + costs.parseMs };
    },
  };
}
