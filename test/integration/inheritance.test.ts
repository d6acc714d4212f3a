import http from 'node:http';
import { createApp, memory } from 'keelson';
import { rate } from 'keelson/limiter';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '../doubles/free-port.js';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function started(service: string, registry = memory()) {
  const app = createApp({ service, registry, signals: false });
  stops.push(() => app.stop());
  return app;
}

it('what a handler leaves running when its call is over has no deadline of it', async () => {
  const registry = memory();
  const users = started('users', registry);
  const left: number[] = [];
  await users.serve(
    http.createServer(
      users.listener((_req, res, call) => {
        left.push(call.deadline - performance.now());
        res.end('Ada');
      }),
    ),
    { host: '127.0.0.1' },
  );
  const orders = started('orders', registry);
  const ask = orders.fetch('users', { timeoutMs: 60_000 });
  let later: Promise<string> | undefined;
  let answered: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    answered = resolve;
  });
  const { url } = await orders.serve(
    http.createServer(
      orders.listener(async (_req, res) => {
        await (await ask('/now')).text();
        later = over.then(() => ask('/later')).then((response) => response.text());
        res.once('close', answered);
        res.end('done');
      }),
    ),
    { host: '127.0.0.1' },
  );
  const response = await fetch(url, { headers: { 'x-keelson-timeout-ms': '5000' } });
  expect(await response.text()).toBe('done');
  await over;
  expect(await later).toBe('Ada');
  expect(left[0]).toBeLessThanOrEqual(5000);
  expect(left[1]).toBeGreaterThan(5000);
});

it('limits by key count against whom the listener names', async () => {
  const app = started('api');
  const { url } = await app.serve(
    http.createServer(
      app.listener((_req, res) => void res.end('ok'), {
        key: (req) => {
          if (req.headers['x-tenant'] === 'broken') throw new Error('no tenant');
          return req.headers['x-tenant'] as string | undefined;
        },
        limits: [rate({ perSecond: 0.001, burst: 1, by: 'key' })],
      }),
    ),
    { host: '127.0.0.1' },
  );
  const as = async (tenant: string) => (await fetch(url, { headers: { 'x-tenant': tenant } })).status;
  expect([await as('acme'), await as('acme'), await as('zeta'), await as('broken')]).toEqual([
    200, 429, 200, 200,
  ]);
  expect(() => app.listener(() => undefined, { key: 'x-tenant' as never })).toThrow(TypeError);
});

it('an app shows what its clients know', async () => {
  const dead = `http://127.0.0.1:${await freePort()}`;
  const app = createApp({ service: 'orders', endpoints: { users: [dead] }, signals: false });
  stops.push(() => app.stop());
  const users = app.fetch('users', { retry: false });
  await users('/').catch(() => undefined);
  expect(app.snapshot()).toMatchObject([
    {
      service: 'users',
      endpoints: [
        {
          endpoint: { url: dead },
          inflight: 0,
          balancer: { inflight: 0 },
          gates: [{ state: 'closed', requests: 1, successes: 0 }],
        },
      ],
    },
  ]);
});

it('a call that finds no endpoint says why', async () => {
  const app = createApp({ service: 'orders', registry: 'http://127.0.0.1:9', signals: false });
  stops.push(() => app.stop());
  const stale: unknown[] = [];
  app.events.on('resolver', (event) => stale.push(event));
  const error = await app
    .fetch('users', { resolveTimeoutMs: 3000 })('/')
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'NO_ENDPOINT', message: expect.stringContaining('ECONNREFUSED') });
  expect(stale).toMatchObject([
    { service: 'users', stale: true, reason: expect.stringContaining('ECONNREFUSED') },
  ]);
});
