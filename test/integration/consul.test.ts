import type { DiscoveryEvent, Registry, Resolution, ServiceInstance } from 'keelson/discovery';
import { type ConsulOptions, consul } from 'keelson/discovery/consul';
import { manualClock, seededRandom } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { ConsulAgentDouble } from '../doubles/consul-agent.js';
import { pass, until } from '../doubles/http-double.js';

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function setUp(options: Partial<ConsulOptions> = {}) {
  const clock = manualClock();
  const agent = await new ConsulAgentDouble(clock).start();
  const events: DiscoveryEvent[] = [];
  const client = (more: Partial<ConsulOptions> = {}): Registry => {
    const registry = consul({
      agent: agent.url,
      clock,
      random: seededRandom(1),
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
    ending.push(() => registry.close());
    return registry;
  };
  ending.push(() => agent.stop());
  return { clock, agent, events, client };
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

/** What kratos' client sends, field by field (contrib/registry/consul/client.go at 668db92). */
const kratosBody = (id: string, port = 9000): Record<string, unknown> => ({
  ID: id,
  Name: 'users',
  Tags: ['version=v3'],
  Meta: { color: 'blue' },
  Port: port,
  Address: '10.0.0.9',
  TaggedAddresses: { grpc: { Address: `grpc://10.0.0.9:${port}`, Port: port } },
  // Nobody renews it here, so the checks are left out.
  Checks: [],
});

describe('registering in consul', () => {
  it('writes the layout of kratos, and reads back what it wrote', async () => {
    const { agent, client } = await setUp();
    const registry = client();
    await registry.register(instance('a'));
    expect(agent.services.get('a')?.body).toEqual({
      ID: 'a',
      Name: 'users',
      Tags: ['version=1.2'],
      Meta: { color: 'red', weight: '50', zone: 'z1', env: 'prod', region: 'eu', hostname: 'h1' },
      Address: '10.0.0.1',
      Port: 8080,
      TaggedAddresses: {
        http: { Address: 'http://10.0.0.1:8080', Port: 8080 },
        grpc: { Address: 'grpc://10.0.0.1:9000', Port: 9000 },
      },
      Weights: { Passing: 50, Warning: 1 },
      Checks: [
        { CheckID: 'service:a', TTL: '20s', Status: 'passing', DeregisterCriticalServiceAfter: '600s' },
      ],
    });
    const users = follow(registry);
    await until(() => users.pushed.length > 0);
    expect(users.pushed[0]).toEqual({ instances: [instance('a')], stale: false, reason: undefined });
  });

  it('keeps two addresses of one scheme, IPv6 and the usual port', async () => {
    const { client } = await setUp();
    const registry = client();
    const given = instance('a', { addresses: ['http://[::1]:8080', 'http://10.0.0.1:8081', 'https://h'] });
    await registry.register(given);
    const users = follow(registry);
    await until(() => users.pushed.length > 0);
    expect(users.pushed[0]?.instances[0]?.addresses).toEqual(given.addresses);
  });

  it('renews within the ttl, and is out of service soon after it stops', async () => {
    const { clock, agent, client } = await setUp();
    const registration = await client().register(instance('a'));
    await pass(clock, 100_000);
    expect([agent.statusOf('a'), registration.registered]).toEqual(['passing', true]);
    expect(agent.count('PUT', '/v1/agent/service/register')).toBe(1);
    agent.fault = () => 'reset';
    await pass(clock, 40_000);
    expect(agent.statusOf('a')).toBe('critical');
  });

  it('registers anew at once when the agent has forgotten it', async () => {
    const { clock, agent, events, client } = await setUp();
    const registration = await client().register(instance('a'));
    agent.services.clear();
    await pass(clock, 12_000, () => agent.services.has('a'));
    await until(() => registration.registered);
    expect(agent.services.has('a')).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'lost', 'registered']);
  });

  it('takes it out, and what was renewed meanwhile does not bring it back', async () => {
    const { clock, agent, client } = await setUp();
    const registration = await client().register(instance('a'));
    await registration.deregister();
    expect(agent.services.size).toBe(0);
    await pass(clock, 60_000);
    expect(agent.services.size).toBe(0);
  });

  it('is content when it is gone already', async () => {
    const { agent, events, client } = await setUp();
    const registration = await client().register(instance('a'));
    agent.services.clear();
    await registration.deregister();
    expect(events.at(-1)?.type).toBe('deregistered');
  });

  it('registers what waits without offering it', async () => {
    const { clock, agent, client } = await setUp();
    const registry = client();
    await registry.register(instance('a', { status: 'waiting' }));
    expect(agent.statusOf('a')).toBe('warning');
    await pass(clock, 30_000);
    expect(agent.statusOf('a')).toBe('warning');
    const users = follow(registry);
    await until(() => users.pushed.length > 0);
    expect(users.ids).toEqual([]);
  });

  it('tells what the agent refuses: labels that it does not take, and a token without the right', async () => {
    const { agent, client } = await setUp({ token: 't' });
    const registry = client();
    await expect(registry.register(instance('a', { metadata: { 'a.b': '1' } }))).rejects.toThrow(
      /refused users: .*status 400.*a\.b/,
    );
    agent.tokens = { t: { read: true, write: false } };
    await expect(registry.register(instance('a'))).rejects.toThrow(/status 403: Permission denied/);
  });

  it('starts without the agent, and registers when it is there', async () => {
    const { clock, agent, client } = await setUp({ requestTimeoutMs: 1_000 });
    agent.fault = () => ({ status: 500, body: 'No cluster leader' });
    const registration = await client().register(instance('a'));
    expect(registration.registered).toBe(false);
    agent.fault = undefined;
    await pass(clock, 20_000, () => registration.registered);
    expect([registration.registered, agent.statusOf('a')]).toEqual([true, 'passing']);
  });

  it('gives up taking out in bounded time', async () => {
    const { clock, agent, events, client } = await setUp({ requestTimeoutMs: 1_000 });
    const registration = await client().register(instance('a'));
    agent.fault = () => 'hang';
    let over = false;
    const left = registration.deregister().then(() => {
      over = true;
    });
    await pass(clock, 2_100, () => over);
    await left;
    expect(events.at(-1)?.type).toBe('abandoned');
  });
});

describe('following in consul', () => {
  it('finds what kratos registered, and follows its coming and going', async () => {
    const { clock, agent, client } = await setUp({ removalHoldMs: 0 });
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => users.ids?.length === 1);
    expect(users.pushed[0]?.instances[0]).toEqual({
      id: 'k1',
      service: 'users',
      hostname: 'node-1-9000',
      addresses: ['grpc://10.0.0.9:9000'],
      version: 'v3',
      zone: 'dc1',
      env: '',
      region: '',
      weight: 100,
      status: 'up',
      metadata: { color: 'blue' },
    });
    agent.put(kratosBody('k2', 9001));
    await until(() => users.ids?.length === 2);
    agent.services.delete('k1');
    agent.bump();
    await pass(clock, 4_000, () => users.ids?.join() === 'k2');
    expect(users.ids).toEqual(['k2']);
    expect(users.stale).toBe(false);
  });

  it('reads services of others by the one address that they have', async () => {
    const { agent, client } = await setUp();
    agent.put({
      ID: 'x',
      Name: 'users',
      Address: '',
      Port: 80,
      TaggedAddresses: { lan_ipv4: { Address: '10.1.0.1' } },
    });
    agent.put({ ID: 'y', Name: 'users', Address: '::1', Port: 81, Weights: { Passing: 7, Warning: 1 } });
    const users = follow(client());
    await until(() => users.ids?.length === 2);
    expect(users.pushed[0]?.instances.map(({ addresses, weight }) => [...addresses, weight])).toEqual([
      ['http://10.1.0.1:80', 100],
      ['http://[::1]:81', 7],
    ]);
  });

  it('tells instances apart that have one id at two agents', async () => {
    const { agent, client } = await setUp();
    const entry = (node: string, address: string) => ({
      Node: { Node: node },
      Service: { ID: 'redis', Service: 'users', Address: address, Port: 1 },
    });
    agent.fault = () => ({ body: JSON.stringify([entry('n1', '10.0.0.1'), entry('n2', '10.0.0.2')]) });
    const users = follow(client());
    await until(() => users.pushed.length > 0);
    expect(users.ids).toEqual(['redis@n1', 'redis@n2']);
  });

  it('holds one query, and asks where and how it is told', async () => {
    const { clock, agent, client } = await setUp({
      datacenter: 'dc1',
      reads: 'stale',
      token: async () => 'secret',
    });
    follow(client());
    await pass(clock, 50_000);
    const polls = agent.asked.map(({ query }) => query);
    expect(polls).toHaveLength(2);
    expect(Object.fromEntries(polls[1] ?? [])).toEqual({
      passing: '1',
      dc: 'dc1',
      stale: '',
      index: '10',
      wait: '55000ms',
    });
    expect(agent.asked.every(({ headers }) => headers['x-consul-token'] === 'secret')).toBe(true);
  });

  it('takes a query that ends without news for no failure', async () => {
    const { clock, agent, client } = await setUp();
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => users.ids?.length === 1);
    await pass(clock, 400_000);
    expect(users.pushed).toHaveLength(1);
    expect(agent.asked.length).toBeGreaterThanOrEqual(6);
    expect(agent.asked.length).toBeLessThanOrEqual(9);
  });

  it('begins anew when the index goes back', async () => {
    const { clock, agent, client } = await setUp();
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => agent.asked.length === 2);
    agent.goBack(5);
    await pass(clock, 5_000, () => agent.asked.length >= 4);
    expect(agent.asked.slice(1, 4).map(({ query }) => query.get('index'))).toEqual(['11', null, '5']);
    agent.put(kratosBody('k2', 9001));
    await until(() => users.ids?.length === 2);
  });

  it.each(['0', undefined, '-7', 'x', '99999999999999999999999'])(
    'does not run hot on an index of %s',
    async (index) => {
      const { clock, agent, client } = await setUp();
      agent.fault = () => ({ body: '[]', headers: index === undefined ? {} : { 'x-consul-index': index } });
      follow(client());
      await pass(clock, 20_000);
      // Two at once, and one for each second.
      expect(agent.asked.length).toBeLessThanOrEqual(23);
      expect(agent.asked.length).toBeGreaterThan(10);
      expect(new Set(agent.asked.slice(1).map(({ query }) => query.get('index')))).toEqual(new Set(['1']));
    },
  );

  it('does not run hot while everything changes', async () => {
    const { clock, agent, client } = await setUp();
    const users = follow(client());
    agent.fault = () => {
      agent.index++;
      return undefined;
    };
    await pass(clock, 30_000);
    expect(agent.asked.length).toBeLessThanOrEqual(33);
    expect(users.pushed).toHaveLength(1);
  });

  it.each([
    ['429', { status: 429, body: 'Your IP is issuing too many concurrent connections' }, /429/],
    ['500', { status: 500, body: 'No cluster leader' }, /No cluster leader/],
    ['403', { status: 403, body: 'ACL not found' }, /ACL not found/],
    ['garbage', { body: '<html>' }, /JSON/],
    ['another JSON', { body: '{"a":1}' }, /not a list/],
    ['a reset', 'reset' as const, /hang up|ECONNRESET/],
  ])('keeps the last good list, marked stale, after %s, and recovers', async (_, fault, reason) => {
    const { clock, agent, client } = await setUp();
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => users.ids?.length === 1 && agent.asked.length === 2);
    agent.fault = () => fault;
    agent.bump();
    await pass(clock, 20_000, () => users.stale);
    expect([users.ids, users.stale]).toEqual([['k1'], true]);
    expect(users.reason).toMatch(reason);
    agent.fault = undefined;
    await pass(clock, 40_000, () => users.stale === false);
    expect([users.ids, users.stale]).toEqual([['k1'], false]);
  });

  it('notices an agent that hangs', async () => {
    const { clock, agent, client } = await setUp({ requestTimeoutMs: 2_000 });
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => agent.asked.length === 2);
    agent.fault = () => 'hang';
    agent.bump();
    await pass(clock, 200_000, () => users.stale);
    expect([users.ids, users.stale]).toEqual([['k1'], true]);
  });

  it('does not believe the empty list of a token that may not read', async () => {
    const { clock, agent, client } = await setUp({ token: 't', removalHoldMs: 0 });
    agent.tokens = { t: { read: true, write: true } };
    agent.put(kratosBody('k1'));
    const users = follow(client());
    await until(() => users.ids?.length === 1 && agent.asked.length === 2);
    agent.tokens = { t: { read: false, write: true } };
    agent.bump();
    await pass(clock, 120_000, () => users.stale);
    expect([users.ids, users.stale, users.reason]).toEqual([['k1'], true, 'the token may not read users']);
  });

  it('leaves out what it cannot read, and says so', async () => {
    const { agent, events, client } = await setUp();
    const hostile = JSON.parse('{"__proto__":"x","constructor":"y","weight":"NaN","n":1}');
    const entries = [
      null,
      7,
      {},
      { Service: { ID: 'a', Service: 'bills', Address: 'h', Port: 1 } },
      { Service: { ID: 'b', Service: 'users', Address: 'h' } },
      { Service: { ID: 'c', Service: 'users', Address: 'h', Port: 1, Tags: 'no', Meta: hostile } },
    ];
    agent.fault = () => ({ body: JSON.stringify(entries) });
    const users = follow(client());
    await until(() => users.pushed.length > 0);
    expect(users.ids).toEqual(['c']);
    const metadata = users.pushed[0]?.instances[0]?.metadata ?? {};
    expect(Object.getPrototypeOf(metadata)).toBe(null);
    expect(({} as Record<string, unknown>)['x']).toBe(undefined);
    expect(users.pushed[0]?.instances[0]?.weight).toBe(100);
    expect(events.filter(({ type }) => type === 'malformed')).toHaveLength(1);
  });

  it('does not read more than it was told to', async () => {
    const { clock, agent, client } = await setUp({ maxReplyBytes: 2_000 });
    agent.fault = () => ({ body: `[${' '.repeat(100_000)}]` });
    const users = follow(client());
    await pass(clock, 5_000, () => users.pushed.length > 0);
    expect(users.reason).toMatch(/more than 2000 bytes/);
  });

  it('asks nothing any more when nobody watches', async () => {
    const { clock, agent, client } = await setUp();
    const users = follow(client());
    await until(() => agent.asked.length === 2);
    users.watch.close();
    const asked = agent.asked.length;
    agent.bump();
    await pass(clock, 100_000);
    expect(agent.asked).toHaveLength(asked);
    expect(clock.pending).toBeLessThanOrEqual(1);
  });
});

describe('consul', () => {
  it.each([
    [{ agent: 'ftp://h' }, TypeError],
    [{ agent: 'http://u:p@h' }, TypeError],
    [{ reads: 'fast' }, RangeError],
    [{ pollMs: 1 }, RangeError],
    [{ deregisterAfterMs: 1_000 }, RangeError],
    [{ tags: 'a' }, TypeError],
    [{ token: 7 }, TypeError],
    [{ nodes: [] }, TypeError],
  ])('refuses %j', (options, error) => {
    expect(() => consul(options as ConsulOptions)).toThrow(error);
  });

  it('takes an agent without a scheme', async () => {
    const { agent, client } = await setUp();
    const users = follow(client({ agent: agent.url.slice('http://'.length) }));
    await until(() => users.pushed.length > 0);
  });
});
