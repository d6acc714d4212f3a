import fastify from 'fastify';
import { governFastify } from 'keelson/fastify';
import { unshed } from './unshed.mjs';

/** @param {import('keelson').App | undefined} app */
export async function fastifyServer(app) {
  const shop = fastify();
  if (app) shop.register(governFastify(app, unshed()));
  shop.get('/users/:id', async ({ params }) => ({ id: /** @type {any} */ (params).id, name: 'Ada' }));
  await shop.ready();
  return shop.server;
}
