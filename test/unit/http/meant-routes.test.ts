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
    [/^PROPFIND$/, [], []],
    [/.*search/, ['/search'], ['/search']],
    [[/.*search/, '/find'], [], ['/find']],
  ])('%o besides %o: %o', (meant, routes, named) => {
    expect(meantRoutes('x', routes, meant as never)).toEqual(named);
  });

  it('asks as a policy does: of the whole name, and leaves the pattern as it was', () => {
    expect(() => meantRoutes('x', [], /GE/)).toThrow('x: /GE/ fits no operation');
    for (const pattern of [/^GET$/g, /GET/y]) {
      for (let i = 0; i < 3; i++) expect(meantRoutes('x', [], pattern)).toEqual([]);
      expect(pattern.lastIndex).toBe(0);
    }
  });

  it('takes no routes that are no list', () => {
    expect(() => meantRoutes('x', '/search' as never, [])).toThrow(
      new TypeError('routes must be an array, got "/search"'),
    );
  });

  it('refuses what would never fit', () => {
    expect(() => meantRoutes('x.routes', [], /GET \/search/)).toThrow(
      new TypeError(
        'x.routes: /GET \\/search/ fits no operation, for without routes they have the names of methods; give the client `routes`, or a function here',
      ),
    );
  });
});
