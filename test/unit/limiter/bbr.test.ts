import type { Outcome, Permit } from 'keelson/core';
import { type BbrLimiter, type BbrOptions, bbr, bbrDefaults, bbrKratos } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';

/** A limiter with a load that the test sets. */
function made(options: BbrOptions = {}) {
  const load = { value: 0 };
  return { load, limiter: bbr({ load, ...options }) };
}

function acquire(limiter: BbrLimiter, now: number, count = 1): Permit[] {
  return Array.from({ length: count }, () => limiter.tryAcquire(now)).filter((permit) => permit !== null);
}

/** Lets `count` calls start at `now` and end `rttMs` later. */
function serve(
  limiter: BbrLimiter,
  now: number,
  call: { count: number; rttMs: number; outcome?: Outcome },
): void {
  const permits = acquire(limiter, now, call.count);
  expect(permits).toHaveLength(call.count);
  for (const permit of permits) permit.release(call.outcome ?? 'success', now + call.rttMs);
}

const small = { windowMs: 1000, buckets: 10, spanBuckets: 1 } as const;

describe('what bbr measures', () => {
  it('takes the fullest bucket for the best throughput', () => {
    const { limiter } = made(small);
    for (let bucket = 1; bucket <= 10; bucket++)
      serve(limiter, bucket * 100, { count: bucket * 100, rttMs: 5 });
    expect(limiter.snapshot(1100).maxPass).toBe(1000);
  });

  it('counts a bucket when it is complete, and keeps the result until the next one is', () => {
    const { limiter } = made(small);
    expect(limiter.snapshot(0)).toEqual({
      inflight: 0,
      limit: 10,
      minRttMs: undefined,
      maxPass: 0,
      load: 0,
      shedding: false,
    });
    serve(limiter, 10, { count: 50, rttMs: 20 });
    expect(limiter.snapshot(99)).toMatchObject({ maxPass: 0, minRttMs: undefined });
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 50, minRttMs: 20 });
    serve(limiter, 110, { count: 100, rttMs: 10 });
    expect(limiter.snapshot(199)).toMatchObject({ maxPass: 50, minRttMs: 20 });
    expect(limiter.snapshot(200)).toMatchObject({ maxPass: 100, minRttMs: 10 });
  });

  it.each([
    { name: 'ours', options: {}, minRttMs: 5.5 },
    { name: 'kratos', options: bbrKratos, minRttMs: 6 },
  ])('takes the bucket with the shortest mean for the rtt: $name', ({ options, minRttMs }) => {
    const { limiter } = made({ ...options, ...small });
    // Bucket 1 has rtts 1..10, bucket 2 has 11..20, and so on to 91..100, of which the last falls into the next bucket.
    for (let bucket = 1; bucket <= 10; bucket++)
      for (let rttMs = bucket * 10 - 9; rttMs < bucket * 10 + 1; rttMs++)
        serve(limiter, bucket * 100, { count: 1, rttMs: Math.min(rttMs, 99) });
    expect(limiter.snapshot(1100).minRttMs).toBe(minRttMs);
  });

  it.each([
    { name: 'kratos', options: bbrKratos, limit: 61 },
    { name: 'ours', options: {}, limit: 76 },
  ])('makes a limit of both, Little s law: $name', ({ options, limit }) => {
    const { limiter } = made({ ...options, ...small });
    // 1000 in the best bucket of 0.1 s, 6 ms: 60 keep it busy, kratos lets one more in, ours a quarter more.
    serve(limiter, 100, { count: 1000, rttMs: 6 });
    expect(limiter.snapshot(200).limit).toBe(limit);
  });

  it.each([
    { rttMs: 0.2, options: {}, minRttMs: 0.2 },
    { rttMs: 0.2, options: { rttStepMs: 1 }, minRttMs: 1 },
    { rttMs: 0, options: { rttStepMs: 1 }, minRttMs: 1 },
    { rttMs: 2.1, options: { rttStepMs: 1 }, minRttMs: 3 },
    { rttMs: 2.1, options: { rttStepMs: 2 }, minRttMs: 4 },
  ])('an rtt of $rttMs with $options is $minRttMs', ({ rttMs, options, minRttMs }) => {
    const { limiter } = made({ ...small, ...options });
    serve(limiter, 0, { count: 3, rttMs });
    expect(limiter.snapshot(100).minRttMs).toBeCloseTo(minRttMs, 9);
  });

  it('forgets what is older than the window', () => {
    const { limiter } = made(small);
    serve(limiter, 0, { count: 1000, rttMs: 5 });
    serve(limiter, 500, { count: 100, rttMs: 20 });
    expect(limiter.snapshot(1000)).toMatchObject({ maxPass: 1000, minRttMs: 5 });
    expect(limiter.snapshot(1100)).toMatchObject({ maxPass: 100, minRttMs: 20 });
    expect(limiter.snapshot(1600)).toMatchObject({ maxPass: 0, minRttMs: undefined, limit: 10 });
  });

  it('evens out what a stalled event loop finishes in one bucket', () => {
    const stalled = ({ spanBuckets }: { spanBuckets: number }): BbrLimiter => {
      const { limiter } = made({ ...small, spanBuckets });
      for (let at = 0; at < 500; at += 100) serve(limiter, at, { count: 10, rttMs: 10 });
      // Nothing for 0.4 s, then everything at once.
      const permits = [500, 600, 700, 800].flatMap((at) => acquire(limiter, at, 10));
      for (const permit of permits) permit.release('success', 950);
      return limiter;
    };
    expect(stalled({ spanBuckets: 1 }).snapshot(1000).maxPass).toBe(40);
    expect(stalled({ spanBuckets: 5 }).snapshot(1000).maxPass).toBe(10);
  });

  it('weighs calls with their cost', () => {
    const { limiter } = made(small);
    limiter.tryAcquire(0, { cost: 9 })?.release('success', 10);
    limiter.tryAcquire(0)?.release('success', 60);
    // 9 * 10 ms + 1 * 60 ms, of 10: what was in flight on average is right, and that is what the limit is about.
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 10, minRttMs: 15 });
  });

  it.each<[Outcome, BbrOptions['failures'], number]>([
    ['success', 'count', 1],
    ['failure', 'count', 1],
    ['failure', 'exclude', 0],
    ['success', 'exclude', 1],
    ['overload', 'count', 0],
    ['ignored', 'count', 0],
    ['unsent', 'count', 0],
  ])('a call that ends as %s, failures: %s, counts %i', (outcome, failures, maxPass) => {
    const { limiter } = made({ ...small, failures });
    serve(limiter, 0, { count: 1, rttMs: 5, outcome });
    expect(limiter.snapshot(100)).toMatchObject({ maxPass, inflight: 0 });
  });

  it('takes the verdict of the first response and the time of the last byte', () => {
    const { limiter } = made(small);
    const [seen, cut] = acquire(limiter, 0, 2);
    seen?.observe('success', 10);
    seen?.observe('overload', 11);
    expect(limiter.snapshot(11).inflight).toBe(2);
    seen?.release('ignored', 30);
    cut?.observe('overload', 10);
    cut?.release('success', 50);
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 1, minRttMs: 30, inflight: 0 });
  });

  it('takes what was not sent for not sent, even if somebody claims to have seen an answer', () => {
    const { limiter } = made(small);
    const [permit] = acquire(limiter, 0);
    permit?.observe('success', 1);
    permit?.release('unsent', 2);
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 0, minRttMs: undefined, inflight: 0 });
  });

  it('counts a second release as none', () => {
    const { limiter } = made(small);
    const [first] = acquire(limiter, 0, 2);
    for (let again = 0; again < 3; again++) first?.release('success', 5);
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 1, inflight: 1 });
  });
});

