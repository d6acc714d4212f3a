import { type GradientOptions, gradient, gradientDefaults, type RttLimiter } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
import { acquire, traffic, windowMs } from './rtt-traffic.js';

const made = (options: GradientOptions = {}): RttLimiter => gradient({ windowMs, ...options });

describe('the limit of gradient', () => {
  it('is the first one until a window was measured', () => {
    const limiter = gradient();
    expect(acquire(limiter, 0, 30)).toHaveLength(20);
    expect(limiter.snapshot(0)).toEqual({
      inflight: 20,
      limit: 20,
      rttMs: undefined,
      baseRttMs: undefined,
    });
  });

  it('grows by a fifth of the queue with each window in which calls take as long as ever', () => {
    // 20, then 20.8, 21.6, 22.4 …; the first window only begins.
    expect(traffic(made())({ seconds: 8, rttMs: 10, together: 200 })).toEqual([
      20, 20, 21, 22, 23, 24, 24, 25,
    ]);
  });

  it('stands while less than half of it is in use', () => {
    const limiter = made({ initialLimit: 100 });
    const play = traffic(limiter);
    expect(play({ seconds: 5, rttMs: 10, together: 49 })).toEqual([100, 100, 100, 100, 100]);
    // The window in which that begins counts already: 0.8 more with each of three.
    expect(play({ seconds: 3, rttMs: 10, together: 60 }).at(-1)).toBe(102);
  });

  it('forgives what is within the tolerance', () => {
    const play = traffic(made({ initialLimit: 100 }));
    play({ seconds: 12, rttMs: 10, together: 100 });
    const before = play({ seconds: 1, rttMs: 10, together: 100 })[0] as number;
    expect(play({ seconds: 5, rttMs: 14.9, together: 100 }).at(-1)).toBe(before + 4);
  });

  it('falls by a tenth with each window of a steep rise, and not below the least', () => {
    const play = traffic(made({ initialLimit: 200, minLimit: 50 }));
    play({ seconds: 12, rttMs: 10, together: 200 });
    const [mixed, ...limits] = play({ seconds: 30, rttMs: 50, together: 200 });
    // Half of it, smoothed by a fifth, and a fifth of the queue: 0.9 of the limit and 0.8.
    expect(mixed).toBe(200);
    expect(limits.slice(0, 3)).toEqual([180, 163, 147]);
    expect(limits.at(-1)).toBe(50);
    expect(Math.min(...limits)).toBe(50);
  });

  it('never exceeds the most', () => {
    const limits = traffic(made({ maxLimit: 22 }))({ seconds: 20, rttMs: 10, together: 30 });
    expect(Math.max(...limits)).toBe(22);
  });

  it('comes to take a lasting rise for normal, after as many windows as told', () => {
    const play = traffic(made({ initialLimit: 100, longWindows: 20 }));
    play({ seconds: 12, rttMs: 10, together: 100 });
    const limits = play({ seconds: 40, rttMs: 40, together: 200 });
    const lowest = Math.min(...limits);
    expect(lowest).toBeLessThan(85);
    expect(limits.at(-1)).toBeGreaterThan(lowest + 10);
  });

  it('forgets a long rise sooner than it learned it', () => {
    const limiter = made({ longWindows: 20 });
    const play = traffic(limiter);
    play({ seconds: 40, rttMs: 40, together: 20 });
    expect(limiter.snapshot(0).baseRttMs).toBeCloseTo(40, 6);
    play({ seconds: 8, rttMs: 5, together: 20 });
    // Without it: 5 + 35 * (1 - 2/21)^7 = 22.4; each window above twice the rtt takes another 5 %.
    expect(limiter.snapshot(0).baseRttMs).toBeLessThan(19);
  });
});

