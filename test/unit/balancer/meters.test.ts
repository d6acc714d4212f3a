import { inflightMeter, peakEwma, responseTime } from 'keelson/balancer';
import type { Feedback, Outcome } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { begin, endpoint } from './endpoint-makers.js';

type Made = ReturnType<ReturnType<typeof responseTime>>;

const who = endpoint('a');
const call = (meter: Made, at: number, tookMs: number, outcome: Outcome = 'success', feedback?: Feedback) =>
  begin(meter, at).release(outcome, at + tookMs, feedback);

const kinds = [
  ['inflightMeter', inflightMeter()],
  ['peakEwma', peakEwma()],
  ['responseTime', responseTime()],
] as const;

describe.each(kinds)('%s', (_, metering) => {
  it('is lightest when idle, and heavier with each call in flight', () => {
    const meter = metering(who, 0);
    call(meter, 0, 10);
    const idle = meter.load(10);
    const one = begin(meter, 10);
    expect(meter.load(10)).toBeCloseTo(2 * idle, 6);
    const two = begin(meter, 10);
    expect(meter.load(10)).toBeCloseTo(3 * idle, 6);
    one.release('unsent', 10);
    two.release('unsent', 10);
    expect(meter.load(10)).toBeCloseTo(idle, 6);
  });

  it('counts an answered call until its end, and both once', () => {
    const meter = metering(who, 0);
    call(meter, 0, 10);
    const idle = meter.load(10);
    const permit = begin(meter, 10);
    permit.observe('success', 20);
    permit.observe('failure', 20);
    expect(meter.load(20)).toBeCloseTo(2 * idle, 6);
    permit.release('success', 20);
    permit.release('success', 20);
    expect(meter.load(20)).toBeCloseTo(idle, 6);
  });

  it('leaves no trace of a call that was not sent', () => {
    const meter = metering(who, 0);
    const fresh = metering(who, 0);
    call(meter, 0, 500, 'unsent');
    expect(meter.load(500)).toBe(fresh.load(500));
    call(meter, 500, 10);
    call(fresh, 500, 10);
    expect(meter.load(600)).toBe(fresh.load(600));
  });

  it('stays finite when the clock steps back', () => {
    const meter = metering(who, 1000);
    begin(meter, 1000).release('success', 400);
    begin(meter, 300).release('failure', 200);
    begin(meter, 100);
    for (const now of [0, 50, 5000]) {
      expect(meter.load(now)).toBeGreaterThanOrEqual(0);
      expect(meter.load(now)).toBeLessThan(Number.POSITIVE_INFINITY);
    }
  });
});

describe.each(kinds.slice(1))('%s without data', (_, metering) => {
  it('asks for one call, and for no second one before the first has answered', () => {
    const meter = metering(who, 0);
    const slow = metering(who, 0);
    call(slow, 0, 60_000);
    expect(meter.load(0)).toBe(0);
    const trial = begin(meter, 0);
    expect(meter.load(0)).toBeGreaterThan(100 * slow.load(60_000));
    trial.release('success', 5);
    expect(meter.load(5)).toBeLessThan(slow.load(60_000));
  });

  it('learns from a call that was given up after long', () => {
    const meter = metering(who, 0);
    const good = metering(who, 0);
    call(good, 0, 10);
    call(meter, 0, 4000, 'ignored');
    expect(meter.load(4000)).toBeGreaterThan(good.load(4000));
  });
});

describe('peakEwma', () => {
  const load = (meter: Made, now: number) => meter.load(now);

  it('jumps up at once and comes down by its time constant', () => {
    const meter = peakEwma({ tauMs: 1000 })(who, 0);
    call(meter, 0, 10);
    expect(load(meter, 10)).toBe(10);
    call(meter, 10, 100);
    expect(load(meter, 110)).toBe(100);
    // A shorter answer 1000 ms later weighs 1 - 1/e.
    begin(meter, 1090).release('success', 1110);
    expect(load(meter, 1110)).toBeCloseTo(100 / Math.E + 20 * (1 - 1 / Math.E), 6);
  });

  it('decays while nobody uses it, however often it is read', () => {
    const read = peakEwma({ tauMs: 1000 })(who, 0);
    const alone = peakEwma({ tauMs: 1000 })(who, 0);
    for (const meter of [read, alone]) call(meter, 0, 100);
    for (let now = 100; now < 1100; now += 10) load(read, now);
    expect(load(read, 1100)).toBeCloseTo(100 / Math.E, 6);
    expect(load(alone, 1100)).toBeCloseTo(100 / Math.E, 6);
  });

  it('lets a call that says nothing only raise it', () => {
    const meter = peakEwma()(who, 0);
    call(meter, 0, 50);
    call(meter, 50, 1, 'ignored');
    expect(load(meter, 50)).toBe(50);
    begin(meter, 50).release('ignored', 250);
    expect(load(meter, 250)).toBe(200);
  });

  it('refuses a time constant of 0', () => {
    expect(() => peakEwma({ tauMs: 0 })).toThrow('peakEwma.tauMs');
  });
});

