// One process of measurements; `main.mjs` and `instructions.mjs` start it. Writes one JSON object to stdout.
//   worker.mjs time|context|bytes <rounds> <warmMs> <chunkMs>
//   worker.mjs sustained <ms> <case id>
//   worker.mjs count <calls> <case id> <subject>
import { inContext, measureBytes, measureSustained, measureTimes, run, turn } from './harness.mjs';
import { allSubjects, subjects } from './overhead/subjects.mjs';

/** Small, so that what is compiled anew is used at the next one. */
const portion = 5000;

const [mode, ...rest] = process.argv.slice(2);
/** Only the subject that is named, if there is one: what is counted is the whole process. */
const only = mode === 'count' ? subjects[rest[2] ?? ''] : undefined;
const all = only === undefined ? await allSubjects() : [await only()];
const cases = all.flatMap((subject) => subject.cases);
const plain = cases.filter(({ context }) => context !== true);

/** @param {string | undefined} id */
function caseOf(id) {
  const of = cases.find((known) => known.id === id);
  if (of === undefined) throw new Error(`there is no case ${id}`);
  return of;
}

/** @param {import('./harness.mjs').Case} of @param {number} calls */
async function make(of, calls) {
  for (let left = calls; left > 0; left -= portion) {
    await run(of, portion);
    await turn();
  }
  return {};
}

/** @returns {Promise<object>} */
async function measured() {
  if (mode === 'count') return make(caseOf(rest[1]), Number(rest[0]));
  if (mode === 'sustained') return measureSustained(caseOf(rest[1]), Number(rest[0]));
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
