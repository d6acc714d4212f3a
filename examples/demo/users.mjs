// One replica of the users service. Its faults come by environment: how slow, how often it fails.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'keelson';

const { REGISTRY, PORT = '0', MEDIAN_MS = '30', FAIL_RATIO = '0' } = process.env;

/** Lognormal around the median: most calls are near it, a few take twice as long. */
function serviceTimeMs() {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Number(MEDIAN_MS) * Math.exp(0.25 * normal);
}

const app = createApp({ service: 'users', registry: REGISTRY });
const server = http.createServer(
  app.listener(
    async (req, res) => {
      await sleep(serviceTimeMs());
      if (Math.random() < Number(FAIL_RATIO)) {
        res.statusCode = 500;
        res.end('broken');
        return;
      }
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ id: req.url, name: 'Ada' }));
    },
    { routes: ['/users/:id'], queue: false },
  ),
);
const { port } = await app.serve(server, { port: Number(PORT), host: '127.0.0.1' });
process.send?.({ port });
