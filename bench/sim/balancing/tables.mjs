import { markdown } from '../../table.mjs';
import { lineName } from './results.mjs';

/** @typedef {import('./results.mjs').Results} Results */
/** @typedef {import('./results.mjs').Cell} Cell */

/** A call that timed out counts with its deadline. @param {number} ms */
const millis = (ms) => (ms >= 1000 ? 'TO' : ms.toFixed(0));
/** @param {number} ratio */
const errors = (ratio) => (ratio === 0 ? '' : ` (${(ratio * 100).toPrecision(2)})`);
/** @param {readonly Cell[]} cells */
const heads = (cells) => cells.map(({ scenario, load }) => `${scenario} ${load}`);

/** p50/p99/p999, and the calls that failed in percent. @param {Results} results @param {readonly Cell[]} cells */
export function latencyTable(results, cells) {
  const rows = results.lines.flatMap((line) => {
    const entries = cells.map((cell) => {
      const figures = results.get(cell, line);
      if (figures === undefined) return '';
      return `${[figures.p50, figures.p99, figures.p999].map(millis).join('/')}${errors(figures.errors)}`;
    });
    return entries.every((entry) => entry === '') ? [] : [[lineName(line), ...entries]];
  });
  return markdown(['p50/p99/p999 ms (errors %)', ...heads(cells)], rows);
}

/** @param {Results} results @param {readonly Cell[]} cells */
export function gapTable(results, cells) {
  const rows = results.lines.flatMap((line) => {
    const gaps = cells.map((cell) => results.gap(cell, line));
    if (gaps.every((gap) => gap === undefined)) return [];
    return [
      [
        lineName(line),
        ...gaps.map((gap) => (gap === undefined ? '' : gap < 0 ? '<0' : (gap * 100).toFixed(0))),
      ],
    ];
  });
  return markdown(['p99 gap closed, %', ...heads(cells)], rows);
}

/** What second copies and probes cost: parts of the calls in percent, and messages per call. @param {Results} results @param {readonly Cell[]} cells */
export function costTable(results, cells) {
  const rows = results.lines.flatMap((line) => {
    const figures = cells.map((cell) => results.get(cell, line));
    if (!figures.some((one) => one !== undefined && one.copies + one.messages > 0)) return [];
    const percent = (/** @type {number} */ ratio) =>
      (ratio * 100).toFixed(ratio > 0 && ratio < 0.001 ? 3 : 1);
    return [
      [
        lineName(line),
        ...figures.map((one) =>
          one === undefined
            ? ''
            : `${percent(one.copies)}/${percent(one.duplicates)}/${one.messages.toFixed(1)}`,
        ),
      ],
    ];
  });
  return markdown(['second copies %/ran twice %/further messages a call', ...heads(cells)], rows);
}
