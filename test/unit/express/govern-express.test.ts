import type { IncomingMessage } from 'node:http';
import { callOf, governErrors, governExpress } from 'keelson/express';
import { describe, expect, it, vi } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { fakeExchange } from '../http/fake-exchange.js';

interface ExpressRequest {
  baseUrl?: string;
  route?: unknown;
  params?: unknown;
}

/** What Express does to a request: it enters routers, says by which parameters, and meets a route. */
type Step =
  | { readonly into: string; readonly by?: unknown }
  | { readonly out: string }
  | { readonly route: unknown };

function operationAfter(steps: readonly Step[]): string | undefined {
  const exchange = fakeExchange();
  const req = exchange.req as IncomingMessage & ExpressRequest;
  req.baseUrl = '';
  governExpress(fakeListener())(req, exchange.res, () => undefined);
  for (const step of steps) {
    if ('route' in step) req.route = step.route;
    else if ('out' in step) req.baseUrl = step.out;
    else {
      req.params = step.by ?? {};
      req.baseUrl = step.into;
    }
  }
  return callOf(req)?.operation;
}

const orders = { route: { path: '/orders/:id' } };

describe('the operation', () => {
  it.each<[string, Step[], string]>([
    ['no route', [], 'GET'],
    ['a route', [orders], 'GET /orders/:id'],
    ['a route without a path', [{ route: {} }], 'GET'],
    ['a path without a slash', [{ route: { path: '*' } }], 'GET /*'],
    ['a literal router', [{ into: '/api' }, orders], 'GET /api/orders/:id'],
    ['a router that was left', [{ into: '/api' }, { out: '' }, orders], 'GET /orders/:id'],
    ['a route whose router was left', [{ into: '/api' }, orders, { out: '' }], 'GET /api/orders/:id'],
    [
      'routers in routers',
      [{ into: '/a/1', by: { x: '1' } }, { into: '/a/1/b/2', by: { y: '2' } }, orders],
      'GET /a/:x/b/:y/orders/:id',
    ],
    [
      'the next router of the same',
      [{ into: '/a/1', by: { x: '1' } }, { into: '/a/1/b' }, { out: '/a/1' }, { into: '/a/1/c' }, orders],
      'GET /a/:x/c/orders/:id',
    ],
    [
      'a sibling that begins alike',
      [{ into: '/a' }, { out: '' }, { into: '/ab' }, orders],
      'GET /ab/orders/:id',
    ],
    [
      'a wildcard of version 5',
      [{ into: '/f/a/b', by: { rest: ['a', 'b'] } }, orders],
      'GET /f/*/orders/:id',
    ],
    ['a wildcard of version 4', [{ into: '/f/a/b', by: { 0: 'a/b' } }, orders], 'GET /f/*/orders/:id'],
    ['an escaped value', [{ into: '/t/a%2Fb%20c', by: { t: 'a/b c' } }, orders], 'GET /t/:t/orders/:id'],
    ['an escape that is none', [{ into: '/t/%zz', by: { t: '%zz' } }, orders], 'GET /t/:t/orders/:id'],
    ['a part of a segment', [{ into: '/v2', by: { version: '2' } }, orders], 'GET /v:version/orders/:id'],
    ['a parameter that was left out', [{ into: '/t', by: { t: undefined } }, orders], 'GET /t/orders/:id'],
    ['parameters that are none', [{ into: '/t', by: null }, orders], 'GET /t/orders/:id'],
  ])('with %s', (_, steps, operation) => {
    expect(operationAfter(steps)).toBe(operation);
  });
});

it('tells of errors and passes them on', () => {
  const fake = fakeListener();
  const { req, res } = fakeExchange();
  const mine = new RangeError('mine');
  const next = vi.fn();
  const tell = governErrors();
  // Express looks at this.
  expect(tell).toHaveLength(4);
  tell(mine, req, res, next);
  expect(next.mock.calls).toEqual([[mine]]);
  governExpress(fake)(req, res, () => undefined);
  res.end();
  tell(mine, req, res, next);
  expect(fake.told).toEqual([mine]);
});