describe('responseTime', () => {
  const metering = responseTime({ tauMs: 1000, forgiveMs: 1000, failureCostMs: 100 });
  const warm = (tookMs: number) => {
    const meter = metering(who, 0);
    begin(meter, -tookMs).release('success', 0);
    return meter;
  };
  /** The formula of the docstring. */
  const formula = (costMs: number, inflight = 0) => Math.sqrt(costMs + 5) * (inflight + 1);

  it('is the root of the latency', () => {
    expect(warm(20).load(0)).toBeCloseTo(formula(20), 9);
  });

  it.each(['failure', 'overload'] as const)('makes a fast %s dear', (outcome) => {
    const good = warm(20);
    const bad = warm(20);
    call(bad, 0, 1, outcome);
    expect(bad.load(1)).toBeGreaterThan(good.load(1));
    for (let at = 1; at < 30; at++) call(bad, at, 1, outcome);
    expect(bad.load(30)).toBeGreaterThan(10 * good.load(30));
  });

  it('prices a failure by its cost and the calls it takes to succeed', () => {
    const meter = warm(20);
    // A first failure at the same moment counts for a tenth: cost = (20 + 0.1 * 100) / 0.9.
    begin(meter, 0).release('failure', 0);
    expect(meter.load(0)).toBeCloseTo(formula(30 / 0.9), 9);
  });

  it('forgives an idle endpoint, for one call at a time', () => {
    const meter = warm(1000);
    expect(meter.load(0)).toBeCloseTo(formula(1000), 9);
    // After one forgiveMs half is forgotten, after nine nine tenths.
    expect(meter.load(1000)).toBeCloseTo(formula(500), 9);
    expect(meter.load(9000)).toBeCloseTo(formula(100), 9);
    const trial = begin(meter, 9000);
    expect(meter.load(9000)).toBeCloseTo(formula(1000, 1), 9);
    trial.release('success', 9010);
    expect(meter.load(9010)).toBeLessThan(formula(12));
  });

  it('sees a hung endpoint before any answer', () => {
    const meter = warm(10);
    const hung = [begin(meter, 0), begin(meter, 100)];
    expect(meter.load(110)).toBeCloseTo(formula(60, 2), 9);
    expect(meter.load(1050)).toBeCloseTo(formula(1000, 2), 9);
    // Answered calls still in flight (a long body) are not waited for.
    for (const permit of hung) permit.observe('success', 1050);
    const after = meter.load(1050);
    expect(meter.load(90_000)).toBe(after);
  });

  it('lets the estimate rise, not fall, by a call that says nothing', () => {
    const meter = warm(10);
    call(meter, 0, 5, 'ignored');
    expect(meter.load(5)).toBeCloseTo(warm(10).load(0), 9);
    const hung = begin(meter, 0);
    hung.release('ignored', 300);
    expect(meter.load(300)).toBeCloseTo(formula(300), 9);
  });

  it('waits as long as it was asked to, within reason', () => {
    const meter = responseTime({ maxRestMs: 1000 })(who, 0);
    const same = responseTime({ maxRestMs: 1000 })(who, 0);
    for (const each of [meter, same]) call(each, 0, 10);
    call(meter, 10, 0, 'overload', { retryAfterMs: 1e9 });
    call(same, 10, 0, 'overload');
    expect(meter.load(10) ** 2 - same.load(10) ** 2).toBeCloseTo(1000, 6);
    expect(meter.load(1010)).toBe(same.load(1010));
  });

  it('goes on learning, and does not rest for hours, after the clock stepped back', () => {
    const late = 1e7;
    const meter = metering(who, late);
    begin(meter, late - 20).release('success', late);
    call(meter, late, 0, 'overload', { retryAfterMs: 10_000 });
    for (let at = 0; at < 10_000; at += 100) call(meter, at, 500);
    expect(meter.load(10_400)).toBeCloseTo(formula(500), 1);
  });

  it('takes a reported backlog fresh and averages the rest', () => {
    const meter = warm(20);
    begin(meter, 0).release('success', 60, { load: { backlogMs: 40 } });
    expect(meter.load(60)).toBeCloseTo(formula(60), 9);
    begin(meter, 60).release('success', 80, { load: { backlogMs: 0 } });
    expect(meter.load(80)).toBeCloseTo(formula(20), 9);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])(
    'does not believe a backlog or rest of %s',
    (absurd) => {
      const meter = warm(20);
      begin(meter, 0).release('success', 20, { load: { backlogMs: absurd } });
      begin(meter, 20).release('overload', 20, { retryAfterMs: absurd });
      expect(meter.load(20)).toBeGreaterThan(0);
      expect(meter.load(20)).toBeLessThan(formula(200));
    },
  );

  it.each(['tauMs', 'forgiveMs', 'failureCostMs', 'maxRestMs'] as const)('refuses a negative %s', (field) => {
    expect(() => responseTime({ [field]: -1 })).toThrow(`responseTime.${field}`);
  });
});
