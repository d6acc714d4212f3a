import { type ChildProcess, spawn } from 'node:child_process';
import type { DiscoveryEvent, Registry, Resolution, ServiceInstance } from 'keelson/discovery';
import { type ZookeeperOptions, zookeeper } from 'keelson/discovery/zookeeper';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { loneProgram } from '../doubles/lone-program.js';
import { type TcpProxy, tcpProxy } from '../doubles/tcp-proxy.js';
import { tlsFront } from '../doubles/tls-front.js';
import { hasZooKeeper, startZooKeeper, type ZooKeeperServer } from '../doubles/zookeeper-server.js';

if (!hasZooKeeper)
  console.error('NO ZooKeeper ON THIS MACHINE: keelson/discovery/zookeeper IS NOT TESTED WITH A REAL SERVER');

const patience = { timeout: 15_000, interval: 20 };
const ending: (() => unknown)[] = [];
let server: ZooKeeperServer;
let names = 0;
const freshName = (): string => `service-${++names}`;

const instanceOf = (service: string, more: Partial<ServiceInstance> = {}): ServiceInstance => ({
  id: 'one',
  service,
  hostname: 'host-1',
  addresses: ['http://10.0.0.1:8000', 'grpc://10.0.0.1:9000'],
  version: 'v1.2.3',
  zone: 'sh001',
  env: '',
  region: 'sh',
  weight: 10,
  status: 'up',
  metadata: { color: 'red' },
  ...more,
});

function client(servers: readonly string[], options: Partial<ZookeeperOptions> = {}) {
  const events: DiscoveryEvent[] = [];
  const registry: Registry = zookeeper({
    servers,
    sessionTimeoutMs: 4_000,
    requestTimeoutMs: 1_500,
    removalHoldMs: 0,
    env: '',
    // Waits are at their shortest; that they grow is tested elsewhere.
    random: () => 0.05,
    onEvent: (event) => events.push(event),
    ...options,
  });
  ending.push(() => registry.close());
  return { registry, events };
}

function follow(registry: Registry, service: string) {
  const seen: Resolution[] = [];
  const watch = registry.watch(service, (resolution) => seen.push(resolution));
  return {
    watch,
    seen,
    get last() {
      return seen.at(-1);
    },
    get ids() {
      return seen.at(-1)?.instances.map(({ id }) => id);
    },
  };
}

async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await tcpProxy(() => port);
  ending.push(() => proxy.close());
  return proxy;
}

/** The client that comes with ZooKeeper: somebody else's hand. */
let hand: ChildProcess;
let said = '';
let turns = 0;
let turn: Promise<unknown> = Promise.resolve();

/** One command after the other. @returns what it said */
function byHand(command: string): Promise<string> {
  const run = async (): Promise<string> => {
    const from = said.length;
    const end = `---${++turns}---`;
    hand.stdin?.write(`${command}\nset /hand ${end}\nget /hand\n`);
    await vi.waitFor(() => expect(said.slice(from)).toContain(end), patience);
    return said.slice(from);
  };
  const mine = turn.then(run, run);
  turn = mine;
  return mine;
}

const value = (name: string, id: string): string =>
  JSON.stringify({ id, name, version: '', metadata: null, endpoints: ['http://10.0.0.9:80'] });
const typesOf = (events: readonly DiscoveryEvent[]): string[] => events.map(({ type }) => type);

