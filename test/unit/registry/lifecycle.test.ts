import {
  drawVictims,
  evictionLimit,
  type Instant,
  instanceStore,
  type LifecycleOptions,
  lifecycle,
  renewalGuard,
} from 'keelson/registry';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const minute = 60_000;
const at = (ms: number): Instant => ({ ms, ns: BigInt(Math.floor(ms)) * 1_000_000n });

describe('renewal guard', () => {
  it.each([
    // instances, heard of, expected, threshold, protecting
    [0, 0, 0, 0, false],
    [1, 1, 2, 1, false],
    [1, 0, 2, 1, true],
    [2, 1, 4, 3, true],
    [2, 2, 4, 3, false],
    [3, 2, 6, 5, true],
    [4, 3, 8, 6, false],
    [10, 10, 20, 17, false],
    [10, 9, 20, 17, false],
    [10, 8, 20, 17, true],
    [11, 9, 22, 18, false],
    [11, 8, 22, 18, true],
    [100, 85, 200, 170, false],
    [100, 84, 200, 170, true],
  ])('of %i instances, %i of them heard of', (instances, heard, expected, threshold, protecting) => {
    const guard = renewalGuard({ minInstances: 0 });
    for (let added = 0; added < instances; added++) guard.added();
    guard.heard(heard);
    expect([guard.expected, guard.threshold, guard.seen, guard.protecting]).toEqual([
      expected,
      threshold,
      2 * heard,
      protecting,
    ]);
  });

  it.each([
    [9, false],
    [10, true],
  ])('of %i instances, none of which renews, protects: %s', (instances, protecting) => {
    const guard = renewalGuard();
    guard.recount(instances);
    guard.heard(0);
    expect(guard.protecting).toBe(protecting);
  });

  it('goes on expecting who vanished, and once who comes back', () => {
    const guard = renewalGuard();
    guard.recount(10);
    guard.evicted(3);
    expect(guard.expected).toBe(20);
    for (let back = 0; back < 3; back++) guard.added();
    expect(guard.expected).toBe(20);
    guard.added();
    expect(guard.expected).toBe(22);
    guard.evicted(5);
    guard.recount(6);
    guard.added();
    expect(guard.expected).toBe(14);
  });

  it('never counts less than nobody', () => {
    const guard = renewalGuard({ minInstances: 1 });
    guard.removed();
    expect(guard.expected).toBe(0);
    guard.recount(-5);
    expect(guard.expected).toBe(0);
    guard.added();
    guard.heard(-3);
    expect([guard.seen, guard.protecting]).toEqual([0, true]);
    guard.removed();
    expect(guard.protecting).toBe(false);
  });

  it.each([[{ ratio: 1.1 }], [{ ratio: Number.NaN }], [{ minInstances: 1.5 }]])('refuses %j', (options) => {
    expect(() => renewalGuard(options)).toThrow(RangeError);
  });
});

