import { judged, plain } from './plan.mjs';
import { scenarios } from './scenarios.mjs';

/** @typedef {import('./results.mjs').Results} Results */
/** @typedef {import('./results.mjs').Cell} Cell */
/** @typedef {import('./plan.mjs').Line} Line */
/** @typedef {import('./cell.mjs').Figures} Figures */
/**
 * @typedef {object} Verdict
 * @property {string} goal
 * @property {'chosen on' | 'kept back'} on
 * @property {boolean} holds
 * @property {string} figures where it is worst, and where it falls short
 */
/** @typedef {{ readonly cell: Cell, readonly value: number }} Found */

const single = { rule: judged, transport: 'single' };
const tied = { rule: judged, transport: 'tied' };
const claiming = { rule: judged, transport: 'tied, claiming' };
/** In a cell where even the ideal is as slow as that, nothing is left to close. */
const hopelessMs = 500;

/** @param {Cell} cell */
const nameOf = ({ scenario, load }) => `${scenario}@${load}`;

/**
 * What is meant to come out, and whether it does. Where constants were chosen, the aims; where not, the floors.
 *
 * @param {Results} results
 * @returns {Verdict[]}
 */
export function verdicts(results) {
  /** @type {Verdict[]} */
  const found = [];
  const chosen = new Set(scenarios.filter(({ chosenOn }) => chosenOn).map(({ id }) => id));
  for (const on of /** @type {const} */ (['chosen on', 'kept back'])) {
    const cells = results.cells.filter(({ scenario }) => chosen.has(scenario) === (on === 'chosen on'));
    const busy = cells.filter(({ load }) => load >= 0.7);
    const aims = on === 'chosen on';

    /**
     * @param {string} goal @param {readonly Cell[]} among
     * @param {(cell: Cell) => number | undefined} value
     * @param {number} limit @param {1 | -1} sign 1: at most, -1: at least
     * @param {(value: number) => string} show
     */
    const judge = (goal, among, value, limit, sign, show) => {
      const values = among.flatMap((cell) => {
        const one = value(cell);
        return one === undefined || Number.isNaN(one) ? [] : [{ cell, value: one }];
      });
      if (values.length === 0) return;
      const worst = values.reduce((a, b) => (b.value * sign > a.value * sign ? b : a));
      const short = values.filter((one) => one.value * sign > limit * sign);
      const listed = short.map((one) => `${nameOf(one.cell)} ${show(one.value)}`).join(', ');
      found.push({
        goal,
        on,
        holds: short.length === 0,
        figures:
          short.length === 0 ? `worst ${nameOf(worst.cell)} ${show(worst.value)}` : `short at ${listed}`,
      });
    };

    const percent = (/** @type {number} */ value) =>
      `${(value * 100).toFixed(value < 0.01 && value > 0 ? 3 : 0)} %`;
    const ms = (/** @type {number} */ value) => `${value.toFixed(1)} ms`;
    const gapOf = (/** @type {Line} */ line) => (/** @type {Cell} */ cell) =>
      (results.get(cell, { rule: 'jsq-cpu', transport: 'single' })?.p99 ?? hopelessMs) >= hopelessMs
        ? undefined
        : results.gap(cell, line);
    /** @param {Line} line @param {keyof Figures} figure */
    const its = (line, figure) => (/** @type {Cell} */ cell) => results.get(cell, line)?.[figure];
    /** Its median over that of the plain rule. @param {Line} line */
    const medianOf = (line) => (/** @type {Cell} */ cell) => {
      const mine = results.get(cell, line);
      const other = results.get(cell, { rule: plain, transport: 'single' });
      return mine && other && mine.p50 / other.p50;
    };
    const ratio = (/** @type {number} */ value) => value.toFixed(2);

    const gap = aims ? 0.85 : 0.54;
    judge(`gap closed at p99, one copy, >= 54 %`, busy, gapOf(single), 0.54, -1, percent);
    judge(`gap closed at p99, tied, >= ${gap * 100} %`, busy, gapOf(tied), gap, -1, percent);
    judge(`gap closed at p99, tied with claims, >= ${gap * 100} %`, busy, gapOf(claiming), gap, -1, percent);
    const stalls = busy.filter(
      ({ scenario, load }) => load === 0.9 && (scenario === 'C' || scenario === 'whole-pauses'),
    );
    judge(
      `p999 in pauses, tied, <= ${aims ? 60 : 260} ms`,
      stalls,
      its(tied, 'p999'),
      aims ? 60 : 260,
      1,
      ms,
    );
    for (const [name, line] of /** @type {const} */ ([
      ['one copy', single],
      ['tied', tied],
      ['tied with claims', claiming],
    ]))
      judge(`p50 over that of least request, ${name}, <= 1`, cells, medianOf(line), 1, 1, ratio);
    for (const transport of ['retried', 'tied, retried', 'tied, claiming, retried'])
      judge(
        `errors in E, ${transport}, <= 0.01 %`,
        cells,
        its({ rule: judged, transport }, 'errors'),
        0.0001,
        1,
        percent,
      );
    judge('calls that ran twice, tied, <= 5 %', cells, its(tied, 'duplicates'), 0.05, 1, percent);
    judge(
      'calls that ran twice, tied with claims, <= 0.5 %',
      cells,
      its(claiming, 'duplicates'),
      0.005,
      1,
      percent,
    );
    const idle = cells.filter(({ load }) => load < 0.5);
    judge('second copies below half load, tied, none', idle, its(tied, 'copies'), 0, 1, percent);
  }
  return found;
}
