import { callOf, type FastifyRequestShape, governFastify } from 'keelson/fastify';
import { describe, expect, it, vi } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { fakeExchange } from '../http/fake-exchange.js';

type Hook = (...args: unknown[]) => void;

/** What the plugin does to an instance. */
function registered(options?: Parameters<typeof governFastify>[1]) {
  const fake = fakeListener();
  const plugin = governFastify(fake, options);
  const hooks = new Map<string, Hook>();
  const done = vi.fn();
  plugin({ addHook: (name: string, hook: unknown) => hooks.set(name, hook as Hook) }, {}, done);
  const exchange = fakeExchange();
  const request = (url: string | undefined): FastifyRequestShape => ({
    raw: exchange.req,
    routeOptions: { url },
  });
  const reply = { raw: exchange.res };
  return { ...fake, ...exchange, plugin, hooks, done, request, reply };
}

describe('the plugin', () => {
  it('is for the instance itself, as fastify-plugin makes one', () => {
    const { plugin, done, hooks } = registered();
    expect(plugin).toMatchObject({
      [Symbol.for('skip-override')]: true,
      [Symbol.for('fastify.display-name')]: 'keelson',
      [Symbol.for('plugin-meta')]: { name: 'keelson', fastify: '5.x' },
    });
    expect(done.mock.calls).toEqual([[]]);
    expect([...hooks.keys()]).toEqual(['onRequest', 'onError']);
  });

  it.each([
    ['/users/:id', 'GET /users/:id'],
    ['*', 'GET /*'],
    [undefined, 'GET'],
  ])('calls a request of the route %s %s', (url, operation) => {
    const { hooks, request, reply, req } = registered();
    const next = vi.fn();
    hooks.get('onRequest')?.(request(url), reply, next);
    expect(next.mock.calls).toEqual([[]]);
    expect(callOf({ raw: req })?.operation).toBe(operation);
  });

  it('tells of errors', () => {
    const { hooks, request, reply, res, told } = registered();
    const mine = new RangeError('mine');
    hooks.get('onRequest')?.(request('/'), reply, () => undefined);
    res.end();
    const next = vi.fn();
    hooks.get('onError')?.(request('/'), reply, mine, next);
    expect([told, next.mock.calls]).toEqual([[mine], [[]]]);
  });

  it('hands on its options, and leaves routes to whoever gives them', () => {
    const given = registered({ timeoutMs: 5, routes: ['/users/:id'] });
    expect(given.options).toEqual([{ timeoutMs: 5, routes: ['/users/:id'] }]);
    expect(registered().options).toEqual([{ routes: expect.any(Function) }]);
  });
});

it('there is no call of a request that nobody governs', () => {
  expect(callOf({ raw: fakeExchange().req })).toBeUndefined();
});
