import { serverBacklog } from 'keelson/balancer';
import type { Feedback, Outcome, ServerLoad } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { endpoint } from './endpoint-makers.js';

type Made = ReturnType<ReturnType<typeof serverBacklog>>;

const who = endpoint('a');
const says = (backlogMs: number, serviceMs = 4): Feedback => ({ load: { backlogMs, serviceMs } });
const call = (meter: Made, at: number, tookMs: number, outcome: Outcome = 'success', feedback?: Feedback) =>
  meter.start(at).release(outcome, at + tookMs, feedback);
/** One that answered a call of 10 ms at 0, and reported. */
const reporting = (backlogMs: number, serviceMs = 4) => {
  const meter = serverBacklog()(who, -10);
  call(meter, -10, 10, 'success', says(backlogMs, serviceMs));
  return meter;
};
/** The first term of the docstring. */
const floor = 10;

describe('serverBacklog', () => {
  it.each([
    { backlogMs: 0, serviceMs: 4, load: floor + 2 },
    { backlogMs: 7, serviceMs: 4, load: floor + 9 },
    { backlogMs: 30, serviceMs: 1, load: floor + 30.5 },
  ])('is what the server says: $backlogMs ms and half of $serviceMs', ({ backlogMs, serviceMs, load }) => {
    expect(reporting(backlogMs, serviceMs).load(0)).toBeCloseTo(load, 9);
  });

  it('takes the last report, not an average', () => {
    const meter = reporting(100);
    call(meter, 0, 10, 'success', says(3));
    expect(meter.load(10)).toBeCloseTo(floor + 3 + 2, 9);
  });

  it('counts own calls that are not answered as eight each, and those that go on as one', () => {
    const meter = reporting(0);
    const calls = [meter.start(0), meter.start(0)];
    expect(meter.load(0)).toBeCloseTo(floor + 2 + 2 * 8 * 4, 9);
    for (const each of calls) each.observe('success', 1, says(0));
    expect(meter.load(1)).toBeCloseTo(floor + 2 + (2 / 8) * 4, 9);
    for (const each of calls) each.release('success', 2);
    expect(meter.load(2)).toBeCloseTo(floor + 2, 3);
    expect(serverBacklog({ ownCallWeight: 20 })(who, 0).load(0)).toBe(floor);
  });

  it('sees calls that are overdue before any timeout', () => {
    const meter = reporting(0);
    meter.start(0);
    const due = meter.load(10);
    expect(meter.load(5)).toBe(due);
    expect(meter.load(60)).toBeCloseTo(due + 50, 6);
    expect(meter.load(1010)).toBeCloseTo(due + 1000, 6);
  });

  it('expects calls later by the backlog that was reported', () => {
    const meter = reporting(100);
    meter.start(0);
    expect(meter.load(90)).toBe(meter.load(0));
  });

  it('forgets slowly what makes an endpoint dearer than the mean, the more of it the faster, and not under a call', () => {
    const metering = serverBacklog();
    const [small, large, low] = [metering(who, 0), metering(who, 0), metering(who, 0)];
    call(low, 0, 0, 'success', says(0));
    for (const [meter, backlogMs] of [[small, 8] as const, [large, 998] as const])
      call(meter, 0, 0, 'success', says(backlogMs));
    // 998 and 8, each a part in 64 of the mean of all.
    const mean = 998 / 64 + (8 / 64) * (63 / 64);
    expect(small.load(60_000) - floor).toBe(8 + 2);
    const above = 1000 - mean;
    expect(large.load(100) - floor).toBeCloseTo(mean + above / (1 + above / 1000), 0);
    // No more than 100 000 / age is believed of anything.
    expect(large.load(10_000) - floor - mean).toBeLessThan(10);
    expect(low.load(10_000)).toBe(low.load(0));
    large.start(100);
    expect(large.load(200)).toBeGreaterThan(1000);
  });

  describe('after a failure', () => {
    const resting = 1e6;
    const rests = (meter: Made, now: number) => meter.load(now) > resting;

    it('rests, longer with each further one in a row', () => {
      const meter = serverBacklog()(who, -10_000);
      call(meter, -10_000, 10, 'success', says(0));
      call(meter, 0, 1, 'failure');
      expect([rests(meter, 300), rests(meter, 302)]).toEqual([true, false]);
      call(meter, 400, 1, 'failure');
      expect([rests(meter, 1000), rests(meter, 1002)]).toEqual([true, false]);
      call(meter, 1100, 1, 'failure');
      expect([rests(meter, 2300), rests(meter, 2302)]).toEqual([true, false]);
      for (let at = 3000; at < 100_000; at += 1000) call(meter, at, 1, 'failure');
      expect([rests(meter, 109_000), rests(meter, 109_002)]).toEqual([true, false]);
    });

    it('begins anew after a success', () => {
      const meter = serverBacklog()(who, -10_000);
      for (let at = 0; at < 5000; at += 1000) call(meter, at, 1, 'failure');
      call(meter, 20_000, 1, 'success', says(0));
      call(meter, 30_000, 1, 'failure');
      expect([rests(meter, 30_300), rests(meter, 30_302)]).toEqual([true, false]);
    });

    it('does not take a busy endpoint away for one failed call in a hundred', () => {
      const meter = serverBacklog()(who, 0);
      for (let at = 0; at < 1000; at++) call(meter, at, 0, at % 100 === 99 ? 'failure' : 'success', says(0));
      // It served well for 100 ms: a tenth of that.
      expect([rests(meter, 1008), rests(meter, 1010)]).toEqual([true, false]);
    });

    it.each([
      { asked: 2000, until: 2000 },
      { asked: 1e12, until: 10_000 },
      { asked: Number.POSITIVE_INFINITY, until: 300 },
      { asked: Number.NaN, until: 300 },
      { asked: -5, until: 300 },
    ])('rests as it asks to, $asked ms, within reason: $until', ({ asked, until }) => {
      const meter = serverBacklog()(who, -10_000);
      call(meter, 0, 0, 'overload', { retryAfterMs: asked });
      expect([rests(meter, until - 1), rests(meter, until + 1)]).toEqual([true, false]);
    });

    it('prefers, of those that rest, the one that has rested', () => {
      const metering = serverBacklog();
      const [early, late] = [metering(who, -10_000), metering(who, -10_000)];
      call(early, 0, 0, 'failure');
      call(late, 100, 0, 'failure');
      expect(early.load(150)).toBeLessThan(late.load(150));
    });

    it('does not rest for ever when the clock steps back', () => {
      const meter = serverBacklog()(who, 0);
      call(meter, 1e9, 0, 'failure');
      expect(rests(meter, 1e9 + 1)).toBe(true);
      expect(rests(meter, 0)).toBe(false);
    });
  });

  describe('without data', () => {
    it('is as good as the mean of the others, and does not draw a call of every client at once', () => {
      const metering = serverBacklog();
      const [busy, idle] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 1000; at++) call(at % 2 ? busy : idle, at, 1, 'success', says(at % 2 ? 20 : 0));
      const newcomer = metering(who, 1000);
      expect(newcomer.load(1000)).toBeGreaterThan(idle.load(1000) + 5);
      expect(newcomer.load(1000)).toBeLessThan(busy.load(1000) - 5);
    });

    it('asks for one call, and for no second one before the first has answered', () => {
      const metering = serverBacklog();
      const [meter, dear] = [metering(who, 0), metering(who, 0)];
      call(dear, 0, 100, 'success', says(1e6));
      expect(meter.load(100)).toBe(floor);
      const trial = meter.start(100);
      expect(meter.load(100)).toBeGreaterThan(dear.load(100));
      trial.release('success', 105, says(0));
      expect(meter.load(105)).toBeLessThan(dear.load(105));
    });

    it('learns from a call that was given up after long', () => {
      const meter = serverBacklog()(who, 0);
      call(meter, 0, 4000, 'ignored');
      expect(meter.load(4000)).toBeCloseTo(floor + 4000, 6);
    });
  });

  describe('with a server that reports nothing', () => {
    it('takes what answers take beyond the usual for the backlog', () => {
      const metering = serverBacklog();
      const [good, bad] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 100; at++) call(good, at * 10, 10);
      call(bad, 1000, 40);
      // Usual are 10 ms, of which a quarter is taken for the thread's.
      expect(good.load(1000)).toBeCloseTo(floor + 10 / 8, 1);
      expect(bad.load(1040)).toBeCloseTo(floor + 30 + 10 / 8, 0);
      call(bad, 1040, 10);
      expect(bad.load(1050)).toBeCloseTo(floor + 15 + 10 / 8, 0);
    });

    it('does not take one dear call for an hour of backlog', () => {
      const metering = serverBacklog();
      const [good, unlucky] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 100; at++) call(good, at * 10, 10);
      call(unlucky, 1000, 60_000);
      expect(unlucky.load(61_000)).toBeLessThan(floor + 10 * 10 + 5);
    });

    it('goes by latency again when reports end, per endpoint', () => {
      const metering = serverBacklog();
      const [reports, silent] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 50; at++) {
        call(reports, at * 10, 10, 'success', says(50));
        call(silent, at * 10, 10);
      }
      expect(reports.load(500)).toBeGreaterThan(silent.load(500) + 40);
      for (let at = 50; at < 70; at++) call(reports, at * 10, 10);
      expect(reports.load(700)).toBeCloseTo(silent.load(700), 0);
    });
  });

  const lies: readonly ServerLoad[] = [
    { backlogMs: Number.NaN, serviceMs: 4 },
    { backlogMs: -1, serviceMs: 4 },
    { backlogMs: Number.POSITIVE_INFINITY, serviceMs: 4 },
    { backlogMs: 1e300, serviceMs: 4 },
    { backlogMs: '7' as unknown as number, serviceMs: {} as unknown as number },
  ];
  it.each(lies)('takes %j for no report', (load) => {
    const [lying, silent] = [serverBacklog()(who, 0), serverBacklog()(who, 0)];
    for (let at = 0; at < 20; at++) {
      call(lying, at * 10, 10, 'success', { load });
      call(silent, at * 10, 10);
    }
    expect(lying.load(200)).toBeCloseTo(silent.load(200), 6);
  });

  it.each([Number.NaN, -4, 0, Number.POSITIVE_INFINITY, undefined])(
    'guesses what a call occupies the thread for when it reports %s',
    (serviceMs) => {
      const meter = reporting(5, serviceMs as number);
      meter.start(0);
      expect(meter.load(0)).toBeGreaterThan(floor + 5 + 8);
      expect(meter.load(0)).toBeLessThan(floor + 5 + 40);
    },
  );

  it('does not believe one that says it is idle and answers ten times later than the others', () => {
    const metering = serverBacklog();
    const [honest, lying] = [metering(who, 0), metering(who, 0)];
    for (let at = 0; at < 300; at++) {
      call(honest, at * 10, 10, 'success', says(0));
      call(honest, at * 10, 10, 'success', says(0));
      call(lying, at * 10, 100, 'success', says(0));
    }
    expect(lying.load(3090)).toBeGreaterThan(honest.load(3090) + 50);
  });

  it('leaves no trace of a call that was not sent', () => {
    const [meter, same] = [reporting(5), reporting(5)];
    call(meter, 0, 5000, 'unsent', says(500));
    expect(meter.load(0)).toBe(same.load(0));
    expect(meter.load(5000)).toBe(same.load(5000));
  });

  it('counts an answer once, and an end once', () => {
    const meter = reporting(0);
    const permit = meter.start(0);
    permit.observe('success', 10, says(1));
    permit.observe('failure', 10, says(99));
    permit.release('failure', 10, says(99));
    permit.release('failure', 10, says(99));
    permit.observe('failure', 10, says(99));
    expect(meter.load(10)).toBeCloseTo(floor + 1 + 2, 9);
  });

  it('stays finite when the clock steps back', () => {
    const meter = serverBacklog()(who, 1000);
    meter.start(1000).release('success', 400, says(5));
    meter.start(300).release('failure', 200);
    meter.start(100);
    for (const now of [-1e6, 0, 50, 5000, 1e9]) {
      expect(meter.load(now)).toBeGreaterThan(0);
      expect(meter.load(now)).toBeLessThan(Number.POSITIVE_INFINITY);
    }
  });

  it.each([{ ownCallWeight: 0 }, { coolOffMs: -1 }, { maxRestMs: -1 }])('refuses %j', (options) => {
    expect(() => serverBacklog(options)).toThrow(`serverBacklog.${Object.keys(options)[0]}`);
  });
});
