import type { DiscoveryEvent, Resolution, ServiceInstance } from 'keelson/discovery';
import { type ZookeeperOptions, zookeeper } from 'keelson/discovery/zookeeper';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { JuteWriter } from '../../../src/discovery/jute.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { happened, operation } from '../../../src/discovery/zookeeper-protocol.js';
import { type Fault, ZooKeeperDouble } from '../../doubles/zookeeper-double.js';

const patience = { timeout: 10_000, interval: 5 };
const ending: (() => unknown)[] = [];
let double: ZooKeeperDouble;

beforeEach(async () => {
  double = await new ZooKeeperDouble().start();
  for (const path of ['/microservices', '/microservices/users'])
    double.nodes.set(path, { data: '', owner: 0n });
  put('a');
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  await double.stop();
});

function put(id: string): void {
  const value = { id, name: 'users', version: '', metadata: {}, endpoints: ['http://10.0.0.9:80'] };
  double.nodes.set(`/microservices/users/${id}`, { data: JSON.stringify(value), owner: 1n });
}

const instance = {
  id: 'one',
  service: 'users',
  hostname: 'h',
  addresses: ['http://10.0.0.1:80'],
  version: '',
  zone: '',
};
const mine: ServiceInstance = { ...instance, env: '', region: '', weight: 100, status: 'up', metadata: {} };

function client(options: Partial<ZookeeperOptions> = {}) {
  const events: DiscoveryEvent[] = [];
  const seen: Resolution[] = [];
  const registry = zookeeper({
    servers: [double.address],
    env: '',
    requestTimeoutMs: 300,
    connectTimeoutMs: 300,
    sessionTimeoutMs: 2_000,
    removalHoldMs: 0,
    random: () => 0.01,
    onEvent: (event) => events.push(event),
    ...options,
  });
  ending.push(() => registry.close());
  return {
    registry,
    events,
    seen,
    follow: () => registry.watch('users', (resolution) => seen.push(resolution)),
    ids: () => seen.at(-1)?.instances.map(({ id }) => id),
  };
}

const frame = (...bytes: number[]): Buffer => Buffer.from(bytes);

