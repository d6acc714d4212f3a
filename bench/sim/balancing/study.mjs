import { deadlineMs, ioMs, workMs } from './cell.mjs';
import { verdicts } from './judge.mjs';
import { base, ideal, judged, tasksOf } from './plan.mjs';
import { Results } from './results.mjs';
import { runAll } from './run-all.mjs';
import { scenarios } from './scenarios.mjs';
import { costTable, gapTable, latencyTable } from './tables.mjs';

/**
 * Balancing: the shipped rules, their peers and two oracles on single-threaded replicas, in one table.
 *
 * 30 clients that know nothing of each other call 30 replicas. A replica is a queue before one thread (3 ms of CPU, of an
 * exponential distribution), I/O after it (4 ms, lognormal), 0.3 ms of wire each way, a deadline of 1 s. What a replica says
 * of its load is what a process can know: calls in its queue times the mean that calls took lately.
 *
 * @type {import('../studies.mjs').Study}
 */
export const balancing = async ({ quick, seed, tell }) => {
  const tasks = tasksOf({ quick, seed });
  const figures = await runAll(tasks, { parallel: !quick, tell });
  const results = new Results(tasks, figures);
  const judgements = verdicts(results);
  return {
    text: [...sections(results), goals(judgements)].join('\n\n'),
    json: {
      model: { workMs, ioMs, deadlineMs, base, ideal, judged },
      scenarios: scenarios.map(({ id, title, chosenOn }) => ({ id, title, chosenOn })),
      cells: tasks.map((task, at) => ({ ...task, ...figures[at], gap: results.gap(task, task) })),
      verdicts: judgements,
    },
  };
};

/** @param {Results} results */
function* sections(results) {
  for (const chosenOn of [true, false]) {
    const here = scenarios.filter((scenario) => scenario.chosenOn === chosenOn);
    const cells = results.cells.filter(({ scenario }) => here.some(({ id }) => id === scenario));
    if (cells.length === 0) continue;
    yield chosenOn ? '## Scenarios that constants were chosen on' : '## Scenarios that were kept back';
    yield here
      .filter(({ id }) => cells.some(({ scenario }) => scenario === id))
      .map(({ id, title }) => `- ${id}: ${title}`)
      .join('\n');
    const busy = cells.filter(({ load }) => load >= 0.7);
    const idle = cells.filter(({ load }) => load < 0.7);
    yield latencyTable(results, busy);
    yield gapTable(results, busy);
    yield costTable(results, busy);
    if (idle.length > 0) {
      yield latencyTable(results, idle);
      yield costTable(results, idle);
    }
  }
}

/** @param {ReturnType<typeof verdicts>} judgements */
function goals(judgements) {
  const lines = judgements.map(
    ({ goal, on, holds, figures }) => `- ${holds ? 'holds' : 'FALLS SHORT'} (${on}): ${goal}; ${figures}`,
  );
  return `## Goals, for ${judged}\n\n${lines.join('\n')}`;
}
