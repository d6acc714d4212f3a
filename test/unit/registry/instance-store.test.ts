import {
  type InstanceRegistration,
  type InstanceStoreOptions,
  type Instant,
  instanceStore,
  type ListQuery,
} from 'keelson/registry';
import { describe, expect, it } from 'vitest';

const wall = 1_700_000_000_000_000_000n;
/** One moment on both scales; the wall clock may be told apart. */
const at = (ms: number, ns = wall + BigInt(ms) * 1_000_000n): Instant => ({ ms, ns });
const registration = (more: Partial<InstanceRegistration> = {}): InstanceRegistration => ({
  env: 'e',
  appid: 'a',
  zone: 'z',
  hostname: 'h',
  region: '',
  addrs: ['http://a:1'],
  version: '',
  status: 1,
  metadata: new Map(),
  ...more,
});
const query = (more: Partial<ListQuery> = {}): ListQuery => ({
  env: 'e',
  appid: 'a',
  zone: '',
  status: 3,
  ...more,
});
const id = { env: 'e', appid: 'a', zone: 'z', hostname: 'h' };

function make(options: InstanceStoreOptions = {}) {
  const changes: string[] = [];
  const store = instanceStore({ ...options, onChange: (key) => changes.push(key) });
  const list = (more: Partial<ListQuery> = {}) => {
    const text = store.list(query(more))?.json.toString();
    return text === undefined ? undefined : JSON.parse(text.replace(/:(\d{16,})/g, ':"$1"'));
  };
  const latest = () =>
    BigInt(/"latest_timestamp":(\d+)\}$/.exec(String(store.current(query())?.json))?.[1] ?? -1);
  return { store, list, latest, changes };
}

describe('the change counter', () => {
  it('is the time, or one more than before when the time stands or goes back', () => {
    const { store, latest } = make();
    const table: [Instant, bigint][] = [
      [at(0), wall],
      [at(0), wall + 1n],
      [at(1, wall - 5_000_000_000n), wall + 2n],
      [at(2), wall + 2_000_000n],
    ];
    for (const [now, expected] of table) {
      store.register(registration(), now);
      expect(latest()).toBe(expected);
    }
  });

  it.each([
    ['a plausible one is taken', wall + 1_000_000_000n, wall + 1_000_000_000n],
    ['one below the counter adds one', 5n, wall + 1n],
    ['one from the far future is not believed', wall + 10n ** 15n, wall + 1n],
    ['the largest there is neither', 2n ** 63n - 1n, wall + 1n],
    ['a negative one neither', -1n, wall + 1n],
  ])('given from outside: %s', (_, latestGiven, expected) => {
    const { store, latest } = make();
    store.register(registration(), at(0));
    store.register(registration({ latest: latestGiven }), at(0));
    expect(latest()).toBe(expected);
  });

  it('rises by one on cancel, and goes on from there when the app returns on a clock that was set back', () => {
    const { store, latest } = make();
    store.register(registration(), at(0));
    store.register(registration({ hostname: 'h2' }), at(0));
    store.cancel(id, at(10));
    expect(latest()).toBe(wall + 2n);
    store.cancel({ ...id, hostname: 'h2' }, at(10));
    store.register(registration(), at(20, 0n));
    expect(latest()).toBe(wall + 4n);
  });

  it('is that of the fastest clock of the cluster, so that who comes from another node misses nothing', () => {
    const { store, latest } = make();
    const ahead = (ms: number): Instant => ({ ...at(ms), clusterNs: wall + 600_000_000_000n + BigInt(ms) });
    store.register(registration(), ahead(1));
    store.register(registration({ hostname: 'h2' }), ahead(2));
    expect(latest()).toBe(wall + 600_000_000_002n);
    store.cancel(id, ahead(3));
    expect(latest()).toBe(wall + 600_000_000_003n);
    store.evict(store.records(), ahead(4));
    expect(latest()).toBe(wall + 600_000_000_004n);
  });

  it('goes on also when the app had been forgotten', () => {
    const { store, latest } = make();
    store.register(registration(), at(0));
    store.cancel(id, at(1));
    store.forgetEmptied(2);
    expect(store.emptyApps).toBe(0);
    store.register(registration(), at(3, 0n));
    expect(latest()).toBe(wall + 2n);
  });

  it('does not move on renewal', () => {
    const { store, latest, changes } = make();
    store.register(registration(), at(0));
    store.renew(id, at(30_000));
    expect(latest()).toBe(wall);
    expect(changes).toHaveLength(1);
  });
});

