// Express on both sides, axios in between: what was there stays, and one line governs each. A replica of users is killed
// under load. See users.mjs and orders.mjs.
//
// expect: order 7 is for Ada, interceptor ran: true
// expect: a 404 of users is still an error of axios: 502 no such user
// expect: /[1-9]\d+ calls while a replica was killed, 0 failed/
// seconds: 30
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry, startService, stopAll } from '../processes/start.mjs';

const file = (name) => new URL(name, import.meta.url);
const REGISTRY = await startRegistry();
const replicas = {
  'users-1': await startService(file('users.mjs'), { REGISTRY, REPLICA: 'users-1' }),
  'users-2': await startService(file('users.mjs'), { REGISTRY, REPLICA: 'users-2' }),
};
const orders = await startService(file('orders.mjs'), { REGISTRY });

/** @returns {Promise<any>} */
const json = async (response) => (await response).json();
const ask = (path) => fetch(orders.url + path);

const first = await json(ask('/orders/7'));
console.log(`order ${first.id} is for ${first.user.name}, interceptor ran: ${first.requestId === 'r-1'}`);
const missing = await ask('/orders/7?user=0');
const { error } = await json(missing);
console.log(`a 404 of users is still an error of axios: ${missing.status} ${error}`);

let failed = 0;
let replica = '';
for (let i = 0; i < 100; i++) {
  // The one that answered last is liked best.
  if (i === 50) replicas[replica].kill();
  const response = await ask(`/orders/${i}`);
  const answer = await json(response);
  if (response.ok) replica = answer.user.replica;
  else failed++;
  await sleep(5);
}
console.log(`100 calls while a replica was killed, ${failed} failed`);
assert.equal(failed, 0);
await stopAll();
