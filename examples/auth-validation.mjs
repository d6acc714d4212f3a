// A server that lets in who shows a good token, and hears only what has the right form: JWTs of jose, schemas of zod (or
// valibot, arktype: any Standard Schema), on Hono here; the same `use` fits every other server. The client's tokens are
// signed, kept and renewed by `bearer`.
//
// expect: without a token: 401 Bearer
// expect: with one: 200, page 3 for orders
// expect: a query of the wrong form: 400 page: Invalid input
// expect: a body of the wrong form: 400 count:
// expect: health asks for no token: 200
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { createApp, memory } from 'keelson';
import { bearer, claimsOf, jwt, jwtSigner } from 'keelson/auth';
import { selector } from 'keelson/core';
import { callOf, governHono } from 'keelson/hono';
import { httpProtocol } from 'keelson/http';
import { validate, validated, validOf } from 'keelson/validation';
import { z } from 'zod';

const registry = memory();
const secret = randomBytes(32);

const query = z.object({ page: z.coerce.number().int().default(1) });
const item = z.object({ name: z.string(), count: z.number().min(1) });

const usersApp = createApp({ service: 'users', registry, signals: false });
const users = new Hono().use(
  governHono(usersApp, {
    use: [
      selector({ except: '/health', use: [jwt({ secret, issuer: 'orders', audience: 'users' })] }),
      selector({ match: 'GET /users', use: [validate(query, { value: queryOf })] }),
    ],
  }),
);
users.get('/health', (c) => c.text('up'));
users.get('/users', (c) => {
  const call = callOf(c);
  return c.text(`page ${validOf(query, call)?.page} for ${claimsOf(call)?.iss}`);
});
users.post('/items', async (c) => c.json(await validated(item, await c.req.json())));

/** @param {import('keelson/http').HttpExchange} exchange */
function queryOf({ req }) {
  return Object.fromEntries(new URL(req.url ?? '/', 'http://users').searchParams);
}

const { url } = await usersApp.serve(/** @type {any} */ (createAdaptorServer(users)), { host: '127.0.0.1' });

const ordersApp = createApp({ service: 'orders', registry, signals: false });
const token = jwtSigner({ secret, issuer: 'orders', audience: 'users' });
const ask = ordersApp.fetch('users', { useAttempt: [bearer({ token, protocol: httpProtocol })] });

const without = await fetch(`${url}/users`);
console.log(`without a token: ${without.status} ${without.headers.get('www-authenticate')}`);
const good = await ask('/users?page=3');
console.log(`with one: ${good.status}, ${await good.text()}`);
const wrong = await ask('/users?page=three');
console.log(`a query of the wrong form: ${wrong.status} ${(await wrong.text()).split('\n')[1]}`);
const body = await ask('/items', { method: 'POST', body: JSON.stringify({ name: 'tea', count: 0 }) });
console.log(`a body of the wrong form: ${body.status} ${(await body.text()).split('\n')[1]}`);
const health = await fetch(`${url}/health`);
console.log(`health asks for no token: ${health.status}`);

const statuses = [without, good, wrong, body, health].map(({ status }) => status);
assert.deepEqual(statuses, [401, 200, 400, 400, 200]);
await without.text();
await ordersApp.stop();
await usersApp.stop();
