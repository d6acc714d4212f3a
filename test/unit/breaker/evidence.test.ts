import { type BreakerState, type EvidenceOptions, evidence, evidenceDefaults } from 'keelson/breaker';
import { type Feedback, keyed, type Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { acquire, feed } from './feed.js';

const infinity = Number.POSITIVE_INFINITY;

/** No jitter, so that times are round. */
const plain: EvidenceOptions = { jitterRatio: 0, random: () => 0.5 };

/** Opened at 0: the next probe is due at 500. */
function opened(options: EvidenceOptions = {}) {
  const breaker = evidence({ ...plain, ...options });
  feed(breaker, 10, ['failure', 0]);
  expect(breaker.snapshot(0).state).toBe('open');
  return breaker;
}

/** One call that passes and ends at once. */
const one = (breaker: ReturnType<typeof evidence>, outcome: Outcome, now: number) =>
  acquire(breaker, now).release(outcome, now);

/** Failures in a row until it opens. */
function failuresUntilOpen(breaker: ReturnType<typeof evidence>, now: number, outcome: Outcome = 'failure') {
  for (let nth = 1; nth <= 200; nth++) {
    one(breaker, outcome, now);
    if (breaker.snapshot(now).state === 'open') return nth;
  }
  return infinity;
}

describe('evidence, closed', () => {
  it.each<[string, EvidenceOptions, [Outcome, number][], BreakerState]>([
    ['one failure fewer', {}, [['failure', 4]], 'closed'],
    ['as many as are asked for', {}, [['failure', 5]], 'open'],
    ['fewer, where fewer are asked for', { consecutiveFailures: 2 }, [['failure', 2]], 'open'],
    [
      'after a long good time',
      {},
      [
        ['success', 100_000],
        ['failure', 5],
      ],
      'open',
    ],
    [
      'a success in between takes away part',
      {},
      [
        ['failure', 4],
        ['success', 1],
        ['failure', 1],
      ],
      'closed',
    ],
    [
      'but not all',
      {},
      [
        ['failure', 4],
        ['success', 1],
        ['failure', 2],
      ],
      'open',
    ],
    [
      'two in a row take away half',
      {},
      [
        ['failure', 4],
        ['success', 8],
        ['failure', 4],
      ],
      'closed',
    ],
    [
      'calls that say nothing are nothing',
      {},
      [
        ['failure', 4],
        ['ignored', 50],
        ['failure', 1],
      ],
      'open',
    ],
    [
      'calls that were not sent are nothing',
      {},
      [
        ['failure', 4],
        ['unsent', 50],
        ['failure', 1],
      ],
      'open',
    ],
    ['what is shed is hardly evidence', {}, [['overload', 20]], 'closed'],
  ])('%s: %j', (_, options, steps, state) => {
    const breaker = evidence({ ...plain, ...options, random: () => 0 });
    for (const [outcome, count] of steps) for (let i = 0; i < count; i++) feed(breaker, 1, [outcome, 0]);
    expect(breaker.snapshot(0).state).toBe(state);
  });

  it.each([
    [0.05, 7],
    [0.1, 9],
    [0.3, 18],
    [0.4, 24],
  ])('learns what is usual: where %d fails, %d failures in a row are an outage', (share, expected) => {
    const breaker = evidence({ ...plain });
    const every = Math.round(1 / share);
    // Evenly, so that the number it has learned is the share itself to within a few per cent.
    for (let nth = 0; nth < 2000; nth++) one(breaker, nth % every === 0 ? 'failure' : 'success', 0);
    expect(breaker.snapshot(0).state).toBe('closed');
    const found = failuresUntilOpen(breaker, 0);
    expect(Math.abs(found - expected)).toBeLessThanOrEqual(4);
  });

  it('forgets a bad time as fast as it learned it', () => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 1000; nth++) one(breaker, nth % 3 === 0 ? 'failure' : 'success', 0);
    for (let nth = 0; nth < 300; nth++) one(breaker, 'success', 0);
    expect(failuresUntilOpen(breaker, 0)).toBeLessThanOrEqual(6);
  });

  it('takes failures that are minutes apart for no run', () => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 50; nth++) one(breaker, 'failure', nth * 120_000);
    expect(breaker.snapshot(0).state).toBe('closed');
  });

  it('opens at one call per second too', () => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 6; nth++) one(breaker, 'failure', nth * 1000);
    expect(breaker.snapshot(6000).state).toBe('open');
  });

  it('counts what it is told for whoever looks', () => {
    const breaker = evidence(plain);
    const flying = acquire(breaker, 0);
    feed(breaker, 20, ['success', 0]);
    feed(breaker, 3, ['failure', 0]);
    feed(breaker, 1, ['overload', 0]);
    expect(breaker.snapshot(0)).toEqual({
      state: 'closed',
      mode: 'auto',
      refusalRatio: 0,
      requests: 24,
      successes: 20,
      inflight: 1,
    });
    flying.release('success', 0);
    // After three windows a call weighs a twentieth.
    expect(breaker.snapshot(15_000)).toMatchObject({ requests: 1, inflight: 0 });
  });
});