describe('register', () => {
  it('says what became of it', () => {
    const { store } = make();
    expect(store.register(registration({ dirty: 10n }), at(0))).toBe('added');
    expect(store.register(registration({ dirty: 9n }), at(1))).toBe('kept');
    expect(store.register(registration({ dirty: 10n }), at(2))).toBe('same');
    expect(store.register(registration({ dirty: 11n }), at(2))).toBe('replaced');
    expect(store.instances).toBe(1);
  });

  it('takes a plain registration for the newest, whatever the clock and the stored version say', () => {
    const { store, list } = make();
    store.register(registration({ dirty: wall + 10n ** 15n }), at(0));
    expect(store.register(registration({ version: 'new' }), at(1, 0n))).toBe('replaced');
    expect(list().instances.z[0]).toMatchObject({
      version: 'new',
      dirty_timestamp: String(wall + 10n ** 15n + 1n),
    });
  });

  it('writes no timestamp that is no int64, whatever a peer sent', () => {
    const { store, list } = make();
    const dirty = 2n ** 63n - 1n;
    store.register(registration({ dirty }), at(0));
    expect(store.register(registration({ version: 'new' }), at(1))).toBe('replaced');
    expect(list().instances.z[0]).toMatchObject({ version: 'new', dirty_timestamp: String(dirty) });
  });

  it('wakes nobody when it changes nothing', () => {
    const { store, changes } = make();
    store.register(registration({ dirty: 10n }), at(0));
    store.register(registration({ dirty: 9n }), at(1));
    expect(changes).toHaveLength(1);
  });

  it('keeps instances of other envs, zones and joinable names apart', () => {
    const { store } = make();
    const ids = [
      { env: 'c', appid: 'a-b' },
      { env: 'b-c', appid: 'a' },
      { env: 'xy', appid: 'z' },
      { env: 'x', appid: 'yz' },
      { env: '1:c', appid: 'a' },
      { env: 'c', appid: '1:a' },
    ];
    for (const one of ids) store.register(registration(one), at(0));
    store.register(registration({ env: 'c', appid: 'a-b', zone: 'z2' }), at(0));
    expect(store.apps).toBe(ids.length);
    expect(store.instances).toBe(ids.length + 1);
    for (const one of ids) expect(store.list(query(one))?.instances).toBe(one.appid === 'a-b' ? 2 : 1);
  });

  it('takes names that are dangerous as keys of objects', () => {
    const { store, list } = make();
    const metadata = new Map([
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['toJSON', 't'],
    ]);
    store.register(
      registration({
        env: '__proto__',
        appid: 'constructor',
        zone: '__proto__',
        hostname: 'toString',
        metadata,
      }),
      at(0),
    );
    const text = store.list(query({ env: '__proto__', appid: 'constructor' }))?.json.toString();
    expect(text).toContain('{"__proto__":[{');
    expect(text).toContain('"metadata":{"__proto__":"p","constructor":"c","toJSON":"t"}');
    expect(list()).toBeUndefined();
    expect(({} as Record<string, unknown>)['p']).toBeUndefined();
  });

  it.each([
    ['instances', { instances: 2 }, [{}, { hostname: '2' }, { appid: 'b' }]],
    ['instances of one app', { instancesPerApp: 2 }, [{}, { hostname: '2' }, { hostname: '3' }]],
  ])('refuses one beyond the bound of %s, and replaces all the same', (_, limits, [first, second, third]) => {
    const { store } = make({ limits });
    store.register(registration(first), at(0));
    store.register(registration(second), at(0));
    expect(() => store.register(registration(third), at(0))).toThrow(/2 instances/);
    expect(store.register(registration(second), at(1))).toBe('replaced');
    expect(store.instances).toBe(2);
    expect(store.apps).toBe(1);
    store.cancel({ ...id, ...second }, at(2));
    expect(store.register(registration(third), at(3))).toBe('added');
  });
});

