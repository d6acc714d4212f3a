import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { idempotentBy } from '../../../src/grpc/idempotent.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { methodTable } from '../../../src/grpc/method-table.js';
import { greeter } from '../../doubles/grpc-greeter.js';

describe('methods', () => {
  it('are read from definitions of every maker', () => {
    const named = {
      fullName: 'users.Users',
      methods: {
        get: {
          name: 'GetUser',
          requestStream: false,
          responseStream: false,
          options: { idempotencyLevel: 'IDEMPOTENT' },
        },
      },
    };
    const loaded = (level: unknown) => ({
      Get: {
        path: `/a.B/${String(level)}`,
        requestStream: false,
        responseStream: true,
        options: { idempotency_level: level },
      },
    });
    const table = methodTable([
      greeter,
      named,
      ...['NO_SIDE_EFFECTS', 'IDEMPOTENT', 'IDEMPOTENCY_UNKNOWN', 0, 1, 2].map(loaded),
    ]);
    expect(table.get('/test.Greeter/Chat')).toEqual({
      requestStream: true,
      responseStream: true,
      idempotent: false,
    });
    expect(table.get('/users.Users/GetUser')).toEqual({
      requestStream: false,
      responseStream: false,
      idempotent: true,
    });
    const idempotent = [...table].filter(([, method]) => method.idempotent).map(([path]) => path);
    expect(idempotent.slice(1)).toEqual(['/a.B/NO_SIDE_EFFECTS', '/a.B/IDEMPOTENT', '/a.B/1', '/a.B/2']);
    expect(() => methodTable([undefined as never])).toThrow(TypeError);
  });

  it('may be sent twice by list, by function, or all of them', () => {
    const path = '/users.Users/GetUser';
    expect(idempotentBy(true)(path)).toBe(true);
    expect(idempotentBy(false)(path)).toBe(false);
    expect(idempotentBy(['GetUser'])(path)).toBe(true);
    expect(idempotentBy([path])(path)).toBe(true);
    expect(idempotentBy(['GetUsers', '/other.Users/GetUser'])(path)).toBe(false);
    expect(idempotentBy((given) => given === path)(path)).toBe(true);
    // Not a boolean: a promise, which nobody can wait for, is no permission.
    expect(idempotentBy((async () => true) as never)(path)).toBe(false);
    for (const bad of ['GetUser', 1, null, [''], [1]])
      expect(() => idempotentBy(bad as never)).toThrow(TypeError);
  });
});
