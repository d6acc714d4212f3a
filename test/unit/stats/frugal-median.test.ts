import { FrugalMedian } from 'keelson/stats';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

describe('FrugalMedian', () => {
  it('knows nothing at first, and then what it first saw', () => {
    const median = new FrugalMedian();
    expect(median.value).toBeNaN();
    median.add(40);
    expect(median.value).toBe(40);
  });

  it.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY])('passes %d over', (sample) => {
    const median = new FrugalMedian();
    median.add(sample);
    expect(median.value).toBeNaN();
    median.add(10);
    median.add(sample);
    expect(median.value).toBe(10);
  });

  it('goes up a step, down a step, and stays where a sample hits it', () => {
    const median = new FrugalMedian();
    for (const sample of [100, 100, 1e9]) median.add(sample);
    expect(median.value).toBeCloseTo(102, 9);
    median.add(1);
    expect(median.value).toBeCloseTo(100, 9);
    median.add(1);
    expect(median.value).toBeCloseTo(100 / 1.02, 9);
  });

  it.each([
    // Share of samples that take 10 ms, and the others 200: the median is whichever are more.
    [0.8, 9.5, 11],
    [0.2, 180, 210],
  ])(
    'with %d of quick ones lies within a few steps of the median, whatever the tail',
    (share, least, most) => {
      const random = seededRandom(3);
      const median = new FrugalMedian();
      median.add(50);
      for (let i = 0; i < 2000; i++) median.add(random() < share ? 10 : 200);
      expect(median.value).toBeGreaterThan(least);
      expect(median.value).toBeLessThan(most);
    },
  );
});
