import { spawn } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = fileURLToPath(new URL('..', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {object} Run
 * @property {string} name
 * @property {string} program
 * @property {boolean} [seeded] the report takes several seeds of it
 */

const simulation = join(bench, 'sim', 'main.mjs');
const measurement = join(bench, 'main.mjs');

/** Each in a process and a file of its own, so that one can be made anew without the others. @type {readonly Run[]} */
const runs = [
  { name: 'balancing', program: simulation, seeded: true },
  ...['limiting', 'breaking', 'retrying', 'series'].map((name) => ({ name, program: simulation })),
  ...['cost', 'adapters', 'overload', 'overhead'].map((name) => ({ name, program: measurement })),
];

/** What a busy machine does not change, and what it does. @type {Readonly<Record<string, readonly string[]>>} */
const groups = {
  simulations: ['balancing', 'limiting', 'breaking', 'retrying', 'series'],
  timings: ['adapters', 'overload', 'overhead'],
};

/** What `--only` takes. */
export const namesOfRuns = [...Object.keys(groups), ...runs.map(({ name }) => name)];

/**
 * The runs that are meant by some names and groups of them, each once.
 *
 * @param {readonly string[] | undefined} only all when left out
 * @throws RangeError for a name that is neither
 */
export function runsOf(only) {
  if (only === undefined) return runs;
  const names = only.flatMap((name) => groups[name] ?? [name]);
  const unknown = names.filter((name) => !runs.some((run) => run.name === name));
  if (unknown.length > 0)
    throw new RangeError(`--only must be one of ${namesOfRuns.join(', ')}, got ${unknown.join(', ')}`);
  return runs.filter(({ name }) => names.includes(name));
}

/** @param {readonly string[]} args @returns {Promise<void>} */
function node(args) {
  return new Promise((resolve, reject) => {
    // What is printed on the way is not the result.
    const child = spawn(process.execPath, [...process.execArgv, ...args], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`node ${args.join(' ')} ended with ${code}`));
    });
  });
}

/** Those of an earlier run, which may have had more seeds. @param {string} folder @param {string} name */
function removeOld(folder, name) {
  for (const file of readdirSync(folder))
    if (new RegExp(`^${name}(-\\d+)?\\.json$`).test(file)) rmSync(join(folder, file));
}

/**
 * Runs what the report is made from, one after the other. Each leaves its JSON, so that they can be run at different times:
 * simulations on a busy machine, timings on a quiet one.
 *
 * @param {string} folder where the JSON goes
 * @param {{ quick: boolean, only: readonly string[] | undefined, seeds: number }} options
 */
export async function runAll(folder, { quick, only, seeds }) {
  for (const { name, program, seeded } of runsOf(only)) {
    const flags = ['--only', name, ...(quick ? ['--quick'] : [])];
    /** @type {[file: string, flags: string[]][]} */
    const made =
      seeded && seeds > 1
        ? Array.from({ length: seeds }, (_, nth) => [`${name}-${nth + 1}.json`, ['--seed', String(nth + 1)]])
        : [[`${name}.json`, []]];
    removeOld(folder, name);
    for (const [file, seed] of made) await node([program, ...flags, ...seed, '--json', join(folder, file)]);
  }
}
