// A Fastify server, governed by a plugin. `callOf` has the time that is left, and the signal that ends with it.
import { setTimeout as sleep } from 'node:timers/promises';
import fastify from 'fastify';
import { createApp } from 'keelson';
import { callOf, governFastify } from 'keelson/fastify';

const { REGISTRY, REPLICA, DELAY_MS } = process.env;
const app = createApp({ service: 'users', registry: REGISTRY });
const api = fastify();
api.register(governFastify(app));

let given = 0;
let cancelled = 0;
api.get('/users/:id', async () => {
  given++;
  await sleep(Number(DELAY_MS));
  return { name: 'Ada', replica: REPLICA };
});
api.get('/reports/:id', async (request) => {
  const signal = callOf(request)?.cancel.signal;
  signal?.addEventListener('abort', () => cancelled++);
  await sleep(60_000, undefined, { signal });
});
api.get('/counts', async () => ({ given, cancelled }));

await api.ready();
const { url } = await app.serve(api.server, { host: '127.0.0.1' });
console.log(`users at ${url}`);