describe('what is asked for', () => {
  const rows: [string, bigint, string | number][] = [
    ['knows nothing', 0n, 1],
    ['knows less', wall - 1n, 1],
    ['knows it', wall, 'unchanged'],
    ['knows more', wall + 1n, 'unchanged'],
  ];
  it.each(rows)('is told when the asker %s', (_, since, expected) => {
    const { store } = make();
    store.register(registration(), at(0));
    const found = store.listSince(query(), since);
    expect(typeof found === 'string' ? found : found.instances).toBe(expected);
  });

  it('is missing before it ever was, empty after, and missing again to who never saw it', () => {
    const { store } = make();
    expect(store.listSince(query(), 5n)).toBe('missing');
    store.register(registration(), at(0));
    store.cancel(id, at(0));
    expect(store.listSince(query(), 0n)).toBe('missing');
    expect(store.listSince(query(), wall)).toMatchObject({ instances: 0 });
    expect(store.listSince(query(), wall + 1n)).toBe('unchanged');
    expect(store.list(query())).toBeUndefined();
    expect(store.has('e', 'a')).toBe(false);
  });

  it('is an empty list when its zone emptied while others live', () => {
    const { store } = make();
    store.register(registration({ zone: 'other' }), at(0));
    store.register(registration(), at(0));
    store.cancel(id, at(0));
    expect(store.listSince(query({ zone: 'z' }), wall)).toMatchObject({ instances: 0, known: false });
    expect(store.listSince(query({ zone: 'z' }), 0n)).toBe('missing');
  });

  it('is encoded once, until something in it changes', () => {
    const { store } = make();
    store.register(registration(), at(0));
    const first = store.list(query());
    expect(store.list(query())).toBe(first);
    expect(store.encodings).toBe(1);
    store.renew(id, at(5));
    expect(store.list(query())?.json.toString()).toContain(`"renew_timestamp":${wall + 5_000_000n}`);
    expect(store.encodings).toBe(2);
    for (let asked = 0; asked < 100; asked++) store.list(query({ zone: `none-${asked}` }));
    expect(store.list(query())).toBe(store.list(query()));
  });

  it('the registry itself is one app whatever the env', () => {
    const { store } = make();
    store.register(registration({ appid: 'infra.discovery', permanent: true }), at(0));
    expect(store.list(query({ env: 'any', appid: 'infra.discovery' }))?.instances).toBe(1);
    expect(store.instances).toBe(0);
  });
});

describe('set', () => {
  it('lays metadata over, sets status and up time, and is a change', () => {
    const { store, list, changes } = make();
    store.register(registration({ metadata: new Map([['a', '1']]) }), at(0));
    const metadata = new Map([['b', '2']]);
    store.set({ ...id, hosts: [{ hostname: 'h', status: 2, metadata }] }, at(1));
    expect(list().instances.z[0]).toMatchObject({
      status: 2,
      metadata: { a: '1', b: '2' },
      up_timestamp: String(wall),
    });
    store.set({ ...id, hosts: [{ hostname: 'h', status: 1 }], stamp: wall + 2_000_000n }, at(3));
    expect(list().instances.z[0]).toMatchObject({
      status: 1,
      up_timestamp: String(wall + 2_000_000n),
      dirty_timestamp: String(wall + 2_000_000n),
    });
    expect(changes).toHaveLength(3);
  });

  it('is all or nothing', () => {
    const { store, list, changes } = make({ limits: { metadataEntries: 1 } });
    store.register(registration(), at(0));
    store.register(registration({ hostname: 'h2', metadata: new Map([['a', '1']]) }), at(0));
    const metadata = new Map([['b', '1']]);
    const refused = [
      [{ hostname: 'h', status: 2 as const }, { hostname: 'gone' }],
      [
        { hostname: 'h', metadata },
        { hostname: 'h2', metadata },
      ],
      [
        { hostname: 'h', metadata },
        { hostname: 'h', metadata: new Map([['c', '1']]) },
      ],
    ];
    const before = list();
    for (const hosts of refused) expect(() => store.set({ ...id, hosts }, at(1))).toThrow();
    expect(() => store.set({ ...id, appid: 'none', hosts: [] }, at(1))).toThrow(/no instances/);
    expect(list()).toEqual(before);
    expect(changes).toHaveLength(2);
  });
});

describe('cancel and evict', () => {
  it('takes each out once', () => {
    const { store, changes } = make();
    store.register(registration(), at(0));
    expect(store.cancel({ ...id, zone: 'other' }, at(1))).toBe(false);
    expect(store.cancel(id, at(1))).toBe(true);
    expect(store.cancel(id, at(1))).toBe(false);
    expect(store.renew(id, at(1))).toBeUndefined();
    expect([store.instances, store.apps, store.emptyApps, changes.length]).toEqual([0, 0, 1, 2]);
  });

  it('evicts several as one change of each app, and nobody who registered again meanwhile', () => {
    const { store, changes } = make();
    for (const hostname of ['1', '2', '3']) store.register(registration({ hostname }), at(0));
    store.register(registration({ appid: 'b' }), at(0));
    const all = [...store.records()];
    store.register(registration({ hostname: '3' }), at(1));
    changes.length = 0;
    store.evict([...all, ...all], at(2));
    expect(changes).toHaveLength(2);
    expect(store.instances).toBe(1);
  });

  it('remembers only so many empty apps, the latest', () => {
    const { store } = make({ limits: { emptyApps: 2 } });
    for (const appid of ['1', '2', '3']) {
      store.register(registration({ appid }), at(0));
      store.cancel({ ...id, appid }, at(1));
    }
    expect(store.emptyApps).toBe(2);
    expect(store.current(query({ appid: '1' }))).toBeUndefined();
    expect(store.current(query({ appid: '3' }))).toMatchObject({ instances: 0 });
  });
});
