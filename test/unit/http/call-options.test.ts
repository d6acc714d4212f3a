import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { checkCallOptions } from '../../../src/http/call-options.js';

describe('options of one call', () => {
  it.each([
    {},
    { operation: 'GET /x', timeoutMs: 5, priority: 1, key: 'k', idempotent: true, hedge: false, tied: false },
    { timeoutMs: Number.POSITIVE_INFINITY, hedge: undefined },
    { operation: undefined, key: undefined, timeoutMs: undefined, priority: undefined },
    { priority: -100 },
    Object.assign(Object.create({ label: 'of a team' }), { priority: 100 }),
    Object.assign(Object.create(null), { key: 'k' }),
  ])('%o will do', (options) => {
    expect(checkCallOptions('keelson', options)).toBe(options);
  });

  it.each([
    [
      { timeout: 5 },
      TypeError,
      'keelson.timeout is not an option: did you mean timeoutMs? There are operation, ',
    ],
    [{ retry: false }, TypeError, 'keelson.retry is not an option; there are operation, timeoutMs'],
    [{ constructor: 1 }, TypeError, 'keelson.constructor is not an option'],
    [{ timeout: undefined }, TypeError, 'keelson.timeout is not an option'],
    [{ timeoutMs: 0 }, RangeError, 'keelson.timeoutMs must be a number > 0 or Infinity, got 0'],
    [{ timeoutMs: '5' }, TypeError, 'keelson.timeoutMs must be a number'],
    [{ priority: 1.5 }, RangeError, 'keelson.priority'],
    [{ priority: 101 }, RangeError, 'keelson.priority must be a whole number >= -100 and <= 100, got 101'],
    [{ operation: 5 }, TypeError, 'keelson.operation must be a string, got 5'],
    [{ key: 5 }, TypeError, 'keelson.key must be a string, got 5'],
    [{ key: null }, TypeError, 'keelson.key must be a string, got null'],
    [{ hedge: 'no' }, TypeError, 'keelson.hedge must be a boolean, got "no"'],
    [{ idempotent: 1 }, TypeError, 'keelson.idempotent must be a boolean, got 1'],
    [5, TypeError, 'keelson must be an object, got 5'],
    [null, TypeError, 'keelson must be an object, got null'],
    [true, TypeError, 'keelson must be an object, got true'],
  ])('%o will not', (options, kind, message) => {
    const check = () => checkCallOptions('keelson', options as never);
    expect(check).toThrow(kind);
    expect(check).toThrow(message);
  });
});
