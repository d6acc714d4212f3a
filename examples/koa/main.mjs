// A Koa server under one line: a rate for each tenant before anything is read, errors as Koa answers them, operations
// named by the router, a graceful end. See orders.mjs.
//
// expect: order 7 by GET /orders/:id, order 0: 404 no such order
// expect: /acme: 5 answered, 5 refused with 429, come back in \d+ s/
// expect: zeta: 200
// expect: health is not limited: 200
import assert from 'node:assert/strict';
import { startService, stopAll } from '../processes/start.mjs';

const { url } = await startService(new URL('orders.mjs', import.meta.url));
const ask = (path, tenant) => fetch(url + path, { headers: { 'x-tenant': tenant } });

const { id, operation } = /** @type {any} */ (await (await ask('/orders/7', 'first')).json());
const missing = await ask('/orders/0', 'first');
console.log(`order ${id} by ${operation}, order 0: ${missing.status} ${await missing.text()}`);

const answers = await Promise.all(Array.from({ length: 10 }, () => ask('/orders/1', 'acme')));
const refused = answers.filter(({ status }) => status === 429);
const wait = refused[0]?.headers.get('retry-after');
console.log(
  `acme: ${10 - refused.length} answered, ${refused.length} refused with 429, come back in ${wait} s`,
);
console.log(`zeta: ${(await ask('/orders/1', 'zeta')).status}`);
console.log(`health is not limited: ${(await ask('/healthz', 'acme')).status}`);

assert.ok(answers.every(({ status }) => status === 200 || status === 429));
await stopAll();
