import type { DiscoveryEvent, Registry, Resolution, ServiceInstance } from 'keelson/discovery';
import { type NacosOptions, nacos } from 'keelson/discovery/nacos';
import { manualClock, seededRandom } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { pass, until } from '../doubles/http-double.js';
import { NacosCluster, NacosServerDouble } from '../doubles/nacos-server.js';

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function setUp(options: Partial<NacosOptions> = {}, version: 2 | 3 = 2) {
  const clock = manualClock();
  const cluster = new NacosCluster(clock);
  const servers = await Promise.all([0, 1].map(() => new NacosServerDouble(cluster, version).start()));
  const [server, other] = servers as [NacosServerDouble, NacosServerDouble];
  const events: DiscoveryEvent[] = [];
  for (const one of servers) ending.push(() => one.stop());
  const client = (more: Partial<NacosOptions> = {}): Registry => {
    const registry = nacos({
      nodes: [server.url],
      clock,
      random: seededRandom(1),
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
    ending.push(() => registry.close());
    return registry;
  };
  return { clock, cluster, server, other, events, client };
}

function follow(registry: Registry, service = 'users') {
  const pushed: Resolution[] = [];
  const watch = registry.watch(service, (resolution) => pushed.push(resolution));
  return {
    pushed,
    watch,
    get ids() {
      return pushed.at(-1)?.instances.map(({ id }) => id);
    },
    get stale() {
      return pushed.at(-1)?.stale;
    },
    get reason() {
      return pushed.at(-1)?.reason;
    },
  };
}

const instance = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance => ({
  id,
  service: 'users',
  hostname: 'h1',
  addresses: ['http://10.0.0.1:8080', 'grpc://10.0.0.1:9000'],
  version: '1.2',
  zone: 'z1',
  env: 'prod',
  region: 'eu',
  weight: 50,
  status: 'up',
  metadata: { color: 'red' },
  ...more,
});

/** Writes an instance by hand, with what a client of that kind sends. */
async function write(server: NacosServerDouble, name: string, fields: Record<string, string>): Promise<void> {
  const version = server.version === 3 ? 'v3/client' : 'v1';
  const serviceName = server.version === 3 ? name : `DEFAULT_GROUP@@${name}`;
  const body = new URLSearchParams({ serviceName, ...fields });
  const response = await fetch(`${server.url}/nacos/${version}/ns/instance`, { method: 'POST', body });
  expect(response.status).toBe(200);
}

/** What kratos' client sends (contrib/registry/nacos/registry.go at 668db92). */
const kratosFields = {
  ip: '10.0.0.9',
  port: '9000',
  weight: '100',
  metadata: '{"kind":"grpc","version":"v3"}',
};

describe.each([2, 3] as const)('registering in Nacos %s', (version) => {
  it('writes the layout of kratos, and reads back what it wrote', async () => {
    const { cluster, client } = await setUp({}, version);
    const registry = client();
    await registry.register(instance('a'));
    const labels = { color: 'red', weight: '50', zone: 'z1', env: 'prod', region: 'eu', hostname: 'h1' };
    const shown = [...cluster.hosts.values()].map(({ timer: _, ...host }) => host);
    expect(shown).toEqual(
      [
        ['http', 8080],
        ['grpc', 9000],
      ].map(([kind, port]) => ({
        service: `public|DEFAULT_GROUP@@users.${kind}`,
        ip: '10.0.0.1',
        port,
        weight: 50,
        enabled: true,
        healthy: true,
        clusterName: 'DEFAULT',
        metadata: { ...labels, kind, version: '1.2', 'kratos.v2.serviceinstance.id': 'a' },
      })),
    );
    const users = follow(registry);
    await until(() => users.pushed.length > 0);
    expect(users.pushed[0]).toEqual({ instances: [instance('a')], stale: false, reason: undefined });
  });

  it('stays by renewing, and goes soon after that ends', async () => {
    const { clock, cluster, server, client } = await setUp({}, version);
    const registration = await client().register(instance('a'));
    await pass(clock, 60_000);
    expect([...cluster.hosts.values()].map(({ healthy }) => healthy)).toEqual([true, true]);
    expect(registration.registered).toBe(true);
    server.fault = () => 'reset';
    await pass(clock, 40_000);
    expect(cluster.hosts.size).toBe(0);
  });

  it('writes everything anew when it was forgotten', async () => {
    const { clock, cluster, events, client } = await setUp({}, version);
    const registration = await client().register(instance('a'));
    cluster.forget();
    await pass(clock, 10_000, () => cluster.hosts.size === 2 && registration.registered);
    expect(cluster.hosts.size).toBe(2);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'lost', 'registered']);
  });

  it('writes everything anew also when only one address was forgotten, and the other cannot be renewed', async () => {
    const { clock, cluster, server, client } = await setUp({}, version);
    await client().register(instance('a'));
    const [, grpc] = [...cluster.hosts.keys()];
    cluster.hosts.get(grpc as string)?.timer?.cancel();
    cluster.hosts.delete(grpc as string);
    // Renewals of the other one break; registrations, which alone have labels, do not.
    server.fault = ({ query, body }) => {
      const form = new URLSearchParams(body || query);
      return form.get('port') === '8080' && !form.has('metadata') ? 'reset' : undefined;
    };
    await pass(clock, 6_000, () => cluster.hosts.size === 2);
    expect(cluster.hosts.size).toBe(2);
    server.fault = undefined;
  });

  it('takes all of it out, and nothing brings it back', async () => {
    const { clock, cluster, client } = await setUp({}, version);
    const registration = await client().register(instance('a'));
    await registration.deregister();
    expect(cluster.hosts.size).toBe(0);
    await pass(clock, 30_000);
    expect(cluster.hosts.size).toBe(0);
  });

  it('registers what waits without offering it', async () => {
    const { cluster, client } = await setUp({}, version);
    const registry = client();
    await registry.register(instance('a', { status: 'waiting' }));
    expect([...cluster.hosts.values()].map(({ enabled }) => enabled)).toEqual([false, false]);
    const users = follow(registry);
    await until(() => users.pushed.length > 0);
    expect(users.ids).toEqual([]);
  });

  it('finds what kratos and others registered', async () => {
    const { server, client } = await setUp({ schemes: ['grpc', ''] }, version);
    await write(server, 'users.grpc', kratosFields);
    await write(server, 'users', {
      ip: '::1',
      port: '80',
      weight: '2',
      clusterName: 'HZ',
      metadata: '{"a":"b"}',
    });
    const users = follow(client());
    await until(() => users.ids?.length === 2);
    expect(users.pushed[0]?.instances).toEqual([
      {
        id: '10.0.0.9#9000#DEFAULT',
        service: 'users',
        hostname: '10.0.0.9:9000',
        addresses: ['grpc://10.0.0.9:9000'],
        version: 'v3',
        zone: '',
        env: '',
        region: '',
        weight: 100,
        status: 'up',
        metadata: {},
      },
      expect.objectContaining({
        addresses: ['http://[::1]:80'],
        weight: 200,
        zone: 'HZ',
        metadata: { a: 'b' },
      }),
    ]);
  });

  it('leaves out who is not healthy, unless Nacos protects the service', async () => {
    const { clock, cluster, server, client } = await setUp({ removalHoldMs: 0, schemes: ['grpc'] }, version);
    await write(server, 'users.grpc', kratosFields);
    await write(server, 'users.grpc', { ...kratosFields, port: '9001' });
    const users = follow(client());
    await until(() => users.ids?.length === 2);
    for (const host of cluster.hosts.values()) host.healthy = host.port === 9001;
    await pass(clock, 6_000, () => users.ids?.length === 1);
    expect(users.ids).toEqual(['10.0.0.9#9001#DEFAULT']);
    cluster.protectThreshold = 0.5;
    await pass(clock, 6_000, () => users.ids?.length === 2);
    expect(users.ids).toHaveLength(2);
  });

  it('keeps namespaces and groups apart', async () => {
    const { client } = await setUp({}, version);
    const shop = client({ namespace: 'shop', group: 'g1' });
    await shop.register(instance('a'));
    const own = follow(shop);
    const others = [follow(client()), follow(client({ namespace: 'shop' })), follow(client({ group: 'g1' }))];
    await until(() => [own, ...others].every(({ pushed }) => pushed.length > 0));
    expect([own, ...others].map(({ ids }) => ids)).toEqual([['a'], [], [], []]);
  });

  it('logs in, renews its token before it ends, and logs in anew when it counts no more', async () => {
    const { clock, server, client } = await setUp({ auth: { username: 'u', password: 'p' } }, version);
    server.users = { u: 'p' };
    server.tokenTtlMs = 100_000;
    const registry = client();
    const registration = await registry.register(instance('a'));
    const logins = () => server.count('POST', /login$/);
    const first = logins();
    await pass(clock, 80_000);
    expect([logins(), registration.registered]).toEqual([first, true]);
    await pass(clock, 20_000);
    expect([logins() > first, registration.registered]).toEqual([true, true]);
    const second = logins();
    server.revoke();
    await pass(clock, 6_000);
    await until(() => logins() > second);
    expect(registration.registered).toBe(true);
    expect(server.asked.some(({ path, query }) => query.has('accessToken') || path.includes('token'))).toBe(
      false,
    );
  });

  it('tells what is refused', async () => {
    const { server, client } = await setUp({ auth: { username: 'u', password: 'wrong' } }, version);
    server.users = { u: 'p' };
    await expect(client().register(instance('a'))).rejects.toThrow(
      /refused users: .*status 403: user not found/,
    );
    const users = follow(client());
    await until(() => users.reason);
    expect(users.reason).toMatch(/status 403/);
  });
});

