// What several seeds say together: the median of each figure, and between which values it lies.

/** @typedef {readonly [least: number, most: number]} Range */

/** Of which figures the range is kept. */
const ranged = ['p50', 'p99', 'p999', 'gap'];
const identity = ['scenario', 'load', 'rule', 'transport'];

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? Number.NaN) + (sorted[Math.ceil(at)] ?? Number.NaN)) / 2;
}

/** @param {any} cell */
const keyOf = (cell) => identity.map((field) => cell[field]).join('/');

/** One cell by each seed. @param {readonly any[]} cells */
function cellOver(cells) {
  /** @type {Record<string, unknown>} */
  const whole = {};
  /** @type {Record<string, Range>} */
  const ranges = {};
  for (const [field, first] of Object.entries(cells[0])) {
    const values = cells.map((cell) => cell[field]);
    const numbers = values.every((value) => typeof value === 'number') && !identity.includes(field);
    whole[field] = numbers ? median(values) : first;
    if (numbers && ranged.includes(field)) ranges[field] = [Math.min(...values), Math.max(...values)];
  }
  const { seed: _, ...rest } = whole;
  return { ...rest, ranges };
}

/** A goal holds if it does by most seeds. @param {readonly any[]} verdicts one goal by each seed */
function verdictOver(verdicts) {
  const held = verdicts.filter(({ holds }) => holds).length;
  const figures = [...new Set(verdicts.map((one) => one.figures))].join('; by another seed: ');
  return {
    ...verdicts[0],
    holds: held * 2 > verdicts.length,
    figures: `by ${held} of ${verdicts.length} seeds; ${figures}`,
  };
}

/** Lists of one length and order, side by side. @template T @param {readonly T[][]} lists @param {(item: T) => string} key */
function aligned(lists, key) {
  return (lists[0] ?? []).flatMap((item) => {
    const same = lists.flatMap((list) => list.filter((one) => key(one) === key(item)).slice(0, 1));
    return same.length === lists.length ? [same] : [];
  });
}

/** By part: what its JSON of several seeds says in one. @type {Readonly<Record<string, (runs: readonly any[]) => any>>} */
export const overSeeds = {
  balancing: (runs) => ({
    ...runs[0],
    cells: aligned(
      runs.map(({ cells }) => cells),
      keyOf,
    ).map(cellOver),
    verdicts: aligned(
      runs.map(({ verdicts = [] }) => verdicts),
      (/** @type {any} */ { goal, on }) => `${goal}/${on}`,
    ).map(verdictOver),
  }),
};
