import { serverBacklog } from 'keelson/balancer';
import type { Feedback, Outcome, ServerLoad } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { begin, endpoint } from './endpoint-makers.js';

type Made = ReturnType<ReturnType<typeof serverBacklog>>;

const who = endpoint('a');
const says = (backlogMs: number, serviceMs = 4): Feedback => ({ load: { backlogMs, serviceMs } });
const call = (meter: Made, at: number, tookMs: number, outcome: Outcome = 'success', feedback?: Feedback) =>
  begin(meter, at).release(outcome, at + tookMs, feedback);
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
    { backlogMs: 0, serviceMs: 4, load: floor },
    { backlogMs: 7, serviceMs: 4, load: floor + 7 },
    { backlogMs: 30, serviceMs: 1, load: floor + 30 },
  ])(
    'is what the server says: $backlogMs ms, whatever a call occupies its thread for ($serviceMs)',
    ({ backlogMs, serviceMs, load }) => {
      expect(reporting(backlogMs, serviceMs).load(0)).toBeCloseTo(load, 9);
    },
  );

  it('takes the last report, not an average', () => {
    const meter = reporting(100);
    call(meter, 0, 10, 'success', says(3));
    expect(meter.load(10)).toBeCloseTo(floor + 3, 1);
  });

  it('counts own calls that are not answered as eight each, and those that go on as one', () => {
    const meter = reporting(0);
    const calls = [begin(meter, 0), begin(meter, 0)];
    expect(meter.load(0)).toBeCloseTo(floor + 2 * 8 * 4, 9);
    for (const each of calls) each.observe('success', 1, says(0));
    expect(meter.load(1)).toBeCloseTo(floor + (2 / 8) * 4, 9);
    for (const each of calls) each.release('success', 2);
    expect(meter.load(2)).toBeCloseTo(floor, 3);
    expect(serverBacklog({ ownCallWeight: 20 })(who, 0).load(0)).toBe(floor);
  });

  it('sees calls that are overdue before any timeout', () => {
    const meter = reporting(0);
    begin(meter, 0);
    const due = meter.load(10);
    expect(meter.load(5)).toBe(due);
    expect(meter.load(60)).toBeCloseTo(due + 50, 6);
    expect(meter.load(1010)).toBeCloseTo(due + 1000, 6);
  });

  it('expects calls later by the backlog that was reported', () => {
    const meter = reporting(100);
    begin(meter, 0);
    expect(meter.load(90)).toBe(meter.load(0));
  });

  describe('forgets what makes an endpoint dearer than the mean', () => {
    /** Two that reported so, with so many calls under way all the time. */
    const scene = (backlogs: readonly number[], company: number) => {
      const metering = serverBacklog();
      const busy = metering(who, 0);
      for (let call = 0; call < company; call++) begin(busy, -1);
      const meters = backlogs.map((backlogMs) => {
        const meter = metering(who, 0);
        for (let at = 0; at < 200; at++) call(meter, 0, 0, 'success', says(backlogMs));
        return meter;
      });
      return meters as [Made, Made];
    };

    it('slowly where others are busy, and the more of it the faster', () => {
      const [large, small] = scene([500, 10], 2);
      expect(small.load(60_000)).toBe(floor + 10);
      const above = large.load(0) - small.load(0);
      expect(above).toBeGreaterThan(400);
      expect(large.load(200) - small.load(0)).toBeLessThan(0.6 * above);
      expect(large.load(200) - small.load(0)).toBeGreaterThan(0.4 * above);
      // No more than 100 000 / age is believed of anything.
      expect(large.load(20_000) - small.load(0)).toBeLessThan(30);
      for (const absurd of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
        expect(large.load(absurd)).toBeLessThan(small.load(0) + 25);
    });

    it('soon where a client has one call at a time, and not under a call', () => {
      const [large, small] = scene([500, 10], 0);
      expect(large.load(20) - small.load(20)).toBeLessThan(50);
      begin(large, 20);
      expect(large.load(40)).toBeGreaterThan(500);
    });
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

    it('counts those once that were under way when the first of them failed', () => {
      const meter = serverBacklog()(who, -10_000);
      const calls = Array.from({ length: 7 }, () => begin(meter, 0));
      for (const [at, each] of calls.entries()) each.release('failure', 1 + at);
      expect([rests(meter, 300), rests(meter, 302)]).toEqual([true, false]);
      expect([meter.fit?.(300), meter.fit?.(302)]).toEqual([false, true]);
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

    it('forgets within two seconds how long the call took, and not that one was given up', () => {
      const metering = serverBacklog();
      const [good, failing, hung] = [metering(who, 0), metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 100; at++) call(good, at * 10, at % 2 ? 10 : 14);
      call(failing, 1000, 500, 'failure');
      call(hung, 1000, 500, 'ignored');
      expect(failing.load(1801)).toBeGreaterThan(floor + 200);
      expect(failing.load(3500)).toBeLessThan(1.04 * good.load(3500));
      expect(hung.load(3500)).toBeGreaterThan(floor + 30);
    });

    it('costs more at rest than the dearest that is not', () => {
      const metering = serverBacklog();
      const [dear, failed] = [metering(who, 0), metering(who, 0)];
      call(dear, 0, 10, 'success', says(3_600_000, 3_600_000));
      for (let calls = 0; calls < 100; calls++) begin(dear, 10);
      call(failed, 0, 10, 'failure');
      expect(failed.load(10)).toBeGreaterThan(dear.load(10));
    });

    it('rests again after the clock stepped back', () => {
      const meter = serverBacklog()(who, 0);
      call(meter, 1e9, 0, 'failure');
      call(meter, 1000, 10, 'success', says(0));
      call(meter, 5000, 0, 'overload', { retryAfterMs: 500 });
      expect([rests(meter, 5499), rests(meter, 5501)]).toEqual([true, false]);
    });

    describe('that is a shed', () => {
      /** Calls as often, not to one at rest; how many were sent. */
      const sent = (everyMs: number, untilMs: number, shed: (call: number) => boolean) => {
        const meter = serverBacklog()(who, -10_000);
        let calls = 0;
        for (let at = 0; at < untilMs; at += everyMs) {
          if (meter.fit?.(at) === false) continue;
          calls++;
          if (shed(calls)) call(meter, at, 0, 'overload');
          else call(meter, at, 0, 'success', says(0));
        }
        return calls;
      };

      it.each([
        { everyMs: 500, most: 45 },
        { everyMs: 5, most: 550 },
      ])('again and again, every $everyMs ms, leads to longer rests', ({ everyMs, most }) => {
        expect(sent(everyMs, 120_000, () => true)).toBeLessThan(most);
        const [minute, two] = [60_000, 120_000].map((until) => sent(everyMs, until, () => true));
        expect((two as number) - (minute as number)).toBeLessThan(11);
      });

      it.each([7, 20])('leaves one in use that serves one call in %d', (one) => {
        expect(sent(5, 60_000, (count) => count % one !== 0)).toBeGreaterThan(0.7 * 12_000);
      });
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
      const trial = begin(meter, 100);
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
    it('takes what answers take beyond the usual for the backlog, when calls are under way together', () => {
      const metering = serverBacklog();
      const [good, bad, busy] = [metering(who, 0), metering(who, 0), metering(who, 0)];
      begin(busy, 0);
      begin(busy, 0);
      for (let at = 0; at < 200; at++) call(good, at * 10, 10);
      call(bad, 2000, 40);
      expect(good.load(2000)).toBeCloseTo(floor, 1);
      expect(bad.load(2040)).toBeCloseTo(floor + 15, 0);
      call(bad, 2040, 40);
      expect(bad.load(2080)).toBeGreaterThan(floor + 20);
      call(bad, 2080, 10);
      call(bad, 2090, 10);
      expect(bad.load(2100)).toBeLessThan(floor + 8);
    });

    it('says little by one late answer to a client with one call at a time', () => {
      const metering = serverBacklog();
      const [good, bad] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 200; at++) call(good, at * 10, 10);
      call(bad, 2000, 40);
      expect(bad.load(2040)).toBeLessThan(floor + 5);
    });

    it.each([
      { perSecond: 100, latency: true },
      { perSecond: 200, latency: false },
      { perSecond: undefined, latency: false },
      { perSecond: Number.NaN, latency: false },
    ])('is one that reports an idle thread: $perSecond calls of 1 ms a second', ({ perSecond, latency }) => {
      const metering = serverBacklog();
      const [good, bad, busy] = [metering(who, 0), metering(who, 0), metering(who, 0)];
      begin(busy, 0);
      begin(busy, 0);
      const load = { backlogMs: 0, serviceMs: 1, ...(perSecond === undefined ? {} : { perSecond }) };
      for (let at = 0; at < 200; at++) call(good, at * 10, 10, 'success', { load });
      call(bad, 2000, 40, 'success', { load });
      expect(bad.load(2040) > floor + 10).toBe(latency);
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
        call(reports, at * 100, 60, 'success', says(50));
        call(silent, at * 100, 10);
      }
      expect(reports.load(4960)).toBeGreaterThan(silent.load(4960) + 40);
      for (let at = 50; at < 70; at++) call(reports, at * 100, 10);
      expect(reports.load(6910)).toBeCloseTo(silent.load(6910), 0);
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
      begin(meter, 0);
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

  it('does not soon forget that a call was given up after long, not even with one call at a time', () => {
    const metering = serverBacklog();
    const [good, hung] = [metering(who, 0), metering(who, 0)];
    for (let at = 0; at < 100; at++) call(good, at * 10, 10);
    call(hung, 1000, 1000, 'ignored');
    expect(hung.load(2100)).toBeGreaterThan(floor + 400);
    expect(hung.load(60_000)).toBeLessThan(floor + 2);
  });

  describe('an endpoint that usually answers late', () => {
    const fast = 5;
    const slow = 100;

    it('is not taken for the quickest where others report more backlog than their calls waited for', () => {
      const metering = serverBacklog();
      const [passing, late] = [metering(who, 0), metering(who, 0)];
      call(passing, 0, 10, 'success', says(40));
      for (let at = 0; at < 40; at++) {
        call(late, at * slow, slow, 'success', says(0));
        call(passing, at * slow, 10, 'success', says(40));
      }
      call(late, 4000, slow, 'success', says(0));
      expect(late.load(4100)).toBeGreaterThan(passing.load(4100) + 20);
    });

    it('pays for it, also when it gets all calls and was there first', () => {
      const metering = serverBacklog();
      const [late, quick] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 100; at++) call(late, at * slow, slow, 'success', says(0));
      for (let at = 0; at < 4; at++) call(quick, 10_000 + at * fast, fast, 'success', says(0));
      expect(late.load(10_020)).toBeGreaterThan(quick.load(10_020) + 20);
      for (let at = 0; at < 40; at++) call(quick, 10_020 + at * fast, fast, 'success', says(0));
      expect(late.load(10_220) - quick.load(10_220)).toBeGreaterThan(60);
    });

    it('is not so called for one slow connection, and is after a few', () => {
      const metering = serverBacklog();
      const [quick, newcomer] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 100; at++) call(quick, at * fast, fast, 'success', says(0));
      call(newcomer, 500, slow, 'success', says(0));
      expect(newcomer.load(600)).toBeLessThan(floor + 3);
      for (let at = 0; at < 4; at++) call(newcomer, 600 + at * slow, slow, 'success', says(0));
      expect(newcomer.load(1000)).toBeGreaterThan(floor + 10);
    });

    it('begins anew when it was passed over for long and answers as the others do', () => {
      const metering = serverBacklog();
      const [quick, late] = [metering(who, 0), metering(who, 0)];
      const served = (from: number, calls: number) => {
        for (let at = 0; at < calls; at++) call(quick, from + at * fast, fast, 'success', says(0));
      };
      served(0, 100);
      for (let at = 0; at < 20; at++) call(late, 500 + at * slow, slow, 'success', says(0));
      served(2500, 50);
      call(late, 2750, fast, 'success', says(0));
      expect(late.load(2755)).toBeGreaterThan(floor + 40);
      served(2755, 150);
      call(late, 3505, slow, 'success', says(0));
      expect(late.load(3605)).toBeGreaterThan(floor + 40);
      served(3605, 150);
      call(late, 4355, fast, 'success', says(0));
      expect(late.load(4360)).toBe(floor);
    });

    it('is compared with who is the quickest now', () => {
      const metering = serverBacklog();
      const [gone, left] = [metering(who, 0), metering(who, 0)];
      for (let at = 0; at < 20; at++) call(gone, at * fast, fast, 'success', says(0));
      for (let at = 0; at < 30; at++) call(left, 100 + at * slow, slow, 'success', says(0));
      const before = left.load(3100);
      for (let at = 0; at < 300; at++) call(left, 3100 + at * slow, slow, 'success', says(0));
      expect(before).toBeGreaterThan(floor + 50);
      expect(left.load(33_100)).toBe(floor);
    });
  });

  it('forgets after the clock stepped back, and dates what it hears from then on', () => {
    const metering = serverBacklog();
    const [good, dear] = [metering(who, 1e6), metering(who, 1e6)];
    for (let at = 0; at < 100; at++) call(good, 1e6 + at * 10, 10, 'success', says(0));
    call(dear, 1e6, 10, 'success', says(500));
    expect(dear.load(1e6 + 10)).toBe(floor + 500);
    expect(dear.load(4e5)).toBeLessThan(floor + 10);
    call(dear, 4e5, 10, 'success', says(500));
    expect(dear.load(4e5 + 10)).toBe(floor + 500);
    expect(dear.load(7e5)).toBeLessThan(floor + 20);
  });

  it('leaves no trace of a call that was not sent', () => {
    const [meter, same] = [reporting(5), reporting(5)];
    call(meter, 0, 5000, 'unsent', says(500));
    expect(meter.load(0)).toBe(same.load(0));
    expect(meter.load(5000)).toBe(same.load(5000));
  });

  it('counts an answer once, and an end once', () => {
    const meter = reporting(0);
    const permit = begin(meter, 0);
    permit.observe('success', 10, says(1));
    permit.observe('failure', 10, says(99));
    permit.release('failure', 10, says(99));
    permit.release('failure', 10, says(99));
    permit.observe('failure', 10, says(99));
    expect(meter.load(10)).toBeCloseTo(floor + 1, 9);
  });

  it('stays finite when the clock steps back', () => {
    const meter = serverBacklog()(who, 1000);
    begin(meter, 1000).release('success', 400, says(5));
    begin(meter, 300).release('failure', 200);
    begin(meter, 100);
    for (const now of [-1e6, 0, 50, 5000, 1e9]) {
      expect(meter.load(now)).toBeGreaterThan(0);
      expect(meter.load(now)).toBeLessThan(Number.POSITIVE_INFINITY);
    }
  });

  it.each([{ ownCallWeight: 0 }, { coolOffMs: -1 }, { maxRestMs: -1 }])('refuses %j', (options) => {
    expect(() => serverBacklog(options)).toThrow(`serverBacklog.${Object.keys(options)[0]}`);
  });
});
