import fc from 'fast-check';
import { rate } from 'keelson/limiter';
import { type SharedRate, type SharedRateOptions, sharedRate } from 'keelson/redis';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { type SimulatedRedis, simulatedRedis } from '../doubles/simulated-redis.js';

interface Limits {
  readonly perSecond: number;
  readonly burst: number;
  readonly aheadMs: number;
}

interface Passed {
  readonly at: number;
  readonly cost: number;
}

/** Processes that share one Redis in virtual time, and what passed in any of them. */
class Fleet {
  readonly clock: ManualClock = manualClock();
  readonly redis: SimulatedRedis = simulatedRedis(this.clock);
  readonly passed: Passed[] = [];
  private readonly members: readonly SharedRate[];

  constructor(
    limits: Limits,
    { processes, seed, ...rest }: { processes: number; seed: number } & Partial<SharedRateOptions>,
  ) {
    const random = seededRandom(seed);
    const { clock, redis } = this;
    this.members = Array.from({ length: processes }, () =>
      sharedRate({ redis: redis.ioredis, name: 'p', clock, random, processes, ...limits, ...rest }),
    );
  }

  ask(process: number, cost = 1): void {
    this.members[process % this.members.length]?.admit({ cost }).then(
      () => this.passed.push({ at: this.clock.now(), cost }),
      () => undefined,
    );
  }

  get sum(): number {
    return this.passed.reduce((sum, { cost }) => sum + cost, 0);
  }

  /** The most that passed beyond `perSecond * t` in any time `t`. */
  excess(perSecond: number): number {
    let level = 0;
    let most = 0;
    let last = 0;
    for (const { at, cost } of this.passed) {
      level = Math.max(0, level - ((at - last) / 1000) * perSecond) + cost;
      last = at;
      most = Math.max(most, level);
    }
    return most;
  }

  async close(): Promise<void> {
    const closing = Promise.all(this.members.map((member) => member.close()));
    await this.clock.advance(1000);
    await closing;
    expect(this.members.map((member) => member.snapshot().waiting)).toEqual(this.members.map(() => 0));
    expect(this.clock.pending).toBe(0);
  }
}

const limits = fc.record<Limits>({
  perSecond: fc.oneof(
    fc.double({ min: 0.5, max: 50, noNaN: true }),
    fc.double({ min: 50, max: 5000, noNaN: true }),
  ),
  burst: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 10, max: 1000 })),
  aheadMs: fc.integer({ min: 10, max: 300 }),
});

interface Step {
  readonly dt: number;
  readonly process: number;
  readonly calls: number;
  readonly cost: number;
  readonly latencyMs: number;
}

const maxLatencyMs = 20;
const stepOf = {
  dt: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 20, max: 600 }) },
  ),
  process: fc.nat({ max: 4 }),
  calls: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 60 })),
  cost: fc.constantFrom(1, 1, 1, 0.25, 3),
  latencyMs: fc.constantFrom(0, 1, 5, maxLatencyMs),
};
const setting = { processes: fc.integer({ min: 1, max: 5 }), seed: fc.nat() };
/** Of many sums of fractions. */
const rounding = 1e-3;

