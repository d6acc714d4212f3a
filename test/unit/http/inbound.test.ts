import type { IncomingMessage } from 'node:http';
import { createCall } from 'keelson/core';
import { isPrivateAddress, priorityHeader, serveHandler, toListener } from 'keelson/http';
import { describe, expect, it } from 'vitest';
import { fakeExchange } from './fake-exchange.js';

describe('a private address', () => {
  it.each([
    '127.0.0.1',
    '127.8.9.1',
    '10.1.2.3',
    '192.168.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '169.254.1.1',
    '100.64.0.1',
    '100.127.0.1',
    '::1',
    '::ffff:10.0.0.1',
    'fc00::1',
    'fd12:3456::1',
    'FD12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
  ])('is %s', (address) => expect(isPrivateAddress(address)).toBe(true));

  it.each([
    undefined,
    '',
    'localhost',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '100.63.0.1',
    '100.128.0.1',
    '169.253.0.1',
    '11.0.0.1',
    '::2',
    '::ffff:8.8.8.8',
    '2001:db8::1',
    'fec0::1',
    'fd::1',
    'fd',
    '10.0.0',
    '10.0.0.256',
  ])('is not %s', (address) => expect(isPrivateAddress(address)).toBe(false));
});

describe('trust', () => {
  const trusted = (
    trust: boolean | 'private' | ((req: IncomingMessage) => boolean) | undefined,
    remoteAddress: string | undefined,
  ) => {
    let priority: number | undefined;
    const listener = toListener(
      (exchange, call) => {
        priority = call.priority;
        return Promise.resolve(exchange);
      },
      { service: 'shop', trust },
    );
    const { req, res } = fakeExchange({ headers: { [priorityHeader]: '7' }, remoteAddress });
    listener(req, res);
    return priority === 7;
  };

  it.each([
    [undefined, '10.0.0.1', true],
    [undefined, '8.8.8.8', false],
    [undefined, undefined, false],
    ['private', '10.0.0.1', true],
    ['private', '8.8.8.8', false],
    [true, '8.8.8.8', true],
    [false, '127.0.0.1', false],
    [(req: IncomingMessage) => req.socket.remoteAddress === '8.8.8.8', '8.8.8.8', true],
    [(req: IncomingMessage) => req.socket.remoteAddress === '8.8.8.8', '10.0.0.1', false],
    [() => 'yes' as never, '10.0.0.1', false],
    [
      () => {
        throw new Error('mine');
      },
      '10.0.0.1',
      false,
    ],
  ] as const)('%s of %s: %s', (trust, address, expected) => {
    expect(trusted(trust, address)).toBe(expected);
  });

  it('is refused at construction when it makes no sense', () => {
    const make = () =>
      toListener(
        serveHandler(() => undefined),
        { service: 'shop', trust: 'all' as never },
      );
    expect(make).toThrow('listener.trust must be a boolean, "private" or a function, got all');
  });
});

describe('received headers', () => {
  const headersOf = (headers: Record<string, string | string[]>) => {
    let carrier = createCall({ side: 'server', service: 'a', operation: 'b' }).headers;
    const listener = toListener(
      (exchange, call) => {
        carrier = call.headers;
        return Promise.resolve(exchange);
      },
      { service: 'shop' },
    );
    const { req, res } = fakeExchange({ headers });
    listener(req, res);
    return carrier;
  };

  it('are read in any case, several joined', () => {
    const carrier = headersOf({ 'x-a': '1', 'set-cookie': ['a=1', 'b=2'] });
    expect([carrier.get('X-A'), carrier.get('x-a'), carrier.get('set-cookie')]).toEqual([
      '1',
      '1',
      'a=1, b=2',
    ]);
    expect([...carrier.keys()]).toEqual(['x-a', 'set-cookie']);
  });

  it('are nothing but headers', () => {
    const carrier = headersOf({});
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
      expect(carrier.get(name)).toBeUndefined();
  });

  it('can be replaced for who comes after', () => {
    const carrier = headersOf({ 'x-a': '1' });
    carrier.set('X-A', '2');
    expect(carrier.get('x-a')).toBe('2');
  });
});
