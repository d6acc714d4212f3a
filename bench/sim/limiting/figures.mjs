import { run } from './run.mjs';
import { timeTo } from './tally.mjs';

/**
 * What a run says.
 *
 * @typedef {object} Figures
 * @property {number} goodput good work in the judged phase, in parts of the most there can be
 * @property {number} p99Ms of all calls let in then, late ones included
 * @property {number} highRatio share of the important calls answered in time then
 * @property {number} riseMs from the start of that phase until the good work is at 0.9 of the most for good; `Infinity`
 *   for never, `null` in JSON
 * @property {number} refusedBefore share refused in the first phase
 * @property {number} servedAfter share answered in time in the second half of the last phase
 * @property {number} refused share of the calls refused in the judged phase
 * @property {Readonly<Record<string, number>>} servedBy key: share answered in time in the judged phase
 */

/** @param {import('./run.mjs').Scenario} scenario @param {import('./run.mjs').Contender} contender @param {number} seed @returns {Figures} */
export function figures(scenario, contender, seed) {
  const { phases, judged, limit } = scenario;
  const { book } = run(scenario, contender, seed);
  const from = phases.slice(0, judged).reduce((sum, { ms }) => sum + ms, 0);
  const phase = /** @type {import('./run.mjs').Phase} */ (phases[judged]);
  const until = from + phase.ms;
  const most = limit(typeof phase.load === 'number' ? phase.load : Number.NaN);
  const tally = /** @type {import('./tally.mjs').Tally} */ (book.tallies[judged]);
  const first = /** @type {import('./tally.mjs').Tally} */ (book.tallies[0]);
  const last = /** @type {import('./tally.mjs').Tally} */ (book.tallies.at(-1));
  return {
    goodput: book.goodput(from, until) / most,
    p99Ms: tally.latency.quantile(0.99),
    highRatio: tally.highGood / tally.highOffered,
    riseMs: timeTo(book, from, until, 0.9 * most),
    refusedBefore: first.refused / first.offered,
    servedAfter: last.lateGood / last.lateOffered,
    refused: tally.refused / tally.offered,
    servedBy: Object.fromEntries([...tally.byKey].map(([key, { offered, good }]) => [key, good / offered])),
  };
}

/** Of several seeds: the mean, but the worst of the times. @param {readonly Figures[]} all @returns {Figures} */
export function mean(all) {
  /** @param {(figures: Figures) => number} of */
  const average = (of) => all.reduce((sum, each) => sum + of(each), 0) / all.length;
  const keys = new Set(all.flatMap(({ servedBy }) => Object.keys(servedBy)));
  return {
    goodput: average(({ goodput }) => goodput),
    p99Ms: average(({ p99Ms }) => p99Ms),
    highRatio: average(({ highRatio }) => highRatio),
    riseMs: Math.max(...all.map(({ riseMs }) => riseMs)),
    refusedBefore: average(({ refusedBefore }) => refusedBefore),
    servedAfter: average(({ servedAfter }) => servedAfter),
    refused: average(({ refused }) => refused),
    servedBy: Object.fromEntries(
      [...keys].map((key) => [key, average(({ servedBy }) => servedBy[key] ?? 0)]),
    ),
  };
}
