import fc from 'fast-check';
import type { Ask, Outcome, Permit } from 'keelson/core';
import { bbr, bbrKratos, concurrency, gradient, type Limiter, rate, vegas } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';

const outcomes: readonly Outcome[] = ['success', 'failure', 'overload', 'ignored', 'unsent'];

interface Step {
  /** How far the clock goes; may be back. */
  readonly dt: number;
  readonly load: number;
  readonly action: 'acquire' | 'observe' | 'release' | 'snapshot';
  /** Which of the calls that are or were in flight. */
  readonly pick: number;
  readonly outcome: Outcome;
  readonly cost: number | undefined;
  readonly priority: number;
}

const steps = fc.array(
  fc.record<Step>({
    dt: fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: 0, max: 300, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(-50_000, -130, -1, 20_000, Number.NaN) },
    ),
    load: fc.constantFrom(0, 0.5, 0.8, 1, Number.NaN),
    action: fc.constantFrom('acquire', 'acquire', 'acquire', 'observe', 'release', 'release', 'snapshot'),
    pick: fc.nat(),
    outcome: fc.constantFrom(...outcomes),
    cost: fc.constantFrom(undefined, 1, 0.1, 0.3, 2.5, 0, -1, Number.NaN),
    priority: fc.constantFrom(-1, 0, 1),
  }),
  { maxLength: 120 },
);

/** A limiter whose load the test sets, made anew for each run. */
const limiters: Record<string, (load: () => number) => Limiter> = {
  'bbr()': (load) => bbr({ load }),
  'bbr() alone': () => bbr(),
  'bbr() of few buckets': (load) => bbr({ load, windowMs: 400, buckets: 4, spanBuckets: 2, minLimit: 1 }),
  'bbr(bbrKratos)': (load) => bbr({ ...bbrKratos, load }),
  'bbr() with a backlog': (load) =>
    bbr({
      load: {
        get value() {
          return load();
        },
        get waiting() {
          return load() * 2;
        },
      },
    }),
  'concurrency()': () => concurrency({ limit: 4 }),
  'gradient()': () => gradient({ initialLimit: 4, minLimit: 2, windowMs: 200, minSamples: 2 }),
  'vegas()': () =>
    vegas({ initialLimit: 4, windowMs: 200, minSamples: 2, probeMultiplier: 1, random: () => 0 }),
};

const costIn = (cost: number | undefined): number => (cost !== undefined && cost >= 0 ? cost : 1);

interface Run {
  readonly admitted: readonly boolean[];
  readonly end: unknown;
}

/** Plays the steps, checks the count in flight after each, and releases all in the end. */
function play(
  make: (load: () => number) => Limiter,
  script: readonly Step[],
  twist: { readonly again?: boolean; readonly probe?: boolean } = {},
): Run {
  let load = 0;
  let now = 0;
  const limiter = make(() => load);
  const calls: { permit: Permit; cost: number; over: boolean }[] = [];
  const admitted: boolean[] = [];
  const inflight = (): number => calls.reduce((sum, { cost, over }) => (over ? sum : sum + cost), 0);

  const release = (call: (typeof calls)[number], outcome: Outcome, at: number): void => {
    call.permit.release(outcome, at);
    if (twist.again) call.permit.release(outcome, at + 5);
    call.over = true;
  };
  for (const step of script) {
    if (!Number.isNaN(step.dt)) now += step.dt;
    // An odd time is told once, and the clock goes on.
    const at = Number.isNaN(step.dt) ? Number.NaN : now;
    load = step.load;
    const call = calls.length > 0 ? calls[step.pick % calls.length] : undefined;
    const ask: Ask = { cost: step.cost, priority: step.priority };
    if (step.action === 'acquire') {
      if (twist.probe) limiter.tryAcquire(at, ask)?.release('unsent', at);
      const permit = limiter.tryAcquire(at, ask);
      admitted.push(permit !== null);
      if (permit) calls.push({ permit, cost: costIn(step.cost), over: false });
    } else if (step.action === 'snapshot') {
      limiter.snapshot(at);
    } else if (call && !call.over) {
      if (step.action === 'observe') call.permit.observe(step.outcome, at);
      else release(call, step.outcome, at);
    }
    const seen = limiter.snapshot(at).inflight;
    expect(seen).toBeGreaterThanOrEqual(0);
    expect(seen).toBeCloseTo(inflight(), 6);
  }
  for (const call of calls) if (!call.over) release(call, 'ignored', now);
  const end = limiter.snapshot(now);
  expect(end.inflight).toBe(0);
  expect(end.limit).toBeGreaterThanOrEqual(1);
  return { admitted, end };
}

describe.each(Object.entries(limiters))('%s', (_name, make) => {
  it('counts exactly what is in flight, and nothing in the end', () => {
    fc.assert(fc.property(steps, (script) => void play(make, script)));
  });

  it('takes two releases for one', () => {
    fc.assert(
      fc.property(steps, (script) => {
        expect(play(make, script, { again: true })).toEqual(play(make, script));
      }),
    );
  });

  it('keeps no trace of what was not sent', () => {
    fc.assert(
      fc.property(steps, (script) => {
        expect(play(make, script, { probe: true })).toEqual(play(make, script));
      }),
    );
  });
});

