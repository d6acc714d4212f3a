import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { meantRoutes } from '../../../src/http/meant-routes.js';

describe('the routes that a policy means', () => {
  it.each<[unknown, readonly string[] | undefined, readonly string[]]>([
    [undefined, undefined, []],
    ['/search', undefined, ['/search']],
    ['/search', ['/users/:id'], ['/users/:id', '/search']],
    [['/search', 'GET /users/:id'], [], ['/search', 'GET /users/:id']],
    ['/users/*', [], ['/users/*']],
    ['GET /users*', [], ['GET /users', 'GET /users/*']],
    ['*', [], []],
    ['GET', [], []],
    ['GET*', [], []],
    // Names that are given call by call.
    ['/a?b', [], []],
    ['/:', [], []],
    ['anything', [], []],
    [() => true, [], []],
    [/GET|HEAD/, [], []],
    [/.*search/, ['/search'], ['/search']],
    [[/.*search/, '/find'], [], ['/find']],
  ])('%o besides %o: %o', (meant, routes, named) => {
    expect(meantRoutes('x', routes, meant as never)).toEqual(named);
  });

  it('refuses what would never fit', () => {
    expect(() => meantRoutes('x.routes', [], /GET \/search/)).toThrow(
      new TypeError(
        'x.routes: /GET \\/search/ fits no operation, for without routes they have the names of methods; give the client `routes`, or a function here',
      ),
    );
  });
});
