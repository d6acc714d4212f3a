// What is measured is measured in processes of its own: one that has seen AsyncLocalStorage, or has compiled for another
// mix of cases, is another machine.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url));

/** The command line of a worker. @param {readonly string[]} nodeFlags @param {readonly (string | number)[]} task @returns {string[]} */
export const workerCommand = (nodeFlags, task) => [
  process.execPath,
  ...nodeFlags,
  worker,
  ...task.map(String),
];

/**
 * Runs a program to its end.
 *
 * @param {readonly string[]} command
 * @returns {Promise<{ out: string, err: string }>}
 */
export function runToEnd([program = '', ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      err += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve({ out, err });
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}:\n${err}`));
    });
  });
}

/** What a worker measured. @param {readonly string[]} nodeFlags @param {readonly (string | number)[]} task @returns {Promise<Record<string, any>>} */
export async function workerResult(nodeFlags, task) {
  const { out } = await runToEnd(workerCommand(nodeFlags, task));
  return JSON.parse(out);
}
