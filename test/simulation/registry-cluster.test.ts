import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegistryEvent, RegistryOptions } from 'keelson/registry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { RegistryCluster, SimulatedInstance } from '../doubles/registry-cluster.js';

const minute = 60_000;
const renewMs = 30_000;
const compareMs = 15_000;
const id = (hostname: string) => ({ env: 'e', appid: 'a', zone: 'default', hostname });
const instance = (hostname: string, more: Record<string, string | readonly string[]> = {}) => ({
  ...id(hostname),
  status: '1',
  addrs: [`http://${hostname}:80`, `grpc://${hostname}:90`],
  version: '1',
  ...more,
});

let network: RegistryCluster;
afterEach(() => network.close());

async function cluster(options: ConstructorParameters<typeof RegistryCluster>[0] = {}, count = 3) {
  const events: (RegistryEvent & { node: number })[] = [];
  const registry = (node: number): RegistryOptions => ({
    onEvent: (event) => events.push({ ...event, node }),
    ...options.registry?.(node),
  });
  network = new RegistryCluster({ ...options, registry });
  await network.start(count);
  await network.clock.advance(2_000);
  return { events, evicted: () => events.filter(({ name }) => name === 'evicted').length };
}
const lists = () => Promise.all(network.nodes.map((_, at) => network.listed(at)));