describe('evidence, open', () => {
  it('lets one call through each half a second', () => {
    const breaker = opened();
    expect(breaker.retryAfterMs?.(100)).toBe(400);
    expect(breaker.tryAcquire(499)).toBeNull();
    expect(feed(breaker, 9, ['failure', 500])).toBe(1);
    expect(breaker.tryAcquire(999)).toBeNull();
    expect(feed(breaker, 9, ['failure', 1000])).toBe(1);
    expect(breaker.snapshot(1000)).toMatchObject({ state: 'open', refusalRatio: 1 });
  });

  it('wastes at most the run and two calls per second of an outage', () => {
    const breaker = evidence({ random: seededRandom(1) });
    let wasted = 0;
    for (let now = 0; now < 20_000; now++) wasted += feed(breaker, 1, ['failure', now]);
    // 5, and one each 500 to 600 ms.
    expect(wasted).toBeGreaterThanOrEqual(5 + 33);
    expect(wasted).toBeLessThanOrEqual(5 + 40);
  });

  it('spreads its probes', () => {
    const times = [0, 0.999].map((drawn) => {
      const breaker = opened({ random: () => drawn, jitterRatio: 0.2 });
      return breaker.retryAfterMs?.(0);
    });
    expect(times[0]).toBe(500);
    expect(times[1]).toBeCloseTo(600, 0);
  });

  it('sends no second probe while the first is under way, until that is given up', () => {
    const breaker = opened({ probeTimeoutMs: 2000 });
    acquire(breaker, 500);
    expect(breaker.tryAcquire(2499)).toBeNull();
    acquire(breaker, 2500);
  });

  it('stays away for as long as it is asked to', () => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 5; nth++) acquire(breaker, 0).release('failure', 0, { retryAfterMs: 3000 });
    expect(breaker.retryAfterMs?.(0)).toBe(3000);
    expect(breaker.tryAcquire(2999)).toBeNull();
    acquire(breaker, 3000).release('overload', 3000, { retryAfterMs: 700 });
    expect(breaker.retryAfterMs?.(3000)).toBe(700);
    acquire(breaker, 3700).release('failure', 3700, { retryAfterMs: 100 });
    expect(breaker.retryAfterMs?.(3700)).toBe(500);
  });

  it.each<[string, Feedback | undefined]>([
    ['without a word', undefined],
    ['for a moment', { retryAfterMs: 100 }],
    ['not to be tried again', { retryAfterMs: Number.POSITIVE_INFINITY }],
  ])('takes a probe that is shed %s for a callee that lives, and holds back', (_, feedback) => {
    const breaker = opened();
    acquire(breaker, 500).release('overload', 500, feedback);
    expect(breaker.snapshot(500).state).toBe('closed');
    expect(breaker.snapshot(500).refusalRatio).toBeGreaterThan(0.3);
    let sent = 0;
    for (let now = 501; now < 10_500; now++)
      sent += feed(breaker, 1, [now % 10 ? 'overload' : 'success', now]);
    // It was asked for 10 000.
    expect(sent).toBeGreaterThan(200);
    expect(sent).toBeLessThan(2500);
    expect(breaker.snapshot(10_500).state).toBe('closed');
  });

  it('takes a probe that is shed for no news if it opened because everything was', () => {
    const breaker = evidence(plain);
    let now = 0;
    while (breaker.snapshot(now).state === 'closed') feed(breaker, 1, ['overload', now++]);
    expect(feed(breaker, 9, ['overload', now])).toBe(0);
    expect(feed(breaker, 20, ['overload', now + 500])).toBe(1);
    expect(breaker.snapshot(now + 500).state).toBe('open');
    acquire(breaker, now + 1100).release('success', now + 1100);
    expect(breaker.snapshot(now + 1100).state).toBe('half-open');
  });

  it.each([infinity, -5, Number.NaN])('takes a wait of %d for none', (retryAfterMs) => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 5; nth++) acquire(breaker, 0).release('failure', 0, { retryAfterMs });
    expect(breaker.retryAfterMs?.(0)).toBe(500);
  });

  it('gives the place of a probe back that was not sent', () => {
    const breaker = opened();
    acquire(breaker, 500).release('unsent', 500);
    acquire(breaker, 500).release('ignored', 510);
    expect(breaker.tryAcquire(999)).toBeNull();
    acquire(breaker, 1000);
  });

  it('takes what began before it opened for nothing', () => {
    const breaker = evidence(plain);
    const [good, bad] = [acquire(breaker, 0), acquire(breaker, 0)];
    feed(breaker, 5, ['failure', 0]);
    good.release('success', 10);
    bad.release('failure', 10);
    expect(breaker.snapshot(10)).toMatchObject({ state: 'open', inflight: 0 });
    expect(breaker.retryAfterMs?.(10)).toBe(490);
  });

  it('waits no longer for a clock that stepped back', () => {
    const breaker = evidence(plain);
    feed(breaker, 5, ['failure', 100_000]);
    expect(breaker.tryAcquire(99_900)).toBeNull();
    expect(breaker.retryAfterMs?.(99_900)).toBe(500);
    expect(breaker.tryAcquire(0)).toBeNull();
    expect(breaker.tryAcquire(499)).toBeNull();
    acquire(breaker, 500);
  });
});

