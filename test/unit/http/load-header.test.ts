import { formatLoad, parseLoad } from 'keelson/http';
import { describe, expect, it } from 'vitest';

describe('parseLoad', () => {
  it.each([
    [
      'cpu=0.42, inflight=17, backlog=3.2, service=2.9, rate=310, errors=0.5, admit=0.8',
      {
        cpuRatio: 0.42,
        inflight: 17,
        backlogMs: 3.2,
        serviceMs: 2.9,
        perSecond: 310,
        errorsPerSecond: 0.5,
        admitRatio: 0.8,
      },
    ],
    ['backlog=0', { backlogMs: 0 }],
    ['cpu=0.1,cpu=0.2', { cpuRatio: 0.2 }],
    ['cpu=0.1, inflight=1, cpu=0.2, inflight=2', { cpuRatio: 0.2, inflight: 2 }],
    [' cpu = 0.5 ,, future=7;x=1, backlog="3", rate=2 ', { cpuRatio: 0.5, perSecond: 2 }],
    ['inflight=17.9', { inflight: 17 }],
    [
      'cpu=7, inflight=99999999, backlog=999999999, service=999999999',
      { cpuRatio: 1, inflight: 1_000_000, backlogMs: 600_000, serviceMs: 600_000 },
    ],
    [
      'rate=99999999999, errors=99999999999, admit=5',
      { perSecond: 1e7, errorsPerSecond: 1e7, admitRatio: 1 },
    ],
    ['cpu=0.5\u0000, inflight=\u0663, backlog=3', { backlogMs: 3 }],
    ['', undefined],
    ['cpu', undefined],
    ['=1', undefined],
    ['cpu=', undefined],
    ['cpu=-1', undefined],
    ['cpu=+1', undefined],
    ['cpu=1e3', undefined],
    ['cpu=0x1', undefined],
    ['cpu=.5', undefined],
    ['cpu=5.', undefined],
    ['cpu=1.2.3', undefined],
    ['cpu=Infinity', undefined],
    ['cpu=1234567890123', undefined],
    ['cpu=0.1234567890123', undefined],
    ['__proto__=1, constructor=1, toString=1', undefined],
    [`cpu=0.5, ${'x'.repeat(10_000)}`, undefined],
    [null, undefined],
    [undefined, undefined],
  ])('%#: %s', (text, load) => {
    expect(parseLoad(text)).toEqual(load);
  });

  it('takes ten thousand commas for nothing', () => {
    expect(parseLoad(','.repeat(300))).toBeUndefined();
    expect(parseLoad(','.repeat(10_000))).toBeUndefined();
  });
});

describe('formatLoad', () => {
  it.each([
    [{}, ''],
    [
      {
        cpuRatio: 0.42,
        inflight: 17,
        backlogMs: 3.2,
        serviceMs: 2.9,
        perSecond: 310,
        errorsPerSecond: 0.5,
        admitRatio: 0.8,
      },
      'cpu=0.42, inflight=17, backlog=3.2, service=2.9, rate=310, errors=0.5, admit=0.8',
    ],
    [{ backlogMs: 1 / 3, serviceMs: 1e-9 }, 'backlog=0.333, service=0'],
    [{ cpuRatio: Number.NaN, inflight: -1, backlogMs: Number.POSITIVE_INFINITY, serviceMs: 3 }, 'service=3'],
    [{ cpuRatio: 1.5, admitRatio: 2, inflight: 1.9 }, 'inflight=1'],
  ])('%j', (load, text) => {
    expect(formatLoad(load)).toBe(text);
  });
});