describe('a cluster', () => {
  it('has each write on every node when the answer is out', async () => {
    await cluster();
    for (const node of [0, 1, 2]) expect(network.node(node).stats().synced).toBe(true);
    await network.ask(0, 'POST', 'register', instance('h'));
    expect(await lists()).toEqual([{ 'a/h': '1' }, { 'a/h': '1' }, { 'a/h': '1' }]);
    await network.ask(1, 'POST', 'set', { ...id('h'), status: '2', metadata: '{"k":"v"}' });
    const { data } = await network.ask(2, 'GET', 'fetch', { env: 'e', appid: 'a', status: '3' });
    expect(data.instances.default[0]).toMatchObject({
      status: 2,
      metadata: { k: 'v' },
      addrs: ['http://h:80', 'grpc://h:90'],
    });
    expect((await network.ask(2, 'POST', 'cancel', id('h'))).code).toBe(0);
    expect(await lists()).toEqual([{}, {}, {}]);
  });

  it('wakes who polls another node, by a register, a set and the last cancel', async () => {
    await cluster();
    await network.ask(0, 'POST', 'register', instance('h'));
    let since = '0';
    const poll = async (write: () => Promise<unknown>) => {
      const form = { env: 'e', appid: 'a', hostname: 'p', latest_timestamp: since };
      const told = network.node(1).ask('GET', '/discovery/polls', new URLSearchParams(form));
      await write();
      const { body } = await told;
      since = /"latest_timestamp":(\d+)\}\}/.exec(body)?.[1] ?? since;
      return JSON.parse(body).data.a.instances;
    };
    expect((await poll(() => Promise.resolve())).default).toHaveLength(1);
    expect(await poll(() => network.ask(0, 'POST', 'set', { ...id('h'), status: '2' }))).toEqual({
      default: [],
    });
    expect(
      (await poll(() => network.ask(2, 'POST', 'set', { ...id('h'), status: '1' }))).default,
    ).toHaveLength(1);
    expect(await poll(() => network.ask(0, 'POST', 'cancel', id('h')))).toEqual({});
  });

  it('does not let a peer that hangs hold writes for longer than its bound, and then not at all', async () => {
    await cluster();
    network.part([2], 'hanging');
    const waited = async (hostname: string) => {
      const before = network.clock.now();
      expect((await network.ask(0, 'POST', 'register', instance(hostname))).code).toBe(0);
      return network.clock.now() - before;
    };
    expect(await waited('first')).toBeLessThanOrEqual(520);
    await network.clock.advance(4_000);
    expect(
      network
        .node(0)
        .stats()
        .peers.map(({ status }) => status),
    ).toEqual(['up', 'lost']);
    expect(await waited('second')).toBeLessThanOrEqual(30);
    expect(Object.keys(await network.listed(1))).toEqual(['a/first', 'a/second']);
  });

  it.each([
    ['it fills', 8_000, Number.POSITIVE_INFINITY],
    ['the peer says are too large', 60_000, 8_000],
  ])('answers no write before the peer was told, in batches that %s', async (_, ownBytes, bodyBytes) => {
    const registry = () => ({ limits: { bodyBytes: ownBytes } });
    await cluster({ latencyMs: 10, registry, bodyBytes }, 2);
    const unknown: string[] = [];
    const metadata = JSON.stringify({ note: 'n'.repeat(1_000) });
    const writes = Array.from({ length: 20 }, async (_, n) => {
      const hostname = `h${n}`;
      const form = { ...id(hostname), status: '1', addrs: `http://${hostname}`, metadata };
      await network.node(0).ask('POST', '/discovery/register', new URLSearchParams(form));
      const told = await network.node(1).ask('GET', '/discovery/fetch/all', new URLSearchParams());
      if (!told.body.includes(`"hostname":"${hostname}"`)) unknown.push(hostname);
    });
    // Less than the longest that an answer waits.
    await network.clock.advance(480);
    await Promise.all(writes);
    expect(unknown).toEqual([]);
    expect(network.asked.get('/discovery/peer/merge')).toBeGreaterThan(3);
  });

  it('keeps one entry for each instance that a lost peer is to be told of, and no more than its bound', async () => {
    await cluster({ registry: () => ({ limits: { peerQueue: 10 } }) });
    network.part([2], 'cut');
    for (let write = 0; write < 50; write++)
      await network.ask(0, 'POST', 'register', instance('h', { version: String(write) }));
    const toTwo = () => network.node(0).stats().peers[1];
    expect(toTwo()).toMatchObject({ status: 'lost', queued: 1, dropped: 0 });
    for (let other = 0; other < 25; other++) await network.ask(0, 'POST', 'register', instance(`h${other}`));
    expect(toTwo()).toMatchObject({ queued: 10, dropped: 16 });
    network.part([2], 'up');
    await network.clock.advance(compareMs + 1_000);
    expect(toTwo()).toMatchObject({ status: 'up', queued: 0 });
    expect(Object.keys(await network.listed(2))).toHaveLength(26);
    expect((await network.listed(2))['a/h']).toBe('49');
  });

  it('sends renewals of a moment together', async () => {
    await cluster();
    const instances = Array.from({ length: 500 }, (_, at) => new SimulatedInstance(network, `h${at}`, 0));
    for (const one of instances) one.register();
    await network.clock.advance(2_000);
    const before = network.requests;
    await network.clock.advance(renewMs);
    // 500 renewals within some milliseconds to two peers, 200 in a batch, besides comparisons (6 each 12 to 15 s) and
    // the nodes' own renewals.
    expect(network.requests - before).toBeLessThan(50);
    for (const list of await lists()) expect(Object.keys(list)).toHaveLength(500);
  });

  it('takes no version from years ahead, and keeps its own against an older one', async () => {
    await cluster();
    const far = String(2n ** 63n - 1n);
    for (const path of ['register', 'renew'])
      expect(
        (await network.ask(0, 'POST', path, instance('h', { dirty_timestamp: far, replication: 'true' })))
          .code,
      ).toBe(-400);
    await network.ask(0, 'POST', 'register', instance('h', { version: 'new' }));
    await network.ask(
      0,
      'POST',
      'register',
      instance('h', { version: 'old', dirty_timestamp: '5', replication: 'true' }),
    );
    const renewed = await network.ask(0, 'POST', 'renew', {
      ...id('h'),
      dirty_timestamp: '5',
      replication: 'true',
    });
    expect(renewed).toMatchObject({ code: -409, data: { version: 'new' } });
    expect(await network.listed(0)).toEqual({ 'a/h': 'new' });
  });
});

