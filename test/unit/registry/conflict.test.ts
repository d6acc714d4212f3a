import { type Claim, compareClaims, freshVersion, type InstanceStore, instanceStore } from 'keelson/registry';
import { describe, expect, it } from 'vitest';

const claim = (dirtyNs: bigint, cancelled = false, content = cancelled ? '' : 'x'): Claim => ({
  dirtyNs,
  cancelled,
  content,
});

describe('of two claims', () => {
  it.each([
    ['the newer version', claim(2n), claim(1n)],
    ['the newer version, although it is a cancellation', claim(2n, true), claim(1n)],
    ['the newer version, although the other is a cancellation', claim(2n), claim(1n, true)],
    ['of equal versions the cancellation', claim(1n, true), claim(1n)],
    ['of equal descriptions the higher text', claim(1n, false, 'y'), claim(1n, false, 'x')],
  ])('%s prevails', (_, one, other) => {
    expect(compareClaims(one, other)).toBe(1);
    expect(compareClaims(other, one)).toBe(-1);
    expect(compareClaims(one, { ...one })).toBe(0);
  });
});

describe('a fresh version', () => {
  it.each([
    ['is the time', 100n, [], 100n],
    ['is the time when all that is known is older', 100n, [5n, undefined, 99n], 100n],
    ['is more than the newest known', 100n, [100n, 7n], 101n],
    ['is more than one from the future', 100n, [5n, 2_000n], 2_001n],
    ['is no more than 64 bits take', 100n, [2n ** 63n - 1n], 2n ** 63n - 1n],
  ])('%s', (_, now, known, expected) => {
    expect(freshVersion(now, ...known)).toBe(expected);
  });
});

const id = { env: 'e', appid: 'a', zone: 'z', hostname: 'h' };
const said = { region: '', addrs: ['http://a:1'], version: '', status: 1, metadata: new Map() } as const;
const at = (ms: number) => ({ ms, ns: BigInt(ms) * 1_000_000n });

