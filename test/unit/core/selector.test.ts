import {
  type Call,
  compose,
  createCall,
  type Middleware,
  type OperationMatch,
  type SelectorRule,
  selector,
} from 'keelson/core';
import { describe, expect, it, vi } from 'vitest';

type Trail = string[];

const mark =
  (name: string): Middleware<Trail, Trail> =>
  (next) =>
  (trail, call) =>
    next([...trail, name], call);

const callOf = (operation: string, key?: string): Call =>
  createCall({ side: 'server', service: 'orders', operation, key });

const through = (rules: SelectorRule<Trail, Trail> | readonly SelectorRule<Trail, Trail>[]) => {
  const handler = compose([selector(rules)], async (trail: Trail) => trail);
  return (operation: string, key?: string) => handler([], callOf(operation, key));
};

const hit = async (rule: Omit<SelectorRule<Trail, Trail>, 'use'>, operation: string) =>
  (await through({ ...rule, use: [mark('m')] })(operation)).length > 0;

describe('a selector', () => {
  it.each<[OperationMatch, string, boolean]>([
    ['/pkg.Users/Get', '/pkg.Users/Get', true],
    ['/pkg.Users/Get', '/pkg.Users/GetAll', false],
    ['/pkg.Users/Get', '/pkg.users/get', false],
    ['/pkg.Users/*', '/pkg.Users/Get', true],
    ['/pkg.Users/*', '/pkg.Users/', true],
    ['/pkg.Users/*', '/pkg.UsersAdmin/Get', false],
    ['*', 'GET', true],
    ['*', '', true],
    ['GET', 'GET', true],
    ['GET', 'GET /users', false],
    ['GET *', 'GET /users', true],
    ['GET /users*', 'GET /users/:id', true],
    ['GET /users*', 'DELETE /users/:id', false],
    ['/users/:id', 'DELETE /users/:id', true],
    ['/users/:id', 'DELETE /users/:id/x', false],
    ['/health*', 'GET /healthz', true],
    ['/health*', 'GET', false],
    // What a peer may send as a method of gRPC.
    ['/health*', '/pkg.Secret/Get /health', false],
    [/\/pkg\.(Users|Orders)\/.+/, '/pkg.Orders/Get', true],
    [/Users/, '/pkg.Users/Get', false],
    [/a|ab/, 'ab', true],
    [/get \/users/i, 'GET /users', true],
    [/^b$/m, 'a\nb', false],
    [/a./s, 'a\n', true],
    [/\p{Lu}+/u, 'GET', true],
    [/(?<word>a)\k<word>/u, 'aa', true],
    [(call) => call.operation.length === 3, 'GET', true],
    [(call) => call.operation.length === 3, 'POST', false],
    [(() => 1) as never, 'GET', false],
    [(() => Promise.resolve(true)) as never, 'GET', false],
  ])('that matches %o meets %o: %s', async (match, operation, expected) => {
    expect(await hit({ match }, operation)).toBe(expected);
    expect(await hit({ except: match }, operation)).toBe(!expected);
  });

  it('gives a RegExp with a place of its own the same answer each time', async () => {
    const run = through({ match: /GET.*/g, use: [mark('m')] });
    for (let i = 0; i < 4; i++) expect(await run('GET /users')).toEqual(['m']);
    const sticky = through({ match: /GET/y, use: [mark('m')] });
    for (let i = 0; i < 4; i++) expect(await sticky('GET')).toEqual(['m']);
  });

  it('is satisfied with one criterion of several, and leaves out what is excepted', async () => {
    const run = through({
      match: ['/a', '/b/*', (call) => call.key === 'k'],
      except: ['/b/x', (call) => call.key === 'no'],
      use: [mark('m')],
    });
    expect(await run('/a')).toEqual(['m']);
    expect(await run('/b/y')).toEqual(['m']);
    expect(await run('/b/x')).toEqual([]);
    expect(await run('/c')).toEqual([]);
    expect(await run('/c', 'k')).toEqual(['m']);
    expect(await run('/a', 'no')).toEqual([]);
    expect(await run('/b/x', 'k')).toEqual([]);
  });

  it('applies the first rule that fits, outermost first, and no other', async () => {
    const run = through([
      { match: '/a/secret', use: [] },
      { match: (call) => call.key === 'k', use: [mark('key')] },
      { match: '/a/*', use: [mark('1'), mark('2')] },
      { use: [mark('rest')] },
    ]);
    expect(await run('/a/x')).toEqual(['1', '2']);
    expect(await run('/a/x', 'k')).toEqual(['key']);
    expect(await run('/a/secret', 'k')).toEqual([]);
    expect(await run('/b')).toEqual(['rest']);
  });

  it('asks by name once for each operation, however many there are', async () => {
    const pattern = /\/.*/;
    const run = through({ match: pattern, use: [mark('m')] });
    for (let i = 0; i < 2500; i++) expect(await run(`/${i % 1300}`)).toEqual(['m']);
    expect(await run('/0')).toEqual(['m']);
  });

  it('rejects with what a criterion throws, and does not throw itself', async () => {
    const next = vi.fn(async (trail: Trail) => trail);
    const broken = () => {
      throw new Error('criterion');
    };
    const handler = compose([selector<Trail, Trail>({ except: broken, use: [mark('m')] })], next);
    await expect(handler([], callOf('/a'))).rejects.toThrow('criterion');
    expect(next).not.toHaveBeenCalled();
  });

  it.each([
    [undefined],
    [null],
    [[]],
    [{}],
    [{ use: mark('m') }],
    [{ use: [undefined] }],
    [{ use: [], match: '' }],
    [{ use: [], match: [] }],
    [{ use: [], match: '/a/*/b' }],
    [{ use: [], match: '**' }],
    [{ use: [], match: 5 }],
    [{ use: [], except: [null] }],
    [{ use: [], prefix: '/a' }],
    [[{ use: [] }, { match: '' }]],
  ])('refuses %o', (rules) => {
    expect(() => selector(rules as never)).toThrow(TypeError);
  });
});