describe('the cancelled', () => {
  it('stay away although a node that was cut off still lists them, and come back when they register', async () => {
    await cluster();
    await network.ask(2, 'POST', 'register', instance('h'));
    network.part([2], 'hanging');
    await network.ask(0, 'POST', 'cancel', id('h'));
    await network.clock.advance(20_000);
    expect(await network.listed(2)).toEqual({ 'a/h': '1' });
    network.part([2], 'up');
    await network.clock.advance(compareMs + 5_000);
    expect(await lists()).toEqual([{}, {}, {}]);
    await network.ask(1, 'POST', 'register', instance('h', { version: '2' }));
    expect(await lists()).toEqual([{ 'a/h': '2' }, { 'a/h': '2' }, { 'a/h': '2' }]);
    await network.clock.advance(compareMs);
    expect(network.node(0).stats().cancelled).toBe(0);
  });

  it('are cancelled everywhere although the node that was told did not know them', async () => {
    await cluster();
    network.part([0], 'cut');
    await network.ask(0, 'POST', 'register', instance('h'));
    expect((await network.ask(1, 'POST', 'cancel', id('h'))).code).toBe(-404);
    network.part([0], 'up');
    await network.clock.advance(compareMs + 15_000);
    expect(await lists()).toEqual([{}, {}, {}]);
  });

  it('live when a peer renews them long after, as one of the original does whose clock is behind', async () => {
    await cluster();
    await network.ask(0, 'POST', 'register', instance('h'));
    await network.ask(0, 'POST', 'cancel', id('h'));
    const old = { dirty_timestamp: '1000', replication: 'true', from_zone: 'true' };
    const renew = () => network.ask(0, 'POST', 'renew', { ...id('h'), ...old });
    expect((await renew()).code).toBe(-409);
    await network.ask(0, 'POST', 'register', instance('h', old));
    expect(await network.listed(0)).toEqual({});
    await network.clock.advance(minute);
    expect((await renew()).code).toBe(-404);
    await network.ask(0, 'POST', 'register', instance('h', old));
    expect(await network.listed(0)).toEqual({ 'a/h': '1' });
  });

  it('that live go on living although only one node hears their renewals', async () => {
    await cluster();
    await network.ask(0, 'POST', 'register', instance('h'));
    await network.ask(0, 'POST', 'cancel', id('h'));
    await network.clock.advance(minute + 1_000);
    const old = { dirty_timestamp: '1000', replication: 'true', from_zone: 'true' };
    /** As one of the original does that tells only the first. */
    const renew = async () => {
      const { code } = await network.ask(0, 'POST', 'renew', { ...id('h'), ...old });
      if (code === -404) await network.ask(0, 'POST', 'register', instance('h', old));
    };
    await renew();
    await network.clock.advance(compareMs + 1_000);
    expect(await lists()).toEqual([{ 'a/h': '1' }, { 'a/h': '1' }, { 'a/h': '1' }]);
    for (let round = 0; round < 20; round++) {
      if (round % 4 === 3) await renew();
      expect(await network.listed(0)).toEqual({ 'a/h': '1' });
      await network.clock.advance(renewMs / 4);
    }
  });

  it('are the same on all nodes, however many: nobody fetches what it has just forgotten', async () => {
    await cluster({ registry: () => ({ limits: { cancelled: 20 } }) }, 2);
    network.part([0], 'cut');
    for (let n = 0; n < 20; n++) {
      await network.ask(n % 2, 'POST', 'cancel', id(`h${n}`));
      await network.clock.advance(1_000);
    }
    network.part([0], 'up');
    await network.clock.advance(3 * compareMs);
    // Each has all of them now, and heard of the other's last. One must go.
    await network.ask(0, 'POST', 'cancel', id('one-more'));
    await network.clock.advance(3 * compareMs);
    expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([20, 20]);
    const fetched = () => network.asked.get('/discovery/peer/entries');
    const before = fetched();
    await network.clock.advance(10 * compareMs);
    expect(fetched()).toBe(before);
  });

  it('are forgotten once no node can list them any more', async () => {
    await cluster();
    await network.ask(0, 'POST', 'register', instance('h'));
    await network.ask(0, 'POST', 'cancel', id('h'));
    await network.clock.advance(61 * minute);
    expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([1, 1, 1]);
    await network.clock.advance(3 * minute);
    expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([0, 0, 0]);
  });
});

