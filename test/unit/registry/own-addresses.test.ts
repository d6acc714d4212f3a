import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { OwnAddresses } from '../../../src/registry/own-addresses.js';

const hour = 3_600_000;

describe('own addresses', () => {
  it('are the advertised one for good, and for an hour those that led here', () => {
    const own = new OwnAddresses();
    own.advertised = 'a:1';
    own.meet('b:1', 1_000);
    own.meet('c:1', 5_000);
    const known = () => ['a:1', 'b:1', 'c:1', 'd:1'].filter((address) => own.has(address));
    expect(own.expire(1_000 + hour)).toBe(false);
    expect(known()).toEqual(['a:1', 'b:1', 'c:1']);
    expect(own.expire(1_001 + hour)).toBe(true);
    expect(known()).toEqual(['a:1', 'c:1']);
    own.meet('c:1', hour);
    expect(own.expire(2 * hour)).toBe(false);
    expect(own.expire(3 * hour)).toBe(true);
    expect(known()).toEqual(['a:1']);
  });

  it('are not any number of those that lead here', () => {
    const own = new OwnAddresses();
    for (let n = 0; n < 1_000; n++) own.meet(`10.0.0.1:${n}`, n);
    expect([own.has('10.0.0.1:935'), own.has('10.0.0.1:936')]).toEqual([false, true]);
  });
});
