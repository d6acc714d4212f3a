import { RollingCounter } from 'keelson/stats';
import { describe, expect, it } from 'vitest';

/** Window of 1 s in 10 parts. */
const counter = (channels = 1) => new RollingCounter(1000, 10, channels);

describe('RollingCounter', () => {
  it('is empty at first, whatever the time', () => {
    for (const now of [0, -5000, 1e12]) expect(counter().total(now, 0)).toBe(0);
  });

  it.each([
    ['in the same part', 0, 50, 1],
    ['in the last part of the window', 50, 999, 1],
    ['when its part is exactly a window old', 50, 1000, 0],
    ['when its part began a window ago, though it is younger itself', 99, 1001, 0],
    ['just before that', 99, 999.999, 1],
    ['after a long pause', 50, 1e9, 0],
    ['at a time before zero', -950, -1, 1],
    ['at a time before zero, a window later', -1000, 0, 0],
  ])('counts one %s', (_, added, asked, expected) => {
    const c = counter();
    c.add(added, 0);
    expect(c.total(asked, 0)).toBe(expected);
  });

  it('lets parts fall out one by one', () => {
    const c = counter();
    for (let now = 0; now < 1000; now += 100) c.add(now, 0, now / 100 + 1);
    expect(c.total(999, 0)).toBe(55);
    const left = [];
    for (let now = 1000; now <= 1900; now += 100) left.push(c.total(now, 0));
    expect(left).toEqual([54, 52, 49, 45, 40, 34, 27, 19, 10, 0]);
  });

  it('keeps channels apart', () => {
    const c = counter(3);
    c.add(0, 0);
    c.add(0, 2, 5);
    c.add(100, 2, 7);
    expect([0, 1, 2].map((channel) => c.total(500, channel))).toEqual([1, 0, 12]);
    expect([0, 1, 2].map((channel) => c.total(1000, channel))).toEqual([0, 0, 7]);
  });

  it('agrees with a list of everything that was added', () => {
    const c = counter(2);
    const all: { slot: number; channel: number; amount: number }[] = [];
    let now = 0;
    for (let i = 0; i < 5000; i++) {
      // Strides from 0 to 390 ms, with a pause of several windows now and then.
      now += i % 613 === 612 ? 2345 : (i * 7919) % 40 === 0 ? 390 : (i * 31) % 17;
      const channel = i % 2;
      const amount = (i % 5) + 1;
      c.add(now, channel, amount);
      all.push({ slot: Math.floor(now / 100), channel, amount });
      const from = Math.floor(now / 100) - 10;
      const sum = all
        .slice(-3000)
        .filter((entry) => entry.channel === channel && entry.slot > from)
        .reduce((total, entry) => total + entry.amount, 0);
      expect(c.total(now, channel)).toBe(sum);
    }
  });

  describe('with a clock that misbehaves', () => {
    it('writes to the newest part after a small step back', () => {
      const c = counter();
      c.add(950, 0);
      c.add(100, 0);
      expect(c.total(100, 0)).toBe(2);
      expect(c.total(1899, 0)).toBe(2);
      expect(c.total(1900, 0)).toBe(0);
    });
    it('begins anew after a step back of a window or more, and runs on', () => {
      const c = counter();
      c.add(10_000, 0);
      expect(c.total(9000, 0)).toBe(0);
      c.add(9000, 0);
      expect(c.total(9999, 0)).toBe(1);
      expect(c.total(10_000, 0)).toBe(0);
    });
    it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300])(
      '%d is no time',
      (now) => {
        const c = counter();
        c.add(now, 0);
        c.add(500, 0);
        c.add(now, 0);
        expect(c.total(now, 0)).toBe(2);
        expect(c.total(1499, 0)).toBe(2);
        expect(c.total(1500, 0)).toBe(0);
      },
    );
  });

  it('forgets everything when it is reset, and counts on', () => {
    const c = counter(2);
    c.add(500, 1, 9);
    c.reset();
    c.add(400, 1);
    expect(c.total(1399, 1)).toBe(1);
    expect(c.total(1400, 1)).toBe(0);
  });

  it('works with one part', () => {
    const c = new RollingCounter(1000, 1, 1);
    c.add(0, 0);
    c.add(999, 0);
    expect(c.total(999, 0)).toBe(2);
    expect(c.total(1000, 0)).toBe(0);
  });
});
