import { LatencySketch } from 'keelson/stats';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const quantiles = [0, 0.001, 0.07, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

function exactly(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(q * sorted.length - 1e-9)) - 1] as number;
}

function sketchOf(samples: readonly number[]): LatencySketch {
  const sketch = new LatencySketch();
  for (const sample of samples) sketch.add(sample);
  return sketch;
}

describe('LatencySketch', () => {
  it('knows nothing without values', () => {
    expect(new LatencySketch().quantile(0.5)).toBeNaN();
  });

  it('is right to within 1.6 % from a microsecond to two hours', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 20; round++) {
      // From 0.00098 ms on, spread evenly over all orders of magnitude.
      const samples = Array.from({ length: 400 }, () => 2 ** (-9.99 + random() * 32.9));
      const sketch = sketchOf(samples);
      for (const q of quantiles) {
        const exact = exactly(samples, q);
        expect(Math.abs(sketch.quantile(q) - exact) / exact).toBeLessThanOrEqual(1 / 64 + 1e-12);
      }
    }
  });

  it('is right at the edges of buckets', () => {
    for (let power = -10; power < 23; power++) {
      for (const value of [2 ** power, 2 ** power * (1 + 1 / 32), 2 ** (power + 1) - 2 ** (power - 40)]) {
        expect(Math.abs(sketchOf([value]).quantile(0.5) - value) / value).toBeLessThanOrEqual(1 / 64);
      }
    }
  });

  it.each([0, -0, -1, Number.NEGATIVE_INFINITY, Number.NaN, 1e-9, Number.MIN_VALUE, 2 ** -10 - 1e-9])(
    'takes %d for no time',
    (value) => {
      expect(sketchOf([value]).quantile(0.5)).toBe(0);
      const among = sketchOf([value, 5, 5, 5]);
      expect(among.quantile(0.25)).toBe(0);
      expect(among.quantile(0.26)).toBeCloseTo(5, 0);
    },
  );

  it.each([2 ** 23, 1e12, Number.POSITIVE_INFINITY])('takes %d for the longest there is', (value) => {
    const longest = sketchOf([value]).quantile(0.5);
    expect(longest).toBeGreaterThan(2 ** 23 * 0.98);
    expect(longest).toBeLessThan(2 ** 23);
  });

  it('added up knows as much as one that saw everything', () => {
    const random = seededRandom(3);
    const samples = Array.from({ length: 300 }, () => Math.exp(random() * 20 - 8));
    const whole = sketchOf(samples);
    const parts = [samples.slice(0, 10), [], samples.slice(10, 200), samples.slice(200)].map(sketchOf);
    const sum = new LatencySketch();
    for (const part of parts) sum.merge(part);
    for (const q of quantiles) expect(sum.quantile(q)).toBe(whole.quantile(q));
  });

  it('forgets, and can be filled again', () => {
    const sketch = sketchOf([0, 1, 100]);
    sketch.clear();
    expect(sketch.quantile(1)).toBeNaN();
    sketch.add(8);
    expect(sketch.quantile(0)).toBeCloseTo(8, 0);
  });
});
