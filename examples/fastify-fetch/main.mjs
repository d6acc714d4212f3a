// Fastify on both sides, a governed fetch in between. One of two replicas is twenty times slower: it gets what it can
// do. And a caller that has no more time ends the work of the whole chain. See users.mjs and orders.mjs.
//
// expect: /the slow replica got [12]?\d of 100 calls/
// expect: no more time: 504, work at users was cancelled: true
// seconds: 30
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry, startService, stopAll } from '../processes/start.mjs';

const file = (name) => new URL(name, import.meta.url);
const REGISTRY = await startRegistry();
const users = await Promise.all([
  startService(file('users.mjs'), { REGISTRY, REPLICA: 'quick', DELAY_MS: '5' }),
  startService(file('users.mjs'), { REGISTRY, REPLICA: 'slow', DELAY_MS: '100' }),
]);
const orders = await startService(file('orders.mjs'), { REGISTRY });
/** @returns {Promise<any[]>} */
const counts = () => Promise.all(users.map(async ({ url }) => (await fetch(`${url}/counts`)).json()));

for (let i = 0; i < 100; i++) {
  const response = await fetch(`${orders.url}/orders/${i}`);
  assert.equal(response.status, 200);
  await response.text();
}
const slow = (await counts())[1].given;
console.log(`the slow replica got ${slow} of 100 calls`);
assert.ok(slow < 30);

// What is left of 300 ms travels along; when it is over, each process ends its part.
const headers = { 'x-keelson-timeout-ms': '300' };
const { status } = await fetch(`${orders.url}/reports/1`, { headers });
let cancelled = 0;
for (let tries = 0; tries < 100 && cancelled === 0; tries++) {
  await sleep(20);
  cancelled = (await counts()).reduce((sum, count) => sum + count.cancelled, 0);
}
console.log(`no more time: ${status}, work at users was cancelled: ${cancelled > 0}`);
assert.equal(status, 504);
assert.ok(cancelled > 0);
await stopAll();
