import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { governHono } from 'keelson/hono';
import { unshed } from './unshed.mjs';

/** @param {import('keelson').App | undefined} app @returns {import('node:http').Server} */
export function honoServer(app) {
  const shop = new Hono();
  if (app) shop.use(governHono(app, unshed()));
  shop.get('/users/:id', async (c) => c.json({ id: c.req.param('id'), name: 'Ada' }));
  return /** @type {any} */ (createAdaptorServer(shop));
}