describe('following in Nacos', () => {
  it('goes to the next server when one fails, and registers there', async () => {
    const { clock, cluster, server, other, client } = await setUp({ removalHoldMs: 0 });
    const registry = client({ nodes: [server.url, other.url] });
    const registration = await registry.register(instance('a'));
    const users = follow(registry);
    await until(() => users.ids?.length === 1);
    const used = server.asked.length > 0 ? server : other;
    used.fault = () => 'reset';
    await pass(clock, 60_000);
    expect([users.ids, users.stale, registration.registered, cluster.hosts.size]).toEqual([
      ['a'],
      false,
      true,
      2,
    ]);
  });

  it.each([
    ['500', { status: 500, body: 'server is DOWN now' }, /DOWN/],
    ['429', { status: 429 }, /429/],
    ['garbage', { body: '<html>' }, /JSON/],
    ['another JSON', { body: '{"hosts":7}' }, /no list/],
    ['a code', { body: '{"code":30000,"data":[]}' }, /code 30000/],
    ['a reset', 'reset' as const, /hang up|ECONNRESET/],
  ])('keeps the last good list, marked stale, after %s, and recovers', async (_, fault, reason) => {
    const { clock, server, client } = await setUp();
    const registry = client();
    await registry.register(instance('a'));
    const users = follow(registry);
    await until(() => users.ids?.length === 1);
    server.fault = ({ path }) => (path.endsWith('/list') ? fault : undefined);
    await pass(clock, 30_000, () => users.stale);
    expect([users.ids, users.stale]).toEqual([['a'], true]);
    expect(users.reason).toMatch(reason);
    server.fault = undefined;
    await pass(clock, 60_000, () => users.stale === false);
    expect([users.ids, users.stale]).toEqual([['a'], false]);
  });

  it('notices a server that hangs', async () => {
    const { clock, server, client } = await setUp({ requestTimeoutMs: 2_000, schemes: ['grpc'] });
    await write(server, 'users.grpc', kratosFields);
    const users = follow(client());
    await until(() => users.ids?.length === 1);
    server.fault = () => 'hang';
    await pass(clock, 60_000, () => users.stale);
    expect([users.ids?.length, users.stale]).toEqual([1, true]);
  });

  it('doubts a list that came after a break: in memory only, others may not have come back yet', async () => {
    const { clock, cluster, server, client } = await setUp({ schemes: ['grpc'], removalHoldMs: 30_000 });
    // None of them tells where it is: that makes them no instances of one place.
    const fields = { ...kratosFields, metadata: '{"kind":"grpc","hostname":""}' };
    for (const port of ['1', '2', '3']) await write(server, 'users.grpc', { ...fields, port });
    const users = follow(client());
    await until(() => users.ids?.length === 3);
    server.fault = () => 'reset';
    await pass(clock, 12_000);
    cluster.forget();
    server.fault = undefined;
    await write(server, 'users.grpc', { ...fields, port: '1' });
    // Nobody renews it here.
    for (const host of cluster.hosts.values()) host.timer?.cancel();
    await pass(clock, 12_000, () => users.reason?.includes('1 of 3'));
    expect([users.ids?.length, users.stale]).toEqual([3, true]);
    await pass(clock, 40_000, () => users.stale === false);
    expect(users.stale).toBe(false);
  });

  it('finds out anew which API is spoken after a change of version', async () => {
    const clock = manualClock();
    const cluster = new NacosCluster(clock);
    const port = await freePort();
    const old = await new NacosServerDouble(cluster, 2).start(port);
    const registry = nacos({ nodes: [old.url], clock, random: seededRandom(1) });
    ending.push(() => registry.close());
    const registration = await registry.register(instance('a'));
    await old.stop();
    const next = new NacosServerDouble(cluster, 3);
    next.compatible = false;
    await next.start(port);
    ending.push(() => next.stop());
    await pass(clock, 60_000, () => next.count('POST', /v3/) > 0 && registration.registered);
    expect(next.count('POST', '/nacos/v3/client/ns/instance')).toBeGreaterThan(0);
    expect(registration.registered).toBe(true);
  });

  it('leaves out what it cannot read, and says so once for each list', async () => {
    const { server, events, client } = await setUp({ schemes: ['http'] });
    const hostile = JSON.parse('{"__proto__":{"x":"y"},"constructor":"z","kind":"http"}');
    const hosts = [null, 1, {}, { ip: 'h' }, { ip: 'h', port: 'x' }, { ip: 'h', port: 1, metadata: hostile }];
    server.fault = ({ path }) => (path.endsWith('/list') ? { body: JSON.stringify({ hosts }) } : undefined);
    const users = follow(client({ api: 'v1' }));
    await until(() => users.pushed.length > 0);
    expect(users.ids).toEqual(['h#1#']);
    expect(Object.getPrototypeOf(users.pushed[0]?.instances[0]?.metadata)).toBe(null);
    expect(({} as Record<string, unknown>)['x']).toBe(undefined);
    expect(events.filter(({ type }) => type === 'malformed')).toHaveLength(1);
  });

  it('asks nothing any more when nobody watches', async () => {
    const { clock, server, client } = await setUp();
    const users = follow(client());
    await until(() => users.pushed.length > 0);
    users.watch.close();
    const asked = server.asked.length;
    await pass(clock, 60_000);
    expect(server.asked).toHaveLength(asked);
  });
});

describe('nacos', () => {
  it.each([
    [undefined, TypeError],
    [{ nodes: [] }, TypeError],
    [{ nodes: ['h:1'] }, TypeError],
    [{ nodes: ['http://h'], api: 'v2' }, RangeError],
    [{ nodes: ['http://h'], schemes: [] }, TypeError],
    [{ nodes: ['http://h'], auth: { username: 'u' } }, TypeError],
    [{ nodes: ['http://h'], group: 7 }, TypeError],
    [{ nodes: ['http://h'], renewMs: 20_000 }, RangeError],
    [{ nodes: ['http://h'], ttlMs: 1 }, TypeError],
  ])('refuses %j', (options, error) => {
    expect(() => nacos(options as NacosOptions)).toThrow(error);
  });

  it('asks below another path where it is given one', async () => {
    const { server, client } = await setUp();
    const users = follow(client({ nodes: [`${server.url}/nacos/`], api: 'v1' }));
    await until(() => users.pushed.length > 0);
    expect(server.asked.every(({ path }) => path.startsWith('/nacos/v1/'))).toBe(true);
  });
});
