// Three services, each in processes of its own: a gateway asks orders, orders asks users, over gRPC. One of three
// replicas of users is killed under load, and no caller hears of it. See users.mjs, orders.mjs, gateway.mjs.
//
// expect: order 7 is for Ada of acme
// expect: users had at most 2000 ms left: true
// expect: /[1-9]\d+ calls while a replica was killed, 0 failed/
// expect: all answers since then came from the other two: true
// seconds: 30
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry, startService, stopAll } from '../processes/start.mjs';

const file = (name) => new URL(name, import.meta.url);
const REGISTRY = await startRegistry();
const replicas = {};
for (const REPLICA of ['users-1', 'users-2', 'users-3'])
  replicas[REPLICA] = await startService(file('users.mjs'), { REGISTRY, REPLICA });
await startService(file('orders.mjs'), { REGISTRY });
const gateway = await startService(file('gateway.mjs'), { REGISTRY });

/** @returns {Promise<any>} */
async function order(id) {
  const headers = { 'x-keelson-timeout-ms': '2000', 'x-md-global-tenant': 'acme' };
  const response = await fetch(`${gateway.url}/orders/${id}`, { headers });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

const { id, user } = await order(7);
console.log(`order ${id} is for ${user.name} of ${user.tenant}`);
console.log(`users had at most 2000 ms left: ${user.leftMs > 0 && user.leftMs <= 2000}`);

// Ten callers, each with one call after the other, for three seconds. After the first the replica that answered last dies.
const started = performance.now();
const failed = [];
const answeredSince = new Set();
let calls = 0;
let latest = user.replica;
let killed;
async function caller() {
  for (let id = 0; performance.now() < started + 3000; id++) {
    calls++;
    const dead = killed;
    await order(id).then(
      (found) => {
        latest = found.user.replica;
        if (dead !== undefined) answeredSince.add(latest);
      },
      (error) => failed.push(error.message),
    );
    await sleep(20);
  }
}
setTimeout(() => {
  killed = latest;
  replicas[latest].kill();
}, 1000);
await Promise.all(Array.from({ length: 10 }, caller));

console.log(`${calls} calls while a replica was killed, ${failed.length} failed`);
const others = answeredSince.size > 0 && !answeredSince.has(killed);
console.log(`all answers since then came from the other two: ${others}`);
assert.deepEqual(failed, []);
assert.ok(others);
await stopAll();