describe('zookeeper with a server that misbehaves', () => {
  const faults: readonly (readonly [string, number | undefined, Fault | ((xid: number) => Fault)])[] = [
    ['says nothing to a connection', undefined, 'hang'],
    ['closes every connection', undefined, 'close'],
    ['speaks HTTP', undefined, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['begins a frame of 2 GB', undefined, frame(127, 255, 255, 255)],
    ['begins a frame of a negative length', undefined, frame(255, 0, 0, 0)],
    ['sends an empty first frame', undefined, frame(0, 0, 0, 0)],
    ['sends half a first frame', undefined, frame(0, 0, 0, 40, 1, 2)],
    ['does not answer a request', operation.getChildren, 'hang'],
    ['closes at a request', operation.getChildren, 'close'],
    [
      'answers another request',
      operation.getChildren,
      (xid) =>
        new JuteWriter()
          .int(xid + 7)
          .long(1n)
          .int(0)
          .frame(),
    ],
    [
      'answers without a body',
      operation.getChildren,
      (xid) => new JuteWriter().int(xid).long(1n).int(0).frame(),
    ],
    [
      'answers with a list of 2 billion',
      operation.getChildren,
      (xid) => new JuteWriter().int(xid).long(1n).int(0).int(2_000_000_000).frame(),
    ],
    [
      'tells of an event without a path',
      operation.getChildren,
      () => new JuteWriter().int(-1).long(-1n).int(0).int(4).int(3).int(2_000_000_000).frame(),
    ],
    [
      'answers an error that does not exist',
      operation.getData,
      (xid) => new JuteWriter().int(xid).long(1n).int(-4_711).frame(),
    ],
  ];

  it.each(faults)('%s: what was known serves, stale, until it is well again', async (_, type, fault) => {
    const { follow, seen, ids } = client();
    double.fault = (asked) => {
      if (asked.type !== type) return undefined;
      return typeof fault === 'function' ? fault(asked.xid) : fault;
    };
    follow();
    await vi.waitFor(() => expect(seen.at(-1)).toMatchObject({ instances: [], stale: true }), patience);
    expect(seen.at(-1)?.reason).toEqual(expect.stringMatching(/./));
    double.fault = undefined;
    await vi.waitFor(() => expect(ids()).toEqual(['a']), patience);
    expect(seen.at(-1)?.stale).toBe(false);
  });

  it('puts up with frames that come byte by byte', async () => {
    double.piece = 1;
    const { follow, ids, registry } = client();
    follow();
    const registration = await registry.register(mine);
    await vi.waitFor(() => expect(ids()).toEqual(expect.arrayContaining(['a'])), patience);
    expect(double.nodes.has('/microservices/users/one')).toBe(true);
    await registration.deregister();
    expect(double.nodes.has('/microservices/users/one')).toBe(false);
  });

  it('notices a server that falls silent, by its pings', async () => {
    const { follow, ids, seen } = client();
    follow();
    await vi.waitFor(() => expect(ids()).toEqual(['a']), patience);
    double.fault = () => 'hang';
    await vi.waitFor(() => expect(seen.at(-1)).toMatchObject({ stale: true }), patience);
    expect(double.count(operation.ping)).toBeGreaterThan(0);
    expect(ids()).toEqual(['a']);
  });

  it('takes a session that it did not ask for as the end of its own', async () => {
    double.silentlyRenews = true;
    const { follow, ids, registry, events } = client();
    follow();
    await registry.register(mine);
    await vi.waitFor(() => expect(ids()).toContain('a'), patience);
    double.sessions.clear();
    double.nodes.delete('/microservices/users/one');
    put('b');
    double.breakAll();
    await vi.waitFor(() => expect(double.nodes.has('/microservices/users/one')).toBe(true), patience);
    // This double tells nobody of changes; a follower that starts anew sees them all the same.
    await vi.waitFor(() => expect(ids()).toEqual(expect.arrayContaining(['a', 'b'])), patience);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['registered', 'lost']));
  });

  it('sets its watches again when it takes its session up', async () => {
    const { follow, ids } = client();
    follow();
    await vi.waitFor(() => expect(ids()).toEqual(['a']), patience);
    double.breakAll();
    await vi.waitFor(() => expect(double.count(operation.setWatches)).toBe(1), patience);
    put('b');
    double.tell(happened.childrenChanged, '/microservices/users');
    await vi.waitFor(() => expect(ids()).toEqual(['a', 'b']), patience);
    expect(double.sessions.size).toBe(1);
  });

  it('forgets its watches when nobody watches any more', async () => {
    const { follow, ids } = client();
    const watch = follow();
    await vi.waitFor(() => expect(ids()).toEqual(['a']), patience);
    watch.close();
    await vi.waitFor(() => {
      double.breakAll();
      expect(double.count(undefined)).toBeGreaterThan(1);
    }, patience);
    expect(double.count(operation.setWatches)).toBe(0);
  });

  it('deregisters in bounded time from a server that hangs', async () => {
    const { registry, events } = client();
    const registration = await registry.register(mine);
    double.fault = () => 'hang';
    await registration.deregister();
    expect(events.at(-1)).toMatchObject({ type: 'abandoned' });
  });
});

describe('options of zookeeper', () => {
  const servers = ['127.0.0.1:2181'];
  it.each([
    [{ servers: [] }, /at least one server/],
    [{ servers: 'x' }, /at least one server/],
    [{ servers: [7] }, /servers must be texts/],
    [{ servers: ['a/b'] }, /servers must be texts/],
    [{ servers: ['user@host:1'] }, /servers must be texts/],
    [{ servers, namespace: 'x' }, /namespace must begin with a slash/],
    [{ servers, namespace: '/x/' }, /cannot be the name of a node/],
    [{ servers, namespace: '/x/../y' }, /cannot be the name of a node/],
    [{ servers, chroot: '/\u0000' }, /cannot be the name of a node/],
    [{ servers, auth: { user: 'a:b', password: '' } }, /needs a user, without a colon/],
    [{ servers, auth: { user: '', password: '' } }, /needs a user/],
    [{ servers, tls: { cert: 'x' } }, /needs cert and key/],
    [{ servers, tls: { ca: ['./ca.pem'] } }, /tls\.ca must be PEM: what is in the file, not its path/],
    [{ servers, tls: { bad: 'x' } }, /tls.bad is not an option/],
    [{ servers, sessionTimeoutMs: 10 }, /sessionTimeoutMs must be/],
    [{ servers, nodes: [] }, /nodes is not an option/],
  ])('%j is refused', (options, message) => {
    expect(() => zookeeper(options as unknown as ZookeeperOptions)).toThrow(message);
  });

  it.each(['10.0.0.1', '10.0.0.1:2181', '[::1]:2181', '[::1]', 'zoo.internal:80'])(
    '%s is a server',
    async (server) => {
      await zookeeper({ servers: [server] }).close();
    },
  );
});
