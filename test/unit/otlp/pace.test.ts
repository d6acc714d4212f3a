import { Pace, retryAfterMs } from 'keelson/otlp';
import { describe, expect, it } from 'vitest';

const retry = { firstMs: 500, maxMs: 10_000 };
const always = () => 0.999_999;

describe('Pace', () => {
  it('doubles the bound of its wait up to the largest, and starts anew after a success', () => {
    const pace = new Pace(retry, always);
    const waits = Array.from({ length: 8 }, (_, at) => {
      const now = at * 100_000;
      pace.failed(now, undefined, pace.round);
      return Math.round(pace.waitMs(now));
    });
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    pace.succeeded();
    expect(pace.waitMs(700_000)).toBe(0);
    pace.failed(700_000, undefined, pace.round);
    expect(Math.round(pace.waitMs(700_000))).toBe(500);
  });

  it('waits as long as it is told, but not for ever, and not less than without', () => {
    for (const [afterMs, expected] of [
      [30_000, 30_000],
      [86_400_000, 300_000],
      [Number.POSITIVE_INFINITY, 300_000],
      [0, 500],
      [-5, 500],
    ] as const) {
      const pace = new Pace(retry, always);
      pace.failed(0, afterMs, pace.round);
      expect(Math.round(pace.waitMs(0)), String(afterMs)).toBe(expected);
    }
  });

  it('keeps the longest wait of those that failed together', () => {
    const pace = new Pace(retry, () => 0);
    const { round } = pace;
    pace.failed(0, 20_000, round);
    pace.failed(1, undefined, round);
    expect(pace.waitMs(1)).toBe(19_999);
  });

  it('counts those that failed together as one failure', () => {
    const pace = new Pace(retry, always);
    const { round } = pace;
    for (let count = 0; count < 4; count++) pace.failed(0, undefined, round);
    expect(Math.round(pace.waitMs(0))).toBe(500);
    pace.failed(500, undefined, pace.round);
    expect(Math.round(pace.waitMs(500))).toBe(1_000);
  });

  it('stays away for as long as it was asked to, whatever else succeeds meanwhile', () => {
    const pace = new Pace(retry, always);
    pace.failed(0, 30_000, pace.round);
    pace.succeeded();
    expect([pace.waitMs(0), pace.failing, pace.width(4)]).toEqual([30_000, false, 4]);
    pace.failed(10, 5_000, pace.round);
    pace.succeeded();
    expect(pace.waitMs(10)).toBe(29_990);
    expect(pace.waitMs(30_000)).toBe(0);
  });

  it('lets one request try, and all after it has succeeded', () => {
    const pace = new Pace(retry, always);
    expect([pace.width(4), pace.failing]).toEqual([4, false]);
    pace.failed(0, undefined, pace.round);
    expect([pace.width(4), pace.failing]).toEqual([1, true]);
    pace.succeeded();
    expect([pace.width(4), pace.failing]).toEqual([4, false]);
  });

  it('does not wait longer because the clock stepped back', () => {
    const pace = new Pace(retry, always);
    pace.failed(1e9, undefined, pace.round);
    expect(pace.waitMs(0)).toBeLessThanOrEqual(300_000);
  });

  it('can be hurried', () => {
    const pace = new Pace(retry, always);
    pace.failed(0, 60_000, pace.round);
    pace.hurry();
    expect(pace.waitMs(0)).toBe(0);
  });
});

describe('retryAfterMs', () => {
  const wallMs = Date.parse('Sun, 22 Nov 2026 12:00:00 GMT');
  it.each([
    ['3', undefined, 3_000],
    ['0.5', undefined, 500],
    [' 120 ', undefined, 120_000],
    ['Sun, 22 Nov 2026 12:00:07 GMT', undefined, 7_000],
    ['Sun, 22 Nov 2026 09:00:07 GMT', 'Sun, 22 Nov 2026 09:00:00 GMT', 7_000],
    ['Sun, 22 Nov 2026 11:00:00 GMT', undefined, 0],
    [undefined, undefined, undefined],
    ['soon', undefined, undefined],
    ['-3', undefined, undefined],
    ['1e9', undefined, undefined],
    ['2026', 'nonsense', 2_026_000],
  ])('reads %s, sent %s, as %s', (value, date, expected) => {
    expect(retryAfterMs(value, date, wallMs)).toBe(expected);
  });
});
