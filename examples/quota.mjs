// Somebody else's quota: a payment gate takes 12 calls a second and 2 at a time, and answers 429 beyond. bottleneck paces
// the calls. With `redis: new Redis()` of ioredis all processes of a service share the quota.
//
// expect: /unpaced: [1-9]\d* of 15 were refused by the gate/
// expect: paced: 0 of 15 were refused by the gate, never more than 2 at a time: true
// expect: one more than may wait: RATE_LIMITED
import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Bottleneck from 'bottleneck';
import { createApp } from 'keelson';
import { quota } from 'keelson/bottleneck';
import { httpProtocol } from 'keelson/http';

const lately = [];
let underWay = 0;
let mostAtOnce = 0;
const gate = http.createServer(async (_req, res) => {
  const now = performance.now();
  lately.push(now);
  while (lately[0] < now - 1000) lately.shift();
  underWay++;
  mostAtOnce = Math.max(mostAtOnce, underWay);
  const status = lately.length > 12 || underWay > 2 ? 429 : 200;
  await sleep(10);
  underWay--;
  res.writeHead(status).end('done');
});
await new Promise((resolve) => gate.listen(0, '127.0.0.1', () => resolve(undefined)));
const url = `http://127.0.0.1:${/** @type {any} */ (gate.address()).port}`;

// Eight a second: the network moves calls together. Each try counts for the gate, so this stands among `useAttempt`.
const pace = quota({
  Bottleneck,
  minTimeMs: 120,
  maxConcurrent: 2,
  maxWaiting: 15,
  protocol: httpProtocol,
});
const app = createApp({ service: 'shop', endpoints: { payments: [url] } });
// No metadata of ours goes to a third party.
const payments = app.fetch('payments', { useAttempt: [pace], metadata: false });

async function refusedOf15(pay) {
  const one = async () => {
    const answer = await pay();
    // A call keeps its place until its body was read.
    await answer.text();
    return answer.status;
  };
  const statuses = await Promise.all(Array.from({ length: 15 }, one));
  return statuses.filter((status) => status === 429).length;
}

const unpaced = await refusedOf15(() => fetch(url));
console.log(`unpaced: ${unpaced} of 15 were refused by the gate`);
assert.ok(unpaced > 0);
await sleep(1000);

mostAtOnce = 0;
const paying = refusedOf15(() => payments('/pay', { method: 'POST', body: '1' }));
const code = await payments('/pay', { method: 'POST', body: '1' }).catch((error) => error.code);
const refused = await paying;
const pair = mostAtOnce <= 2;
console.log(`paced: ${refused} of 15 were refused by the gate, never more than 2 at a time: ${pair}`);
console.log(`one more than may wait: ${code}`);
assert.deepEqual([refused, pair, code], [0, true, 'RATE_LIMITED']);

await pace.stop();
await app.stop();
gate.close();