describe('when bbr refuses', () => {
  /** Limit 61, as in the tests of aegis. */
  const sixty = (options: BbrOptions = {}) => {
    const setup = made({ ...bbrKratos, ...small, ...options });
    serve(setup.limiter, 100, { count: 1000, rttMs: 6 });
    return setup;
  };

  it('loaded and over the limit, and for the cool-down after that', () => {
    const { load, limiter } = sixty();
    load.value = 0.8;
    acquire(limiter, 200, 50);
    expect(limiter.tryAcquire(200)).not.toBeNull();
    load.value = 0.79;
    acquire(limiter, 210, 29);
    expect(limiter.snapshot(210)).toMatchObject({ inflight: 80, shedding: false });
    expect(limiter.tryAcquire(210)).not.toBeNull();
    load.value = 0.8;
    expect(limiter.tryAcquire(220)).toBeNull();
    load.value = 0.7;
    expect(limiter.tryAcquire(1220)).toBeNull();
    expect(limiter.tryAcquire(1221)).not.toBeNull();
    expect(limiter.snapshot(1221).shedding).toBe(false);
  });

  it.each([
    { cooldownFrom: 'last', at: 5500, passes: false },
    { cooldownFrom: 'last', at: 6001, passes: true },
    { cooldownFrom: 'first', at: 5001, passes: true },
  ] as const)(
    'the cool-down counts from the $cooldownFrom refusal under load: at $at',
    ({ cooldownFrom, at, passes }) => {
      const { load, limiter } = made({ ...small, cooldownFrom });
      load.value = 1;
      acquire(limiter, 0, 10);
      for (let now = 0; now <= 5000; now += 100) expect(limiter.tryAcquire(now)).toBeNull();
      load.value = 0.5;
      expect(limiter.tryAcquire(at) !== null).toBe(passes);
    },
  );

  it('refusals within the cool-down do not prolong it', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    acquire(limiter, 0, 20);
    load.value = 0;
    for (let now = 0; now <= 1000; now += 50) expect(limiter.tryAcquire(now)).toBeNull();
    expect(limiter.tryAcquire(1001)).not.toBeNull();
  });

  it('never while not loaded, however much is in flight', () => {
    const { load, limiter } = made(small);
    load.value = 0.799;
    expect(acquire(limiter, 0, 100_000)).toHaveLength(100_000);
  });

  it('never without a load signal; it still measures', () => {
    const limiter = bbr(small);
    serve(limiter, 0, { count: 50_000, rttMs: 6 });
    expect(limiter.snapshot(100)).toMatchObject({ maxPass: 50_000, load: undefined, shedding: false });
  });

  it.each([
    Number.NaN,
    () => {
      throw new Error('the signal broke');
    },
  ])('never while the load is not known: %s', (broken) => {
    const limiter = bbr({ load: typeof broken === 'function' ? broken : () => broken });
    expect(acquire(limiter, 0, 100)).toHaveLength(100);
    expect(limiter.snapshot(0).load).toBeUndefined();
  });

  it('reads a function as well as an object', () => {
    let now = 1;
    const limiter = bbr({ load: () => now });
    acquire(limiter, 0, 10);
    expect(limiter.tryAcquire(0)).toBeNull();
    now = 0;
    expect(limiter.tryAcquire(2000)).not.toBeNull();
  });

  it.each([
    { name: 'ours', options: {}, together: 10 },
    { name: 'kratos', options: bbrKratos, together: 2 },
  ])('cold, loaded by somebody else: $name lets $together in at once', ({ options, together }) => {
    const { load, limiter } = made(options);
    load.value = 1;
    expect(acquire(limiter, 0, 50)).toHaveLength(together);
    expect(limiter.snapshot(0).limit).toBe(together);
  });

  it('after a lull longer than the window it is cold again', () => {
    const { load, limiter } = made(small);
    serve(limiter, 0, { count: 1000, rttMs: 50 });
    expect(limiter.snapshot(100).limit).toBe(626);
    load.value = 1;
    expect(acquire(limiter, 5000, 50)).toHaveLength(10);
  });

  it('what finds nothing in flight passes, whatever it costs', () => {
    const { load, limiter } = made();
    load.value = 1;
    const permit = limiter.tryAcquire(0, { cost: 1000, priority: -1 });
    expect(permit).not.toBeNull();
    expect(limiter.tryAcquire(0)).toBeNull();
    permit?.release('success', 1);
    expect(limiter.tryAcquire(1)).not.toBeNull();
  });

  it.each([
    { priority: -3, ratio: 0.5, together: 5 },
    { priority: 0, ratio: 0.5, together: 10 },
    { priority: undefined, ratio: 0.5, together: 10 },
    { priority: Number.NaN, ratio: 0.5, together: 10 },
    { priority: 1, ratio: 0.5, together: 15 },
    { priority: 100, ratio: 0.5, together: 15 },
    { priority: -1, ratio: 1, together: 1 },
    { priority: 7, ratio: 0, together: 10 },
  ])('priority $priority with a ratio of $ratio: $together', ({ priority, ratio, together }) => {
    const { load, limiter } = made({ priorityRatio: ratio });
    load.value = 1;
    const admitted = Array.from({ length: 30 }, () => limiter.tryAcquire(0, { priority }));
    expect(admitted.filter((permit) => permit !== null)).toHaveLength(together);
  });

  it('a call refused leaves no trace', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    acquire(limiter, 0, 10);
    for (let again = 0; again < 100; again++) limiter.tryAcquire(0);
    expect(limiter.snapshot(100)).toMatchObject({ inflight: 10, maxPass: 0 });
  });
});