describe('sharedRate()', () => {
  it('never lets more pass in any t seconds than burst + perSecond * (t + A), whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.record(setting),
        fc.array(fc.record<Step>(stepOf), { minLength: 20, maxLength: 120 }),
        async (limit, set, script) => {
          const fleet = new Fleet(limit, set);
          for (const { dt, process, calls, cost, latencyMs } of script) {
            fleet.redis.latencyMs = latencyMs;
            for (let call = 0; call < calls; call++) fleet.ask(process, cost);
            await fleet.clock.advance(dt);
          }
          await fleet.close();
          // Who waits is served when the answer comes, and by what was there when it was asked for.
          const aMs = 2 * limit.aheadMs + maxLatencyMs;
          const bound = limit.burst + (limit.perSecond * aMs) / 1000;
          expect(fleet.excess(limit.perSecond)).toBeLessThanOrEqual(bound + rounding);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('nor when all hold as much as they can, rest until the bucket is full again, and come at once', async () => {
    const stepMs = 5;
    await fc.assert(
      fc.asyncProperty(
        fc.record<Limits>({
          perSecond: fc.integer({ min: 200, max: 600 }),
          burst: fc.integer({ min: 100, max: 600 }),
          aheadMs: fc.integer({ min: 50, max: 120 }),
        }),
        fc.nat(),
        // Part of the limit that each process uses at first; times in parts of aheadMs.
        fc.record({
          load: fc.double({ min: 0.1, max: 1.2, noNaN: true }),
          work: fc.nat({ max: 3 }),
          rest: fc.nat({ max: 8 }),
        }),
        async (limit, seed, { load, work, rest }) => {
          const { perSecond, burst, aheadMs } = limit;
          const fleet = new Fleet(limit, { processes: 5, seed });
          let offered = 0;
          for (let at = 0; at < work * aheadMs; at += stepMs) {
            for (; offered < (5 * load * perSecond * at) / 1000; offered++) fleet.ask(offered);
            await fleet.clock.advance(stepMs);
          }
          await fleet.clock.advance(rest * aheadMs);
          for (let call = 0; call < 5 * burst; call++) fleet.ask(call);
          await fleet.close();
          expect(fleet.excess(perSecond)).toBeLessThanOrEqual(
            burst + (perSecond * 2 * aheadMs) / 1000 + rounding,
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('lets one burst more pass when Redis loses its memory, and two when it is away', async () => {
    type Fault = 'none' | 'flush' | 'ahead' | 'back' | 'away';
    await fc.assert(
      fc.asyncProperty(
        limits.filter(({ burst }) => burst >= 5),
        fc.record(setting),
        fc.array(
          fc.record<Step & { fault: Fault }>({
            ...stepOf,
            fault: fc.oneof(
              { weight: 12, arbitrary: fc.constant<Fault>('none') },
              { weight: 1, arbitrary: fc.constantFrom<Fault>('flush', 'ahead', 'back', 'away') },
            ),
          }),
          { minLength: 20, maxLength: 120 },
        ),
        async (limit, set, script) => {
          const fleet = new Fleet(limit, set);
          const { redis } = fleet;
          let bursts = 1;
          for (const { dt, process, calls, cost, latencyMs, fault } of script) {
            redis.latencyMs = latencyMs;
            if (fault !== 'away' && redis.mode === 'down') redis.mode = 'up';
            if (fault === 'flush') redis.values.clear();
            if (fault === 'ahead') redis.skewMs += 3_600_000;
            if (fault === 'back') redis.skewMs -= 3_600_000;
            if (fault === 'away' && redis.mode === 'up') redis.mode = 'down';
            if (fault !== 'none') bursts += fault === 'away' ? 2 : 1;
            for (let call = 0; call < calls; call++) fleet.ask(process, cost);
            await fleet.clock.advance(dt);
          }
          await fleet.close();
          const seconds = (fleet.clock.now() + 2 * limit.aheadMs + 2 * maxLatencyMs) / 1000;
          expect(fleet.sum).toBeLessThanOrEqual(bursts * limit.burst + limit.perSecond * seconds + rounding);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('lets at least perSecond * (t - A - 0.75 aheadMs) pass while all want more', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record<Limits>({
          perSecond: fc.integer({ min: 40, max: 1500 }),
          burst: fc.integer({ min: 20, max: 500 }),
          aheadMs: fc.integer({ min: 30, max: 150 }),
        }),
        fc.record(setting),
        fc.double({ min: 2, max: 8, noNaN: true }),
        fc.constantFrom(0, 1, 4),
        async (limit, set, times, latencyMs) => {
          const fleet = new Fleet(limit, set);
          fleet.redis.latencyMs = latencyMs;
          const { perSecond, burst, aheadMs } = limit;
          const tMs = 2000;
          let offered = 0;
          for (let at = 0; at < tMs; at += 2) {
            for (; offered < (at / 1000) * perSecond * times; offered++) fleet.ask(offered);
            await fleet.clock.advance(2);
          }
          // Each question waits for a call, and each answer for a round trip.
          const lateMs = 2 + 2 * latencyMs + (1000 * set.processes) / (perSecond * times);
          const leastMs = tMs - 2 * aheadMs - 0.75 * aheadMs - lateMs;
          expect(fleet.sum).toBeGreaterThanOrEqual((perSecond * leastMs) / 1000 - set.processes);
          expect(fleet.sum).toBeLessThanOrEqual(burst + (perSecond * (tMs + 2 * aheadMs)) / 1000);
          await fleet.close();
        },
      ),
      { numRuns: 12 },
    );
  });

  it('decides as rate() does where nothing is taken in advance', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 19 }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.constantFrom(1, 1, 0.25, 2)), {
          maxLength: 80,
        }),
        async (perSecond, burst, script) => {
          const clock = manualClock();
          const local = rate({ perSecond, burst });
          const distributed = sharedRate({
            redis: simulatedRedis(clock).ioredis,
            name: 'p',
            perSecond,
            burst,
            clock,
          });
          for (const [dt, cost] of script) {
            await clock.advance(dt);
            const expected = local.tryAcquire(clock.now(), { cost }) !== null;
            const actual = await distributed.admit({ cost }).then(
              () => true,
              () => false,
            );
            expect(actual).toBe(expected);
          }
        },
      ),
    );
  });
});