describe('concurrency()', () => {
  it('never has more in flight than the limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.tuple(fc.constantFrom(0.5, 1, 3), fc.nat(), fc.boolean())),
        (limit, script) => {
          const limiter = concurrency({ limit });
          const held: Permit[] = [];
          for (const [cost, pick, leave] of script) {
            if (leave && held.length > 0) held.splice(pick % held.length, 1)[0]?.release('success', 0);
            const before = limiter.snapshot(0).inflight;
            const permit = limiter.tryAcquire(0, { cost });
            expect(permit !== null).toBe(before + cost <= limit);
            if (permit) held.push(permit);
            expect(limiter.snapshot(0).inflight).toBeLessThanOrEqual(limit);
          }
        },
      ),
    );
  });
});

describe('rate()', () => {
  const arrivals = fc.array(
    fc.record({
      dt: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 500, noNaN: true })),
      cost: fc.constantFrom(undefined, 1, 2, 0.25),
      key: fc.constantFrom('a', 'b'),
      /** After how many more arrivals the call turns out not to be sent; never if beyond the end. */
      unsentAfter: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 8 })),
    }),
    { maxLength: 60 },
  );

  it.each(['key', undefined] as const)(
    'never lets more pass than burst + perSecond * t in any time, calls that were not sent left out; by %s',
    (by) => {
      fc.assert(
        fc.property(
          fc.double({ min: 1, max: 50, noNaN: true }),
          fc.integer({ min: 1, max: 10 }),
          arrivals,
          (perSecond, burst, script) => {
            const limiter = rate({ perSecond, burst, by });
            const passed: {
              at: number;
              cost: number;
              key: string;
              permit: Permit;
              until: number;
              sent: boolean;
            }[] = [];
            let now = 0;
            script.forEach(({ dt, cost, key, unsentAfter }, index) => {
              now += dt;
              for (const call of passed) {
                if (call.until > index || !call.sent) continue;
                call.permit.release('unsent', now);
                call.sent = false;
              }
              const permit = limiter.tryAcquire(now, { cost, key });
              if (permit)
                passed.push({
                  at: now,
                  cost: cost ?? 1,
                  key,
                  permit,
                  until: index + 1 + unsentAfter,
                  sent: true,
                });
            });
            for (const key of by ? ['a', 'b'] : [undefined]) {
              const sent = passed.filter((call) => call.sent && (key === undefined || call.key === key));
              sent.forEach((first, from) => {
                let sum = 0;
                for (const call of sent.slice(from)) {
                  sum += call.cost;
                  expect(sum).toBeLessThanOrEqual(burst + ((call.at - first.at) * perSecond) / 1000 + 1e-5);
                }
              });
            }
          },
        ),
        { numRuns: 300 },
      );
    },
  );

  it('decides as a token bucket does', () => {
    fc.assert(
      fc.property(
        // Powers of two, so that both count without rounding.
        fc.integer({ min: -6, max: 2 }),
        fc.integer({ min: 4, max: 10 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.constantFrom(1, 2, 4)), { maxLength: 80 }),
        (power, burst, script) => {
          const perMs = 2 ** power;
          const limiter = rate({ perSecond: perMs * 1000, burst });
          let now = 0;
          let tokens = burst;
          for (const [dt, cost] of script) {
            now += dt;
            tokens = Math.min(burst, tokens + dt * perMs);
            const passes = tokens >= cost;
            expect(limiter.snapshot(now).available).toBe(tokens);
            expect(limiter.tryAcquire(now, { cost }) !== null).toBe(passes);
            if (passes) tokens -= cost;
          }
        },
      ),
    );
  });

  it('keeps no trace of what was at once found not to be sent', () => {
    fc.assert(
      fc.property(arrivals, (script) => {
        const decide = (probe: boolean): boolean[] => {
          const limiter = rate({ perSecond: 8, burst: 4, by: 'key' });
          let now = 0;
          return script.map(({ dt, cost, key }) => {
            now += dt;
            if (probe) limiter.tryAcquire(now, { cost, key })?.release('unsent', now);
            return limiter.tryAcquire(now, { cost, key }) !== null;
          });
        };
        expect(decide(true)).toEqual(decide(false));
      }),
    );
  });

  it('passes after the time it says, and not before', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1e5, noNaN: true }),
        fc.integer({ min: 2, max: 100 }),
        fc.double({ min: 0.01, max: 2, noNaN: true }),
        fc.double({ min: 0, max: 1e10, noNaN: true }),
        (perSecond, burst, cost, start) => {
          const limiter = rate({ perSecond, burst });
          while (limiter.tryAcquire(start, { cost }) !== null);
          const wait = limiter.retryAfterMs(start, { cost }) ?? Number.NaN;
          // What a clock of that magnitude can tell apart, and a tolerance of 1e-6 calls.
          const grain = start * 2 ** -51 + 2e-3 / perSecond;
          if (wait > 2 * grain) expect(limiter.tryAcquire(start + wait - 2 * grain, { cost })).toBeNull();
          expect(limiter.tryAcquire(start + wait + grain, { cost })).not.toBeNull();
        },
      ),
    );
  });

  it('never remembers more keys than it may', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(
          fc.tuple(
            fc.integer({ min: 0, max: 30 }),
            fc.double({ min: 0, max: 500, noNaN: true }),
            fc.boolean(),
          ),
        ),
        (maxKeys, script) => {
          const limiter = rate({ perSecond: 5, burst: 2, by: 'key', maxKeys });
          let now = 0;
          for (const [key, dt, unsent] of script) {
            now += dt;
            const permit = limiter.tryAcquire(now, { key: `k${key}` });
            if (unsent) permit?.release('unsent', now);
            expect(limiter.snapshot(now).keys).toBeLessThanOrEqual(maxKeys);
          }
        },
      ),
    );
  });
});