describe('evidence, on its way back', () => {
  it('doubles its rate with each success, and is closed after a few', () => {
    const breaker = opened();
    const passed: number[] = [];
    for (let now = 500; breaker.snapshot(now).state !== 'closed'; now++)
      if (feed(breaker, 1, ['success', now]) === 1) passed.push(now);
    // 500 ms, then 250, 125, … after the call before; from the eighth on nothing was refused for 8 successes.
    expect(passed.slice(0, 5)).toEqual([500, 750, 875, 938, 970]);
    expect(passed.at(-1)).toBeLessThan(1020);
    expect(breaker.snapshot(1020)).toMatchObject({ state: 'closed', refusalRatio: 0 });
  });

  it('goes at the speed of round trips where several calls are in flight', () => {
    const breaker = opened();
    const flying: { at: number; permit: ReturnType<typeof acquire> }[] = [];
    const sent: number[] = new Array(30).fill(0);
    for (let now = 500; now < 3500; now++) {
      while (flying[0] !== undefined && flying[0].at <= now) flying.shift()?.permit.release('success', now);
      const permit = breaker.tryAcquire(now);
      if (permit === null) continue;
      const part = Math.floor((now - 500) / 100);
      sent[part] = (sent[part] as number) + 1;
      flying.push({ at: now + 100, permit });
    }
    // A round trip is 100 ms: no more than double in each of them, and some for the bunch that it lets pass.
    for (let part = 1; part < sent.length; part++)
      expect(sent[part]).toBeLessThanOrEqual(2 * (sent[part - 1] as number) + 3);
    expect(sent.slice(-5)).toEqual([100, 100, 100, 100, 100]);
  });

  it('opens again on fewer failures than at first', () => {
    const breaker = opened();
    one(breaker, 'success', 500);
    expect(breaker.snapshot(500).state).toBe('half-open');
    let failures = 0;
    for (let now = 501; breaker.snapshot(now).state === 'half-open'; now++)
      failures += feed(breaker, 1, ['failure', now]);
    expect(failures).toBeLessThan(5);
  });

  it('shows what share it refuses', () => {
    const breaker = opened();
    one(breaker, 'success', 500);
    for (let nth = 0; nth < 8; nth++) expect(breaker.tryAcquire(501)).toBeNull();
    expect(breaker.snapshot(501).refusalRatio).toBeCloseTo(0.8, 1);
  });

  it('does not race on while calls hang', () => {
    const breaker = opened();
    one(breaker, 'success', 500);
    let sent = 0;
    for (let now = 501; now < 2500; now++) if (breaker.tryAcquire(now) !== null) sent++;
    // One each 250 ms, from 750 to 2250.
    expect(sent).toBe(7);
  });

  it('stops growing at the first call that is shed, and goes on at about that rate', () => {
    const breaker = opened();
    let now = 500;
    for (; now < 940; now++) feed(breaker, 1, ['success', now]);
    // It passes one call in 31 ms by now.
    for (; breaker.snapshot(now).state === 'half-open'; now++) feed(breaker, 1, ['overload', now]);
    expect(breaker.snapshot(now).state).toBe('closed');
    let sent = 0;
    for (const end = now + 1000; now < end; now++)
      sent += feed(breaker, 1, [now % 31 === 0 ? 'success' : 'overload', now]);
    expect(sent).toBeGreaterThan(5);
    expect(sent).toBeLessThan(250);
  });
});