describe('a limiter that was given no load', () => {
  const full = { value: 9, waiting: 9 };
  const refuses = (limiter: BbrLimiter): boolean => {
    limiter.tryAcquire(0)?.release('success', 0);
    return limiter.tryAcquire(1) === null;
  };

  it('goes by that which it is told to heed', () => {
    const limiter = bbr();
    expect([refuses(limiter), limiter.snapshot(1).load]).toEqual([false, undefined]);
    limiter.heed(full);
    expect([refuses(limiter), limiter.snapshot(1).load]).toEqual([true, 9]);
  });

  it('goes by that which it was told before, once somebody is done', () => {
    const limiter = bbr();
    const loadNow = () => limiter.snapshot(0).load;
    const first = limiter.heed({ value: 1 });
    const second = limiter.heed({ value: 2 });
    const third = limiter.heed({ value: 3 });
    expect(loadNow()).toBe(3);
    second();
    expect(loadNow()).toBe(3);
    third();
    expect(loadNow()).toBe(1);
    third();
    expect(loadNow()).toBe(1);
    first();
    expect(loadNow()).toBeUndefined();
  });

  it('heeds none beside its own', () => {
    const { limiter } = made();
    limiter.heed(full)();
    limiter.heed(full);
    expect([refuses(limiter), limiter.snapshot(1).load]).toEqual([false, 0]);
  });
});

