import http, { type IncomingMessage } from 'node:http';
import { createApp, type HttpRequest, memory } from 'keelson';
import { type FaultEvent, selector } from 'keelson/core';
import type { HttpExchange } from 'keelson/http';
import { validate, validated, validOf } from 'keelson/validation';
import * as v from 'valibot';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const started = (service: string, registry: ReturnType<typeof memory>) => {
  const app = createApp({ service, registry, signals: false });
  stops.push(() => app.stop());
  return app;
};

const json = async (req: IncomingMessage): Promise<unknown> => {
  let body = '';
  for await (const chunk of req) body += String(chunk);
  return JSON.parse(body);
};

const page = z.object({ page: z.coerce.number().int().min(1).default(1) });
const queryOf = ({ req }: HttpExchange) =>
  Object.fromEntries(new URL(req.url ?? '/', 'http://x').searchParams);
const order = v.object({ item: v.string(), count: v.pipe(v.number(), v.minValue(1)) });

async function shop() {
  const registry = memory();
  const app = started('shop', registry);
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const query = validate(page, { value: queryOf });
  const listener = app.listener(
    async (req, res) => {
      if (req.method === 'GET') return void res.end(JSON.stringify({ page: validOf(page)?.page }));
      return void res.end(JSON.stringify(await validated(order, await json(req))));
    },
    {
      routes: ['/orders'],
      use: [selector({ match: 'GET /orders', use: [query] })],
    },
  );
  const { url } = await app.serve(http.createServer(listener), { host: '127.0.0.1' });
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(url + path, init);
    return [response.status, await response.text()];
  };
  return { ask, registry, faults };
}

it('a server answers with 400 and what is wrong, before the handler or in it', async () => {
  const { ask, faults } = await shop();
  expect(await ask('/orders?page=3')).toEqual([200, '{"page":3}']);
  expect(await ask('/orders')).toEqual([200, '{"page":1}']);
  const [status, text] = await ask('/orders?page=none');
  expect([status, text]).toEqual([400, expect.stringMatching(/^INVALID_ARGUMENT\npage: .*number.*\n$/)]);
  const post = (body: unknown) => ask('/orders', { method: 'POST', body: JSON.stringify(body) });
  expect(await post({ item: 'tea', count: 2 })).toEqual([200, '{"item":"tea","count":2}']);
  const [invalid, problems] = await post({ count: 0 });
  expect(invalid).toBe(400);
  expect(problems).toMatch(/^INVALID_ARGUMENT\nitem: .*\ncount: .*\n$/);
  expect(faults).toEqual([]);
});

it('a client sends nothing invalid, and its own server calls that its own fault', async () => {
  const { registry, faults: ofShop } = await shop();
  const edge = started('edge', registry);
  const faults: FaultEvent[] = [];
  edge.events.on('fault', (event) => faults.push(event));
  const breakers: unknown[] = [];
  edge.events.on('breaker', (event) => breakers.push(event));
  const value = ({ init }: HttpRequest) => JSON.parse(String(init?.body));
  const ask = edge.fetch('shop', { use: [selector({ match: 'POST', use: [validate(order, { value })] })] });
  const { url } = await edge.serve(
    http.createServer(
      edge.listener(async (req, res) => {
        const body = JSON.stringify({ item: 'tea', count: Number(req.headers['x-count']) });
        res.end(await (await ask('/orders', { method: 'POST', body })).text());
      }),
    ),
    { host: '127.0.0.1' },
  );
  const via = async (count: number) => {
    const response = await fetch(url, { headers: { 'x-count': String(count) } });
    return [response.status, await response.text()];
  };
  expect(await via(1)).toEqual([200, '{"item":"tea","count":1}']);
  for (let i = 0; i < 30; i++) expect(await via(0)).toEqual([500, 'INVALID_ARGUMENT\n']);
  expect(faults).toHaveLength(30);
  expect([ofShop, breakers]).toEqual([[], []]);
  expect(edge.snapshot().flatMap(({ endpoints }) => endpoints.map(({ inflight }) => inflight))).toEqual([0]);
});