describe('what teaches gradient', () => {
  it.each([
    { outcome: 'success', failures: 'count', learns: true },
    { outcome: 'failure', failures: 'count', learns: true },
    { outcome: 'failure', failures: 'exclude', learns: false },
    { outcome: 'overload', failures: 'count', learns: false },
    { outcome: 'ignored', failures: 'count', learns: false },
    { outcome: 'unsent', failures: 'count', learns: false },
  ] as const)('$outcome, failures: $failures: $learns', ({ outcome, failures, learns }) => {
    const limiter = made({ failures });
    traffic(limiter)({ seconds: 3, rttMs: 10, together: 20, outcome });
    expect(limiter.snapshot(0).rttMs).toBe(learns ? 10 : undefined);
    expect(limiter.snapshot(0).inflight).toBe(0);
  });

  it('what timed out, even where failures are excluded', () => {
    const limiter = made({ failures: 'exclude' });
    traffic(limiter)({
      seconds: 3,
      rttMs: 30,
      together: 20,
      outcome: 'failure',
      feedback: { timedOut: true },
    });
    expect(limiter.snapshot(0).rttMs).toBe(30);
  });

  it('the verdict of the first response, and the time of the end', () => {
    const limiter = made({ minSamples: 1 });
    limiter.tryAcquire(0)?.release('success', 1);
    const seen = limiter.tryAcquire(100);
    seen?.observe('success', 110);
    seen?.observe('ignored', 111);
    seen?.release('failure', 1100);
    expect(limiter.snapshot(1100).rttMs).toBe(1000);
  });

  it('only windows with enough calls', () => {
    const limiter = made({ minSamples: 11 });
    const play = traffic(limiter);
    play({ seconds: 5, rttMs: 10, together: 1 });
    expect(limiter.snapshot(0).rttMs).toBeUndefined();
    play({ seconds: 3, rttMs: 10, together: 2 });
    expect(limiter.snapshot(0).rttMs).toBe(10);
  });

  it('no call that took less than a clock can tell', () => {
    const limiter = made();
    traffic(limiter)({ seconds: 3, rttMs: 0.05, together: 20 });
    expect(limiter.snapshot(0).rttMs).toBeUndefined();
  });

  it('nothing spoilt by a clock that steps back, stands still or is none', () => {
    const limiter = made({ minSamples: 1 });
    for (const [start, end] of [
      [3_600_000, 3_600_010],
      [3_600_500, 100],
      [200, 220],
      [Number.NaN, 230],
      [240, Number.POSITIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, 250],
      [1300, 1320],
    ] as const)
      limiter.tryAcquire(start)?.release('success', end);
    const { limit, rttMs, inflight } = limiter.snapshot(1320);
    expect(rttMs).toBe(20);
    expect(limit).toBeGreaterThanOrEqual(20);
    expect(inflight).toBe(0);
  });
});

describe('whom gradient refuses', () => {
  it.each([
    { priority: -2, ratio: 0.5, together: 10 },
    { priority: 0, ratio: 0.5, together: 20 },
    { priority: undefined, ratio: 0.5, together: 20 },
    { priority: Number.NaN, ratio: 0.5, together: 20 },
    { priority: 5, ratio: 0.5, together: 30 },
    { priority: 5, ratio: 0, together: 20 },
    { priority: -1, ratio: 1, together: 1 },
  ])('priority $priority with a ratio of $ratio: beyond $together', ({ priority, ratio, together }) => {
    const limiter = gradient({ priorityRatio: ratio });
    const admitted = Array.from({ length: 50 }, () => limiter.tryAcquire(0, { priority }));
    expect(admitted.filter((permit) => permit !== null)).toHaveLength(together);
  });

  it('who costs more, but not who finds nothing in flight', () => {
    const limiter = gradient();
    const heavy = limiter.tryAcquire(0, { cost: 500 });
    expect(heavy).not.toBeNull();
    expect(limiter.tryAcquire(0)).toBeNull();
    heavy?.release('success', 10);
    heavy?.release('success', 11);
    expect(limiter.snapshot(11).inflight).toBe(0);
    expect(limiter.tryAcquire(11, { cost: 19 })).not.toBeNull();
    expect(limiter.tryAcquire(11, { cost: 2 })).toBeNull();
  });

  it('before the call is made as it would afterwards', () => {
    const limiter = gradient();
    expect(limiter.refusing).toBe(false);
    acquire(limiter, 0, 20);
    expect(limiter.refusing).toBe(true);
    expect(limiter.refuseEarly(0, {})).toBe(true);
    expect(limiter.refuseEarly(0, { priority: 1 })).toBe(false);
    expect(limiter.snapshot(0).inflight).toBe(20);
    expect(limiter.code).toBe('OVERLOADED');
  });
});

describe('options of gradient', () => {
  it.each([
    [
      { initialLimit: 10 },
      /gradient\.initialLimit must be >= gradient\.minLimit \(20\) and <= .* \(200\), got 10/,
    ],
    [{ initialLimit: 300 }, /gradient\.initialLimit/],
    [{ minLimit: 300 }, /gradient\.minLimit must be <= gradient\.maxLimit \(200\), got 300/],
    [{ minLimit: 0 }, /gradient\.minLimit/],
    [{ maxLimit: Number.POSITIVE_INFINITY }, /gradient\.maxLimit/],
    [{ queueSize: -1 }, /gradient\.queueSize/],
    [{ rttTolerance: 0.9 }, /gradient\.rttTolerance/],
    [{ smoothing: 0 }, /gradient\.smoothing/],
    [{ smoothing: 1.1 }, /gradient\.smoothing/],
    [{ longWindows: 1.5 }, /gradient\.longWindows/],
    [{ windowMs: 0 }, /gradient\.windowMs/],
    [{ minSamples: 0 }, /gradient\.minSamples/],
    [{ failures: 'some' }, /gradient\.failures/],
    [{ priorityRatio: 2 }, /gradient\.priorityRatio/],
    [{ maxConcurrency: 5 }, /gradient\.maxConcurrency is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => gradient(options as GradientOptions)).toThrow(message);
  });

  it('are those of the source', () => {
    expect(gradientDefaults).toMatchObject({
      initialLimit: 20,
      minLimit: 20,
      maxLimit: 200,
      queueSize: 4,
      rttTolerance: 1.5,
      smoothing: 0.2,
      longWindows: 600,
    });
  });
});