describe('what waits before anybody sees it', () => {
  /** A limiter of a process that waits for `waiting` times what it may. */
  const waited = (options: BbrOptions = {}) => {
    const load = { value: 0.5, waiting: 0.5 };
    return {
      limiter: bbr({ load, ...options }),
      set: (waiting: number): void => void Object.assign(load, { value: waiting, waiting }),
    };
  };
  const passes = (limiter: BbrLimiter, now: number, priority = 0): boolean => {
    const permit = limiter.tryAcquire(now, { priority });
    permit?.release('success', now);
    return permit !== null;
  };

  it.each([
    { waiting: 1, priority: 0, passed: true },
    { waiting: 1.01, priority: 0, passed: false },
    { waiting: 1.01, priority: -1, passed: false },
    { waiting: 1.5, priority: 1, passed: true },
    { waiting: 1.51, priority: 1, passed: false },
    { waiting: Number.POSITIVE_INFINITY, priority: 0, passed: false },
    { waiting: Number.NaN, priority: 0, passed: true },
  ])(
    '$waiting of what may, nothing in flight, priority $priority: $passed',
    ({ waiting, priority, passed }) => {
      const { limiter, set } = waited();
      expect(passes(limiter, 0)).toBe(true);
      set(waiting);
      expect(passes(limiter, 50, priority)).toBe(passed);
    },
  );

  it('one call per bucket passes all the same', () => {
    const { limiter, set } = waited();
    set(9);
    const admitted = Array.from({ length: 1000 }, (_, now) => passes(limiter, now)).filter(Boolean);
    expect(admitted).toHaveLength(10);
  });

  it('a call that was not sent is not that one', () => {
    const { limiter, set } = waited();
    set(9);
    for (let again = 0; again < 5; again++) {
      const permit = limiter.tryAcquire(100);
      expect(permit).not.toBeNull();
      permit?.release('unsent', 100);
    }
  });

  it('nor does a clock that steps back hold it off', () => {
    const { limiter, set } = waited();
    set(9);
    expect(passes(limiter, 3_600_000)).toBe(true);
    expect(passes(limiter, 0)).toBe(true);
    expect(passes(limiter, 1)).toBe(false);
  });

  it('the cool-down alone refuses nobody who waits for nothing', () => {
    const { limiter, set } = waited();
    set(2);
    passes(limiter, 0);
    expect(passes(limiter, 1)).toBe(false);
    set(0);
    expect(limiter.snapshot(2).shedding).toBe(true);
    expect(passes(limiter, 2)).toBe(true);
  });

  it('has no effect below the threshold', () => {
    const { limiter, set } = waited({ maxWaitingRatio: 0.1 });
    set(0.79);
    expect([passes(limiter, 0), passes(limiter, 1), passes(limiter, 2)]).toEqual([true, true, true]);
    set(0.8);
    expect(passes(limiter, 3)).toBe(false);
  });

  it.each([
    { name: 'infinite', options: { maxWaitingRatio: Number.POSITIVE_INFINITY } },
    { name: 'as kratos', options: bbrKratos },
  ])('does not count with a bound that is $name', ({ options }) => {
    const { limiter, set } = waited(options);
    set(50);
    for (let now = 0; now < 20; now++) expect(passes(limiter, now)).toBe(true);
  });

  it('does not count with a signal that does not know', () => {
    const { limiter, load } = made();
    load.value = 50;
    for (let now = 0; now < 20; now++) expect(passes(limiter, now)).toBe(true);
  });

  it('a reading that throws counts as unknown', () => {
    const limiter = bbr({
      load: {
        value: 1,
        get waiting(): number {
          throw new Error('the signal broke');
        },
      },
    });
    for (let now = 0; now < 20; now++) expect(passes(limiter, now)).toBe(true);
  });

  /** Sends that many important calls while too much waits even for them. */
  const refuseImportant = (limiter: BbrLimiter, now: number, count: number): void => {
    for (let call = 0; call < count; call++) expect(passes(limiter, now, 1)).toBe(false);
  };

  it.each([
    { refused: 1, waiting: 0.95, passed: false },
    { refused: 1, waiting: 0.9, passed: true },
    { refused: 3, waiting: 0.75, passed: false },
    { refused: 3, waiting: 0.72, passed: true },
    { refused: 50, waiting: 0.51, passed: false },
    { refused: 50, waiting: 0.5, passed: true },
  ])('$refused important calls refused: others pass at $waiting: $passed', ({ refused, waiting, passed }) => {
    const { limiter, set } = waited();
    set(9);
    passes(limiter, 0);
    refuseImportant(limiter, 1, refused);
    set(waiting);
    expect(passes(limiter, 2)).toBe(passed);
    expect(passes(limiter, 2, 1)).toBe(true);
  });

  it('others get their room back when refusing is over', () => {
    const { limiter, set } = waited();
    set(9);
    passes(limiter, 0);
    refuseImportant(limiter, 1, 50);
    set(0);
    passes(limiter, 1500);
    expect(limiter.snapshot(1500).shedding).toBe(false);
    set(0.99);
    expect(passes(limiter, 1501)).toBe(true);
  });

  it('and a little of it with each bucket before that', () => {
    const { limiter, set } = waited();
    set(9);
    passes(limiter, 0);
    refuseImportant(limiter, 1, 50);
    // 0.5 and 0.002 per bucket: 0.6 after 50 of them, 5 s.
    for (let now = 100; now <= 6000; now += 10) passes(limiter, now);
    set(0.6);
    expect(passes(limiter, 6001)).toBe(true);
    set(0.7);
    expect(passes(limiter, 6002)).toBe(false);
  });

  it('takes no room from anybody where all are alike', () => {
    const { limiter, set } = waited({ priorityRatio: 0 });
    set(9);
    passes(limiter, 0);
    refuseImportant(limiter, 1, 50);
    set(1);
    expect(passes(limiter, 2)).toBe(true);
  });
});

