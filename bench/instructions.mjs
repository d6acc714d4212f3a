// Instructions per call by valgrind: what a noisy machine cannot blur, but blind to caches, pauses and branches.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { runToEnd, workerCommand } from './processes.mjs';

/** Compilation in the background, clocks of the collector and hashes of chance would make two runs differ. */
const steady = ['--single-threaded', '--predictable', '--random-seed=1', '--hash-seed=1'];
const valgrind = ['valgrind', '--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null'];

/** Enough for the compiler to be done with what is hot: the slope after that is the calls alone. */
const warm = 100_000;
/** The cheaper a call, the more of them it takes to show beside what the rest of the process does. */
const further = { sync: 1_000_000, awaited: 200_000 };

/** Whether valgrind can be used here. */
export function canCount() {
  return spawnSync('valgrind', ['--version']).status === 0;
}

/** @typedef {{ readonly id: string, readonly against?: string | undefined, readonly subject: string }} Counted a case, and the key of its subject */

/** @param {Counted} of @param {number} calls @returns {Promise<number>} instructions of a whole process */
async function instructionsOf({ id, subject }, calls) {
  const { err } = await runToEnd([...valgrind, ...workerCommand(steady, ['count', calls, id, subject])]);
  const refs = /I\s+refs:\s+([\d,]+)/.exec(err)?.[1];
  if (refs === undefined) throw new Error(`valgrind of ${id} tells no count:\n${err}`);
  return Number(refs.replaceAll(',', ''));
}

/** @param {Counted} of @returns {Promise<number>} instructions of one call and its turn of the loop */
async function slopeOf(of) {
  const calls = of.id === 'sync' || of.against === 'sync' ? further.sync : further.awaited;
  return ((await instructionsOf(of, warm + calls)) - (await instructionsOf(of, warm))) / calls;
}

/**
 * The slope of each case. The loop that makes the calls is in it: what a case adds is its slope less that of the case that it
 * is compared with.
 *
 * @param {readonly Counted[]} cases
 * @param {(id: string) => void} onCase told which case is next: each takes about a minute
 * @returns {Promise<Record<string, { instructions: number }>>}
 */
export async function countInstructions(cases, onCase) {
  const left = [...cases];
  /** @type {Record<string, { instructions: number }>} */
  const counted = {};
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      onCase(next.id);
      counted[next.id] = { instructions: Math.round(await slopeOf(next)) };
    }
  };
  // What is counted is the same however busy the machine is.
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane));
  return counted;
}
