import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { UsualLatency } from '../../../src/balancer/usual-latency.js';

const usualAfter = (answers: readonly number[], begun?: number) => {
  const usual = new UsualLatency();
  if (begun !== undefined) usual.begin(begun);
  for (const ms of answers) usual.add(ms);
  return usual.ms;
};
const times = (count: number, ms: number) => Array.from({ length: count }, () => ms);

describe('UsualLatency', () => {
  it('knows nothing before the first answer, and then what that took', () => {
    expect(usualAfter([])).toBeNaN();
    expect(usualAfter([7])).toBeCloseTo(7, 9);
    expect(usualAfter([7], Number.NaN)).toBeCloseTo(7, 9);
  });

  it.each([Number.NaN, 0, -1])('passes over %s', (ms) => {
    expect(usualAfter([7, ms, ms])).toBeCloseTo(7, 9);
  });

  it('stays finite whatever comes', () => {
    expect(usualAfter([7, Number.POSITIVE_INFINITY, 1e300, 5e-324])).toBeGreaterThan(0);
    expect(usualAfter([7, Number.POSITIVE_INFINITY, 1e300])).toBeLessThan(100);
  });

  it('of a newcomer is that of the others, and soon its own', () => {
    expect(usualAfter([], 5)).toBeCloseTo(5, 9);
    expect(usualAfter([100], 5)).toBeLessThan(3 * 5);
    expect(usualAfter(times(12, 100), 5)).toBeGreaterThan(50);
    expect(usualAfter(times(12, 5), 100)).toBeLessThan(30);
  });

  it('settles, and follows a change within some dozens', () => {
    const settled = times(500, 10);
    expect(usualAfter(settled)).toBeCloseTo(10, 6);
    expect(usualAfter([...settled, 10_000])).toBeLessThan(11);
    expect(usualAfter([...settled, ...times(12, 200)])).toBeGreaterThan(20);
    expect(usualAfter([...settled, ...times(150, 200)])).toBeGreaterThan(180);
  });

  it('does not wander where half of the calls are cheap and half are dear', () => {
    const random = seededRandom(1);
    const usual = new UsualLatency();
    const seen: number[] = [];
    for (let call = 0; call < 20_000; call++) {
      usual.add(random() < 0.5 ? 1 : 100);
      if (call > 200) seen.push(usual.ms);
    }
    // A median would take any value from 1 to 100.
    expect(Math.max(...seen) / Math.min(...seen)).toBeLessThan(6);
    // Half way between the roots.
    expect(seen.reduce((sum, ms) => sum + ms) / seen.length).toBeCloseTo(30, -1);
  });
});
