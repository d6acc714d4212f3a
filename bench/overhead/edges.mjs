import { createApp } from 'keelson';
import { carrier, createCall, trustedPeer } from 'keelson/core';
import { awaited } from '../harness.mjs';
import { answerTo } from './baselines.mjs';

const request = { method: 'GET', path: '/orders/7' };

/** @type {import('keelson/core').Protocol<typeof request, number>} */
const protocol = { classify: (_response, error) => (error === undefined ? 'success' : 'failure') };

const callers = ['web', 'mobile', 'batch', 'partner'];
let turn = 0;

/** As a wire makes it: the name of its caller is a string of its own, which nobody has hashed yet. */
function callOf() {
  const name = Buffer.from(/** @type {string} */ (callers[turn++ & 3])).toString('latin1');
  const headers = carrier({ 'x-md-service-name': name });
  const call = createCall({ side: 'server', service: 'orders', operation: 'GET /orders/:id', headers });
  call.values.set(trustedPeer, true);
  return call;
}

/** @param {false | undefined} edges */
function served(edges) {
  const app = createApp({ service: 'orders', signals: false, runtimeMetrics: false, edges });
  const handler = app.server({ protocol, recover: () => (next) => next }, answerTo);
  return { app, batch: awaited(() => handler(request, callOf())) };
}

/** What it adds to the call of a server that who calls whom is counted. @returns {import('../harness.mjs').Subject} */
export function countedEdges() {
  const without = served(false);
  const counted = served(undefined);
  const against = 'edges.none';
  return {
    title: 'Edges of a server, four callers',
    cases: [
      { id: 'edges.none', name: 'app.server, edges: false', batch: without.batch },
      { id: 'edges.server', name: 'app.server', against, batch: counted.batch },
    ],
    close: () => {
      for (const { app } of [without, counted]) void app.stop();
    },
  };
}