describe('clocks', () => {
  it.each([[[0, -600_000, 0]], [[600_000, 0, 0]], [[600_000, -600_000, 0]]])(
    '%j wrong: who writes last prevails, on whichever side of a cut',
    async (skews) => {
      await cluster({ skews });
      network.part([0], 'cut');
      for (const [first, second] of [
        [0, 1],
        [1, 0],
        [2, 0],
        [0, 2],
      ] as const) {
        await network.ask(first, 'POST', 'register', instance(`${first}${second}`, { version: 'old' }));
        await network.ask(second, 'POST', 'register', instance(`${first}${second}`, { version: 'new' }));
      }
      network.part([0], 'up');
      await network.clock.advance(compareMs + 15_000);
      const all = { 'a/01': 'new', 'a/10': 'new', 'a/20': 'new', 'a/02': 'new' };
      expect(await lists()).toEqual([all, all, all]);
    },
  );
});

describe('a node cut off', () => {
  it.each([
    ['cut', [0, 0, 0]],
    ['hanging', [0, 0, 0]],
    ['cut', [600_000, 0, -600_000]],
  ] as const)(
    '(%s) for ten minutes and back, clocks %j wrong: nobody is evicted, nobody lost',
    async (how, skews) => {
      const { evicted } = await cluster({ skews });
      const instances = Array.from(
        { length: 40 },
        (_, at) => new SimulatedInstance(network, `h${at}`, at % 3),
      );
      for (const one of instances) one.register();
      await network.clock.advance(3 * minute);
      network.part([0], how);
      await network.clock.advance(5 * minute);
      const late = [0, 1].map((home) => new SimulatedInstance(network, `late${home}`, home));
      for (const one of late) one.register();
      await network.clock.advance(5 * minute);
      for (const list of await lists()) expect(Object.keys(list)).toHaveLength(41);
      network.part([0], 'up');
      await network.clock.advance(renewMs + compareMs);
      for (const list of await lists()) expect(Object.keys(list)).toHaveLength(42);
      await network.clock.advance(10 * minute);
      for (const list of await lists()) expect(Object.keys(list)).toHaveLength(42);
      expect(evicted()).toBe(0);
    },
  );

  it('makes nobody older by what is changed there meanwhile', async () => {
    const { events } = await cluster();
    const all = Array.from({ length: 12 }, (_, at) => new SimulatedInstance(network, `h${at}`, at % 2));
    // Their renewals are spread over half a minute.
    for (const one of all) {
      one.register();
      await network.clock.advance(renewMs / all.length);
    }
    for (let round = 0; round < 3; round++) {
      network.part([2], 'cut');
      await network.clock.advance(10 * minute);
      // These two renew last before the others sweep. Of more the guard would take care.
      for (const hostname of ['h0', 'h1'])
        expect((await network.ask(2, 'POST', 'set', { ...id(hostname), status: '2' })).code).toBe(0);
      // Within half a minute before the others sweep, after these two renewed, it is heard of again.
      await network.clock.advance(2 * minute - (network.clock.now() % minute) - 24_000);
      network.part([2], 'up');
      await network.clock.advance(2 * minute);
      for (const list of await lists()) expect(Object.keys(list)).toHaveLength(all.length);
    }
    expect(events.filter(({ name }) => name === 'protecting').map(({ node }) => node)).toContain(2);
    // But the node itself, by the others.
    const evicted = events.filter(({ name, fields }) => name === 'evicted' && fields['appid'] === 'a');
    expect(evicted).toEqual([]);
  });

  it.each([
    ['cut', 300],
    // What hangs at that moment ends by its timeout.
    ['hanging', 3_300],
  ] as const)('(%s) is told of everything at once when it is heard of again', async (how, withinMs) => {
    await cluster();
    network.part([0], how);
    for (let at = 0; at < 300; at++) await network.ask(1, 'POST', 'register', instance(`h${at}`));
    await network.clock.advance(minute / 2);
    expect(network.node(1).stats().peers[0]).toMatchObject({ status: 'lost' });
    network.part([0], 'up');
    const digest = { node: network.node(0).stats().node };
    await network.ask(1, 'GET', 'peer/digest', digest);
    await network.clock.advance(withinMs);
    expect(Object.keys(await network.listed(0))).toHaveLength(300);
  });

  it('does not bring back whom the others saw die', async () => {
    const { events } = await cluster();
    const instances = Array.from({ length: 40 }, (_, at) => new SimulatedInstance(network, `h${at}`, at % 3));
    for (const one of instances) one.register();
    await network.clock.advance(3 * minute);
    // Nodes 0 and 1 hear nothing of each other's, a third of all, and protect; node 2 hears of everybody but the dead.
    network.link(0, 1, 'cut');
    await network.clock.advance(3 * minute);
    instances[1]?.crash();
    await network.clock.advance(5 * minute);
    const counts = async () => (await lists()).map((list) => Object.keys(list).length);
    expect(await counts()).toEqual([40, 40, 39]);
    network.link(0, 1, 'up');
    for (let step = 0; step < 12; step++) {
      await network.clock.advance(compareMs);
      expect((await counts())[2]).toBe(39);
    }
    expect(await counts()).toEqual([39, 39, 39]);
    // Each node once: nobody took it back.
    expect(events.filter(({ name }) => name === 'evicted')).toHaveLength(3);
  });
});

