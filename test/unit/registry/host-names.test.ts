import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { hostNames, isNamed } from '../../../src/registry/host-names.js';

describe('a registry on loopback', () => {
  it.each([
    [undefined, true],
    ['localhost', true],
    ['LocalHost:7171', true],
    ['127.0.0.1:7171', true],
    ['[::1]:7171', true],
    ['[::1]', true],
    ['registry.internal:80', true],
    ['evil.example:7171', false],
    ['localhost.evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['', false],
    ['a b', false],
    ['[x', false],
  ])('asked as %j is meant: %s', (host, expected) => {
    expect(isNamed(hostNames('Registry.internal:7171'), host)).toBe(expected);
  });
});