describe('eviction', () => {
  it.each([
    [1, 1],
    [3, 1],
    [6, 1],
    [7, 2],
    [20, 3],
    [100, 15],
  ])('of %i instances takes %i at most', (instances, limit) => {
    expect(evictionLimit(instances, 0.85)).toBe(limit);
  });

  it('draws each with the same chance', () => {
    const random = seededRandom(7);
    const pool = [0, 1, 2, 3, 4, 5];
    const drawn = pool.map(() => 0);
    const rounds = 6_000;
    for (let round = 0; round < rounds; round++)
      for (const victim of drawVictims(pool, 2, random)) drawn[victim] = (drawn[victim] ?? 0) + 1;
    // Binomial(6000, 1/3): mean 2000, standard deviation 36.5; five of those are a chance of one in a million.
    for (const count of drawn) expect(Math.abs(count - rounds / 3)).toBeLessThan(183);
    expect(pool).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each([[0], [0.999_999], [1], [2], [-1], [Number.NaN]])(
    'draws distinct ones when random says %f',
    (value) => {
      const victims = drawVictims([1, 2, 3, 4], 3, () => value);
      expect(new Set(victims).size).toBe(3);
      expect(victims).not.toContain(undefined);
    },
  );

  it('draws all when there are fewer than it may', () => {
    expect([...drawVictims(['a', 'b'], 9, seededRandom(1))].sort()).toEqual(['a', 'b']);
  });
});

function fleet(size: number, options: LifecycleOptions = {}) {
  const store = instanceStore();
  const keeper = lifecycle(store, { random: seededRandom(3), ...options });
  const id = (n: number) => ({ env: 'e', appid: `a${n % 5}`, zone: 'z', hostname: `h${n}` });
  for (let n = 0; n < size; n++) {
    const said = { region: '', addrs: ['http://a'], version: '', status: 1, metadata: new Map() } as const;
    store.register({ ...id(n), ...said }, at(0));
    keeper.guard.added();
  }
  /** One sweep interval: those below `alive` renew twice, then the sweep. */
  let now = 0;
  const pass = (alive: number) => {
    for (const share of [0.25, 0.75])
      for (let n = 0; n < alive; n++) store.renew(id(n), at(now + share * minute));
    now += minute;
    return keeper.sweep(at(now));
  };
  return { store, keeper, pass, id };
}

describe('lifecycle', () => {
  it.each([
    [2, 1],
    [3, 2],
    [4, 3],
    [12, 11],
    [40, 37],
  ])(
    'decides the same in each sweep of %i instances, %i of which live, wherever renewals fall',
    (size, alive) => {
      // The original counts renewals a minute: one each 30 s falls into it once to three times, and 2 instances of which
      // one is dead are protected in one minute and not in the next.
      for (const phaseMs of [0, 1, 14_999, 29_999]) {
        const { store, keeper, id } = fleet(size, {
          protectMinInstances: 0,
          keepRatio: 1,
          recountIntervalMs: 1e9,
        });
        const decided = new Set<boolean>();
        for (let now = phaseMs, sweep = minute; now < 60 * minute; now += 30_000) {
          for (; sweep <= now; sweep += minute) {
            const { protecting } = keeper.sweep(at(sweep));
            if (sweep > 2 * minute) decided.add(protecting);
          }
          // Not quite regular, as timers are.
          for (let n = 0; n < alive; n++) store.renew(id(n), at(now + ((n * 7919 + now) % 40)));
        }
        expect(decided.size).toBe(1);
      }
    },
  );

  it('keeps who renews, for a year', () => {
    const { store, pass } = fleet(3);
    for (let turn = 0; turn < 365 * 24 * 60; turn++) {
      const { expired } = pass(3);
      if (expired > 0) throw new Error(`expired in turn ${turn}`);
    }
    expect(store.instances).toBe(3);
  });

  it('evicts the only instance of three that crashed, at the first sweep after 90 s', () => {
    const { store, pass } = fleet(3);
    expect(pass(2).evicted).toHaveLength(0);
    const [gone] = pass(2).evicted;
    expect(gone?.hostname).toBe('h2');
    expect(store.instances).toBe(2);
  });

  it('evicts in batches of 15 %, evenly over apps', () => {
    const { store, pass } = fleet(100, { protectMinInstances: 1_000 });
    const taken: number[] = [];
    for (let turn = 0; turn < 4; turn++) taken.push(pass(0).evicted.length);
    expect(taken).toEqual([0, 15, 13, 11]);
    for (const appid of ['a0', 'a1', 'a2', 'a3', 'a4']) expect(store.has('e', appid)).toBe(true);
  });

  it('keeps everybody while most renewals are missing, up to an hour', () => {
    const { store, pass } = fleet(20);
    for (let turn = 1; turn <= 60; turn++) {
      const { protecting, evicted } = pass(10);
      expect([turn, protecting, evicted.length]).toEqual([turn, true, 0]);
    }
    expect(pass(10).evicted).toHaveLength(3);
    expect(store.instances).toBe(17);
  });

  it('gives the last ones the time to renew when most are heard of again', () => {
    const { store, pass } = fleet(20);
    for (let turn = 1; turn <= 10; turn++) pass(10);
    expect(pass(18)).toMatchObject({ protecting: true, evicted: [] });
    expect(pass(19)).toMatchObject({ protecting: false, expired: 1 });
    expect(store.instances).toBe(19);
  });

  it('believes in expiry again after the recount', () => {
    // 15 of 20 live: 30 renewals where 34 are the threshold. Gone after an hour: 3 a sweep, then 2, by then the
    // recount each quarter of an hour expects only those that are left.
    const { keeper, pass } = fleet(20);
    for (let turn = 1; turn <= 75; turn++) pass(15);
    expect(keeper.guard.expected).toBe(30);
    expect(pass(15)).toMatchObject({ protecting: false, expired: 0 });
  });

  it('shelters what it did not hear itself for as long as an instance has', () => {
    const { store, keeper, id } = fleet(3);
    keeper.shelter(60_000);
    expect(keeper).toMatchObject({ protecting: true, allowedMs: 3_600_000 });
    expect(keeper.sweep(at(minute)).protecting).toBe(true);
    expect(keeper.sweep(at(2 * minute))).toMatchObject({ protecting: true, expired: 0 });
    store.renew(id(0), at(2 * minute));
    expect(keeper.sweep(at(150_000))).toMatchObject({ protecting: false, expired: 2 });
    expect(store.instances).toBe(2);
  });

  it('judges nobody after it stood still itself', () => {
    const store = instanceStore();
    const keeper = lifecycle(store);
    const id = { env: 'e', appid: 'a', zone: 'z', hostname: 'h' };
    const said = { region: '', addrs: ['http://a'], version: '', status: 1, metadata: new Map() } as const;
    store.register({ ...id, ...said }, at(0));
    expect(keeper.sweep(at(10 * minute))).toMatchObject({ late: true, expired: 1, evicted: [] });
    store.renew(id, at(10 * minute + 1));
    expect(keeper.sweep(at(11 * minute))).toMatchObject({ late: false, expired: 0 });
    expect(keeper.sweep(at(12 * minute)).evicted).toHaveLength(1);
  });

  it('tolerates a clock that steps back, and never takes what is permanent', () => {
    const store = instanceStore();
    const keeper = lifecycle(store);
    const said = { region: '', addrs: ['http://a'], version: '', status: 1, metadata: new Map() } as const;
    const id = { env: 'e', zone: 'z', hostname: 'h' };
    store.register({ ...id, ...said, appid: 'a' }, at(minute));
    store.register({ ...id, ...said, appid: 'self', permanent: true }, at(0));
    expect(keeper.sweep(at(-minute)).evicted).toEqual([]);
    for (let turn = 0; turn < 100; turn++) keeper.sweep(at(turn * minute));
    expect([...store.records()].map(({ appid }) => appid)).toEqual(['self']);
  });

  it('forgets empty apps after an hour', () => {
    const { store, pass } = fleet(1);
    for (let turn = 0; turn < 3; turn++) pass(0);
    expect(store.emptyApps).toBe(1);
    for (let turn = 0; turn < 60; turn++) pass(0);
    expect(store.emptyApps).toBe(0);
  });

  it.each([[{ expiryMs: 0 }], [{ sweepIntervalMs: -1 }], [{ keepRatio: 2 }], [{ protectMinInstances: 0.5 }]])(
    'refuses %j',
    (options) => {
      expect(() => lifecycle(instanceStore(), options)).toThrow(RangeError);
    },
  );
});
