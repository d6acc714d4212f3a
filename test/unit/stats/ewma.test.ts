import { Ewma } from 'keelson/stats';
import { describe, expect, it } from 'vitest';

describe('Ewma', () => {
  it('is unknown before the first sample, and then that sample', () => {
    const average = new Ewma(1000);
    expect(average.value).toBeNaN();
    average.add(42, 5);
    expect(average.value).toBe(42);
  });

  it('forgets by time, not by count', () => {
    const few = new Ewma(1000);
    const many = new Ewma(1000);
    few.add(100, 0);
    many.add(100, 0);
    few.add(0, 1000);
    for (let now = 1; now <= 1000; now++) many.add(0, now);
    expect(few.value).toBeCloseTo(100 / Math.E, 9);
    expect(many.value).toBeCloseTo(100 / Math.E, 9);
  });

  it('forgets more slowly with a larger time constant', () => {
    const values = [10, 100, 1000].map((tauMs) => {
      const average = new Ewma(tauMs);
      average.add(1, 0);
      average.add(0, 100);
      return average.value;
    });
    expect(values).toEqual([...values].sort((a, b) => a - b));
  });

  it('reaches a value that stays, from below too', () => {
    const average = new Ewma(100);
    average.add(0, 0);
    for (let now = 1; now <= 5000; now++) average.add(3, now);
    expect(average.value).toBeCloseTo(3, 9);
  });

  it('stays between the least and the greatest sample', () => {
    const average = new Ewma(50);
    for (let i = 0; i < 1000; i++) {
      average.add(i % 7, i * 3);
      expect(average.value).toBeGreaterThanOrEqual(0);
      expect(average.value).toBeLessThanOrEqual(6);
    }
  });

  it('takes one of several samples at one instant', () => {
    const average = new Ewma(1000);
    average.add(10, 0);
    average.add(20, 1000);
    const { value } = average;
    average.add(9999, 1000);
    expect(average.value).toBe(value);
  });

  it('runs on at once when the clock stepped back', () => {
    const average = new Ewma(1000);
    average.add(10, 1e9);
    average.add(500, 0);
    expect(average.value).toBe(10);
    average.add(20, 1000);
    expect(average.value).toBeCloseTo(20 - 10 / Math.E, 9);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'leaves the sample %d out',
    (sample) => {
      const average = new Ewma(1000);
      average.add(sample, 0);
      expect(average.value).toBeNaN();
      average.add(10, 0);
      average.add(sample, 500);
      expect(average.value).toBe(10);
    },
  );

  it('survives a time that is none', () => {
    const average = new Ewma(1000);
    average.add(10, 0);
    average.add(20, Number.NaN);
    expect(average.value).toBe(10);
    average.add(30, Number.POSITIVE_INFINITY);
    average.add(40, 0);
    average.add(40, 1e6);
    expect(average.value).toBeCloseTo(40, 9);
  });

  it('jumps when it is set, and goes on from there', () => {
    const average = new Ewma(1000);
    average.add(10, 0);
    average.set(100, 500);
    expect(average.value).toBe(100);
    average.add(0, 1500);
    expect(average.value).toBeCloseTo(100 / Math.E, 9);
  });
});
