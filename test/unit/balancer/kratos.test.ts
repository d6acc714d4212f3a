import { kratosV1, kratosV2, kratosV3, type P2cOptions, p2c } from 'keelson/balancer';
import type { Outcome } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { begin, endpoint, endpoints } from './endpoint-makers.js';

const meterOf = (generation: P2cOptions) => {
  if (generation.meter === undefined) throw new Error('a generation is its meter');
  return generation.meter(endpoint('a'), 0);
};
/** What kratos calls weight: the higher the better. */
const weight = (meter: ReturnType<typeof meterOf>, now: number) => Math.round(10_000 / meter.load(now));
const call = (meter: ReturnType<typeof meterOf>, at: number, tookMs: number, outcome: Outcome = 'success') =>
  begin(meter, at).release(outcome, at + tookMs);

describe('kratosV3', () => {
  it.each([
    [1, 4083],
    [5, 3163],
    [50, 1348],
    [1000, 315],
  ])('%s ms weighs %s', (tookMs, expected) => {
    const meter = meterOf(kratosV3);
    call(meter, 0, tookMs);
    expect(weight(meter, tookMs)).toBe(expected);
  });

  it('weighs 100 unmeasured, like a node of 10 s', () => {
    expect(weight(meterOf(kratosV3), 0)).toBe(100);
    const slow = meterOf(kratosV3);
    call(slow, 0, 10_000);
    expect(weight(slow, 10_000)).toBe(100);
  });

  it('divides by calls in flight, the first idle one being 1', () => {
    const meter = meterOf(kratosV3);
    call(meter, 0, 5);
    const idle = meter.load(5);
    for (let n = 0; n < 9; n++) begin(meter, 5);
    expect(meter.load(5)).toBeCloseTo(10 * idle, 9);
  });

  it('predicts from more than half of those in flight, every 5 ms', () => {
    const meter = meterOf(kratosV3);
    call(meter, 0, 10);
    begin(meter, 100);
    begin(meter, 100);
    begin(meter, 192);
    // Two of three are older than 10 ms: their mean age is the latency.
    expect(meter.load(200)).toBe((Math.floor(Math.sqrt(105e6)) * 4) / 1000);
    expect(meter.load(204)).toBe(meter.load(200));
    // Now all three are, and the youngest pulls the mean down.
    const meanNs = Math.trunc((106e6 + 106e6 + 14e6) / 3);
    expect(meter.load(206)).toBe((Math.floor(Math.sqrt(meanNs + 5e6)) * 4) / 1000);
    const half = meterOf(kratosV3);
    call(half, 0, 10);
    begin(half, 100);
    begin(half, 195);
    expect(half.load(200)).toBe((Math.floor(Math.sqrt(15e6)) * 3) / 1000);
  });

  it('looks at the age of two hundred calls at most, and lets each go', () => {
    const meter = meterOf(kratosV3);
    call(meter, 0, 10);
    const permits = Array.from({ length: 500 }, () => begin(meter, 20));
    for (const permit of permits) permit.observe('success', 25);
    for (const permit of permits) permit.release('success', 25);
    expect(meter.load(1000)).toBeLessThan(5);
  });

  it.each([
    ['failure', 0.5],
    ['overload', 1],
    ['ignored', 1],
    ['unsent', 1],
  ] as const)('after one %s, the success ratio is %s', (outcome, ratio) => {
    const meter = meterOf(kratosV3);
    call(meter, 0, 10);
    // tau is 600 ms, so the second sample weighs one half after 600 ln 2.
    const at = 10 + 600 * Math.LN2 - 10;
    call(meter, at, 10, outcome);
    const healthy = meterOf(kratosV3);
    call(healthy, 0, 10);
    expect(healthy.load(at) / meter.load(at)).toBeCloseTo(ratio, 1);
  });

  it('never divides by nothing', () => {
    const balancer = p2c(kratosV3);
    balancer.update(endpoints(3), 0);
    for (let now = 0; now < 60_000; now += 500) balancer.pick(now)?.release('failure', now + 1);
    for (const { load } of balancer.snapshot?.(60_000) ?? []) expect(load).not.toBeNaN();
  });
});

