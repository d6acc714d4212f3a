import { c3 } from 'keelson/balancer';
import type { Feedback, Outcome } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { begin, endpoint } from './endpoint-makers.js';

type Made = ReturnType<ReturnType<typeof c3>>;

const who = endpoint('a');
const call = (meter: Made, tookMs: number, outcome: Outcome = 'success', feedback?: Feedback) =>
  begin(meter, 0).release(outcome, tookMs, feedback);

describe('c3', () => {
  // R - 1/mu + (1 + os * n + q)^3 / mu
  it.each([
    { backlogMs: 0, inflight: 0, load: 12 - 3 + 1 * 3 },
    { backlogMs: 6, inflight: 0, load: 12 - 3 + 27 * 3 },
    { backlogMs: 0, inflight: 1, load: 12 - 3 + 1331 * 3 },
    { backlogMs: 3, inflight: 2, load: 12 - 3 + 22 ** 3 * 3 },
  ])('is the formula of the paper: $backlogMs ms reported, $inflight in flight', (row) => {
    const meter = c3({ clients: 10 })(who, 0);
    call(meter, 12, 'success', { load: { backlogMs: row.backlogMs, serviceMs: 3 } });
    for (let calls = row.inflight; calls > 0; calls--) begin(meter, 12);
    expect(meter.load(12)).toBeCloseTo(row.load, 6);
  });

  it('averages latency, queue and service time', () => {
    const meter = c3({ clients: 1, keptRatio: 0.5 })(who, 0);
    call(meter, 10, 'success', { load: { backlogMs: 8, serviceMs: 4 } });
    call(meter, 20, 'success', { load: { backlogMs: 0, serviceMs: 2 } });
    expect(meter.load(0)).toBeCloseTo(15 - 3 + 2 ** 3 * 3, 9);
  });

  it('does without reports, and with absurd ones', () => {
    const loads = [undefined, { backlogMs: Number.NaN, serviceMs: -1 }].map((load) => {
      const meter = c3()(who, 0);
      call(meter, 10, 'success', load && { load });
      return meter.load(0);
    });
    expect(loads).toEqual([10, 10]);
  });

  it('sends one call to an endpoint without data, and no second one before it has answered', () => {
    const meter = c3()(who, 0);
    expect(meter.load(0)).toBe(0);
    const trial = begin(meter, 0);
    expect(meter.load(0)).toBeGreaterThan(1e12);
    trial.observe('success', 5);
    trial.release('success', 5);
    trial.release('success', 5);
    expect(meter.load(5)).toBe(5);
  });

  it('leaves no trace of a call that was not sent, and lets one that says nothing only raise it', () => {
    const meter = c3()(who, 0);
    call(meter, 10);
    call(meter, 9000, 'unsent');
    call(meter, 5, 'ignored');
    expect(meter.load(0)).toBe(10);
    call(meter, 110, 'ignored');
    expect(meter.load(0)).toBeCloseTo(20, 9);
  });

  it.each([{ clients: 0 }, { keptRatio: -0.1 }, { keptRatio: 1 }])('refuses %j', (options) => {
    expect(() => c3(options)).toThrow(`c3.${Object.keys(options)[0]}`);
  });
});