describe('evidence, with a callee that sheds', () => {
  /** It does one call each `eachMs`, lets 4 wait, is asked each millisecond, and tells what share it lets in. */
  function play(seconds: number, eachMs: number, tells = true) {
    const breaker = evidence({ random: seededRandom(3) });
    let freeAt = 0;
    let admitRatio = 1;
    let [sent, done] = [0, 0];
    for (let now = 0; now < seconds * 1000; now++) {
      const permit = breaker.tryAcquire(now);
      if (permit === null) continue;
      sent++;
      const shed = freeAt - now > 4 * eachMs;
      admitRatio += ((shed ? 0 : 1) - admitRatio) / 100;
      if (!shed) {
        freeAt = Math.max(now, freeAt) + eachMs;
        done++;
      }
      permit.release(shed ? 'overload' : 'success', now, tells ? { load: { admitRatio } } : undefined);
    }
    return { breaker, sent, wasted: (sent - done) / done, used: (done * eachMs) / (seconds * 1000) };
  }

  it.each([2, 4])(
    'of one call in %d ms, wastes a tenth of what it does, and lets it do all it can',
    (eachMs) => {
      const { wasted, used, breaker } = play(60, eachMs);
      expect(wasted).toBeLessThanOrEqual(0.105);
      expect(used).toBeGreaterThanOrEqual(0.98);
      expect(breaker.snapshot(60_000).state).toBe('closed');
      expect(breaker.snapshot(60_000).refusalRatio).toBeCloseTo(1 - 1.08 / eachMs, 1);
    },
  );

  it('sends twice what it does where the callee says nothing', () => {
    const { wasted, used } = play(60, 4, false);
    expect(wasted).toBeGreaterThan(0.7);
    expect(wasted).toBeLessThanOrEqual(1);
    expect(used).toBeGreaterThanOrEqual(0.98);
  });

  it.each([0.85, 0.9, 0.95])('stays closed where it sheds %d of what it gets, for good', (share) => {
    const states = new Set<string>();
    const breaker = evidence({ random: seededRandom(3), onTransition: (_, to) => states.add(to) });
    const random = seededRandom(4);
    for (let now = 0; now < 300_000; now += 5)
      breaker.tryAcquire(now)?.release(random() < share ? 'overload' : 'success', now);
    expect([...states]).toEqual([]);
  });

  it('holds back sooner where the callee says that all its callers are too many', () => {
    const refused = (feedback: Feedback | undefined) => {
      const breaker = evidence({ random: seededRandom(3) });
      for (let now = 0; now < 1000; now++)
        breaker
          .tryAcquire(now)
          ?.release(now % 3 ? 'success' : 'overload', now, now % 3 ? undefined : feedback);
      return breaker.snapshot(1000).refusalRatio;
    };
    expect(refused(undefined)).toBe(0);
    expect(refused({ overloaded: false })).toBe(0);
    expect(refused({ overloaded: true })).toBeGreaterThan(0.2);
  });

  it('does not starve where a callee sheds the same share of whatever it gets', () => {
    const breaker = evidence({ random: seededRandom(3) });
    const random = seededRandom(4);
    let sent = 0;
    for (let now = 0; now < 60_000; now++) {
      const permit = breaker.tryAcquire(now);
      if (permit === null) continue;
      sent++;
      permit.release(random() < 0.3 ? 'overload' : 'success', now, { load: { admitRatio: 0.7 } });
    }
    // A sixth of the share that is let in, less what its estimate of the demand lags behind.
    expect(sent).toBeGreaterThanOrEqual(0.16 * 0.7 * 60_000);
  });

  it('refuses nothing while fewer than half are shed, for all that it knows of one tenant in many', () => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 5000; nth++)
      expect(feed(breaker, 1, [nth % 3 === 0 ? 'overload' : 'success', nth])).toBe(1);
  });

  it('refuses nothing with little to go by', () => {
    const breaker = evidence(plain);
    expect(feed(breaker, 9, ['overload', 0])).toBe(9);
  });

  it('lets pass what matters more, and learns nothing of others from it', () => {
    const { breaker } = play(5, 4);
    const before = breaker.snapshot(5000);
    for (let nth = 0; nth < 100; nth++) {
      const permit = breaker.tryAcquire(5000, { priority: 1 });
      expect(permit).not.toBeNull();
      permit?.release('success', 5000);
    }
    expect(before.refusalRatio).toBeGreaterThan(0.5);
    expect(breaker.snapshot(5000)).toEqual({
      ...before,
      requests: before.requests + 100,
      successes: before.successes + 100,
    });
  });

  it('holds back what matters more where that alone is too much', () => {
    const { breaker } = play(5, 4);
    let freeAt = 0;
    let [sent, done] = [0, 0];
    for (let now = 5000; now < 25_000; now++) {
      const permit = breaker.tryAcquire(now, { priority: 1 });
      if (permit === null) continue;
      sent++;
      const shed = freeAt - now > 16;
      if (!shed) {
        freeAt = Math.max(now, freeAt) + 4;
        done++;
      }
      permit.release(shed ? 'overload' : 'success', now, { load: { admitRatio: 0 } });
    }
    // One call each 4 ms is what it does, and one each millisecond what is asked.
    expect(done).toBeGreaterThanOrEqual(0.95 * 5000);
    expect((sent - done) / done).toBeLessThanOrEqual(0.15);
  });

  it('sends little of a flood where the server says that it lets in hardly any of what it gets', () => {
    const clients = Array.from({ length: 10 }, (_, nth) => evidence({ random: seededRandom(nth) }));
    let freeAt = 0;
    let admitRatio = 1;
    let [sent, done] = [0, 0];
    for (let at = 0; at < 40_000; at++) {
      const now = at / 2;
      const permit = clients[at % 10]?.tryAcquire(now) ?? null;
      if (permit === null) continue;
      const shed = freeAt - now > 40;
      admitRatio += ((shed ? 0 : 1) - admitRatio) / 100;
      if (!shed) freeAt = Math.max(now, freeAt) + 5;
      permit.release(shed ? 'overload' : 'success', now, { load: { admitRatio } });
      if (now < 5000) continue;
      sent++;
      if (!shed) done++;
    }
    // Ten times what it does: a fifth of that would be twice as much.
    expect(done * 5).toBeGreaterThanOrEqual(0.98 * 15_000);
    expect(sent / done).toBeLessThanOrEqual(1.5);
  });

  it('is back as soon as the server says no more that it sheds', () => {
    const { breaker } = play(5, 4);
    let sent = 0;
    for (let now = 5000; now < 6000; now++) sent += feed(breaker, 1, ['success', now]);
    expect(sent).toBeGreaterThan(900);
  });

  it('keeps what matters more from a callee that is down, too', () => {
    expect(opened().tryAcquire(0, { priority: 9 })).toBeNull();
  });

  it('believes what the server says of itself while it has few calls of its own', () => {
    const play = (calls: number) => {
      const breaker = evidence(plain);
      for (let nth = 0; nth < calls; nth++)
        breaker.tryAcquire(nth)?.release('success', nth, { load: { admitRatio: 0.5 } });
      return breaker.snapshot(calls).refusalRatio;
    };
    expect(play(30)).toBeGreaterThan(0.3);
    expect(play(3000)).toBe(0);
  });

  it.each([-1, 2, Number.NaN])('does not believe that it lets in %d of the calls', (admitRatio) => {
    const breaker = evidence(plain);
    for (let nth = 0; nth < 100; nth++)
      acquire(breaker, nth).release('success', nth, { load: { admitRatio } });
    expect(breaker.snapshot(100)).toMatchObject({ refusalRatio: 0, successes: 100 });
  });

  it('takes up what it can do more', () => {
    const { breaker } = play(5, 4);
    let now = 5000;
    for (; breaker.snapshot(now).refusalRatio > 0 && now < 20_000; now++) feed(breaker, 1, ['success', now]);
    expect(now).toBeLessThan(8000);
  });

  describe.each([100, 500, 2000])('asked each %d ms', (eachMs) => {
    const minutes = (from: number, to: number, call: (now: number) => void) => {
      for (let now = from * 60_000; now < to * 60_000; now += eachMs) call(now);
    };

    it.each<[string, Feedback | undefined]>([
      ['nothing', undefined],
      ['that it lets all others in', { overloaded: true, load: { admitRatio: 0.99 } }],
      ['that it lets most of the others in', { overloaded: true, load: { admitRatio: 0.9 } }],
      ['for how short a time', { overloaded: true, retryAfterMs: 84 }],
    ])('gets hardly any where it lets none of them in and says %s', (_, feedback) => {
      const breaker = evidence({ random: seededRandom(3) });
      let sent = 0;
      let asked = 0;
      minutes(0, 10, (now) => {
        const permit = breaker.tryAcquire(now, { priority: -5 });
        permit?.release('overload', now, feedback);
        if (now < 300_000) return;
        asked++;
        if (permit !== null) sent++;
      });
      expect(breaker.snapshot(600_000).state).toBe('open');
      // One of ten; or one in five seconds, which is each third where one comes in two.
      expect(sent / asked).toBeLessThanOrEqual(eachMs === 2000 ? 0.34 : 0.11);
      expect(sent).toBeGreaterThanOrEqual(50);
      let back = Number.NaN;
      minutes(10, 11, (now) => {
        feed(breaker, 1, ['success', now]);
        if (breaker.snapshot(now).state === 'closed') back = Math.min(back || infinity, now);
      });
      expect(back - 600_000).toBeLessThan(Math.max(10_000, 15 * eachMs));
    });

    it.each([0.85, 0.9, 0.95])('stays used where it sheds %d of whatever it gets', (share) => {
      const states = new Set<string>();
      const breaker = evidence({ random: seededRandom(3), onTransition: (_, to) => states.add(to) });
      const random = seededRandom(4);
      let done = 0;
      let asked = 0;
      minutes(0, 30, (now) => {
        asked++;
        const served = random() >= share;
        if (feed(breaker, 1, [served ? 'success' : 'overload', now]) === 1 && served) done++;
      });
      expect([...states]).toEqual([]);
      expect(done / asked).toBeGreaterThan(0.15 * (1 - share));
    });
  });

  it('believes what it sees where the server says better of all its callers', () => {
    const refused = (told: number) => {
      const breaker = evidence({ random: seededRandom(3) });
      // A fifth is let in.
      for (let nth = 0; nth < 150; nth++)
        breaker
          .tryAcquire(nth * 50, { priority: -1 })
          ?.release(nth % 5 === 0 ? 'success' : 'overload', nth * 50, { load: { admitRatio: told } });
      return breaker.snapshot(7500).refusalRatio;
    };
    for (const told of [0.6, 0.9, 0.99]) expect(Math.abs(refused(told) - refused(0.2))).toBeLessThan(0.15);
  });

  it('opens where everything is shed, and asks twice a second until then', () => {
    const breaker = evidence(plain);
    const sent: number[] = [];
    for (let now = 0; now < 20_000; now++) if (feed(breaker, 1, ['overload', now]) === 1) sent.push(now);
    expect(breaker.snapshot(20_000).state).toBe('open');
    expect(sent.length).toBeGreaterThan(40);
    expect(sent.length).toBeLessThan(110);
    expect(sent.at(-1)).toBeGreaterThan(19_400);
  });
});

