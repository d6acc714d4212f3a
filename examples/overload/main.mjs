// Overload of an asynchronous handler: a backend with room for 20 calls gets 10 times as many. The limiter answers what
// is too much at once, and what it lets in stays fast.
//
// expect: /served [1-9]\d* quickly, shed [1-9]\d* with 503/
// expect: every refusal had Retry-After: true
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'keelson';
import { concurrency } from 'keelson/limiter';

// Stands for a connection pool: 20 at a time, 20 ms each, the rest waits in line.
let busy = 0;
const line = [];
async function backend() {
  if (busy >= 20) await new Promise((resolve) => line.push(resolve));
  busy++;
  await sleep(20);
  busy--;
  line.shift()?.();
}

const app = createApp({ service: 'reports', signals: false });
const server = http.createServer(
  app.listener(
    async (_req, res) => {
      await backend();
      res.end('report');
    },
    // The load here is waiting, not CPU, and its capacity is known: a plain limit is the right tool. The app's queue,
    // which limits by itself once the thread is busy, stays behind it.
    { limits: [concurrency({ limit: 40 })] },
  ),
);
const { url } = await app.serve(server, { host: '127.0.0.1' });

let served = 0;
let shed = 0;
let polite = true;
const agent = new http.Agent({ keepAlive: true, maxSockets: 200 });
const request = () =>
  new Promise((resolve, reject) => {
    http
      .get(url, { agent }, (res) => {
        if (res.statusCode === 200) served++;
        else {
          shed++;
          polite &&= res.statusCode === 503 && res.headers['retry-after'] !== undefined;
        }
        res.resume().on('end', resolve);
      })
      .on('error', reject);
  });
for (let burst = 0; burst < 5; burst++) await Promise.all(Array.from({ length: 200 }, request));
agent.destroy();

console.log(`served ${served} quickly, shed ${shed} with 503`);
console.log(`every refusal had Retry-After: ${polite}`);
await app.stop();
