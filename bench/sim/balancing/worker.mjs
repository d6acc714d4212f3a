// One of the threads of a study: runs the cells that it is sent, and answers with their figures.
import { parentPort } from 'node:worker_threads';
import { runCell } from './cell.mjs';
import { cellOf } from './plan.mjs';

parentPort?.on('message', (/** @type {import('./plan.mjs').Task} */ task) => {
  parentPort?.postMessage(runCell(cellOf(task)));
});
