import fc from 'fast-check';
import {
  type Balancer,
  c3,
  inflightMeter,
  kratosV1,
  kratosV3,
  type Lease,
  type LoadMeter,
  leastLoad,
  outlierEjection,
  p2c,
  peakEwma,
  rendezvous,
  roundRobin,
  standardBalancer,
  subset,
  weightedRandom,
} from 'keelson/balancer';
import type { Endpoint, Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const endpoint = (at: number, weight = 100): Endpoint => ({
  id: `e${at}`,
  url: `http://e${at}`,
  weight,
  metadata: {},
});

const outcome = fc.constantFrom<Outcome>('success', 'failure', 'overload', 'ignored', 'unsent');
const listOf = fc.uniqueArray(fc.nat(5), { maxLength: 6 });

/** What may happen to a balancer, in any order, with a clock that may step back. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('pick' as const),
      key: fc.option(fc.string(), { nil: undefined }),
      avoid: listOf,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('observe' as const), lease: fc.nat(), outcome }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      lease: fc.nat(),
      outcome,
      twice: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('update' as const), list: listOf }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: -2000, max: 10_000 }) }),
  },
);

const makers: Record<string, () => Balancer> = {
  'p2c by response time': () => p2c({ random: seededRandom(1), slowStart: {} }),
  'p2c by peak EWMA': () => p2c({ random: seededRandom(2), meter: peakEwma() }),
  'p2c by inflight, whole sets': () => p2c({ random: seededRandom(3), meter: inflightMeter(), scanUpTo: 6 }),
  'least load by reports': () => leastLoad({ random: seededRandom(9), slowStart: {} }),
  'least load by C3': () => leastLoad({ random: seededRandom(10), meter: c3() }),
  kratosV1: () => p2c({ ...kratosV1, random: seededRandom(4) }),
  kratosV3: () => p2c({ ...kratosV3, random: seededRandom(5) }),
  roundRobin: () => roundRobin({ slowStart: {} }),
  weightedRandom: () => weightedRandom({ random: seededRandom(6), slowStart: {} }),
  rendezvous: () => rendezvous({ random: seededRandom(7) }),
  'ejection around turns': () =>
    outlierEjection(roundRobin(), { consecutiveFailures: 1, baseEjectionMs: 100 }),
  standardBalancer: () => standardBalancer({ random: seededRandom(8) }),
};

describe.each(Object.entries(makers))('%s', (_, make) => {
  it('counts every lease once, whatever the order of updates, picks and ends', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const balancer = make();
        const held: Lease<Endpoint>[] = [];
        const open = new Set<Lease<Endpoint>>();
        /** Leases that were open when their endpoint left may be forgotten by whoever keeps state for members only. */
        const stayed = new Map<Lease<Endpoint>, boolean>();
        let list: number[] = [];
        let now = 100_000;
        for (const each of steps) {
          if (each.do === 'wait') now += each.ms;
          else if (each.do === 'update') {
            list = each.list;
            balancer.update(
              list.map((at) => endpoint(at)),
              now,
            );
            for (const lease of open)
              if (!list.includes(Number(lease.endpoint.id.slice(1)))) stayed.set(lease, false);
          } else if (each.do === 'pick') {
            const avoid = new Set(each.avoid.map((at) => `e${at}`));
            const lease = balancer.pick(now, { key: each.key, avoid });
            expect(lease === null).toBe(list.length === 0);
            if (lease === null) continue;
            expect(list.map((at) => `e${at}`)).toContain(lease.endpoint.id);
            held.push(lease);
            open.add(lease);
            stayed.set(lease, true);
          } else {
            const lease = held[each.lease % Math.max(1, held.length)];
            if (lease === undefined) continue;
            if (each.do === 'observe') lease.observe(each.outcome, now);
            else {
              lease.release(each.outcome, now);
              if (each.twice) lease.release('failure', now);
              open.delete(lease);
            }
          }
          for (const { id, inflight, load, weight } of balancer.snapshot?.(now) ?? []) {
            const mine = [...open].filter((lease) => lease.endpoint.id === id);
            expect(inflight).toBeLessThanOrEqual(mine.length);
            expect(inflight).toBeGreaterThanOrEqual(mine.filter((lease) => stayed.get(lease)).length);
            expect(load).not.toBeNaN();
            expect(weight).toBeGreaterThanOrEqual(0);
          }
        }
        for (const lease of open) lease.release('success', now);
        for (const { inflight } of balancer.snapshot?.(now) ?? []) expect(inflight).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('avoids whom it is told to while there are others', () => {
    fc.assert(
      fc.property(listOf, listOf, fc.string(), (list, avoided, key) => {
        const balancer = make();
        balancer.update(
          list.map((at) => endpoint(at)),
          0,
        );
        const avoid = new Set(avoided.map((at) => `e${at}`));
        const lease = balancer.pick(0, { key, avoid });
        const others = list.some((at) => !avoid.has(`e${at}`));
        if (others) expect(avoid.has(lease?.endpoint.id ?? '')).toBe(false);
        else expect(lease === null).toBe(list.length === 0);
      }),
    );
  });
});

