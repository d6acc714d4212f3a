// A Fastify server whose handlers call another service by a governed fetch.
import fastify from 'fastify';
import { createApp } from 'keelson';
import { governFastify } from 'keelson/fastify';

const app = createApp({ service: 'orders', registry: process.env.REGISTRY });
const users = app.fetch('users', { routes: ['/users/:id', '/reports/:id'], timeoutMs: 2000 });

const api = fastify();
api.register(governFastify(app));
api.get('/orders/:id', async () => (await users('/users/42')).json());
api.get('/reports/:id', async (_request, reply) => {
  const report = await users('/reports/42');
  return reply.code(report.status).send(await report.text());
});

await api.ready();
const { url } = await app.serve(api.server, { host: '127.0.0.1' });
console.log(`orders at ${url}`);