describe('what bbr says before a call is made', () => {
  it('nothing while it does not refuse', () => {
    const { load, limiter } = made();
    expect(limiter.refusing).toBe(false);
    load.value = 1;
    acquire(limiter, 0, 10);
    expect(limiter.refusing).toBe(false);
    expect(limiter.tryAcquire(0)).toBeNull();
    expect(limiter.refusing).toBe(true);
  });

  it('what it would say to the call, and leaves no trace of one that may come', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    const held = acquire(limiter, 0, 20);
    expect(limiter.refuseEarly(1, {})).toBe(true);
    expect(limiter.refuseEarly(1, { priority: 1 })).toBe(false);
    for (const permit of held) permit.release('ignored', 2);
    for (let again = 0; again < 50; again++) expect(limiter.refuseEarly(2, {})).toBe(false);
    expect(limiter.snapshot(2).inflight).toBe(0);
  });

  it('and what it refuses there prolongs the cool-down', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    acquire(limiter, 0, 11);
    expect(limiter.refuseEarly(900, {})).toBe(true);
    load.value = 0;
    expect(limiter.snapshot(1800).shedding).toBe(true);
    expect(limiter.snapshot(1901).shedding).toBe(false);
  });
});

describe('what bbr learns under load', () => {
  /** Ten calls per bucket, ever slower, as under an overload that lasts. */
  const overload = (limiter: BbrLimiter, from: number, buckets: number): void => {
    for (let bucket = 0; bucket < buckets; bucket++)
      serve(limiter, from + bucket * 100, { count: 10, rttMs: 10 + Math.min(80, bucket) });
  };

  it('never a longer rtt, however long it lasts', () => {
    const { load, limiter } = made(small);
    serve(limiter, 0, { count: 10, rttMs: 10 });
    serve(limiter, 100, { count: 10, rttMs: 12 });
    load.value = 1;
    overload(limiter, 200, 1000);
    expect(limiter.snapshot(100_200).minRttMs).toBe(10);
  });

  it('and the time before it is over when it is over', () => {
    const { load, limiter } = made(small);
    serve(limiter, 0, { count: 10, rttMs: 10 });
    load.value = 1;
    overload(limiter, 100, 50);
    load.value = 0;
    for (let bucket = 51; bucket < 60; bucket++) serve(limiter, bucket * 100, { count: 10, rttMs: 30 });
    expect(limiter.snapshot(6000).minRttMs).toBe(10);
    serve(limiter, 6000, { count: 10, rttMs: 30 });
    expect(limiter.snapshot(6100).minRttMs).toBe(30);
  });

  it('unless told so: then, after a window, the queue is taken for the call', () => {
    const { load, limiter } = made({ ...small, learnWhenLoaded: true });
    serve(limiter, 0, { count: 10, rttMs: 10 });
    load.value = 1;
    overload(limiter, 100, 100);
    expect(limiter.snapshot(10_100).minRttMs).toBe(90);
  });

  it('the shortest so far, if it has nothing better', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    overload(limiter, 0, 100);
    expect(limiter.snapshot(10_000).minRttMs).toBe(10);
    load.value = 0;
    // The last bucket under load ends with this one; the next is the first that says something.
    serve(limiter, 10_100, { count: 10, rttMs: 40 });
    serve(limiter, 10_200, { count: 10, rttMs: 50 });
    expect(limiter.snapshot(10_300).minRttMs).toBe(40);
  });

  it('and keeps that while nobody comes', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    serve(limiter, 0, { count: 5, rttMs: 7 });
    load.value = 0;
    for (const now of [100, 200, 300, 800]) expect(limiter.snapshot(now).minRttMs).toBe(7);
  });

  it('but not from before there was something better, nor from before a lull', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    serve(limiter, 0, { count: 5, rttMs: 1 });
    load.value = 0;
    serve(limiter, 200, { count: 5, rttMs: 50 });
    expect(limiter.snapshot(300).minRttMs).toBe(50);
    limiter.snapshot(1290);
    expect(limiter.snapshot(1400).minRttMs).toBeUndefined();
    load.value = 1;
    serve(limiter, 1400, { count: 5, rttMs: 1 });
    expect(limiter.snapshot(2600)).toMatchObject({ minRttMs: undefined, maxPass: 0 });
  });

  it('how much it can pass, so that the limit grows from an estimate that is too low', () => {
    const { load, limiter } = made({ windowMs: 10_000, buckets: 100 });
    serve(limiter, 0, { count: 1, rttMs: 50 });
    load.value = 1;
    const limits: number[] = [];
    let waiting: Permit[] = [];
    for (let now = 100; now < 6000; now += 50) {
      // Rtt stays at 50 ms: whatever the limit lets in is served.
      for (const permit of waiting) permit.release('success', now);
      waiting = acquire(limiter, now, 500);
      if (now % 1000 === 0) limits.push(limiter.snapshot(now).limit);
    }
    expect(limits).toEqual([...limits].sort((a, b) => a - b));
    // From a limit of 10, a quarter more at each span of half a second: 10 * 1.25^10 = 93 at the least, and more often
    // than that, for a span closes with every bucket.
    expect(limits.at(-1)).toBeGreaterThan(200);
  });
});

