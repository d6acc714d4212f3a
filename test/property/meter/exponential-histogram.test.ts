import fc from 'fast-check';
import { ExponentialHistogram, type ExponentialSnapshot } from 'keelson/meter';
import { describe, expect, it } from 'vitest';

const size = fc.integer({ min: 4, max: 200 });
const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: 1e-6, max: 100, noNaN: true }),
  // Next to bounds, where rounding could put it on either side.
  fc
    .tuple(fc.integer({ min: -1074, max: 1023 }), fc.integer({ min: -2, max: 2 }))
    .map(([exponent, steps]) => {
      const power = 2 ** exponent;
      return power + steps * power * Number.EPSILON;
    }),
);
const valueList = fc.array(value, { maxLength: 200 });

const recorded = (most: number, values: readonly number[]): ExponentialHistogram => {
  const histogram = new ExponentialHistogram(most);
  for (const one of values) histogram.record(one);
  return histogram;
};

/** Without empty buckets at the ends, and without the offset of no buckets. */
function tidy({ scale, zeroCount, positive, negative }: ExponentialSnapshot) {
  const buckets = [positive, negative].map(({ offset, counts }) =>
    counts.flatMap((count, at) => (count > 0 ? [[offset + at, count]] : [])),
  );
  return { scale, zeroCount, buckets };
}

const total = ({ counts }: { readonly counts: readonly number[] }): number =>
  counts.reduce((sum, count) => sum + count, 0);

describe('an exponential histogram', () => {
  it('loses no value, and never has more buckets than it may', () => {
    fc.assert(
      fc.property(size, valueList, (most, values) => {
        const { zeroCount, positive, negative, scale } = recorded(most, values).snapshot();
        expect(zeroCount + total(positive) + total(negative)).toBe(values.length);
        expect(total(positive)).toBe(values.filter((one) => one > 0).length);
        expect(Math.max(positive.counts.length, negative.counts.length)).toBeLessThanOrEqual(most);
        expect(scale).toBeGreaterThanOrEqual(-10);
      }),
    );
  });

  it('does not depend on the order of values', () => {
    fc.assert(
      fc.property(size, valueList, (most, values) => {
        const sorted = [...values].sort((a, b) => a - b);
        expect(tidy(recorded(most, values).snapshot())).toEqual(tidy(recorded(most, sorted).snapshot()));
      }),
    );
  });

  it('merges into what one would be that had recorded all', () => {
    fc.assert(
      fc.property(size, valueList, valueList, (most, some, others) => {
        const merged = recorded(most, some);
        const other = recorded(most, others);
        const before = other.snapshot();
        merged.merge(other);
        expect(tidy(merged.snapshot())).toEqual(tidy(recorded(most, [...some, ...others]).snapshot()));
        expect(other.snapshot()).toEqual(before);
      }),
    );
  });

  it('puts a value into the bucket whose bounds are around it', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-300, max: 1e300, noNaN: true }),
        fc.integer({ min: 0, max: 20 }),
        (one, coarser) => {
          const histogram = recorded(4, [one]);
          // A second value so far off that the scale falls.
          if (coarser > 0) histogram.record(one * (1 + 2 ** -coarser));
          const { scale, positive } = histogram.snapshot();
          const base = 2 ** -scale;
          const log = Math.log2(one);
          // Two logarithms differ by rounding only.
          const slack = Math.max(1, Math.abs(log)) * 1e-14;
          expect(log).toBeGreaterThanOrEqual(positive.offset * base - slack);
          expect(log).toBeLessThanOrEqual((positive.offset + 1) * base + slack);
        },
      ),
    );
  });
});