describe('a node that starts', () => {
  it('answers no reads before it knows what its peers know', async () => {
    await cluster();
    for (let at = 0; at < 300; at++) await network.ask(0, 'POST', 'register', instance(`h${at}`));
    network.link(2, 0, 'hanging');
    network.link(2, 1, 'hanging');
    await network.restart(2);
    expect((await network.ask(2, 'GET', 'fetch/all', {})).code).toBe(-500);
    expect((await network.ask(2, 'GET', 'nodes', {})).code).toBe(-500);
    expect((await network.ask(2, 'POST', 'register', instance('new'))).code).toBe(0);
    network.link(2, 0, 'up');
    await network.clock.advance(4_000);
    expect(Object.keys(await network.listed(2))).toHaveLength(301);
  });

  it.each([
    ['hang', 'hanging', 10_000],
    ['are away', 'cut', 10_000],
  ] as const)('serves alone when its peers %s', async (_, how, boundMs) => {
    await cluster();
    network.part([2], how);
    await network.restart(2);
    expect(network.node(2).stats().synced).toBe(false);
    await network.clock.advance(boundMs);
    expect(network.node(2).stats().synced).toBe(true);
    expect(await network.listed(2)).toEqual({});
  });

  it('takes back its own name from what is left of its earlier life', async () => {
    const skews = [0, 0, 600_000];
    // Its name is made of its port.
    const listen = `127.0.0.1:${await freePort()}`;
    await cluster({ skews, registry: (node) => (node === 2 ? { listen } : {}) });
    // It leaves properly, and its clock is set right: its new registration is older than its farewell.
    await network.leave(2);
    skews[2] = 0;
    await network.startOne(2);
    await network.clock.advance(compareMs + 15_000);
    const { data } = await network.ask(0, 'GET', 'fetch', {
      env: 'e',
      appid: 'infra.discovery',
      status: '1',
    });
    expect(data.instances.default).toHaveLength(3);
  });
});

