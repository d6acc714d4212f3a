// What each adapter costs beside the bare client or server that it governs.
import { contest, stubContest } from './adapters/contest.mjs';
import { adapterVerdicts } from './adapters/goals.mjs';
import { pairs } from './adapters/pairs.mjs';
import { adaptersText } from './adapters/report.mjs';
import { goalsText } from './overhead/report.mjs';

/** @param {import('./parts.mjs').PartOptions} options @returns {Promise<import('./parts.mjs').PartResult>} */
export async function adapters({ quick, tell }) {
  const effort = quick
    ? { rounds: 1, warmMs: 30, chunkMs: 40, stubRounds: 4, stubChunkMs: 5 }
    : { rounds: 7, warmMs: 1500, chunkMs: 500, stubRounds: 60, stubChunkMs: 50 };
  /** @type {import('./adapters/contest.mjs').Figures[]} */
  const figures = [];
  for (const pair of pairs) {
    tell(`${pair.governs} ${pair.name}`);
    const figure = await contest(pair, effort);
    figures.push(
      pair.stub === undefined
        ? figure
        : { ...figure, stubName: pair.stub.name, stub: await stubContest(pair.stub.of, effort) },
    );
  }
  const goals = adapterVerdicts(figures);
  // Code that is still being compiled says nothing about any goal.
  const judged = quick ? 'Goals are judged by a full run only.' : goalsText(goals);
  return {
    text: `${adaptersText(figures)}\n\n${judged}`,
    json: { adapters: { figures, goals: quick ? [] : goals } },
  };
}