describe('kratosV2', () => {
  it('is linear in the latency, and counts an unmeasured node as 10 s', () => {
    const fast = meterOf(kratosV2);
    const slow = meterOf(kratosV2);
    call(fast, 0, 10);
    call(slow, 0, 100);
    expect(slow.load(100) / fast.load(100)).toBe(10);
    expect(meterOf(kratosV2).load(0) / fast.load(100)).toBe(1000);
  });

  it.each([
    [10, 5],
    [100, 20],
    [5000, 200],
  ])('predicts for %s ms every %s ms', (lagMs, everyMs) => {
    const meter = meterOf(kratosV2);
    call(meter, 0, lagMs);
    for (let i = 0; i < 3; i++) begin(meter, lagMs);
    const at = lagMs * 3;
    const first = meter.load(at);
    expect(meter.load(at + everyMs - 1)).toBe(first);
    expect(meter.load(at + everyMs)).toBeGreaterThan(first);
  });
});

describe('the prediction', () => {
  it.each([
    { name: 'v2', options: kratosV2, running: 2, predicts: false },
    { name: 'v2', options: kratosV2, running: 3, predicts: true },
    { name: 'v3', options: kratosV3, running: 1, predicts: true },
  ])('of $name with $running calls, all of them late: $predicts', ({ options, running, predicts }) => {
    const meter = meterOf(options);
    call(meter, 0, 10);
    for (let i = 0; i < running; i++) begin(meter, 10);
    const before = meter.load(10);
    expect(meter.load(1000) > before).toBe(predicts);
  });

  it('of v3 wants more than half of them late, of v2 one more than that', () => {
    for (const [options, enough] of [
      [kratosV2, 4],
      [kratosV3, 3],
    ] as const) {
      for (const late of [enough - 1, enough]) {
        const meter = meterOf(options);
        call(meter, 0, 10);
        for (let i = 0; i < late; i++) begin(meter, 10);
        for (let i = late; i < 5; i++) begin(meter, 995);
        const same = meterOf(options);
        call(same, 0, 10);
        for (let i = 0; i < 5; i++) begin(same, 995);
        expect(meter.load(1000) > same.load(1000)).toBe(late >= enough);
      }
    }
  });
});

describe('kratosV1', () => {
  it('multiplies by what the server says of its CPU', () => {
    const calm = meterOf(kratosV1);
    const busy = meterOf(kratosV1);
    begin(calm, 0).release('success', 1, { load: { cpuRatio: 0.2 } });
    begin(busy, 0).release('success', 1, { load: { cpuRatio: 0.8 } });
    expect(busy.load(1) / calm.load(1)).toBeCloseTo(4, 9);
    begin(busy, 1).release('success', 2, { load: { cpuRatio: 0 } });
    expect(busy.load(2)).toBe(busy.load(1));
    // cpu 500, 1 ms: 500 * (sqrt(1e6) + 1) * 1 / 1000.
    const silent = meterOf(kratosV1);
    call(silent, 0, 1);
    expect(silent.load(1)).toBeCloseTo(500.5, 9);
  });

  it('is unfit when the server is busy or half of the calls fail', () => {
    const busy = meterOf(kratosV1);
    expect(busy.fit?.(0)).toBe(true);
    begin(busy, 0).release('success', 1, { load: { cpuRatio: 0.95 } });
    expect(busy.fit?.(1)).toBe(false);
    const failing = meterOf(kratosV1);
    call(failing, 0, 1, 'failure');
    expect(failing.fit?.(1)).toBe(false);
  });

  it('counts the weight in the comparison', () => {
    const balancer = p2c({ ...kratosV1, forcePickMs: Number.POSITIVE_INFINITY });
    balancer.update([endpoint('light'), endpoint('heavy', { weight: 200 })], 0);
    expect(balancer.pick(0)?.endpoint.id).toBe('heavy');
  });
});
