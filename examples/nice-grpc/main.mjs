// nice-grpc on a governed channel: promises, async iterators, middlewares and errors are its own; the choice of a
// replica, retries, breakers and deadlines are keelson's. See greeter.mjs.
//
// expect: hello Ada, at most 5 s
// expect: a stream is read until nobody wants more: Ada 1,Ada 2,Ada 3; the server heard of it: true
// expect: /[1-9]\d+ calls while a replica was killed, 0 failed/
// expect: nobody is there: ClientError UNAVAILABLE
// seconds: 30
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'keelson';
import { governedChannel } from 'keelson/grpc';
import { ClientError, createClientFactory, Status } from 'nice-grpc';
import { startRegistry, startService, stopAll } from '../processes/start.mjs';
import { GreeterDefinition } from './definition.mjs';

const REGISTRY = await startRegistry();
const file = new URL('greeter.mjs', import.meta.url);
const replicas = {
  one: await startService(file, { REGISTRY, REPLICA: 'one' }),
  two: await startService(file, { REGISTRY, REPLICA: 'two' }),
};

const app = createApp({ service: 'cli', registry: REGISTRY });
const channel = governedChannel(app, 'greeter', { services: [GreeterDefinition], timeoutMs: 5000 });
let seen = 0;
const greeter = /** @type {any} */ (
  createClientFactory()
    .use(async function* (call, options) {
      seen++;
      return yield* call.next(call.request, options);
    })
    .create(GreeterDefinition, channel)
);

console.log((await greeter.Greet({ name: 'Ada' })).text);

async function read(name, most) {
  const texts = [];
  for await (const { text } of greeter.Count({ name })) {
    texts.push(text);
    if (texts.length === most) break;
  }
  return texts;
}
const texts = await read('Ada', 3);
let heard = false;
for (let tries = 0; tries < 200 && !heard; tries++) {
  heard = (await read('abandoned', 1))[0] !== '0';
  await sleep(5);
}
console.log(`a stream is read until nobody wants more: ${texts}; the server heard of it: ${heard}`);

let failed = 0;
let replica = '';
for (let i = 0; i < 100; i++) {
  // The one that answered last is liked best.
  if (i === 50) replicas[replica].kill();
  try {
    replica = (await greeter.Greet({ name: 'Ada' })).replica;
  } catch {
    failed++;
  }
  await sleep(5);
}
console.log(`100 calls while a replica was killed, ${failed} failed, all through the user's middleware`);
assert.equal(failed, 0);
assert.ok(seen > 100);

await stopAll();
const error = await greeter.Greet({ name: 'Ada' }).catch((thrown) => thrown);
console.log(`nobody is there: ${error instanceof ClientError && `ClientError ${Status[error.code]}`}`);
assert.ok(app.snapshot().every(({ endpoints }) => endpoints.every(({ inflight }) => inflight === 0)));
await app.stop();
