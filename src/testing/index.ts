/**
 * For tests of services that use keelson: a clock that stands still, random numbers that repeat.
 *
 * @module
 */
export { type ManualClock, manualClock } from './manual-clock.js';
export { seededRandom } from './seeded-random.js';
