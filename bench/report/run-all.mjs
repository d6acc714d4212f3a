import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = fileURLToPath(new URL('..', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Each in a process and a file of its own, so that one can be made anew without the others. */
const runs = [
  ...['balancing', 'limiting', 'breaking', 'retrying', 'series'].map((study) => ({
    name: study,
    program: join(bench, 'sim', 'main.mjs'),
  })),
  ...['cost', 'adapters', 'overload', 'overhead'].map((part) => ({
    name: part,
    program: join(bench, 'main.mjs'),
  })),
];

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

/**
 * Runs all that the report is made from, one after the other.
 *
 * @param {string} folder where the JSON goes
 * @param {{ quick: boolean, only: readonly string[] | undefined }} options
 */
export async function runAll(folder, { quick, only }) {
  const unknown = (only ?? []).filter((name) => !runs.some((run) => run.name === name));
  if (unknown.length > 0)
    throw new RangeError(
      `--only must be one of ${runs.map(({ name }) => name).join(', ')}, got ${unknown.join(', ')}`,
    );
  for (const { name, program } of runs) {
    if (only !== undefined && !only.includes(name)) continue;
    const file = join(folder, `${name}.json`);
    await node([program, '--only', name, ...(quick ? ['--quick'] : []), '--json', file]);
  }
}
