import { createCall } from 'keelson/core';
import { dispatchQueue } from 'keelson/limiter';
import { awaited } from '../harness.mjs';
import { answerTo } from './baselines.mjs';

/** @param {import('keelson/core').Handler<unknown, number>} handler */
const callsTo = (handler) =>
  awaited(() =>
    handler(undefined, createCall({ side: 'server', service: 'orders', operation: 'GET /orders/:id' })),
  );

/** What the queue of a server costs a call that finds nobody waiting. @returns {import('../harness.mjs').Subject} */
export function queues() {
  return {
    title: 'Dispatch queue of an idle server',
    cases: [
      { id: 'queue.bare', name: 'createCall, fn()', batch: callsTo(answerTo) },
      {
        id: 'queue',
        name: 'createCall, dispatchQueue, fn()',
        against: 'queue.bare',
        batch: callsTo(dispatchQueue().middleware()(answerTo)),
      },
    ],
  };
}