describe('a clock that steps back', () => {
  it('does not hold the limit until it has caught up', () => {
    const { load, limiter } = made(small);
    load.value = 1;
    acquire(limiter, 3_600_000, 10);
    expect(limiter.tryAcquire(3_600_000)).toBeNull();
    load.value = 0;
    expect(limiter.tryAcquire(0)).toBeNull();
    expect(limiter.tryAcquire(1001)).not.toBeNull();
  });

  it('does not make one endless bucket, nor an rtt below zero', () => {
    const { limiter } = made(small);
    serve(limiter, 3_600_000, { count: 10, rttMs: 10 });
    const [late] = acquire(limiter, 3_600_050, 1);
    for (let now = 0; now < 500; now += 100) serve(limiter, now, { count: 20, rttMs: 20 });
    late?.release('success', 500);
    expect(limiter.snapshot(600)).toMatchObject({ maxPass: 20, minRttMs: 20, inflight: 0 });
  });

  it('by less than a bucket, as when somebody read it early, changes nothing', () => {
    const { limiter } = made(small);
    serve(limiter, 99, { count: 5, rttMs: 2 });
    limiter.tryAcquire(95)?.release('success', 99);
    limiter.tryAcquire(150)?.release('success', 152);
    expect(limiter.snapshot(200)).toMatchObject({ maxPass: 7 });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'and one that says %s leaves no number spoilt',
    (odd) => {
      const { load, limiter } = made(small);
      const permits = [...acquire(limiter, odd), ...acquire(limiter, 0)];
      for (const permit of permits) permit.release('success', odd);
      limiter.snapshot(odd);
      load.value = 1;
      const held = acquire(limiter, odd, 20);
      expect(held).toHaveLength(10);
      load.value = 0;
      limiter.snapshot(500);
      for (const permit of held) permit.release('ignored', 600);
      expect(limiter.snapshot(1501).shedding).toBe(false);
      load.value = 1;
      for (const now of [1600, 2000]) serve(limiter, now, { count: 5, rttMs: 10 });
      expect(limiter.snapshot(2100)).toMatchObject({ maxPass: 5, minRttMs: 10, limit: 10 });
    },
  );
});

describe('what bbr tells', () => {
  it('when refusing starts and when it is over, once each', () => {
    const told: [boolean, number][] = [];
    const { load, limiter } = made({ onTransition: (shedding, now) => told.push([shedding, now]) });
    load.value = 1;
    acquire(limiter, 0, 30);
    limiter.tryAcquire(500);
    load.value = 0;
    limiter.snapshot(1500);
    expect(told).toEqual([[true, 0]]);
    limiter.snapshot(1501);
    acquire(limiter, 1600, 5);
    expect(told).toEqual([
      [true, 0],
      [false, 1501],
    ]);
  });

  it('and a listener that throws costs no call', () => {
    const { load, limiter } = made({
      onTransition: () => {
        throw new Error('listener');
      },
    });
    load.value = 1;
    expect(acquire(limiter, 0, 30)).toHaveLength(10);
    load.value = 0;
    expect(limiter.tryAcquire(2000)).not.toBeNull();
  });

  it('and one that rejects does not end the process', async () => {
    const { load, limiter } = made({ onTransition: () => Promise.reject(new Error('listener')) as never });
    load.value = 1;
    expect(acquire(limiter, 0, 30)).toHaveLength(10);
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('how long to stay away: the rest of the cool-down, and a bucket at least', () => {
    const { load, limiter } = made();
    expect(limiter.retryAfterMs?.(0)).toBeUndefined();
    load.value = 1;
    acquire(limiter, 0, 11);
    expect(limiter.retryAfterMs?.(0)).toBe(1000);
    expect(limiter.retryAfterMs?.(400)).toBe(600);
    expect(limiter.retryAfterMs?.(990)).toBe(100);
  });

  it('and never longer than the cool-down, even after the clock stepped back', () => {
    const { load, limiter } = made({ cooldownFrom: 'first' });
    load.value = 1;
    acquire(limiter, 1e9, 11);
    expect(limiter.tryAcquire(0)).toBeNull();
    expect(limiter.retryAfterMs?.(0)).toBe(1000);
  });

  it('its code', () => {
    expect(bbr().code).toBe('OVERLOADED');
  });
});

describe('options of bbr', () => {
  it('the preset names every option but the load and the hook', () => {
    const { load: _load, onTransition: _hook, ...rest } = bbrDefaults;
    expect(Object.keys(bbrKratos).sort()).toEqual(Object.keys(rest).sort());
  });

  it.each([
    [{ maxWaitingRatio: 0 }, /bbr\.maxWaitingRatio/],
    [{ loadThreshold: 0 }, /bbr\.loadThreshold must be a number > 0, got 0/],
    [{ windowMs: 0 }, /bbr\.windowMs/],
    [{ buckets: 1.5 }, /bbr\.buckets must be a whole number >= 1 and <= 1000, got 1.5/],
    [{ buckets: 1e12 }, /bbr\.buckets must be a whole number >= 1 and <= 1000, got 1000000000000/],
    [{ spanBuckets: 101 }, /bbr\.spanBuckets must be <= bbr\.buckets \(100\), got 101/],
    [{ gain: 0.5 }, /bbr\.gain/],
    [{ minLimit: 0 }, /bbr\.minLimit/],
    [{ cooldownMs: -1 }, /bbr\.cooldownMs/],
    [{ cooldownFrom: 'now' }, /bbr\.cooldownFrom must be one of "first", "last", got "now"/],
    [{ learnWhenLoaded: 1 }, /bbr\.learnWhenLoaded must be a boolean/],
    [{ rttStepMs: -1 }, /bbr\.rttStepMs/],
    [{ failures: true }, /bbr\.failures/],
    [{ priorityRatio: 1.1 }, /bbr\.priorityRatio/],
    [{ load: 0.5 }, /bbr\.load must be a function or an object with a value/],
    [{ load: {} }, /bbr\.load/],
    [{ onTransition: 1 }, /bbr\.onTransition/],
    [{ treshold: 1 }, /bbr\.treshold is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => bbr(options as BbrOptions)).toThrow(message);
  });
});
