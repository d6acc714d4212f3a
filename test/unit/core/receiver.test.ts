import {
  carrier,
  compose,
  createCall,
  guard,
  type Handler,
  type Middleware,
  type Protocol,
} from 'keelson/core';
import { acceptDeadline, deadline } from 'keelson/deadline';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const protocol: Protocol<string, number> = { classify: () => 'success' };
const layer = guard<string, number>([], { protocol, clock: manualClock() });

/** What users make of a handler: each must be called, though what it wraps can be run without being called. */
const wrappers: Record<string, (next: Handler<string, number>, seen: () => void) => Handler<string, number>> =
  {
    'a function with the properties of what it wraps': (next, seen) =>
      Object.assign<Handler<string, number>, object>((request, call) => {
        seen();
        return next(request, call);
      }, next),
    'a function that inherits from what it wraps': (next, seen) =>
      Object.setPrototypeOf((...given: Parameters<typeof next>) => {
        seen();
        return next(...given);
      }, next) as typeof next,
    'a proxy': (next, seen) =>
      new Proxy(next, {
        apply(target, self, given) {
          seen();
          return Reflect.apply(target, self, given) as Promise<number>;
        },
      }),
  };

describe('layers that share a promise do not pass by', () => {
  it.each(Object.entries(wrappers))('%s', async (_, wrap) => {
    let seen = 0;
    const wrapped: Middleware<string, number> = (next) => wrap(next, () => seen++);
    const handler = compose([layer, wrapped, layer], () => Promise.resolve(200));
    const call = createCall({ side: 'client', service: 's', operation: 'GET' });
    await expect(handler('', call)).resolves.toBe(200);
    expect(seen).toBe(1);
  });
});

describe('a layer that only hands on', () => {
  const clock = manualClock();
  const accept = acceptDeadline<string, number>({ clock });
  const within = deadline<string, number>({ timeoutMs: 1000, protocol, clock });
  const sides: Record<string, Middleware<string, number>[]> = {
    'where there are promises': [accept],
    'inside of layers without': [layer, accept, layer],
    'outside of them': [accept, layer],
    'among deadlines': [within, accept, within],
  };
  const ask = (leftMs: string) =>
    createCall({
      side: 'server',
      service: 's',
      operation: 'GET',
      headers: carrier({ 'x-keelson-timeout-ms': leftMs }),
    });

  it.each(Object.entries(sides))('%s: gives on what it changed', async (_, layers) => {
    let deadlineMs = Number.NaN;
    const handler = compose(layers, (_request, call) => {
      deadlineMs = call.deadline - clock.now();
      return Promise.resolve(200);
    });
    await expect(handler('', ask('500'))).resolves.toBe(200);
    expect(deadlineMs).toBe(500);
  });

  it.each(Object.entries(sides))('%s: what it throws is how the call ends', async (_, layers) => {
    let ran = 0;
    const handler = compose(layers, () => Promise.resolve(++ran));
    await expect(handler('', ask('0'))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(ran).toBe(0);
  });
});