describe('a node that starts with what it remembers', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-cluster-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const registry = (node: number) => ({ snapshot: join(folder, `${node}.json`) });
  const hosts = ['h0', 'h1', 'h2', 'h3', 'h4'];
  const listed = Object.fromEntries(hosts.map((hostname) => [`a/${hostname}`, '1']));
  const startWithAll = async () => {
    await cluster({ registry }, 2);
    for (const hostname of hosts) await network.ask(0, 'POST', 'register', instance(hostname));
    expect(await lists()).toEqual([listed, listed]);
  };
  /** What clients are told; peers are not told who was not heard of. */
  const fetched = async (node: number) => {
    const { data } = await network.ask(node, 'GET', 'fetch', { env: 'e', appid: 'a', status: '1' });
    const list: { hostname: string }[] = data?.instances.default ?? [];
    return list.map(({ hostname }) => hostname).sort();
  };

  it('keeps that when all start anew, one after the other: who knows nothing itself outdates nobody', async () => {
    await startWithAll();
    await network.leave(0);
    await network.leave(1);
    network.part([0], 'cut');
    await network.startOne(1);
    await network.clock.advance(11_000);
    network.part([0], 'up');
    await network.startOne(0);
    await network.clock.advance(1_000);
    expect(await Promise.all([fetched(0), fetched(1)])).toEqual([hosts, hosts]);
    await network.clock.advance(compareMs);
    expect(await Promise.all([fetched(0), fetched(1)])).toEqual([hosts, hosts]);
    // Nobody renewed.
    await network.clock.advance(10 * minute);
    expect(await Promise.all([fetched(0), fetched(1)])).toEqual([[], []]);
  });

  it('drops it at once when a peer that runs for long knows better', async () => {
    await startWithAll();
    await network.leave(0);
    await network.clock.advance(8 * minute);
    await network.ask(1, 'POST', 'register', instance('h9'));
    expect(await network.listed(1)).toEqual({ 'a/h9': '1' });
    await network.startOne(0);
    await network.clock.advance(1_000);
    expect(await fetched(0)).toEqual(['h9']);
  });
});

describe('what is over', () => {
  it.each([compareMs, 10_000])(
    'is forgotten by all, whenever each sweeps; compared every %s ms',
    async (ms) => {
      const registry = () => ({ compareIntervalMs: ms, maxExpiryMs: 5 * minute });
      await cluster({ latencyMs: 20, registry }, 2);
      // Half a sweep later than the other one.
      await network.clock.advance(minute / 2);
      await network.restart(1);
      await network.clock.advance(2_000);
      await network.ask(0, 'POST', 'register', instance('h'));
      await network.ask(0, 'POST', 'cancel', id('h'));
      await network.clock.advance(6 * minute);
      expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([1, 1]);
      // Kept for 7 minutes, swept within one more.
      await network.clock.advance(3 * minute);
      for (let round = 0; round < 10; round++) {
        expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([0, 0]);
        await network.clock.advance(13_000);
      }
    },
  );
});

