import { judgedContenders } from './contenders/all.mjs';
import { cellOf } from './tables.mjs';

/** @typedef {import('./study.mjs').Cell} Cell */
/**
 * @typedef {object} Goal
 * @property {string} goal
 * @property {string} contender
 * @property {readonly { where: string, value: number }[]} values
 * @property {'least' | 'most'} kind whether the values have to be that at the least or at the most
 * @property {(where: string) => number} bound
 */
/** @typedef {{ goal: string, contender: string, worst: string, where: string, wanted: string, met: boolean }} Verdict */

/** How long calls may wait where a limiter takes a budget: the default of all of ours; milliseconds. */
export const budgetMs = 40;

/**
 * What the limiters are to reach: the moonshots on the steps they were chosen on, the floors on what was kept back.
 *
 * @param {{ cells: readonly Cell[], loss: (load: number) => number, kept: readonly string[] }} results
 * @returns {Goal[]}
 */
export function goals({ cells, loss, kept }) {
  /** @param {readonly string[]} scenarios @param {string} contender @param {(cell: Cell) => number} of */
  const over = (scenarios, contender, of) =>
    scenarios.map((scenario) => ({ where: scenario, value: of(cellOf(cells, scenario, contender)) }));
  /** @param {RegExp} pattern */
  const named = (pattern) =>
    [...new Set(cells.map(({ scenario }) => scenario))].filter((id) => pattern.test(id));
  const steps = named(/^step-(2|5|10)-(sync|async)$/);
  const waiting = named(/^step-(2|5|10)-waiting$/);
  const overloaded = kept.filter((id) => !/^(pauses|bursts|clients)/.test(id));
  /** @param {string} id */
  const loadOf = (id) => Number(/-([\d.]+)-/.exec(id)?.[1]);

  return judgedContenders.flatMap((contender) => [
    {
      goal: 'good work in parts of the limit',
      contender,
      values: over(steps, contender, ({ goodput }) => goodput),
      kind: 'least',
      bound: (where) => (loadOf(where) === 10 ? 0.95 : 0.97),
    },
    {
      goal: 'the same, handlers that wait for 100 ms',
      contender,
      values: over(waiting, contender, ({ goodput }) => goodput),
      kind: 'least',
      bound: () => 0.93,
    },
    {
      goal: `p99 of those let in, in budgets of ${budgetMs} ms`,
      contender,
      values: over(steps, contender, ({ p99Ms }) => p99Ms / budgetMs),
      kind: 'most',
      bound: () => 2.2,
    },
    {
      goal: 'ms to 0.9 of the limit, 0.6x to 5x',
      contender,
      values: over(named(/^step-5-a?sync$/), contender, ({ riseMs }) => riseMs),
      kind: 'most',
      bound: () => 200,
    },
    {
      goal: 'important calls served at 2x',
      contender,
      values: over(named(/^step-2-a?sync$/), contender, ({ highRatio }) => highRatio),
      kind: 'least',
      bound: () => 0.999,
    },
    {
      goal: 'refused at 0.6x in parts of M/M/1/K',
      contender,
      values: over(named(/^steady-0.6-a?sync$/), contender, ({ refused }) => refused / loss(0.6)),
      kind: 'most',
      bound: () => 1.3,
    },
    {
      goal: 'served after the step',
      contender,
      values: over(steps, contender, ({ servedAfter }) => servedAfter),
      kind: 'least',
      bound: () => 0.98,
    },
    {
      goal: 'kept back: good work in parts of the limit',
      contender,
      values: over(overloaded, contender, ({ goodput }) => goodput),
      kind: 'least',
      bound: () => 0.93,
    },
    {
      goal: 'kept back: 1 ms handler at 10x, clients with sre',
      contender,
      values: over(named(/^clients-sre/), contender, ({ goodput }) => goodput),
      kind: 'least',
      bound: () => 0.9,
    },
    {
      goal: 'kept back: the same, clients with evidence',
      contender,
      values: over(named(/^clients-evidence/), contender, ({ goodput }) => goodput),
      kind: 'least',
      bound: () => 0.75,
    },
    {
      goal: 'kept back: served afterwards',
      contender,
      values: over(overloaded, contender, ({ servedAfter }) => servedAfter),
      kind: 'least',
      bound: () => 0.9,
    },
  ]);
}

/** The worst of each goal. @param {readonly Goal[]} all @returns {Verdict[]} */
export const verdicts = (all) =>
  all.map(({ goal, contender, values, kind, bound }) => {
    /** How far from the bound, above 1 when it is met. @param {{ where: string, value: number }} at */
    const margin = ({ where, value }) =>
      kind === 'least' ? value / bound(where) : bound(where) / Math.max(value, 1e-12);
    const worst = values.reduce((low, each) => (margin(each) < margin(low) ? each : low));
    return {
      goal,
      contender,
      worst: Number.isFinite(worst.value) ? worst.value.toPrecision(4) : 'never',
      where: worst.where,
      wanted: `${kind === 'least' ? '>=' : '<='} ${bound(worst.where)}`,
      met: margin(worst) >= 1,
    };
  });
