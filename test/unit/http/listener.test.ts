import { serveHandler, toListener } from 'keelson/http';
import { describe, expect, it } from 'vitest';
import { fakeExchange } from './fake-exchange.js';

/** What a request is called before anything has looked at it. */
function operationBy(routes: Parameters<typeof toListener>[1]['routes'], url = '/users/7', method = 'GET') {
  let operation: string | undefined;
  const listener = toListener(
    (exchange, call) => {
      operation = call.operation;
      return Promise.resolve(exchange);
    },
    { service: 'shop', routes },
  );
  const { req, res } = fakeExchange({ url, method });
  listener(req, res);
  return operation;
}

describe('routes as a function', () => {
  it.each<[string, (req: { url?: string | undefined }) => string | undefined, string, string]>([
    ['a template', () => '/users/:id', 'GET', 'GET /users/:id'],
    ['nothing', () => undefined, 'GET', 'GET'],
    ['a template for a method that nobody knows', () => '/users/:id', 'BREW', '_OTHER /users/:id'],
    [
      'an error',
      () => {
        throw new Error('broken');
      },
      'POST',
      'POST',
    ],
  ])('may give %s', (_, routes, method, operation) => {
    expect(operationBy(routes, '/users/7', method)).toBe(operation);
  });

  it('is asked with the request', () => {
    expect(operationBy((req) => (req.url === '/users/7' ? '/users/seven' : undefined))).toBe(
      'GET /users/seven',
    );
  });
});

it('routes as a list are as they were', () => {
  expect([operationBy(['/users/:id']), operationBy([]), operationBy(undefined)]).toEqual([
    'GET /users/:id',
    'GET',
    'GET',
  ]);
  // Over HTTP/2 a peer may send any method, and every one would be a name.
  expect(operationBy(['/users/:id'], '/users/7', 'BREW')).toBe('_OTHER /users/:id');
  expect(() => operationBy('/users/:id' as never)).toThrow(TypeError);
});

describe('what a listener tells of its load', () => {
  it('is nothing, and no empty header, when nothing is known', () => {
    const { req, res, written } = fakeExchange({});
    const listener = toListener(
      serveHandler((_, answer) => void answer.end('done')),
      {
        service: 'shop',
        trust: true,
        load: () => ({}),
      },
    );
    listener(req, res);
    expect(written()).toContain('200 OK');
    expect(written()).not.toContain('x-keelson-load');
  });

  it.each([
    ['load', { load: { cpuRatio: 1 } }],
    ['tied', { tied: 'yes' }],
  ])('cannot be told by what is no %s', (option, options) => {
    const make = () =>
      toListener((exchange) => Promise.resolve(exchange), { service: 'shop', ...options } as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(`listener.${option} must be`);
  });
});
