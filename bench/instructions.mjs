// Instructions per call by valgrind: what a noisy machine cannot blur, but without caches, pauses and branches.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url));

/** Compilation in the background and hashes of chance would make two runs differ. */
const steady = ['--single-threaded', '--random-seed=1', '--hash-seed=1'];

/** Everything before has compiled what is hot; the slope between these two is the calls alone. */
const fewer = 60_000;
const more = 120_000;

/** Whether valgrind can be used here. */
export function canCount() {
  return spawnSync('valgrind', ['--version']).status === 0;
}

/** @param {string} id @param {number} calls @returns {Promise<number>} instructions of a whole process */
function instructionsOf(id, calls) {
  const out = '--callgrind-out-file=/dev/null';
  const args = ['--tool=callgrind', out, process.execPath, ...steady, worker, 'count', id, String(calls)];
  return new Promise((resolve, reject) => {
    const child = spawn('valgrind', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      const collected = /Collected\s*:\s*(\d+)/.exec(said)?.[1];
      if (code === 0 && collected !== undefined) resolve(Number(collected));
      else reject(new Error(`valgrind of ${id} ended with ${code}:\n${said}`));
    });
  });
}

/**
 * @param {readonly string[]} ids
 * @param {(id: string) => void} onCase told which case is next: each takes up to a minute
 * @returns {Promise<Record<string, { instructions: number }>>}
 */
export async function countInstructions(ids, onCase) {
  /** @type {Record<string, { instructions: number }>} */
  const counted = {};
  for (const id of ids) {
    onCase(id);
    const slope = (await instructionsOf(id, more)) - (await instructionsOf(id, fewer));
    counted[id] = { instructions: Math.round(slope / (more - fewer)) };
  }
  return counted;
}
