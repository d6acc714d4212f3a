// The orders service: answers /orders/:id by asking users, either plainly (round robin) or governed by keelson.
import http from 'node:http';
import { createApp } from 'keelson';
import { attemptLog } from './attempt-log.mjs';

const { REGISTRY, USERS = '' } = process.env;
const timeoutMs = 1000;
const log = attemptLog();
let mode = 'plain';

const app = createApp({ service: 'orders', registry: REGISTRY });

// What most services do today: a list of addresses, one after the other, and a timeout.
const addresses = USERS.split(',');
let turn = 0;
async function plainFetch(path) {
  const address = addresses[turn++ % addresses.length];
  return log.watch(address, () => fetch(address + path, { signal: AbortSignal.timeout(timeoutMs) }));
}

// What keelson makes of it. The middleware around each attempt is only here to fill the demo's table.
const governedFetch = app.fetch('users', {
  routes: ['/users/:id'],
  timeoutMs,
  useAttempt: [(next) => (request, call) => log.watch(call.attempt.endpoint?.url, () => next(request, call))],
});
const addressOf = (endpointId) => endpointId.slice(endpointId.lastIndexOf('@') + 1);
app.events.on('breaker', (event) => log.breaker(addressOf(event.endpoint), event.to));
// A restarted process is a new endpoint on an old address: what was said of the old one no longer counts.
app.events.on('instances', ({ left }) => {
  for (const endpoint of left) log.fresh(addressOf(endpoint));
});
app.events.on('ejection', (event) => log.ejected(addressOf(event.endpoint), event.ejected));

function codeOf({ name, code, cause }) {
  return String((typeof code === 'string' ? code : cause?.code) ?? name);
}

const server = http.createServer(
  app.listener(
    async (req, res) => {
      const users = mode === 'plain' ? plainFetch : governedFetch;
      try {
        const response = await users(`/users/${req.url?.split('/').pop()}`);
        const body = await response.text();
        if (!response.ok) res.setHeader('x-demo-code', `users answered ${response.status}`);
        res.statusCode = response.ok ? 200 : 502;
        res.end(body);
      } catch (error) {
        // What the demo tells of failures: a refusal of keelson has a code, a timeout of plain fetch a name.
        res.setHeader('x-demo-code', codeOf(error));
        res.statusCode = 502;
        res.end();
      }
    },
    // No limiter: what is compared is the client, and both phases share one busy machine.
    { routes: ['/orders/:id'], queue: false },
  ),
);

process.on('message', (/** @type {any} */ message) => {
  if (message.begin) {
    mode = message.begin;
    log.reset();
  }
  if (message.stats) process.send?.({ stats: log.snapshot() });
});
const { port } = await app.serve(server, { port: 0, host: '127.0.0.1' });
process.send?.({ port });
