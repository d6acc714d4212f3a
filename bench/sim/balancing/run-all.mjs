import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { runCell } from './cell.mjs';
import { cellOf } from './plan.mjs';

/** @typedef {import('./plan.mjs').Task} Task */
/** @typedef {import('./cell.mjs').Figures} Figures */

/** More than two would be all of a small machine. */
const threads = 2;

/**
 * Runs cells, in two threads if there are many. What comes out does not depend on how they are spread: a cell shares
 * nothing with others.
 *
 * @param {readonly Task[]} tasks @param {{ parallel: boolean, tell: (text: string) => void }} options
 * @returns {Promise<Figures[]>} in the order of the tasks
 */
export async function runAll(tasks, { parallel, tell }) {
  if (!parallel) return tasks.map((task) => runCell(cellOf(task)));
  /** @type {Figures[]} */
  const figures = new Array(tasks.length);
  let next = 0;
  const work = async () => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url));
    try {
      while (next < tasks.length) {
        const at = next++;
        const task = /** @type {Task} */ (tasks[at]);
        if (at === 0 || task.scenario !== tasks[at - 1]?.scenario)
          tell(`${task.scenario} (${at} of ${tasks.length})`);
        worker.postMessage(task);
        [figures[at]] = await once(worker, 'message');
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  return figures;
}