describe('evidence', () => {
  it('tells of its states, once each, and survives a hook that throws', () => {
    const told: [BreakerState, BreakerState, number][] = [];
    const breaker = evidence({
      ...plain,
      onTransition: (from, to, now) => {
        told.push([from, to, now]);
        throw new Error('a hook of the user');
      },
    });
    feed(breaker, 10, ['failure', 0]);
    for (let now = 500; now < 1100; now++) feed(breaker, 1, ['success', now]);
    expect(told.map(([from, to]) => `${from}-${to}`)).toEqual([
      'closed-open',
      'open-half-open',
      'half-open-closed',
    ]);
    expect(told.map(([, , now]) => now).slice(0, 2)).toEqual([0, 500]);
  });

  it('releases once, whatever is told after that', () => {
    const breaker = evidence(plain);
    const permit = acquire(breaker, 0);
    permit.observe('success', 0);
    permit.observe('failure', 0);
    permit.release('failure', 0);
    permit.release('failure', 0);
    permit.observe('failure', 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it.each(['closed', 'observe'] as const)('in mode %s refuses nothing, and learns', (mode) => {
    const breaker = evidence({ ...plain, mode });
    expect(feed(breaker, 100, ['failure', 0])).toBe(100);
    expect(breaker.snapshot(0)).toMatchObject({
      state: mode === 'closed' ? 'closed' : 'open',
      refusalRatio: 0,
    });
    breaker.force('auto', 0);
    expect(breaker.snapshot(0).state).toBe('open');
    expect(breaker.tryAcquire(0)).toBeNull();
  });

  it('observed, takes only calls for evidence that it would have let through', () => {
    const breaker = evidence({ ...plain, mode: 'observe' });
    feed(breaker, 5, ['failure', 0]);
    feed(breaker, 50, ['success', 100]);
    expect(breaker.snapshot(100).state).toBe('open');
    feed(breaker, 1, ['success', 500]);
    expect(breaker.snapshot(500).state).toBe('half-open');
  });

  it('in mode open refuses everything, and remembers none of it', () => {
    const breaker = evidence({ ...plain, mode: 'open' });
    expect(feed(breaker, 100, ['failure', 0])).toBe(0);
    expect(breaker.retryAfterMs?.(0)).toBeUndefined();
    expect(breaker.snapshot(0)).toMatchObject({ state: 'open', refusalRatio: 1, requests: 0 });
    breaker.force('auto', 0);
    expect(feed(breaker, 1, ['success', 0])).toBe(1);
  });

  it('is as new after a reset, and permits from before stay good', () => {
    const breaker = opened();
    const probe = acquire(breaker, 500);
    breaker.reset(600);
    expect(breaker.snapshot(600)).toMatchObject({ state: 'closed', requests: 0, inflight: 1 });
    probe.release('failure', 700);
    expect(breaker.snapshot(700)).toMatchObject({ state: 'closed', requests: 0, inflight: 0 });
    expect(failuresUntilOpen(breaker, 700)).toBe(5);
  });

  it('changes its options while it runs, all or none', () => {
    const breaker = evidence(plain);
    expect(() => breaker.reconfigure({ consecutiveFailures: 3, windowMs: 0 }, 0)).toThrow(RangeError);
    feed(breaker, 4, ['failure', 0]);
    expect(breaker.snapshot(0).state).toBe('closed');
    breaker.reconfigure({ consecutiveFailures: 2 }, 0);
    one(breaker, 'failure', 0);
    expect(breaker.snapshot(0).state).toBe('open');
  });

  it('tolerates a clock that says nothing', () => {
    const breaker = evidence(plain);
    for (const outcome of ['failure', 'overload', 'success', 'unsent'] as const)
      for (let nth = 0; nth < 50; nth++) feed(breaker, 1, [outcome, Number.NaN]);
    breaker.reset(Number.NaN);
    expect(feed(breaker, 20, ['success', 0])).toBe(20);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', requests: 20, successes: 20, inflight: 0 });
  });

  it('for each operation keeps what works apart from what does not', () => {
    const perOperation = keyed(() => evidence(plain));
    const call = (operation: string, outcome: Outcome): boolean => {
      const permit = perOperation.tryAcquire(0, { operation });
      permit?.release(outcome, 0);
      return permit !== null;
    };
    for (let nth = 0; nth < 20; nth++) call('GET /report', 'failure');
    expect(call('GET /report', 'success')).toBe(false);
    expect(call('GET /users/:id', 'success')).toBe(true);
  });

  it('draws no number while all is well', () => {
    const random = vi.fn(() => 0.5);
    feed(evidence({ random }), 1000, ['success', 0]);
    expect(random).not.toHaveBeenCalled();
  });

  it.each([
    [{ consecutiveFailures: 1 }, RangeError],
    [{ consecutiveFailures: 2.5 }, RangeError],
    [{ consecutiveFailures: 101 }, RangeError],
    [{ probeIntervalMs: 0 }, RangeError],
    [{ jitterRatio: 1.1 }, RangeError],
    [{ probeTimeoutMs: 0 }, RangeError],
    [{ growthFactor: 1 }, RangeError],
    [{ growthFactor: 11 }, RangeError],
    [{ k: 1 }, RangeError],
    [{ overloadK: 1 }, RangeError],
    [{ maxRequests: 9 }, RangeError],
    [{ windowMs: 0 }, RangeError],
    [{ mode: 'shut' }, RangeError],
    [{ random: 1 }, TypeError],
    [{ onTransition: 1 }, TypeError],
    [{ minRequests: 1 }, TypeError],
  ])('refuses %j', (options, kind) => {
    expect(() => evidence(options as object)).toThrow(kind);
  });

  it('has its defaults in one place', () => {
    expect(evidence().snapshot(0).mode).toBe(evidenceDefaults.mode);
  });
});