// At once: most of each is waiting.
describe.skipIf(!hasZooKeeper).concurrent('zookeeper with a real server', () => {
  beforeAll(async () => {
    server = await startZooKeeper();
    const main = ['-Xmx64m', '-cp', '/usr/share/java/zookeeper.jar', 'org.apache.zookeeper.ZooKeeperMain'];
    hand = spawn('java', [...main, '-server', server.address], { stdio: 'pipe' });
    for (const stream of [hand.stdout, hand.stderr])
      stream?.on('data', (chunk) => {
        said += chunk;
      });
    hand.stdin?.write('create /hand x\n');
  });
  afterAll(async () => {
    hand?.kill('SIGKILL');
    for (const end of ending.splice(0).reverse()) await end();
    await server?.stop();
  });

  it('writes what kratos writes, as a node of the session, and takes it out', async () => {
    const name = freshName();
    const { registry, events } = client([server.address]);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(true);
    const path = `/microservices/${name}/one`;
    const shown = await byHand(`get -s ${path}`);
    const text = shown.split('\n').find((line) => line.startsWith('{')) ?? '';
    expect(JSON.parse(text)).toEqual({
      id: 'one',
      name,
      version: 'v1.2.3',
      metadata: { color: 'red', weight: '10', zone: 'sh001', region: 'sh', hostname: 'host-1' },
      endpoints: ['http://10.0.0.1:8000', 'grpc://10.0.0.1:9000'],
    });
    expect(shown).toMatch(/ephemeralOwner = 0x[1-9a-f]/);
    await registration.deregister();
    expect(registration.registered).toBe(false);
    expect(await byHand(`ls /microservices/${name}`)).toContain('[]');
    expect(typesOf(events)).toEqual(['registered', 'deregistered']);
  });

  it('finds nodes made by hand, and follows every change of them', async () => {
    const name = freshName();
    const { registry } = client([server.address]);
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual([]), patience);
    await client([server.address]).registry.register(instanceOf(name));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await byHand(`create /microservices/${name}/a ${value(name, 'a')}`);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'one']), patience);
    await byHand(`set /microservices/${name}/a ${value(name, 'a').replace(':80', ':81')}`);
    await vi.waitFor(
      () => expect(seen.last?.instances[0]?.addresses).toEqual(['http://10.0.0.9:81']),
      patience,
    );
    await byHand(`set /microservices/${name}/a {"id":`);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await byHand(`delete /microservices/${name}/a`);
    await byHand(`create /microservices/${name}/b ${value(name, 'b')}`);
    await vi.waitFor(() => expect(seen.ids).toEqual(['b', 'one']), patience);
  });

  it('reads back all of an instance that another keelson registered', async () => {
    const name = freshName();
    const seen = follow(client([server.address]).registry, name);
    const { registry } = client([server.address]);
    const given = instanceOf(name, { env: 'prod', metadata: { color: 'ü' } });
    const registration = await registry.register(given);
    const waiting = instanceOf(name, { id: 'two', hostname: 'h2', status: 'waiting' });
    await registry.register(waiting);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    expect(seen.last?.instances[0]).toEqual(given);
    await registration.deregister();
    await vi.waitFor(() => expect(seen.ids).toEqual([]), patience);
  });

  it('makes its node anew when that is taken out by hand, and leaves that of a successor alone', async () => {
    const name = freshName();
    const path = `/microservices/${name}/one`;
    const seen = follow(client([server.address]).registry, name);
    const { registry, events } = client([server.address], { recheckMs: 1_000 });
    const registration = await registry.register(instanceOf(name));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await byHand(`delete ${path}`);
    await vi.waitFor(() => expect(typesOf(events)).toEqual(['registered', 'lost', 'registered']), patience);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    const successor = client([server.address]);
    await successor.registry.register(instanceOf(name, { version: 'v2' }));
    await vi.waitFor(() => expect(seen.last?.instances[0]?.version).toBe('v2'), patience);
    await registration.deregister();
    expect(await byHand(`ls /microservices/${name}`)).toContain('[one]');
  });

  it('registers and watches anew when its session has expired', async () => {
    const name = freshName();
    const proxy = await proxyTo(server.port);
    const { registry, events } = client([`127.0.0.1:${proxy.port}`], { sessionTimeoutMs: 1_000 });
    const other = client([server.address]);
    const seen = follow(registry, name);
    const theirs = follow(other.registry, name);
    const registration = await registry.register(instanceOf(name));
    await vi.waitFor(() => expect([seen.ids, theirs.ids]).toEqual([['one'], ['one']]), patience);
    proxy.cut('swallow');
    await vi.waitFor(() => expect(theirs.ids).toEqual([]), patience);
    await other.registry.register(instanceOf(name, { id: 'two' }));
    proxy.mend();
    await vi.waitFor(() => expect(theirs.ids).toEqual(['one', 'two']), patience);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one', 'two']), patience);
    expect(seen.last?.stale).toBe(false);
    expect(registration.registered).toBe(true);
    expect(typesOf(events)).toEqual(expect.arrayContaining(['registered', 'lost']));
    await other.registry.register(instanceOf(name, { id: 'three' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one', 'three', 'two']), patience);
  });

  it('sets its watches again on another connection of the same session', async () => {
    const name = freshName();
    const proxy = await proxyTo(server.port);
    const { registry, events } = client([`127.0.0.1:${proxy.port}`], { sessionTimeoutMs: 20_000 });
    const other = client([server.address]);
    const seen = follow(registry, name);
    await other.registry.register(instanceOf(name));
    const registration = await registry.register(instanceOf(name, { id: 'mine' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['mine', 'one']), patience);
    proxy.cut('refuse');
    proxy.mend();
    await other.registry.register(instanceOf(name, { id: 'two' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['mine', 'one', 'two']), patience);
    expect(registration.registered).toBe(true);
    expect(seen.seen.some(({ stale }) => stale)).toBe(false);
    expect(typesOf(events)).toEqual(['registered']);
  });

  it('keeps the last good list, stale, while it is cut off, and catches up', async () => {
    const name = freshName();
    const proxy = await proxyTo(server.port);
    const { registry, events } = client([`127.0.0.1:${proxy.port}`], { sessionTimeoutMs: 20_000 });
    const other = client([server.address]);
    await other.registry.register(instanceOf(name));
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    proxy.cut('refuse');
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: true }), patience);
    expect(seen.ids).toEqual(['one']);
    expect(seen.last?.reason).toContain(`127.0.0.1:${proxy.port}`);
    await other.registry.register(instanceOf(name, { id: 'two' }));
    proxy.mend();
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: false }), patience);
    expect(seen.ids).toEqual(['one', 'two']);
    expect(typesOf(events)).toEqual(['stale', 'fresh']);
  });

  it('turns to another server when one is gone', async () => {
    const name = freshName();
    const proxy = await proxyTo(server.port);
    const nobody = `127.0.0.1:${await freePort()}`;
    const { registry, events } = client([nobody, `127.0.0.1:${proxy.port}`, server.address], {
      connectTimeoutMs: 500,
    });
    const seen = follow(registry, name);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(true);
    proxy.cut('refuse');
    await client([server.address]).registry.register(instanceOf(name, { id: 'two' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one', 'two']), patience);
    expect(typesOf(events)).toEqual(['registered']);
  });

  it('shuts others out with a user, and works below a root of its own', async () => {
    const name = freshName();
    const options = { auth: { user: 'svc', password: 'secret' }, chroot: '/teams/payments' };
    const { registry } = client([server.address], options);
    const seen = follow(registry, name);
    await registry.register(instanceOf(name));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await byHand(`get /teams/payments/microservices/${name}/one`);
    await vi.waitFor(() => expect(said).toContain('Insufficient permission : /teams/payments'), patience);
    const stranger = client([server.address], { chroot: '/teams/payments' });
    await expect(stranger.registry.register(instanceOf(name, { id: 'two' }))).rejects.toThrow(
      /refused .*noAuth/,
    );
    const watching = follow(stranger.registry, name);
    await vi.waitFor(() => expect(watching.last).toMatchObject({ instances: [], stale: true }), patience);
    expect(watching.last?.reason).toContain('noAuth');
  });

  it('starts without ZooKeeper, and is there once ZooKeeper is', async () => {
    const name = freshName();
    const proxy = await proxyTo(server.port);
    proxy.cut('refuse');
    const { registry, events } = client([`127.0.0.1:${proxy.port}`]);
    const seen = follow(registry, name);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(false);
    await vi.waitFor(() => expect(seen.last).toMatchObject({ instances: [], stale: true }), patience);
    proxy.mend();
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    proxy.cut('refuse');
    await registration.deregister();
    expect(events.at(-1)).toMatchObject({ type: 'abandoned', service: name });
  });

  it('leaves nothing behind when it is closed', async () => {
    const name = freshName();
    const { registry } = client([server.address]);
    const theirs = follow(client([server.address]).registry, name);
    const seen = follow(registry, name);
    await registry.register(instanceOf(name));
    await vi.waitFor(() => expect(theirs.ids).toEqual(['one']), patience);
    await registry.close();
    await vi.waitFor(() => expect(theirs.ids).toEqual([]), patience);
    await expect(registry.register(instanceOf(name))).rejects.toThrow('closed');
    const heard = seen.seen.length;
    registry.watch(name, () => expect.unreachable()).close();
    expect(seen.seen).toHaveLength(heard);
  });

  it('refuses names that would lead elsewhere', async () => {
    const { registry } = client([server.address]);
    await expect(registry.register(instanceOf('a/b'))).rejects.toThrow(TypeError);
    await expect(registry.register(instanceOf('a', { id: '..' }))).rejects.toThrow(TypeError);
    const seen = follow(registry, '../x');
    await vi.waitFor(() => expect(seen.last).toMatchObject({ instances: [], stale: true }), patience);
  });

  it('holds no process by a watch and a renewal to come, and does for what is awaited', async () => {
    const name = freshName();
    const code = (where: string): string => `
      import { zookeeper } from 'keelson/discovery/zookeeper';
      const registry = zookeeper({ ${where}, requestTimeoutMs: 1000 });
      const registration = await registry.register(${JSON.stringify(instanceOf(name))});
      console.log(registration.registered);
      await registration.deregister();
      console.log(registration.registered);
      const again = await registry.register(${JSON.stringify(instanceOf(name, { id: 'again' }))});
      const hold = setInterval(() => undefined, 1000);
      registry.watch('${name}', ({ instances }) => {
        console.log(instances.length);
        setTimeout(() => clearInterval(hold), 200);
      });
    `;
    const module = ['keelson/discovery/zookeeper', 'discovery/zookeeper.ts'] as const;
    const here = await loneProgram(module, code(`servers: ['${server.address}']`));
    expect(here).toEqual({ status: 0, output: 'true\nfalse\n1\n' });
    const away = await loneProgram(module, code(`servers: ['127.0.0.1:${await freePort()}']`));
    expect(away).toEqual({ status: 0, output: 'false\nfalse\n0\n' });
  });

  it('shows its certificate, and trusts nobody whom it was not told to', async () => {
    const name = freshName();
    const front = await tlsFront(server.port);
    ending.push(() => front.stop());
    const { cert, key } = front;
    const where = [`127.0.0.1:${front.port}`];
    const serverName = 'registry.test';
    const { registry } = client(where, { tls: { ca: cert, cert, key, serverName } });
    const seen = follow(registry, name);
    expect((await registry.register(instanceOf(name))).registered).toBe(true);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    for (const tls of [
      { cert, key, serverName },
      { ca: cert, serverName },
      { ca: cert, cert, key },
    ]) {
      const stranger = client(where, { tls }).registry;
      const registration = await stranger.register(instanceOf(name, { id: 'stranger' }));
      expect(registration.registered).toBe(false);
      await stranger.close();
    }
    expect(seen.ids).toEqual(['one']);
  });

  it('tells by which address it reaches ZooKeeper', async () => {
    expect(await client([server.address]).registry.localAddress?.()).toBe('127.0.0.1');
  });
});

describe.skipIf(!hasZooKeeper)('zookeeper with a real server of its own', () => {
  const own: { server?: ZooKeeperServer } = {};

  beforeAll(async () => {
    own.server = await startZooKeeper();
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  afterAll(() => own.server?.stop());

  it('outlives a ZooKeeper that crashes, and has lost its memory when it is back', async () => {
    const server = own.server as ZooKeeperServer;
    const { registry } = client([server.address], { sessionTimeoutMs: 1_500 });
    const seen = follow(registry, 'users');
    const registration = await registry.register(instanceOf('users'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await server.kill();
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: true }), patience);
    expect(seen.ids).toEqual(['one']);
    await server.restart({ empty: true });
    await vi.waitFor(async () => expect(await server.ask('dump')).toContain('/users/one'), patience);
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: false }), patience);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
  });
});
