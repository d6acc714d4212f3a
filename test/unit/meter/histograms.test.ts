import { durationBounds, ExponentialHistogram, plainBounds } from 'keelson/meter';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collected, hearDiag, losses, standing } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

describe('a histogram', () => {
  it('counts up to and including each bound', async () => {
    const { provider, meter } = standing();
    const histogram = meter.createHistogram('h', { advice: { explicitBucketBoundaries: [1, 2, 4] } });
    for (const value of [0, 1, 1.5, 2, 2.1, 4, 4.1, 100]) histogram.record(value);
    const [point] = (await collected<'histogram'>(provider, 'h')).points;
    expect(point).toMatchObject({
      bounds: [1, 2, 4],
      counts: [2, 2, 2, 2],
      count: 8,
      sum: 114.7,
      min: 0,
      max: 100,
    });
  });

  it.each<[string, object | undefined, readonly number[]]>([
    ['those of the conventions in seconds', { unit: 's' }, durationBounds],
    ['those of the SDK in anything else', { unit: 'ms' }, plainBounds],
    ['those that are advised', { unit: 's', advice: { explicitBucketBoundaries: [1, 2] } }, [1, 2]],
    ['none, when none are advised', { advice: { explicitBucketBoundaries: [] } }, []],
    [
      'advised ones without infinities',
      { advice: { explicitBucketBoundaries: [Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY] } },
      [0],
    ],
    [
      'default ones when the advised do not rise',
      { advice: { explicitBucketBoundaries: [1, 1] } },
      plainBounds,
    ],
    ['default ones when the advised are none', { advice: { explicitBucketBoundaries: 'x' } }, plainBounds],
    [
      'default ones when the advised are too many',
      { unit: 's', advice: { explicitBucketBoundaries: [...new Array(600).keys()] } },
      durationBounds,
    ],
  ])('has %s', async (_, options, bounds) => {
    const { provider, meter } = standing();
    meter.createHistogram('h', options as never).record(1);
    expect((await collected<'histogram'>(provider, 'h')).points[0]?.bounds).toEqual(bounds);
  });

  it('has the bounds of a view before all others', async () => {
    const { provider, meter } = standing({ views: [{ instrument: 'h', bounds: [7] }] });
    meter.createHistogram('h', { unit: 's', advice: { explicitBucketBoundaries: [1] } }).record(1);
    expect((await collected<'histogram'>(provider, 'h')).points[0]?.bounds).toEqual([7]);
  });

  it('leaves out what is below zero or no finite number', async () => {
    const { provider, meter } = standing();
    const histogram = meter.createHistogram('h');
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) histogram.record(value);
    expect(await losses(provider)).toEqual({ negative: 1, not_finite: 2 });
    histogram.record(3);
    const [point] = (await collected<'histogram'>(provider, 'h')).points;
    expect(point).toMatchObject({ count: 1, sum: 3, min: 3, max: 3 });
  });
});

describe('what is collected of a histogram', () => {
  it.each(['explicit', 'exponential'] as const)('is a copy, if it is %s', async (histogram) => {
    const { provider, meter } = standing({ histogram });
    const instrument = meter.createHistogram('h');
    instrument.record(3);
    const data = await provider.collect();
    const before = structuredClone(data);
    instrument.record(3);
    instrument.record(700);
    expect(data).toEqual(before);
  });
});

describe('an exponential histogram', () => {
  const record = (size: number, values: readonly number[]) => {
    const histogram = new ExponentialHistogram(size);
    for (const value of values) histogram.record(value);
    return histogram.snapshot();
  };

  it.each<[string, number, number[], object]>([
    [
      'is finest with one value, whose upper bound belongs to it',
      160,
      [1],
      { scale: 20, positive: { offset: -1, counts: [1] } },
    ],
    [
      'puts powers of two at the end of a bucket',
      4,
      [1, 2, 4],
      { scale: 0, positive: { offset: -1, counts: [1, 1, 1] } },
    ],
    [
      'widens its buckets in pairs',
      4,
      [1, 2, 4, 8, 16],
      { scale: -1, positive: { offset: -1, counts: [1, 2, 2] } },
    ],
    [
      'keeps zeros apart',
      160,
      [0, 0, -0, 1],
      { scale: 20, zeroCount: 3, positive: { offset: -1, counts: [1] } },
    ],
    [
      'counts both signs at one scale',
      4,
      [1, 16, -1],
      { scale: -1, negative: { offset: -1, counts: [1] }, positive: { offset: -1, counts: [1, 0, 1] } },
    ],
    [
      'spans all numbers at -10',
      4,
      [Number.MIN_VALUE, 1, 2, Number.MAX_VALUE],
      { scale: -10, positive: { offset: -2, counts: [1, 1, 2] } },
    ],
    [
      'is empty at first',
      160,
      [],
      { scale: 20, zeroCount: 0, positive: { counts: [] }, negative: { counts: [] } },
    ],
  ])('%s', (_, size, values, expected) => {
    expect(record(size, values)).toMatchObject(expected);
  });

  it.each([
    [Number.MIN_VALUE, -1074],
    [2 ** -1022, -1022],
    [2 ** -1023, -1023],
    [2 ** 1023, 1023],
  ])('puts %s at the end of the bucket below its exponent', (value, exponent) => {
    expect(record(160, [value]).positive.offset).toBe(exponent * 2 ** 20 - 1);
  });

  it('is chosen by an option or a view, and counts between explicit bounds as well', async () => {
    const { provider, meter } = standing({
      histogram: 'exponential',
      views: [
        { instrument: 'plain', histogram: 'explicit' },
        { instrument: 'coarse', maxBuckets: 4 },
      ],
    });
    for (const name of ['fine', 'plain', 'coarse']) {
      const histogram = meter.createHistogram(name, { unit: 's' });
      for (const value of [0, 0.004, 0.3, 20]) histogram.record(value, { route: '/a' });
    }
    expect(await collected<'histogram'>(provider, 'plain')).toMatchObject({ kind: 'histogram' });
    const { points, explicit, kind } = await collected<'exponential'>(provider, 'fine');
    expect(kind).toBe('exponential');
    expect(points[0]).toMatchObject({
      attributes: { route: '/a' },
      count: 4,
      sum: 20.304,
      min: 0,
      max: 20,
      zeroCount: 1,
    });
    expect(points[0]?.positive.counts.reduce((sum, count) => sum + count)).toBe(3);
    expect(explicit[0]).toMatchObject({ attributes: { route: '/a' }, bounds: durationBounds, count: 4 });
    expect(explicit[0]?.counts).toEqual([2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    const [coarse] = (await collected<'exponential'>(provider, 'coarse')).points;
    expect(coarse?.positive.counts.length).toBeLessThanOrEqual(4);
  });
});
