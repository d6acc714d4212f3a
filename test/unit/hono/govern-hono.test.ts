import { refusal } from 'keelson/core';
import { callOf, governHono, type HonoContextShape } from 'keelson/hono';
import { describe, expect, it, vi } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { fakeExchange } from '../http/fake-exchange.js';

const mine = new RangeError('mine');

function context(req: object = {}) {
  const { req: incoming, res: outgoing } = fakeExchange();
  const c = { env: { incoming, outgoing }, req, error: undefined as Error | undefined };
  return { c: c as HonoContextShape & { error: Error | undefined }, incoming, outgoing };
}

const all = (path: string) => ({ method: 'ALL', path });
const get = (path: string) => ({ method: 'GET', path });

describe('the operation', () => {
  it.each<[string, object, string]>([
    ['a request that says nothing', {}, 'GET'],
    ['middlewares alone', { matchedRoutes: [all('*'), all('/a/*')], routeIndex: 0 }, 'GET'],
    ['a route behind', { matchedRoutes: [all('*'), get('/a/:id')], routeIndex: 0 }, 'GET /a/:id'],
    ['the route that runs', { matchedRoutes: [get('/a/*'), get('/a/:id')], routeIndex: 1 }, 'GET /a/:id'],
    ['a route for all methods', { matchedRoutes: [all('/*'), all('/a/:id')], routeIndex: 0 }, 'GET /a/:id'],
    ['a route for all paths', { matchedRoutes: [all('*'), get('*')], routeIndex: 1 }, 'GET /*'],
    ['an index beyond', { matchedRoutes: [get('/a')], routeIndex: 7 }, 'GET'],
  ])('with %s', async (_, req, operation) => {
    const { c } = context(req);
    await governHono(fakeListener())(c, async () => undefined);
    expect(callOf(c)?.operation).toBe(operation);
  });
});

it('tells of what Hono has answered', async () => {
  const fake = fakeListener();
  const { c, outgoing } = context();
  await governHono(fake)(c, async () => {
    c.error = mine;
  });
  outgoing.writeHead(500).end();
  await vi.waitFor(() => expect(fake.told).toEqual([mine]));
});

it('fails as what follows it fails, and tells of that', async () => {
  const fake = fakeListener();
  const { c, outgoing } = context();
  await expect(governHono(fake)(c, () => Promise.reject(mine))).rejects.toBe(mine);
  outgoing.writeHead(500).end();
  await vi.waitFor(() => expect(fake.told).toEqual([mine]));
});

it('says of a refused call that it is answered', async () => {
  const next = vi.fn(async () => undefined);
  const { c, outgoing } = context();
  const response = await governHono(fakeListener(refusal('RATE_LIMITED', 'no')))(c, next);
  expect([response?.headers.get('x-hono-already-sent'), next.mock.calls]).toEqual(['true', []]);
  expect(outgoing.statusCode).toBe(429);
});

describe('a connection that is upgraded', () => {
  const upgraded = (): HonoContextShape => {
    const { req: incoming } = fakeExchange();
    return { env: { incoming: Object.assign(incoming, { upgrade: true }) }, req: {}, error: undefined };
  };

  it('is a call until it is let in', async () => {
    const fake = fakeListener();
    const c = upgraded();
    const next = vi.fn(async () => undefined);
    expect(await governHono(fake)(c, next)).toBeUndefined();
    expect([next.mock.calls.length, callOf(c)]).toEqual([1, fake.calls[0]]);
    await vi.waitFor(() => expect(fake.outcomes).toEqual(['ignored']));
  });

  it('is refused by a response of Hono, for it has none of its own', async () => {
    const next = vi.fn(async () => undefined);
    const refused = refusal('UNAUTHENTICATED', 'no', { side: 'server' });
    const response = await governHono(fakeListener(refused))(upgraded(), next);
    expect([response?.status, next.mock.calls]).toEqual([401, []]);
  });
});

it.each([
  ['in a test', {}],
  ['in another runtime', undefined],
  ['without a response', { incoming: fakeExchange().req, outgoing: undefined }],
])('passes %s', async (_, env) => {
  const fake = fakeListener();
  const next = vi.fn(async () => undefined);
  const c: HonoContextShape = { env, req: {}, error: undefined };
  expect(await governHono(fake)(c, next)).toBeUndefined();
  expect(next).toHaveBeenCalledOnce();
  expect([fake.calls, callOf(c)]).toEqual([[], undefined]);
});
