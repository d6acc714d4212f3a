import { refusal } from 'keelson/core';
import { callOf, governKoa } from 'keelson/koa';
import { describe, expect, it, vi } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { fakeExchange } from '../http/fake-exchange.js';

const mine = new RangeError('mine');

describe('the operation', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['no router', {}, 'GET'],
    ['a router that found nothing', { matched: [] }, 'GET'],
    ['a middleware alone', { matched: [{ methods: [], path: '/a/(.*)' }], _matchedRoute: '/a/(.*)' }, 'GET'],
    [
      'a route behind a middleware',
      {
        matched: [
          { methods: [], path: '/a' },
          { methods: ['HEAD', 'GET'], path: '/a/:id' },
        ],
        _matchedRoute: '/a',
      },
      'GET /a/:id',
    ],
    [
      'routes of other methods',
      {
        matched: [
          { methods: ['GET'], path: '/a/:id' },
          { methods: ['POST'], path: '/a/:name' },
        ],
      },
      'GET /a/:id',
    ],
    [
      'several routes: the last',
      {
        matched: [
          { methods: ['GET'], path: '/a/:id' },
          { methods: ['GET'], path: '/:any' },
        ],
      },
      'GET /:any',
    ],
    ['a regular expression', { matched: [{ methods: ['GET'], path: /^\/x$/ }] }, 'GET /^\\/x$/'],
    ['an empty path', { matched: [{ methods: ['GET'], path: '' }] }, 'GET /'],
    ['another router', { _matchedRoute: '/old/:id' }, 'GET /old/:id'],
  ])('with %s', async (_, routed, operation) => {
    const { req, res } = fakeExchange();
    const ctx = { req, res, ...routed };
    await governKoa(fakeListener())(ctx, async () => undefined);
    expect(callOf(ctx)?.operation).toBe(operation);
  });
});

it('fails as what follows it fails, and tells of that', async () => {
  const fake = fakeListener();
  const { req, res } = fakeExchange();
  const running = governKoa(fake)({ req, res }, () => Promise.reject(mine));
  await expect(running).rejects.toBe(mine);
  expect(fake.told).toEqual([]);
  res.writeHead(500).end();
  await vi.waitFor(() => expect(fake.told).toEqual([mine]));
});

it('takes a refused response out of the hands of Koa', async () => {
  const { req, res } = fakeExchange();
  const ctx: { req: typeof req; res: typeof res; respond?: boolean } = { req, res };
  const next = vi.fn(async () => undefined);
  await governKoa(fakeListener(refusal('RATE_LIMITED', 'no')))(ctx, next);
  expect([ctx.respond, next.mock.calls, res.statusCode]).toEqual([false, [], 429]);
  expect(callOf(ctx)).toBeUndefined();
});