describe('p2c', () => {
  it('compares two different endpoints, whatever the generator', () => {
    const compared: string[] = [];
    const meter = ({ id }: Endpoint): LoadMeter => ({
      start: () => undefined,
      answer: () => undefined,
      end: () => undefined,
      load: () => {
        compared.push(id);
        return 1;
      },
    });
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
        fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 2, maxLength: 20 }),
        (draws, weights) => {
          let at = 0;
          const balancer = p2c({ meter, random: () => draws[at++ % draws.length] as number });
          balancer.update(
            weights.map((weight, id) => endpoint(id, weight)),
            0,
          );
          compared.length = 0;
          balancer.pick(0);
          expect(new Set(compared).size).toBe(2);
        },
      ),
    );
  });

  it('keeps what it knows of those that stay', () => {
    fc.assert(
      fc.property(fc.array(listOf, { minLength: 1, maxLength: 20 }), (lists) => {
        const lives = new Map<string, number>();
        const balancer = p2c({
          meter: (who, now) => {
            lives.set(who.id, (lives.get(who.id) ?? 0) + 1);
            return inflightMeter()(who, now);
          },
        });
        const expected = new Map<string, number>();
        let before: readonly number[] = [];
        for (const list of lists) {
          balancer.update(
            list.map((at) => endpoint(at)),
            0,
          );
          for (const at of list)
            if (!before.includes(at)) expected.set(`e${at}`, (expected.get(`e${at}`) ?? 0) + 1);
          before = list;
        }
        expect(lives).toEqual(expected);
      }),
    );
  });
});

describe('roundRobin', () => {
  it('gives exact shares over a cycle, and nobody the same turn twice in a row without need', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const balancer = roundRobin();
        balancer.update(
          weights.map((weight, at) => endpoint(at, weight)),
          0,
        );
        const cycle = weights.reduce((sum, weight) => sum + weight);
        const counts = new Map<string, number>();
        for (let call = 0; call < cycle; call++) {
          const id = balancer.pick(0)?.endpoint.id ?? '';
          counts.set(id, (counts.get(id) ?? 0) + 1);
          weights.forEach((weight, at) => {
            // Smooth: at no time is anybody a whole turn or more ahead of its share, but for the others' rounding.
            expect((counts.get(`e${at}`) ?? 0) - (weight * (call + 1)) / cycle).toBeLessThan(weights.length);
          });
        }
        weights.forEach((weight, at) => {
          expect(counts.get(`e${at}`)).toBe(weight);
        });
      }),
    );
  });
});

describe('hashing', () => {
  it('moves no key between endpoints that stay', () => {
    fc.assert(
      fc.property(listOf, listOf, fc.array(fc.string(), { maxLength: 30 }), (before, after, keys) => {
        const balancer = rendezvous();
        const homes = (list: readonly number[]) => {
          balancer.update(
            list.map((at) => endpoint(at, 50 + at * 20)),
            0,
          );
          return keys.map((key) => balancer.pick(0, { key })?.endpoint.id);
        };
        const first = homes(before);
        const second = homes(after);
        first.forEach((home, at) => {
          const moved = second[at] !== home;
          const left = !after.some((id) => `e${id}` === home);
          const joined = after.some((id) => `e${id}` === second[at] && !before.includes(id));
          if (moved) expect(left || joined).toBe(true);
        });
      }),
    );
  });

  it('gives a client a subset of the list, in the order of the list, that a leaver changes by one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.string(),
        (count, size, clientId) => {
          const all = Array.from({ length: count }, (_, at) => endpoint(at));
          const keep = subset({ size, clientId });
          const mine = keep(all);
          expect(mine).toEqual(all.filter((each) => mine.includes(each)));
          expect(mine).toHaveLength(Math.min(size, count));
          const rest = keep(all.slice(1));
          expect(mine.slice(1).every((each) => each === all[0] || rest.includes(each))).toBe(true);
        },
      ),
    );
  });
});
