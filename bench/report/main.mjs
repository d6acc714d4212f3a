// One page of all measurements, made from their JSON.
//   npm run bench:report -- [--run [--quick] [--seeds 3] [--only simulations|timings|balancing|cost|…]...] [--folder docs/benchmarks] [--help]
// Simulations and counted instructions are the same on a busy machine; timings want a quiet one, and may be run another day.
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { judgementsOf } from './judgements.mjs';
import { page } from './page.mjs';
import { namesOfRuns, runAll } from './run-all.mjs';
import { reasonFor, shortfalls } from './shortfalls.mjs';
import { readSources } from './sources.mjs';

const checkedIn = join('docs', 'benchmarks');
/** What is there to see whether it runs must not take the place of what was measured. */
const quickly = join('.cache', 'benchmarks');
const usage = `Usage: npm run bench:report -- [--run [--quick] [--seeds N] [--only NAME]...] [--folder FOLDER]

  without --run   makes the page anew from the numbers that are there: a second
  --run           measures first: minutes for each part, and for each seed of balancing
  --quick         small cells: half a minute for the simulations, over five for all; goes to ${quickly} unless --folder says otherwise
  --seeds N       how often balancing is run, 3 by default, 1 with --quick
  --only NAME     some parts: ${namesOfRuns.join(', ')}
  --folder FOLDER where numbers and page go, ${checkedIn} by default
`;

const { values: flags } = parseArgs({
  options: {
    run: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    seeds: { type: 'string' },
    folder: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (flags.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const { quick, only } = flags;
const folder = flags.folder ?? (flags.run && quick ? quickly : checkedIn);
const seeds = Number(flags.seeds ?? (quick ? 1 : 3));
if (!Number.isSafeInteger(seeds) || seeds < 1)
  throw new RangeError(`--seeds must be a whole number >= 1, got ${flags.seeds}`);
/** The files are checked in. */
const mostBytes = 1.5e6;

/** @param {string} text */
const tell = (text) => process.stderr.write(`${text}\n`);

mkdirSync(folder, { recursive: true });
if (flags.run) await runAll(folder, { quick, only, seeds });
const sources = readSources(folder);
if (sources.size === 0) throw new Error(`${folder} holds no JSON; --run makes it`);
const target = join(folder, 'index.html');
writeFileSync(target, page(sources, shortfalls));

const judgements = judgementsOf(sources);
const short = judgements.filter(({ verdict }) => verdict === 'falls short');
for (const one of short)
  if (reasonFor(shortfalls, one) === undefined)
    tell(`NO REASON in bench/report/shortfalls.mjs: '${one.id}' (found: ${one.found})`);
for (const name of Object.keys(shortfalls)) {
  const named = judgements.filter(({ id, goalId }) => id === name || goalId === name);
  if (named.length > 0 && named.every(({ verdict }) => verdict === 'holds'))
    tell(`NOT NEEDED any more in bench/report/shortfalls.mjs: '${name}'`);
}
const bytes = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
if (bytes > mostBytes) tell(`TOO LARGE: the JSON takes ${bytes} bytes of ${mostBytes}`);
const held = judgements.filter(({ verdict }) => verdict === 'holds').length;
console.log(`${target}: ${sources.size} parts, ${held} goals hold, ${short.length} fall short`);
