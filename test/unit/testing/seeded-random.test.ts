import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const draw = (seed: number, count: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, random);
};

describe('seeded random', () => {
  it('repeats, and differs from seed to seed', () => {
    expect(draw(1, 100)).toEqual(draw(1, 100));
    expect(draw(1, 100)).not.toEqual(draw(2, 100));
  });

  it.each([0, 1, -1, 2 ** 40, 0.5])('is spread evenly over [0, 1) with seed %d', (seed) => {
    const numbers = draw(seed, 20_000);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    const counts = Array.from(
      { length: 10 },
      (_, at) => numbers.filter((n) => Math.floor(n * 10) === at).length,
    );
    // Binomial(20 000, 0.1): mean 2 000, standard deviation 42; five of those are one chance in a million.
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(212);
  });
});
