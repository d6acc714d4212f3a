import { compose, createCall, guard, type Handler, type Middleware, type Protocol } from 'keelson/core';
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