describe('a node whose clock is ten minutes behind', () => {
  const skews = [-10 * minute, 0];
  it('keeps the time of the cluster through a cut for an hour, also where the other one was not given', async () => {
    await cluster({ skews, registry: (node) => (node === 0 ? { peers: [] } : {}) }, 2);
    await network.clock.advance(minute);
    const ahead = network.node(0).stats().clockAheadMs;
    expect(ahead).toBeGreaterThan(599_000);
    network.part([0], 'cut');
    await network.clock.advance(10 * minute);
    expect(network.node(0).stats()).toMatchObject({ clockAheadMs: ahead, peers: [] });
    await network.clock.advance(75 * minute);
    expect(network.node(0).stats().clockAheadMs).toBe(0);
  });

  const restartAlone = async () => {
    network.part([1], 'cut');
    await network.restart(0);
    await network.clock.advance(11_000);
    expect(network.node(0).stats()).toMatchObject({ synced: true, clockAheadMs: 0 });
  };
  const mend = async () => {
    network.part([1], 'up');
    await network.clock.advance(compareMs + 20_000);
  };

  it('and that starts while it reaches nobody loses no write: they get the time at which they were made', async () => {
    await cluster({ skews }, 2);
    for (const hostname of ['moved', 'left', 'back'])
      await network.ask(1, 'POST', 'register', instance(hostname, { version: 'old' }));
    await restartAlone();
    await network.ask(0, 'POST', 'register', instance('moved', { version: 'new' }));
    await network.ask(0, 'POST', 'register', instance('back', { version: 'new' }));
    await network.ask(0, 'POST', 'set', { ...id('moved'), metadata: '{"k":"v"}' });
    await network.ask(0, 'POST', 'cancel', id('left'));
    await network.clock.advance(1_000);
    // What was written later elsewhere is later.
    await network.ask(1, 'POST', 'register', instance('back', { version: 'newest' }));
    await mend();
    const all = { 'a/moved': 'new', 'a/back': 'newest' };
    expect(await lists()).toEqual([all, all]);
    const { data } = await network.ask(1, 'GET', 'fetch', { env: 'e', appid: 'a', status: '1' });
    expect(
      data.instances.default.find((one: { hostname: string }) => one.hostname === 'moved'),
    ).toMatchObject({
      metadata: { k: 'v' },
    });
    expect(network.nodes.map((node) => node.stats().cancelled)).toEqual([1, 1]);
  });

  it('and that is written to before it heard anybody loses nothing either', async () => {
    await cluster({ skews }, 2);
    await network.ask(1, 'POST', 'register', instance('h', { version: 'old' }));
    await network.leave(0);
    await network.startOne(0);
    // No time has passed since.
    void network.send(0, 'register', { ...id('h'), status: '1', addrs: 'http://h:80', version: 'new' });
    await network.clock.advance(compareMs + 1_000);
    expect(await lists()).toEqual([{ 'a/h': 'new' }, { 'a/h': 'new' }]);
  });

  it('tells who comes from another node what is new there', async () => {
    await cluster({ skews }, 2);
    await network.clock.advance(minute);
    await network.ask(1, 'POST', 'register', instance('one'));
    const form = { env: 'e', appid: 'a', status: '1' };
    const reply = await network.node(1).ask('GET', '/discovery/fetch', new URLSearchParams(form));
    const [, since = ''] = /"latest_timestamp":(\d+)\}\}?,?/.exec(reply.body.slice(-60)) ?? [];
    for (const [path, values] of [
      ['register', instance('two')],
      ['cancel', id('one')],
    ] as const) {
      await network.ask(0, 'POST', path, values);
      const poll = { env: 'e', appid: 'a', hostname: 'c', latest_timestamp: since };
      expect((await network.ask(0, 'GET', 'polls', poll)).code).toBe(0);
    }
  });
});

describe('two zones', () => {
  const zones = ['x', 'x', 'y', 'y'];
  const registry = (node: number): RegistryOptions => ({
    zone: zones[node] ?? '',
    peers: zones.map((zone, at) => `${zone}=10.0.0.${at + 1}:7171`),
  });

  it('tell each other of every write through one node each, and a cut node heals like any', async () => {
    await cluster({ registry }, 4);
    await network.ask(0, 'POST', 'register', instance('h'));
    await network.clock.advance(100);
    expect(await lists()).toEqual(zones.map(() => ({ 'a/h': '1' })));
    for (const [node, zone] of zones.entries()) {
      const { data } = await network.ask(node, 'GET', 'nodes', {});
      expect(data.map((listed: { zone: string }) => listed.zone)).toEqual([zone, zone]);
    }
    await network.ask(3, 'POST', 'set', { ...id('h'), status: '2' });
    await network.clock.advance(100);
    for (const node of [0, 1, 2, 3]) {
      const { data } = await network.ask(node, 'GET', 'fetch', { env: 'e', appid: 'a', status: '1' });
      expect(data.instances.default).toEqual([]);
    }
    network.part([2, 3], 'cut');
    await network.ask(1, 'POST', 'register', instance('other'));
    await network.ask(2, 'POST', 'cancel', id('h'));
    network.part([2, 3], 'up');
    await network.clock.advance(2 * compareMs + 15_000);
    expect(await lists()).toEqual(zones.map(() => ({ 'a/other': '1' })));
  });
});
