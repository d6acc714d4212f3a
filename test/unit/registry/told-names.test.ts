import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { toldInstances, toldNames } from '../../../src/registry/told-names.js';

const id = (hostname: string, more = {}) => ({ env: 'e', appid: 'a', zone: 'z', hostname, ...more });

describe('names in the log', () => {
  it('are joined so that none passes for two, or for another', () => {
    const ids = [id('h'), id('h,e/a/z/other'), id('100%2C', { zone: 'x/y' }), id('\ud800')];
    expect([...toldInstances(ids)]).toEqual([
      { count: 4, names: 'e/a/z/h,e/a/z/h%2Ce%2Fa%2Fz%2Fother,e/a/x%2Fy/100%252C,e/a/z/\ud800' },
    ]);
    expect([...toldNames([])]).toEqual([]);
  });

  it('are all told, in as many lines as that takes', () => {
    const ids = Array.from({ length: 500 }, (_, n) => id(`host-${n}`));
    const lines = [...toldInstances(ids)];
    expect(lines.length).toBeGreaterThan(5);
    for (const { names } of lines) expect(names.length).toBeLessThanOrEqual(1_024);
    expect(lines.reduce((sum, { count }) => sum + count, 0)).toBe(500);
    expect(lines.map(({ names }) => names).join(',')).toBe(
      ids.map(({ hostname }) => `e/a/z/${hostname}`).join(','),
    );
    const long = 'x'.repeat(2_000);
    expect([...toldNames([['a'], [long], ['b']])].map(({ names }) => names)).toEqual(['a', long, 'b']);
  });
});