describe('a store that remembers the cancelled', () => {
  const keptMs = 10_000;
  const make = (cancelled = 100): InstanceStore =>
    instanceStore({ cancelledMs: keptMs, limits: { cancelled } });

  it('keeps an old copy out, and takes a newer one', () => {
    const store = make();
    store.register({ ...id, ...said, dirty: 5n }, at(0));
    expect(store.cancel({ ...id, dirty: 7n }, at(1))).toBe(true);
    for (const dirty of [5n, 6n, 7n]) expect(store.register({ ...id, ...said, dirty }, at(2))).toBe('buried');
    expect(store.register({ ...id, ...said, dirty: 8n }, at(3))).toBe('added');
    expect(store.cancelled).toBe(0);
  });

  it('takes whoever registers by themselves, with a version above the cancellation', () => {
    const store = make();
    store.cancel({ ...id, dirty: 10n ** 15n }, at(0));
    expect(store.register({ ...id, ...said }, at(1))).toBe('added');
    expect(store.find(id)?.dirtyNs).toBe(10n ** 15n + 1n);
  });

  it('leaves what is newer than a cancellation', () => {
    const store = make();
    store.register({ ...id, ...said, dirty: 9n }, at(0));
    expect(store.cancel({ ...id, dirty: 8n }, at(1))).toBe(false);
    expect(store.find(id)).toBeDefined();
  });

  it('remembers also who was not there, for as long as it was told, and only so many', () => {
    const store = make(2);
    for (const [n, hostname] of ['1', '2', '3'].entries()) store.cancel({ ...id, hostname }, at(n));
    expect([...store.cancellations(2)].map(({ hostname }) => hostname)).toEqual(['2', '3']);
    store.expireCancelled(keptMs + 1);
    expect(store.cancelled).toBe(2);
    store.expireCancelled(keptMs + 2);
    expect([...store.cancellations(keptMs + 2)].map(({ hostname }) => hostname)).toEqual(['3']);
  });

  it('forgets of too many those that were cancelled first, whenever it heard of them', () => {
    const cancel = (store: InstanceStore, hostname: string, ms: number) =>
      store.cancel({ ...id, hostname, dirty: 7n, idleMs: 1_000 - ms }, at(1_000));
    const kept = (store: InstanceStore) =>
      [...store.cancellations(1_000)].map(({ hostname }) => hostname).sort();
    const store = make(3);
    for (const [hostname, ms] of [
      ['e', 50],
      ['c', 30],
      ['a', 10],
      ['d', 40],
      ['b', 20],
    ] as const)
      cancel(store, hostname, ms);
    expect(kept(store)).toEqual(['c', 'd', 'e']);
    // Of one moment the same ones everywhere.
    const [one, other] = [make(2), make(2)];
    for (const hostname of ['x', 'y', 'z']) cancel(one, hostname, 5);
    for (const hostname of ['z', 'x', 'y']) cancel(other, hostname, 5);
    expect([kept(one), kept(other)]).toEqual([
      ['y', 'z'],
      ['y', 'z'],
    ]);
    store.register({ ...id, ...said, hostname: 'd', dirty: 8n }, at(1_000));
    cancel(store, 'a', 10);
    expect(kept(store)).toEqual(['a', 'c', 'e']);
    store.expireCancelled(keptMs + 20);
    expect(kept(store)).toEqual(['c', 'e']);
  });

  it('takes who was lifted back in whatever version, with one just above the cancellation, and only once', () => {
    const store = make();
    store.cancel({ ...id, dirty: 7n }, at(1));
    store.lift(id);
    expect([store.cancelled, store.find(id)]).toEqual([1, undefined]);
    expect(store.register({ ...id, ...said, dirty: 5n }, at(2))).toBe('added');
    expect([store.cancelled, store.find(id)?.dirtyNs]).toEqual([0, 8n]);
    expect(store.cancel({ ...id, dirty: 7n }, at(3))).toBe(false);
    store.cancel({ ...id, dirty: 9n }, at(4));
    expect(store.register({ ...id, ...said, dirty: 5n }, at(5))).toBe('buried');
    store.lift(id);
    expect(store.register({ ...id, ...said, dirty: 20n }, at(6))).toBe('added');
    expect(store.find(id)?.dirtyNs).toBe(20n);
    store.lift(id);
    expect(store.cancelled).toBe(0);
  });

  it('takes none back whose time is over, and tells of none', () => {
    const store = make();
    store.register({ ...id, ...said, dirty: 5n }, at(0));
    expect(store.cancel({ ...id, dirty: 7n, idleMs: keptMs + 1 }, at(1))).toBe(false);
    expect([store.cancelled, store.find(id)?.dirtyNs]).toEqual([0, 5n]);
    store.cancel({ ...id, dirty: 7n, idleMs: keptMs }, at(1));
    expect([...store.cancellations(1)]).toHaveLength(1);
    expect([store.cancelled, [...store.cancellations(2)]]).toEqual([1, []]);
  });

  it('knows age from hearsay, and is not made older by it', () => {
    const store = make();
    store.register({ ...id, ...said, dirty: 5n, idleMs: 400 }, at(1_000));
    expect(store.find(id)?.renewedMs).toBe(600);
    store.register({ ...id, ...said, dirty: 5n, idleMs: 900 }, at(1_100));
    expect(store.find(id)?.renewedMs).toBe(600);
    expect(store.register({ ...id, ...said, dirty: 5n, idleMs: 100 }, at(1_100))).toBe('same');
    expect(store.find(id)?.renewedMs).toBe(1_000);
  });

  it('makes nobody older by a description that is newer, and hears of life from who has an older one', () => {
    const store = make();
    store.register({ ...id, ...said, dirty: 5n }, at(1_000_000));
    const renewed = () => /"renew_timestamp":(\d+)/.exec(store.find(id)?.encode() ?? '')?.[1];
    expect(renewed()).toBe('1000000000000');
    const labels = { ...said, metadata: new Map([['k', 'v']]) };
    expect(store.register({ ...id, ...labels, dirty: 9n, idleMs: 600_000 }, at(1_001_000))).toBe('replaced');
    expect(store.find(id)?.renewedMs).toBe(1_000_000);
    expect(renewed()).toBe('1000000000000');
    expect(store.register({ ...id, ...said, dirty: 6n, idleMs: 500 }, at(1_002_000))).toBe('kept');
    expect(store.find(id)?.renewedMs).toBe(1_001_500);
    expect(store.find(id)?.metadata).toEqual(labels.metadata);
    expect(store.register({ ...id, ...said, dirty: 6n, idleMs: 5_000 }, at(1_002_000))).toBe('kept');
    expect(store.find(id)?.renewedMs).toBe(1_001_500);
  });

  it('by itself remembers none', () => {
    const store = instanceStore();
    store.cancel(id, at(0));
    expect(store.cancelled).toBe(0);
  });

  it.each([[{ cancelledMs: -1 }], [{ limits: { cancelled: 0 } }]])('refuses %j', (options) => {
    expect(() => instanceStore(options)).toThrow(RangeError);
  });
});
