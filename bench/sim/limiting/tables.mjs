import { markdown } from '../../table.mjs';
import { greedyKey } from './scenarios/greedy.mjs';

/** @typedef {import('./study.mjs').Cell} Cell */
/** @typedef {import('./run.mjs').Scenario} Scenario */
/** @typedef {import('./run.mjs').Contender} Contender */

/** @param {readonly Cell[]} cells @param {string} scenario @param {string} contender */
export const cellOf = (cells, scenario, contender) => {
  const found = cells.find((cell) => cell.scenario === scenario && cell.contender === contender);
  if (found === undefined) throw new RangeError(`no cell of ${contender} in ${scenario}`);
  return found;
};

/** @param {number} ms */
const rounded = (ms) => (ms === Number.POSITIVE_INFINITY ? 'never' : ms.toFixed(0));
/** `.998` @param {number} ratio @param {number} [digits] */
const share = (ratio, digits = 3) =>
  Number.isNaN(ratio) ? '-' : ratio.toFixed(digits).replace(/^0(?=\.)/, '');

/** One table per style of handler. @param {readonly Scenario[]} scenarios @param {readonly Contender[]} contenders @param {readonly Cell[]} cells */
export function stepTables(scenarios, contenders, cells) {
  const styles = new Set(scenarios.map(({ id }) => id.replace(/^.*-/, '')));
  return [...styles].map((style) => {
    const own = scenarios.filter(({ id }) => id.endsWith(`-${style}`));
    const rows = contenders.map(({ id, name }) => [
      name,
      ...own.map((scenario) => {
        const { goodput, p99Ms, highRatio, riseMs, servedAfter } = cellOf(cells, scenario.id, id);
        return `${share(goodput)} ${rounded(p99Ms)} ${share(highRatio)} ${rounded(riseMs)} ${share(servedAfter, 2)}`;
      }),
    ]);
    return markdown([`handlers: ${style}`, ...own.map(({ name }) => name)], rows);
  });
}

/** @param {readonly Scenario[]} scenarios @param {readonly Contender[]} contenders @param {readonly Cell[]} cells */
export const lossTable = (scenarios, contenders, cells) =>
  markdown(
    ['limiter', ...scenarios.map(({ name }) => name)],
    contenders.map(({ id, name }) => [
      name,
      ...scenarios.map((scenario) => (100 * cellOf(cells, scenario.id, id).refused).toFixed(3)),
    ]),
  );

/** Share of the calls of everybody but the greedy one that were served. @param {Cell} cell */
export function modestRatio({ servedBy }) {
  const others = Object.entries(servedBy).filter(([key]) => key !== greedyKey);
  return others.reduce((sum, [, ratio]) => sum + ratio, 0) / others.length;
}

/** How many scenarios stand side by side. */
const abreast = 4;

/** @param {readonly Scenario[]} scenarios @param {readonly Contender[]} contenders @param {readonly Cell[]} cells */
export function keptBackTables(scenarios, contenders, cells) {
  /** @type {string[]} */
  const tables = [];
  for (let from = 0; from < scenarios.length; from += abreast) {
    const some = scenarios.slice(from, from + abreast);
    const rows = contenders.map(({ id, name }) => [
      name,
      ...some.map((scenario) => {
        const cell = cellOf(cells, scenario.id, id);
        const special = scenario.id === 'greedy' ? modestRatio(cell) : cell.highRatio;
        return `${share(cell.goodput)} ${rounded(cell.p99Ms)} ${share(special)} ${share(cell.servedAfter, 2)}`;
      }),
    ]);
    tables.push(markdown(['kept back', ...some.map(({ name }) => name)], rows));
  }
  return tables;
}

/** @param {readonly import('./goals.mjs').Verdict[]} verdicts */
export const verdictTable = (verdicts) =>
  markdown(
    ['goal', 'limiter', 'worst', 'where', 'wanted', 'met'],
    verdicts.map(({ goal, contender, worst, where, wanted, met }) => [
      goal,
      contender,
      worst,
      where,
      wanted,
      met ? 'yes' : 'NO',
    ]),
  );
