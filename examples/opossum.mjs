// Breakers of opossum decide, one per endpoint: settings, events and dashboards stay what they were, and the balancer
// goes elsewhere when one is open. Works alone too, around any promise.
//
// expect: 60 calls, 0 failed; the broken replica got 3
// expect: opossum said: open
// expect: the app heard: closed to open
// expect: alone: BREAKER_OPEN
import assert from 'node:assert/strict';
import http from 'node:http';
import { createApp } from 'keelson';
import { roundRobin } from 'keelson/balancer';
import { attempt } from 'keelson/core';
import { opossum, opossumSettings } from 'keelson/opossum';
import CircuitBreaker from 'opossum';

async function serve(status) {
  const server = http.createServer((_req, res) => {
    if (status >= 500) asked++;
    res.writeHead(status).end(String(status));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  servers.push(server);
  return `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
}
const servers = [];
let asked = 0;
const app = createApp({
  service: 'orders',
  endpoints: { users: [await serve(200), await serve(500)] },
});

const said = [];
function create(action, options) {
  const breaker = new CircuitBreaker(action, options);
  breaker.on('open', () => said.push('open'));
  return breaker;
}
const heard = [];
app.events.on('breaker', ({ from, to }) => heard.push(`${from} to ${to}`));

const users = app.fetch('users', {
  gates: ({ id }, announce) => [
    opossum(create, { name: id, volumeThreshold: 3, resetTimeout: 60_000, onTransition: announce }),
  ],
  // Blind turns and no ejection: here it is the breaker alone that keeps calls away.
  balancer: roundRobin(),
  ejection: false,
});
let failed = 0;
for (let i = 0; i < 60; i++) {
  const response = await users(`/users/${i}`);
  if ((await response.text()) !== '200') failed++;
}
console.log(`60 calls, ${failed} failed; the broken replica got ${asked}`);
console.log(`opossum said: ${said.join()}`);
console.log(`the app heard: ${heard.join()}`);
assert.deepEqual([failed, asked], [0, 3]);

// A breaker that a team has already, around something that is no service.
const breaker = new CircuitBreaker(async () => undefined, opossumSettings({ volumeThreshold: 2 }));
const gate = opossum(breaker);
const query = () => attempt(gate, () => Promise.reject(new Error('connect ECONNREFUSED')));
for (let i = 0; i < 2; i++) await query().catch(() => undefined);
console.log(`alone: ${await query().catch((error) => error.code)}`);
assert.equal(breaker.opened, true);

breaker.shutdown();
await app.stop();
for (const server of servers) server.close();
