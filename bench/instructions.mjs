// Instructions per call by valgrind: what a noisy machine cannot blur, but blind to caches, pauses and branches.
import { spawnSync } from 'node:child_process';
import { runToEnd, workerCommand } from './processes.mjs';

/** Compilation in the background and hashes of chance would make two runs differ. */
const steady = ['--single-threaded', '--random-seed=1', '--hash-seed=1'];

/** Enough for the compiler to be done with what is hot: the slope after that is the calls alone. */
const warm = 100_000;
/** The cheaper a call, the more of them it takes to show beside what the rest of the process does. */
const further = { sync: 1_000_000, awaited: 200_000 };

/** Whether valgrind can be used here. */
export function canCount() {
  return spawnSync('valgrind', ['--version']).status === 0;
}

/** @param {string} id @param {number} calls @returns {Promise<number>} instructions of a whole process */
async function instructionsOf(id, calls) {
  const valgrind = ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null'];
  const { err } = await runToEnd([...valgrind, ...workerCommand(steady, ['count', calls, id])]);
  const collected = /Collected\s*:\s*(\d+)/.exec(err)?.[1];
  if (collected === undefined) throw new Error(`valgrind of ${id} tells no count:\n${err}`);
  return Number(collected);
}

/**
 * @param {readonly import('./harness.mjs').Case[]} cases
 * @param {(id: string) => void} onCase told which case is next: each takes about a minute
 * @returns {Promise<Record<string, { instructions: number }>>}
 */
export async function countInstructions(cases, onCase) {
  /** @type {Record<string, { instructions: number }>} */
  const counted = {};
  for (const { id, against } of cases) {
    onCase(id);
    const calls = id === 'sync' || against === 'sync' ? further.sync : further.awaited;
    const slope = (await instructionsOf(id, warm + calls)) - (await instructionsOf(id, warm));
    counted[id] = { instructions: Math.round(slope / calls) };
  }
  return counted;
}
