import { type BacklogSnapshot, backlogSignal, loadReport } from 'keelson/limiter/load';
import { describe, expect, it } from 'vitest';

const calm: BacklogSnapshot = {
  backlogMs: 3.20049,
  serviceMs: 2.9,
  inflight: 17,
  perSecond: 310,
  errorsPerSecond: 0.5,
  admitRatio: undefined,
};

describe('loadReport', () => {
  it('tells what the meters know, to three decimals', () => {
    const report = loadReport({ meter: { snapshot: () => calm }, signal: { value: 0.42 } });
    expect(report(0)).toEqual({
      cpuRatio: 0.42,
      inflight: 17,
      backlogMs: 3.2,
      serviceMs: 2.9,
      perSecond: 310,
      errorsPerSecond: 0.5,
    });
  });

  it.each([
    [{ ...calm, serviceMs: undefined }, undefined, undefined, { cpuRatio: undefined, serviceMs: undefined }],
    [calm, { value: Number.NaN }, undefined, { cpuRatio: undefined }],
    [calm, { value: 3 }, undefined, { cpuRatio: 1 }],
    [{ ...calm, admitRatio: 0.25 }, undefined, undefined, { admitRatio: 0.25 }],
    [{ ...calm, admitRatio: 0.25 }, undefined, 0.1, { admitRatio: 0.1 }],
    [calm, undefined, 0.1, { admitRatio: 0.1 }],
    [calm, undefined, 1, { admitRatio: undefined }],
    [calm, undefined, -1, { admitRatio: 0 }],
    [calm, undefined, Number.NaN, { admitRatio: undefined }],
  ])('%#: what is not known is not told', (snapshot, signal, admitted, told) => {
    const report = loadReport({ meter: { snapshot: () => snapshot }, signal, admitted: () => admitted });
    expect(report(0)).toMatchObject(
      Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)),
    );
    for (const [field, value] of Object.entries(told))
      if (value === undefined) expect(report(0)).not.toHaveProperty(field);
  });

  it('is the same object for a millisecond, whichever way the clock goes', () => {
    let asked = 0;
    const report = loadReport({ meter: { snapshot: () => ({ ...calm, inflight: ++asked }) } });
    const first = report(1000);
    expect(report(1000.9)).toBe(first);
    expect(asked).toBe(1);
    expect(report(1001)).not.toBe(first);
    expect(report(500).inflight).toBe(3);
    expect(report(500.5).inflight).toBe(3);
    expect(report(Number.NaN).inflight).toBe(4);
  });
});

describe('backlogSignal', () => {
  it.each([
    [0, 40, undefined, 0],
    [20, 40, undefined, 0.5],
    [400, 40, undefined, 10],
    [20, 40, 0.7, 0.7],
    [80, 40, 0.7, 2],
    [20, 40, Number.NaN, 0.5],
  ])('%i ms of %i, beside %s: %d', (backlogMs, budgetMs, other, value) => {
    const or = other === undefined ? undefined : { value: other };
    expect(backlogSignal({ backlogMs }, { budgetMs, or }).value).toBe(value);
  });

  it('does not take a budget of nothing', () => {
    expect(() => backlogSignal({ backlogMs: 0 }, { budgetMs: 0 })).toThrow(RangeError);
  });
});
