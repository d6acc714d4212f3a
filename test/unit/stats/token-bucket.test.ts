import { TokenBucket } from 'keelson/stats';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

describe('TokenBucket', () => {
  it.each([
    ['full by default', undefined, 10],
    ['with what it is given', 3, 3],
    ['empty', 0, 0],
    ['never above its ceiling', 99, 10],
  ])('starts %s', (_, initial, level) => {
    expect(new TokenBucket(1, 10, initial).level(0)).toBe(level);
  });

  it('lets in two at once and two a second', () => {
    const rows = [
      [0, true],
      [0, true],
      [0, false],
      [499, false],
      [500, true],
      [500, false],
      [1e9, true],
      [1e9, true],
      [1e9, false],
    ] as const;
    const bucket = new TokenBucket(2, 2);
    expect(rows.map(([now]) => bucket.take(1, now))).toEqual(rows.map(([, taken]) => taken));
  });

  it('does not fill before the first time it is told, whatever that is', () => {
    expect(new TokenBucket(1000, 10, 0).level(1e12)).toBe(0);
    expect(new TokenBucket(1000, 10, 0).level(-1e12)).toBe(0);
  });

  it('gives exactly its rate in the long run, in however small steps it is asked', () => {
    for (const step of [0.1, 1 / 3, 1, 7, 100]) {
      const bucket = new TokenBucket(10, 5, 0);
      let taken = 0;
      for (let i = 0; i * step <= 60_000; i++) if (bucket.take(1, i * step)) taken++;
      expect(taken).toBeGreaterThanOrEqual(599);
      expect(taken).toBeLessThanOrEqual(600);
    }
  });

  it('has the token at the moment that its rate promises, in spite of rounding', () => {
    for (let perSecond = 1; perSecond <= 200; perSecond++) {
      const bucket = new TokenBucket(perSecond, 1, 0);
      bucket.level(0);
      for (let part = 1; part <= 7; part++) bucket.level((part / 7) * (1000 / perSecond));
      expect(bucket.take(1, 1000 / perSecond)).toBe(true);
    }
  });

  it('never gives more than its ceiling and its rate allow', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 50; round++) {
      const bucket = new TokenBucket(20, 10);
      let now = 0;
      let taken = 0;
      for (let i = 0; i < 500; i++) {
        now += random() * 100;
        const amount = random() * 3;
        if (bucket.take(amount, now)) taken += amount;
        expect(taken).toBeLessThanOrEqual(10 + (now / 1000) * 20 + 1e-5);
        expect(bucket.level(now)).toBeGreaterThanOrEqual(0);
        expect(bucket.level(now)).toBeLessThanOrEqual(10);
      }
    }
  });

  it('takes all or nothing', () => {
    const bucket = new TokenBucket(0, 5);
    expect(bucket.take(6, 0)).toBe(false);
    expect(bucket.level(0)).toBe(5);
    expect(bucket.take(5, 0)).toBe(true);
    expect(bucket.level(0)).toBe(0);
  });

  it('takes in what is put, up to the ceiling', () => {
    const bucket = new TokenBucket(0, 5, 1);
    bucket.put(0.2);
    expect(bucket.level(0)).toBeCloseTo(1.2, 12);
    bucket.put(100);
    expect(bucket.level(0)).toBe(5);
  });

  it('takes in what is put without being told the time, and loses no inflow', () => {
    const bucket = new TokenBucket(1, 10, 0);
    bucket.put(2);
    bucket.level(0);
    bucket.put(1);
    expect(bucket.level(1000)).toBe(4);
  });

  describe('with absurd input', () => {
    it.each([
      [Number.NaN, false, 2],
      [-5, true, 2],
      [Number.POSITIVE_INFINITY, false, 2],
      [0, true, 2],
    ])('take(%d) is %s and leaves %d', (amount, taken, level) => {
      const bucket = new TokenBucket(0, 5, 2);
      expect(bucket.take(amount, 0)).toBe(taken);
      expect(bucket.level(0)).toBe(level);
    });
    it.each([Number.NaN, -5, 0])('put(%d) is nothing', (amount) => {
      const bucket = new TokenBucket(0, 5, 2);
      bucket.put(amount);
      expect(bucket.level(0)).toBe(2);
    });
    it('runs on at once when the clock stepped back', () => {
      const bucket = new TokenBucket(1, 10, 0);
      bucket.level(1e9);
      expect(bucket.level(0)).toBe(0);
      expect(bucket.level(2000)).toBeCloseTo(2, 12);
    });
    it.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is no time', (now) => {
      for (const perSecond of [0, 1]) {
        const bucket = new TokenBucket(perSecond, 10, 1);
        bucket.level(0);
        expect(bucket.level(now)).toBe(1);
        bucket.level(0);
        expect(bucket.level(1000)).toBe(1 + perSecond);
      }
    });
  });
});
