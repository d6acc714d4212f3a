// One process of measurements; `main.mjs` and `instructions.mjs` start it. Writes one JSON object to stdout.
//   worker.mjs time|context|bytes <rounds> <warmMs> <chunkMs>
//   worker.mjs count <case id> <calls>
import { inContext, measureBytes, measureTimes, run, turn } from './harness.mjs';
import { subjects } from './overhead/subjects.mjs';

/** Small, so that what is compiled anew is used at the next one. */
const portion = 5000;

const [mode, ...rest] = process.argv.slice(2);
const all = subjects();
const cases = all.flatMap((subject) => subject.cases);
const plain = cases.filter(({ context }) => context !== true);

/** @returns {Promise<object>} */
async function measured() {
  if (mode === 'count') {
    const [id, calls] = rest;
    const of = cases.find((known) => known.id === id);
    if (of === undefined) throw new Error(`there is no case ${id}`);
    for (let left = Number(calls); left > 0; left -= portion) {
      await run(of, portion);
      await turn();
    }
    return {};
  }
  const [rounds = 1, warmMs = 1, chunkMs = 1] = rest.map(Number);
  const settings = { rounds, warmMs, chunkMs };
  if (mode === 'time') return measureTimes(plain, settings);
  if (mode === 'context') return measureTimes(cases.map(inContext), settings);
  if (mode === 'bytes') return measureBytes(plain, settings);
  throw new Error(`worker.mjs: unknown mode ${mode}`);
}

const result = await measured();
for (const { close } of all) close?.();
process.stdout.write(JSON.stringify(result));
