import { contenders } from './contenders/all.mjs';
import { figures, mean } from './figures.mjs';
import { budgetMs, goals, verdicts } from './goals.mjs';
import { erlangLoss } from './laws.mjs';
import { bearable, keptBack, steps } from './scenarios/all.mjs';
import { costs } from './scenarios/shape.mjs';
import { keptBackTables, lossTable, stepTables, verdictTable } from './tables.mjs';

/**
 * Limiters in front of one Node process in virtual time: its event loop, its kernel's queue, its handlers that await or
 * never do. The same arrivals and the same jobs for all.
 *
 * @typedef {import('./run.mjs').Scenario} Scenario
 * @typedef {import('./figures.mjs').Figures} Figures
 */
/** A limiter in a scenario. @typedef {Figures & { scenario: string, contender: string }} Cell */

/** How many calls of that mean length, the one being served included, keep within the budget. */
const places = Math.floor(budgetMs / (3 + costs.parseMs));

/** @param {boolean} quick */
const shapeOf = (quick) =>
  quick
    ? { lengths: { calmMs: 4000, hardMs: 5000 }, steadyMs: 60_000, seeds: 1 }
    : { lengths: { calmMs: 20_000, hardMs: 30_000 }, steadyMs: 600_000, seeds: 3 };

/** @type {import('../studies.mjs').Study} */
export async function limiting({ quick, seed, tell }) {
  const { lengths, steadyMs, seeds } = shapeOf(quick);
  /** @param {readonly Scenario[]} scenarios @returns {Cell[]} */
  const play = (scenarios) =>
    scenarios.flatMap((scenario) => {
      tell(`limiting: ${scenario.name}`);
      return contenders.map((contender) => ({
        scenario: scenario.id,
        contender: contender.id,
        ...mean(Array.from({ length: seeds }, (_, index) => figures(scenario, contender, seed + index))),
      }));
    });
  const chosenOn = steps(lengths);
  const bear = bearable(steadyMs);
  const kept = keptBack(lengths);
  const cells = [play(chosenOn), play(bear), play(kept)].flat();
  /** @param {number} load */
  const loss = (load) => erlangLoss(load, places);
  const judged = verdicts(goals({ cells, loss, kept: kept.map(({ id }) => id) }));
  const text = [
    `Steps from 0.6 of what the server can, ${lengths.hardMs / 1000} s, and back (${seeds} runs). Good work in parts of the physical limit; p99 of all let in, ms; share of the important calls served; time to 0.9 of the limit, ms; share served in the second half afterwards. The constants were chosen on these.`,
    ...stepTables(chosenOn, contenders, cells),
    'More than 1: who serves the last first leaves the others where they are, and refuses them when it is over; then the step did not pay for it.',
    `Refused at a load that can be borne, in %. A queue of ${places} places, ${budgetMs} ms, loses ${(100 * loss(0.6)).toFixed(3)} % at 0.6 and ${(100 * loss(0.9)).toFixed(2)} % at 0.9 (M/M/1/K).`,
    lossTable(bear, contenders, cells),
    'Kept back: nothing was chosen on these. Good work in parts of the most there can be; p99 of all let in, ms; share served of the important calls, or of the fifty keys that are not greedy; share served in the second half afterwards.',
    ...keptBackTables(kept, contenders, cells),
    'Goals: the moonshot counts on what the constants were chosen on, the floor on what was kept back.',
    verdictTable(judged),
  ].join('\n\n');
  return { text, json: { lengths, steadyMs, seeds, places, cells, goals: judged } };
}
