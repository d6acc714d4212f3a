import { routeTable } from 'keelson/http';
import { describe, expect, it } from 'vitest';

describe('routeTable', () => {
  const match = routeTable([
    '/',
    '/users/me',
    '/users/:id',
    'POST /users/:id/orders',
    '/users/:user/orders/:order',
    '/files/*',
    'get /files/:name',
    '/a%20b/:c',
  ]);

  it.each([
    ['GET', '/', 'GET /'],
    ['GET', '/users/42', 'GET /users/:id'],
    ['DELETE', '/users/42?full=1', 'DELETE /users/:id'],
    ['GET', '/users/42#top', 'GET /users/:id'],
    ['GET', '/users/42/', 'GET /users/:id'],
    ['GET', '/users/me', 'GET /users/me'],
    ['GET', '/users/%6de', 'GET /users/me'],
    ['GET', '/users/a%2Fb', 'GET /users/:id'],
    ['GET', '/users/%zz', 'GET /users/:id'],
    ['POST', '/users/42/orders', 'POST /users/:id/orders'],
    ['GET', '/users/42/orders', undefined],
    ['GET', '/users/42/orders/7', 'GET /users/:user/orders/:order'],
    ['GET', '/files/a', 'GET /files/*'],
    ['GET', '/files/a/b/c', 'GET /files/*'],
    ['GET', '/files', undefined],
    ['GET', '/files/', undefined],
    ['GET', '/a b/1', 'GET /a%20b/:c'],
    ['GET', '/a%20b/1', 'GET /a%20b/:c'],
    ['GET', '/users//orders', undefined],
    ['GET', '/users', undefined],
    ['GET', '/Users/42', undefined],
    ['GET', '', undefined],
    ['GET', 'users/42', undefined],
    ['OPTIONS', '*', undefined],
    ['GET', '/?x=/users/42', 'GET /'],
    ['GET', '/files/.well-known/a..b/...', 'GET /files/*'],
    ['GET', '/files/a?back=/../b', 'GET /files/*'],
    // What a URL makes of these lies elsewhere.
    ['GET', '/files/../users', undefined],
    ['GET', '/files/%2e%2E/users', undefined],
    ['GET', '/files/.%2e/', undefined],
    ['GET', '/files/a/./b', undefined],
    ['GET', '/files/..', undefined],
    ['GET', '/files/..\\users', undefined],
  ])('%s %s is %s', (method, path, operation) => {
    expect(match(method, path)).toBe(operation);
  });

  it('takes the first that matches, whatever stands in the tree', () => {
    expect(routeTable(['/:any', '/users'])('GET', '/users')).toBe('GET /:any');
    expect(routeTable(['/users', '/:any'])('GET', '/users')).toBe('GET /users');
    expect(routeTable(['/*', '/users'])('GET', '/users')).toBe('GET /*');
    expect(routeTable(['POST /*', '/users'])('GET', '/users')).toBe('GET /users');
    expect(routeTable(['POST /users', 'GET /users'])('GET', '/users')).toBe('GET /users');
  });

  it('goes back when what looked better leads nowhere', () => {
    const table = routeTable(['/a/b/c', '/:x/b/d', '/a/:y/e']);
    expect(table('GET', '/a/b/d')).toBe('GET /:x/b/d');
    expect(table('GET', '/a/b/e')).toBe('GET /a/:y/e');
  });

  it('looks at each template once, however long the path and however often they overlap', () => {
    const depth = 12;
    // Every mixture of literal and parameter: 4096 templates that all fit a path of a's but for its end.
    const templates = Array.from({ length: 2 ** depth }, (_, mask) =>
      Array.from({ length: depth }, (__, bit) => (mask & (1 << bit) ? '/a' : '/:p')).join(''),
    );
    const table = routeTable(templates);
    expect(table('GET', `${'/a'.repeat(depth)}/x`)).toBeUndefined();
    expect(table('GET', '/a'.repeat(200_000))).toBeUndefined();
    expect(table('GET', '/a'.repeat(depth))).toBe(`GET ${'/:p'.repeat(depth)}`);
  });

  it.each([
    'users',
    '',
    '/files/*/x',
    '/users/:',
    '/users/:id(\\d+)',
    '/users/{id}',
    '/users?x=1',
    '/users/:id?',
    'GET  /users',
    'G T /users',
    42,
    null,
  ])('refuses %s', (route) => {
    expect(() => routeTable([route as string])).toThrow(TypeError);
  });

  it('refuses what is no list, and takes an empty one', () => {
    expect(() => routeTable('/users' as unknown as string[])).toThrow(TypeError);
    expect(routeTable([])('GET', '/users')).toBeUndefined();
  });
});
