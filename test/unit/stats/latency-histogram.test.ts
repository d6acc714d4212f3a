import { LatencyHistogram } from 'keelson/stats';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const minute = 60_000;

describe('LatencyHistogram', () => {
  it('knows nothing before the first sample', () => {
    const histogram = new LatencyHistogram(minute);
    expect(histogram.quantile(0.5, 0)).toBeNaN();
    expect(histogram.count(0)).toBe(0);
  });

  it('does not go on knowing nothing once there is one', () => {
    const histogram = new LatencyHistogram(minute);
    histogram.quantile(0.5, 0);
    histogram.add(10, 1);
    expect(histogram.quantile(0.5, 1)).toBeGreaterThan(0);
  });

  it('is right to within 10 %, from above', () => {
    const random = seededRandom(11);
    for (let round = 0; round < 20; round++) {
      const histogram = new LatencyHistogram(minute, 0);
      const samples = Array.from({ length: 500 }, () => 0.05 * Math.exp(random() * 16));
      for (const sample of samples) histogram.add(sample, 0);
      samples.sort((a, b) => a - b);
      for (const q of [0, 0.001, 0.07, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1]) {
        const rank = Math.max(1, Math.ceil(q * 500 - 1e-9));
        const exact = samples[rank - 1] as number;
        const found = histogram.quantile(q, 0);
        expect(found / exact).toBeGreaterThanOrEqual(1 - 1e-9);
        expect(found / exact).toBeLessThanOrEqual(1.1 + 1e-9);
      }
    }
  });

  it.each([
    [0, 1],
    [0.01, 1],
    [0.5, 1],
    [0.51, 100],
    [1, 100],
    [7, 100],
    [-1, 1],
  ])('quantile %d of one half 1 ms, one half 100 ms is about %d', (q, expected) => {
    const histogram = new LatencyHistogram(minute);
    for (let i = 0; i < 50; i++) {
      histogram.add(1, 0);
      histogram.add(100, 0);
    }
    const found = histogram.quantile(q, 0);
    expect(found).toBeGreaterThanOrEqual(expected * 0.999);
    expect(found).toBeLessThanOrEqual(expected * 1.1);
  });

  it('does not ask for one sample more because of rounding', () => {
    const histogram = new LatencyHistogram(minute);
    for (let i = 0; i < 7; i++) histogram.add(1, 0);
    for (let i = 0; i < 93; i++) histogram.add(1000, 0);
    expect(histogram.quantile(0.07, 0)).toBeLessThan(2);
  });

  it.each([
    ['0', 0, 1],
    ['tiny', 1e-9, 1],
    ['an hour', 3_600_000, 1],
    ['Infinity', Number.POSITIVE_INFINITY, 1],
    ['below 0', -1, 0],
    ['NaN', Number.NaN, 0],
  ])('takes a latency of %s', (_, latency, counted) => {
    const histogram = new LatencyHistogram(minute);
    histogram.add(latency, 0);
    expect(histogram.count(0)).toBe(counted);
    if (counted > 0) expect(histogram.quantile(1, 0)).toBeGreaterThan(0);
  });

  it('remembers for half of the window at least, and all of it at most', () => {
    for (let added = 0; added < 1000; added += 50) {
      const histogram = new LatencyHistogram(1000);
      histogram.count(0);
      for (let now = 0; now < added; now += 250) histogram.count(now);
      histogram.add(1, added);
      for (let now = added; now < added + 500; now += 100) expect(histogram.count(now)).toBe(1);
      for (let now = added + 500; now < added + 1000; now += 100) histogram.count(now);
      expect(histogram.count(added + 1000)).toBe(0);
    }
  });

  it('forgets everything over a pause', () => {
    const histogram = new LatencyHistogram(1000);
    histogram.add(1, 0);
    expect(histogram.count(1000)).toBe(0);
    histogram.add(5, 1000);
    expect(histogram.count(1000)).toBe(1);
  });

  it('shows a change within a window', () => {
    const histogram = new LatencyHistogram(1000, 50);
    let now = 0;
    for (; now < 5000; now += 10) histogram.add(1, now);
    expect(histogram.quantile(0.5, now)).toBeLessThan(2);
    for (; now < 6000; now += 10) histogram.add(200, now);
    expect(histogram.quantile(0.5, now)).toBeGreaterThan(199);
  });

  it('keeps a quantile that was read for as long as it is told', () => {
    const histogram = new LatencyHistogram(minute, 100);
    histogram.add(1, 0);
    const first = histogram.quantile(1, 0);
    histogram.add(500, 0);
    expect(histogram.quantile(1, 99)).toBe(first);
    expect(histogram.quantile(1, 100)).toBeGreaterThan(499);
  });

  it('does not gather quantiles that are computed anew each time', () => {
    const histogram = new LatencyHistogram(minute, minute);
    histogram.add(10, 0);
    const first = histogram.quantile(0.5, 0);
    histogram.add(1000, 0);
    histogram.add(1000, 0);
    expect(histogram.quantile(0.5, 0)).toBe(first);
    for (let i = 0; i < 100; i++) histogram.quantile(i / 1000, 0);
    // Only where the old reading was let go is it read anew.
    expect(histogram.quantile(0.5, 0)).toBeGreaterThan(999);
  });

  describe('with a clock that misbehaves', () => {
    it('counts on after a small step back', () => {
      const histogram = new LatencyHistogram(1000);
      histogram.add(1, 5000);
      histogram.add(1, 4800);
      expect(histogram.count(4800)).toBe(2);
    });
    it('begins anew after a large one, and forgets again in time', () => {
      const histogram = new LatencyHistogram(1000);
      histogram.add(1, 1e9);
      histogram.add(1, 0);
      expect(histogram.count(0)).toBe(1);
      expect(histogram.count(1000)).toBe(0);
    });
    it('NaN is no time', () => {
      const histogram = new LatencyHistogram(1000);
      histogram.add(1, 0);
      histogram.add(1, Number.NaN);
      expect(histogram.count(0)).toBe(2);
    });
  });
});
