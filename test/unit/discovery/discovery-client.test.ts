import {
  type DiscoveryEvent,
  type DiscoveryOptions,
  discovery,
  type Registry,
  type Resolution,
  type ServiceInstance,
} from 'keelson/discovery';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { QuirkyRegistry } from '../../doubles/quirky-registry.js';
import { QuirkyTransport } from '../../doubles/quirky-transport.js';

const a = 'http://10.0.0.1:7171';
const b = 'http://10.0.0.2:7171';

function instance(service: string, hostname: string, more: Partial<ServiceInstance> = {}): ServiceInstance {
  return {
    id: `${hostname}/1`,
    service,
    hostname,
    addresses: [`http://${hostname}:8080`],
    version: '1',
    zone: 'sh001',
    env: 'prod',
    region: 'sh',
    weight: 10,
    status: 'up',
    metadata: { color: 'red' },
    ...more,
  };
}

function cluster(options: Partial<DiscoveryOptions> = {}, origins: readonly string[] = [a]) {
  const clock = manualClock();
  const nodes = new Map(
    origins.map((origin, at) => [origin, new QuirkyRegistry(clock, BigInt(at) * 7_000_000n)]),
  );
  for (const node of nodes.values()) node.join(...[...nodes.values()].filter((peer) => peer !== node));
  const transport = new QuirkyTransport(nodes);
  const events: DiscoveryEvent[] = [];
  const client = (more: Partial<DiscoveryOptions> = {}, seed = 1): Registry =>
    discovery({
      nodes: origins,
      zone: 'sh001',
      env: 'prod',
      region: 'sh',
      hostname: 'me',
      clock,
      random: seededRandom(seed),
      transport,
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
  const node = (origin: string): QuirkyRegistry => nodes.get(origin) as QuirkyRegistry;
  return { clock, transport, node, events, client };
}

/** What names an instance to the server. */
function place(appid: string, hostname: string): Record<string, string> {
  return { appid, hostname, zone: 'sh001', env: 'prod' };
}

/** Follows a service and keeps all that was pushed. */
function follow(registry: Registry, service: string) {
  const pushed: Resolution[] = [];
  const watch = registry.watch(service, (resolution) => pushed.push(resolution));
  return {
    pushed,
    watch,
    get hosts() {
      return pushed.at(-1)?.instances.map(({ hostname }) => hostname);
    },
    get stale() {
      return pushed.at(-1)?.stale;
    },
  };
}

describe('watching', () => {
  it('reads back exactly what was registered', async () => {
    const { clock, client } = cluster();
    const registry = client();
    const given = instance('users', 'h1', { addresses: ['http://h1:8080', 'grpc://h1:9000'], weight: 25 });
    await registry.register(given);
    const users = follow(registry, 'users');
    await clock.advance(0);
    expect(users.pushed).toEqual([{ instances: [given], stale: false, reason: undefined }]);
  });

  it('reads back the same through a peer that joins addresses by commas', async () => {
    const { clock, client, node } = cluster({}, [a, b]);
    const given = instance('users', 'h1', { addresses: ['http://h1:8080', 'grpc://h1:9000'] });
    await client({ nodes: [a] }).register(given);
    expect(node(b).stored('prod', 'users')[0]?.addrs).toEqual(['http://h1:8080,grpc://h1:9000']);
    const users = follow(client({ nodes: [b] }), 'users');
    await clock.advance(0);
    expect(users.pushed.at(-1)?.instances).toEqual([given]);
  });

  it('pushes nothing before anything is known, and an empty list as soon as that is known', async () => {
    const { clock, client } = cluster();
    const registry = client();
    const nobody = follow(registry, 'nobody');
    expect(nobody.pushed).toEqual([]);
    await clock.advance(0);
    expect(nobody.pushed).toEqual([{ instances: [], stale: false, reason: undefined }]);
  });

  it('asks for all that is watched in one turn with one request, and parks one poll', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    for (const service of ['one', 'two', 'three']) follow(registry, service);
    await clock.advance(1_000);
    expect(node(a).count('GET /discovery/fetchs')).toBe(1);
    expect(node(a).count('GET /discovery/polls')).toBe(1);
    expect(
      node(a)
        .log.find(({ request }) => request.endsWith('polls'))
        ?.params.getAll('appid'),
    ).toEqual(['one', 'two', 'three']);
  });

  it('learns of a change within a poll gap, and echoes the timestamp to the digit', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(500);
    expect(users.hosts).toEqual(['h1']);
    await client({}, 2).register(instance('users', 'h2'));
    await clock.advance(0);
    expect(users.hosts).toEqual(['h1', 'h2']);
    await clock.advance(5_000);
    const polls = node(a).log.filter(({ request }) => request === 'GET /discovery/polls');
    // One before the change, one after: had the timestamp lost a digit, there would be dozens.
    expect(polls).toHaveLength(2);
    const echoed = BigInt(polls[1]?.params.get('latest_timestamp') ?? '0');
    expect(echoed).toBeGreaterThan(2n ** 53n);
    expect(BigInt(Number(echoed))).not.toBe(echoed);
  });

  it('takes -304 for success: one poll each 30 s, nobody lost', async () => {
    const { clock, client, node, events } = cluster({ recheckMs: Number.POSITIVE_INFINITY });
    const registry = client();
    await registry.register(instance('users', 'h1'));
    follow(registry, 'users');
    await clock.advance(300_000);
    expect(node(a).count('GET /discovery/polls')).toBe(10 + 1);
    // The poll's own time limit, its parking at the double, the next renewal, and what a timer wheel may keep.
    expect(clock.pending).toBeLessThan(6);
    expect(node(a).count('GET /discovery/fetchs')).toBe(1);
    expect(events.map(({ type }) => type)).toEqual(['registered']);
  });

  it('makes no hot loop of a service whose instances all wait', async () => {
    const { clock, client, node } = cluster({ recheckMs: Number.POSITIVE_INFINITY });
    const registry = client();
    await registry.register(instance('users', 'h1', { status: 'waiting' }));
    const users = follow(registry, 'users');
    await clock.advance(60_000);
    expect(users.pushed).toEqual([{ instances: [], stale: false, reason: undefined }]);
    expect(node(a).count('GET /discovery/polls')).toBe(3);
  });

  it('gives up its poll for a service that is watched later, under another name each time', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    const other = client({}, 2);
    await other.register(instance('one', 'h1'));
    await other.register(instance('two', 'h2'));
    const one = follow(registry, 'one');
    await clock.advance(1_000);
    const two = follow(registry, 'two');
    await clock.advance(1_000);
    expect([one.hosts, two.hosts]).toEqual([['h1'], ['h2']]);
    // The ghost of the first poll is parked still; with one name for both the next change of "one" would go to the ghost.
    expect(node(a).parked('prod', 'one')).toHaveLength(2);
    await other.register(instance('one', 'h3'));
    await clock.advance(0);
    expect(one.hosts).toEqual(['h1', 'h3']);
    await other.register(instance('two', 'h4'));
    await clock.advance(200);
    expect(two.hosts).toEqual(['h2', 'h4']);
  });

  it('does not park a poll before it has asked for a service that came in the meantime', async () => {
    const { clock, client, transport } = cluster();
    const registry = client();
    const send = transport.send.bind(transport);
    let late: ReturnType<typeof follow> | undefined;
    transport.send = async (request) => {
      if (request.url.includes('fetchs')) late ??= follow(registry, 'nobody');
      return send(request);
    };
    follow(registry, 'users');
    await clock.advance(500);
    expect(late?.hosts).toEqual([]);
  });

  it('gives a second watcher what is known at once, and asks nobody', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const first = follow(registry, 'users');
    await clock.advance(1_000);
    const asked = node(a).log.length;
    const second = follow(registry, 'users');
    expect(second.hosts).toEqual(['h1']);
    await clock.advance(1_000);
    expect(node(a).log).toHaveLength(asked);
    first.watch.close();
    first.watch.close();
    await client({}, 2).register(instance('users', 'h2'));
    await clock.advance(0);
    expect(first.hosts).toEqual(['h1']);
    expect(second.hosts).toEqual(['h1', 'h2']);
  });

  it('stops asking when nobody watches, and starts again', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    users.watch.close();
    await clock.advance(1_000);
    const asked = node(a).log.length;
    await clock.advance(600_000);
    expect(node(a).log).toHaveLength(asked);
    await client({}, 2).register(instance('users', 'h1'));
    const again = follow(registry, 'users');
    await clock.advance(0);
    expect(again.hosts).toEqual(['h1']);
  });

  it('notices that the last instance left although the server wakes nobody, and holds the list for a while', async () => {
    const { clock, client } = cluster();
    const other = client({}, 2);
    const registration = await other.register(instance('users', 'h1'));
    const users = follow(client(), 'users');
    await clock.advance(1_000);
    await registration.deregister();
    await clock.advance(500);
    expect(users.stale).toBe(false);
    // Within one recheck, 72 s at most, it is doubted; one hold of 60 s later believed.
    await clock.advance(72_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], true]);
    await clock.advance(60_000);
    expect([users.hosts, users.stale]).toEqual([[], false]);
  });

  it('drops the doubt when the instance is back before the hold ends', async () => {
    const { clock, client } = cluster();
    const other = client({}, 2);
    const registration = await other.register(instance('users', 'h1'));
    const users = follow(client(), 'users');
    await clock.advance(1_000);
    await registration.deregister();
    await clock.advance(72_000);
    expect(users.stale).toBe(true);
    await other.register(instance('users', 'h1', { id: 'h1/2' }));
    await clock.advance(35_000);
    expect(users.pushed.at(-1)?.instances.map(({ id }) => id)).toEqual(['h1/2']);
    expect(users.stale).toBe(false);
  });

  it('sees at the next recheck what /set changed behind its back', async () => {
    const { clock, client, node, transport } = cluster();
    await client({}, 2).register(instance('users', 'h1'));
    const form = { ...place('users', 'h1'), metadata: '{"weight":"77"}' };
    const send = transport.send.bind(transport);
    let done = false;
    transport.send = async (request) => {
      // Between the list and the first poll nobody is parked, and the change moves no timestamp.
      if (request.url.includes('polls') && !done) {
        done = true;
        await node(a).handle('POST', '/discovery/set', new URLSearchParams(form));
      }
      return send(request);
    };
    const users = follow(client(), 'users');
    await clock.advance(20_000);
    expect(users.pushed.at(-1)?.instances[0]?.weight).toBe(10);
    await clock.advance(52_000);
    expect(users.pushed.at(-1)?.instances[0]?.weight).toBe(77);
  });

  it('keeps away from a server that answers at once with nothing new', async () => {
    const { clock, client, node } = cluster({ recheckMs: Number.POSITIVE_INFINITY });
    await client({}, 2).register(instance('users', 'h1'));
    follow(client(), 'users');
    await clock.advance(100);
    node(a).garbled.set('/discovery/polls', { status: 200, body: '{"code":-304,"message":"-304"}' });
    await client({}, 3).register(instance('users', 'h2'));
    const before = node(a).count('GET /discovery/polls');
    await clock.advance(60_000);
    // Jittered around 2.6 s once it has backed off; without that it would be 600.
    expect(node(a).count('GET /discovery/polls') - before).toBeLessThan(60);
    expect(node(a).count('GET /discovery/polls') - before).toBeGreaterThan(10);
    // Nothing is left of the polls that are over.
    expect(clock.pending).toBeLessThan(6);
  });
});

describe('a registry that goes away', () => {
  it('serves the last good list, stale and with a reason, for as long as it takes, and is fresh when it returns', async () => {
    const { clock, client, transport, events } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    transport.kill(a);
    await clock.advance(10_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], true]);
    expect(users.pushed.at(-1)?.reason).toContain('ECONNREFUSED');
    await clock.advance(3_600_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], true]);
    transport.revive(a);
    // The bound of the backoff, and the gap.
    await clock.advance(15_100);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
    const told = (...types: string[]) =>
      events.map(({ type }) => type).filter((type) => types.includes(type));
    expect(told('stale', 'fresh')).toEqual(['stale', 'fresh']);
    expect(told('registered', 'lost')).toEqual(['registered', 'lost', 'registered']);
    expect(users.pushed).toHaveLength(3);
  });

  it('asks a dead registry rarely, and never in step with others', async () => {
    const { clock, client, transport } = cluster();
    transport.kill(a);
    const times: number[][] = [[], []];
    const send = transport.send.bind(transport);
    transport.send = (request) => {
      times[request.url.includes('appid=users') ? 0 : 1]?.push(clock.now());
      return send(request);
    };
    follow(client({}, 1), 'users');
    follow(client({}, 2), 'orders');
    await clock.advance(300_000);
    for (const asked of times) {
      // Full jitter under 15 s: about 7.6 s on average, so 40 in 300 s.
      expect(asked.length).toBeGreaterThan(20);
      expect(asked.length).toBeLessThan(80);
    }
    const together = times[0]?.filter((time) => times[1]?.some((other) => Math.abs(other - time) < 1));
    expect(together?.length).toBeLessThanOrEqual(2);
  });

  it('says so once, however many nodes are tried in vain', async () => {
    const { clock, client, transport, events } = cluster({}, [a, b]);
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(client(), 'users');
    await clock.advance(1_000);
    transport.kill(a);
    transport.kill(b);
    await clock.advance(600_000);
    expect(users.pushed).toHaveLength(2);
    expect(events.map(({ type }) => type).sort()).toEqual(['lost', 'registered', 'stale']);
  });

  it('tells, once for each service, why nothing is known of it', async () => {
    const { clock, client, transport, events } = cluster();
    transport.kill(a);
    const registry = client();
    const users = follow(registry, 'users');
    await clock.advance(60_000);
    const orders = follow(registry, 'orders');
    await clock.advance(60_000);
    const reason = expect.stringContaining('ECONNREFUSED');
    const nothing = [{ instances: [], stale: true, reason }];
    expect([users.pushed, orders.pushed]).toEqual([nothing, nothing]);
    const stale = { type: 'stale', reason };
    expect(events).toEqual([
      { ...stale, service: 'users' },
      { ...stale, service: 'orders' },
    ]);
    transport.revive(a);
    await clock.advance(16_000);
    expect([users.hosts, orders.hosts]).toEqual([[], []]);
    expect(events.slice(2).map(({ type, service }) => [type, service])).toEqual([
      ['fresh', 'users'],
      ['fresh', 'orders'],
    ]);
  });

  it('moves once when two see one failure', async () => {
    const { clock, client, node, transport } = cluster({}, [a, b]);
    await client({ nodes: [b] }, 2).register(instance('users', 'h1'));
    transport.kill(a);
    const before = transport.sent.length;
    const registry = client({ random: () => 0.9 });
    const users = follow(registry, 'users');
    const registered = registry.register(instance('orders', 'h2'));
    await clock.advance(2_000);
    await registered;
    expect(users.hosts).toEqual(['h1']);
    expect(transport.sent.slice(before).filter(({ url }) => url.startsWith(a))).toHaveLength(2);
    expect(node(b).stored('prod', 'orders')).toHaveLength(1);
  });

  it('says nothing of a service that nobody watches any more when the answer comes', async () => {
    const { clock, client, node, transport, events } = cluster();
    await client({}, 2).register(instance('users', 'h1'));
    const registry = client();
    follow(registry, 'orders');
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    node(a).restart();
    const send = transport.send.bind(transport);
    transport.send = async (request) => {
      if (request.url.includes('fetchs')) users.watch.close();
      return send(request);
    };
    node(a).garbled.set('/discovery/renew', { status: 200, body: '{"code":0}' });
    await clock.advance(80_000);
    expect(users.pushed).toHaveLength(1);
    expect(events.map(({ type }) => type)).toEqual(['registered']);
  });

  it('says nothing after it was closed in the middle of a failure', async () => {
    const { clock, client, node, transport, events } = cluster();
    const registry = client();
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    // The poll is cut; the fetch that follows within 600 ms hangs, and is given up in its midst.
    node(a).handle = () => new Promise(() => undefined);
    transport.kill(a);
    transport.revive(a);
    await clock.advance(1_000);
    expect(transport.sent.at(-1)?.url).toContain('fetchs');
    await registry.close();
    await clock.advance(60_000);
    expect(users.pushed).toHaveLength(1);
    expect(events.map(({ type }) => type)).not.toContain('stale');
  });

  it('starts from zero after a failure: the node may have come back with another clock', async () => {
    const { clock, client, node, transport } = cluster({ recheckMs: Number.POSITIVE_INFINITY });
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(client(), 'users');
    await clock.advance(1_000);
    transport.kill(a);
    await clock.advance(2_000);
    node(a).restart();
    node(a).skewNs = -3_600_000_000_000n;
    transport.revive(a);
    await client({}, 3).register(instance('users', 'h2'));
    await clock.advance(16_000);
    expect(users.hosts).toContain('h2');
  });

  it('keeps who has not registered anew yet when it returns without its memory', async () => {
    const { clock, client, node, transport } = cluster();
    const registry = client();
    await client({}, 2).register(instance('users', 'h1'));
    await client({}, 3).register(instance('users', 'h2'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    transport.kill(a);
    await clock.advance(2_000);
    node(a).restart();
    transport.revive(a);
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      expect(users.hosts).toEqual(['h1', 'h2']);
    }
    expect(users.stale).toBe(false);
    expect(node(a).stored('prod', 'users')).toHaveLength(2);
  });

  it('lets go of who never came back, one hold later', async () => {
    const { clock, client, node, transport } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const dead = client({}, 2);
    await dead.register(instance('users', 'h2'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    transport.kill(a);
    await dead.close();
    await clock.advance(10_000);
    node(a).restart();
    transport.revive(a);
    await clock.advance(45_000);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2'], true]);
    await clock.advance(75_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });

  it('holds everybody anew when it loses its memory twice within one hold', async () => {
    const { clock, client, node, transport } = cluster();
    await client({}, 1).register(instance('users', 'h1'));
    await client({}, 2).register(instance('users', 'h2'));
    const users = follow(client({}, 3), 'users');
    await clock.advance(1_000);
    const handle = node(a).handle.bind(node(a));
    // The second one is dead: nothing of it arrives any more.
    node(a).handle = async (method, path, params, timeoutMs) =>
      params.get('hostname') === 'h2'
        ? { status: 200, body: '{"code":0}' }
        : handle(method, path, params, timeoutMs);
    const restart = (): void => {
      node(a).restart();
      transport.kill(a);
      transport.revive(a);
    };
    restart();
    // Just after a renewal of the first: for the next one is not due before the hold of the second ends.
    await clock.advance(55_000);
    restart();
    await clock.advance(10_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], true]);
    await clock.advance(25_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });

  it('keeps its doubt for the next list, and who is held until then, when a hold ends before it comes', async () => {
    const { clock, client, node, transport } = cluster();
    const dead = client({}, 2);
    await client({}, 1).register(instance('users', 'h1'));
    await dead.register(instance('users', 'h2'));
    await client({}, 3).register(instance('users', 'h3'));
    const users = follow(client({ random: () => 0.5 }, 4), 'users');
    const forget = async (hostname: string): Promise<void> => {
      transport.kill(a);
      await node(a).handle('POST', '/discovery/cancel', new URLSearchParams(place('users', hostname)));
      transport.revive(a);
    };
    await clock.advance(1_000);
    void dead.close();
    await forget('h2');
    // Fetched again 350 ms after each failure: it is held from 1 350 to 61 350.
    await clock.advance(60_200);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2', 'h3'], true]);
    await forget('h3');
    await clock.advance(200);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2', 'h3'], true]);
    await clock.advance(200);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h3'], true]);
  });

  it('moves to another node, forgets the timestamps of the first, and nobody notices', async () => {
    const { clock, client, node, transport, events } = cluster({}, [a, b]);
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    const first = node(a).count('GET /discovery/polls') > 0 ? a : b;
    const second = first === a ? b : a;
    transport.kill(first);
    await clock.advance(2_000);
    expect(node(second).count('GET /discovery/fetchs')).toBe(1);
    expect(users.pushed).toHaveLength(1);
    await client({ nodes: [second] }, 2).register(instance('users', 'h2'));
    await clock.advance(0);
    expect(users.hosts).toEqual(['h1', 'h2']);
    expect(events.map(({ type }) => type)).not.toContain('stale');
  });

  it('believes a removal at once after a failover when the new node had listed the instance', async () => {
    const { clock, client, transport } = cluster({}, [a, b]);
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const leaving = await client({}, 2).register(instance('users', 'h2'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    transport.kill(a);
    await clock.advance(5_000);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2'], false]);
    await leaving.deregister();
    await clock.advance(1_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });

  it('keeps for a while whom the next node does not know', async () => {
    const { clock, client, node } = cluster({}, [a, b]);
    const other = client({ nodes: [a] }, 2);
    await other.register(instance('users', 'h1'));
    const leaving = await client({ nodes: [a, b] }, 3).register(instance('users', 'h3'));
    node(a).join();
    await other.register(instance('users', 'h2'));
    // Half of the usual, so that the order of nodes is as given and nothing else is at an edge.
    const registry = client({ rotateMs: 100_000, random: () => 0.5 });
    const users = follow(registry, 'users');
    await clock.advance(90_000);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2', 'h3'], false]);
    await clock.advance(50_000);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2', 'h3'], true]);
    // The next node has listed this one, so its leaving is no slip of memory.
    await leaving.deregister();
    node(b).join();
    await node(b).handle('POST', '/discovery/cancel', new URLSearchParams(place('users', 'h3')));
    await clock.advance(5_000);
    expect([users.hosts, users.stale]).toEqual([['h1', 'h2'], true]);
    await clock.advance(50_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });

  it('does not call stale what it can fetch, although no poll comes through', async () => {
    const { clock, client, node } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    node(a).garbled.set('/discovery/polls', { status: 404, body: '404 page not found' });
    const users = follow(registry, 'users');
    await clock.advance(120_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
    expect(users.pushed).toHaveLength(1);
    expect(node(a).count('GET /discovery/polls')).toBeLessThan(60);
  });

  it('asks another node when one will not answer the question', async () => {
    const { clock, client, node } = cluster({}, [a, b]);
    await client({}, 2).register(instance('users', 'h1'));
    for (const path of ['fetchs', 'polls']) {
      node(a).garbled.set(`/discovery/${path}`, { status: 200, body: '{"code":-403,"message":"no"}' });
    }
    const users = follow(client({ random: () => 0.9 }), 'users');
    await clock.advance(2_000);
    expect(users.hosts).toEqual(['h1']);
  });

  it('moves away from a node in protect mode', async () => {
    const { clock, client, node } = cluster({}, [a, b]);
    node(a).protect = true;
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(client({ nodes: [a, b] }), 'users');
    await clock.advance(2_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });

  it.each([
    ['HTML', { status: 200, body: '<html>gateway</html>' }],
    ['truncated JSON', { status: 200, body: '{"code":0,"data":{"users":{"instances":{"sh' }],
    ['nothing', { status: 200, body: '' }],
    ['a list', { status: 200, body: '[]' }],
    ['a number', { status: 200, body: '7' }],
    ['no code', { status: 200, body: '{"data":{}}' }],
    ['502', { status: 502, body: 'bad gateway' }],
    ['404', { status: 404, body: '404 page not found' }],
    ['nesting', { status: 200, body: '['.repeat(100_000) }],
    ['-500', { status: 200, body: '{"code":-500,"message":"-500"}' }],
    ['-400', { status: 200, body: '{"code":-400,"message":"-400"}' }],
  ])('survives %s for an answer', async (_, reply) => {
    const { clock, client, node, events } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    node(a).garbled.set('/discovery/polls', reply).set('/discovery/fetchs', reply);
    await clock.advance(120_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], true]);
    expect(node(a).log.length).toBeLessThan(120);
    node(a).garbled.clear();
    await clock.advance(16_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'stale', 'fresh']);
  });

  it.each([
    ['null', null],
    ['a list', []],
    ['text', 'gone'],
    ['an object without instances', { latest_timestamp: 1 }],
    ['instances that are a list', { instances: [], latest_timestamp: 1 }],
  ])('keeps what is known of a service that comes as %s', async (_, info) => {
    const { clock, client, node, events } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    const body = JSON.stringify({ code: 0, data: { users: info } });
    await clock.advance(100);
    node(a)
      .garbled.set('/discovery/polls', { status: 200, body })
      .set('/discovery/fetchs', { status: 200, body });
    await clock.advance(120_000);
    expect(users.hosts).toEqual(['h1']);
    expect(node(a).log.length).toBeLessThan(150);
    expect(events.some(({ type, service }) => type === 'malformed' && service === 'users')).toBe(true);
  });

  it('leaves garbage instances out one by one', async () => {
    const { clock, client, node, events } = cluster();
    const good = {
      hostname: 'good',
      addrs: ['http://h:1'],
      metadata: { weight: '5', n: 1, o: {} },
      status: 1,
    };
    const rows = [
      good,
      { ...good, hostname: 'odd', metadata: 'x', version: 7, dirty_timestamp: '12' },
      { ...good, hostname: 'weightless', metadata: { weight: '-1' } },
      { ...good, hostname: 'asleep', status: 2 },
      { ...good, hostname: 'foreign', env: 'uat' },
      { ...good, hostname: 'strange', appid: 'users-prod' },
      { ...good, hostname: '' },
      { ...good, hostname: 'homeless', addrs: [] },
      { ...good, hostname: 'lost', addrs: null },
      { ...good, hostname: 'numb', addrs: [7, {}] },
      null,
      'text',
      [],
    ];
    const data = { users: { instances: { sh001: rows, odd: 'x', none: null }, latest_timestamp: '5' } };
    node(a).garbled.set('/discovery/fetchs', { status: 200, body: JSON.stringify({ code: 0, data }) });
    const users = follow(client(), 'users');
    await clock.advance(0);
    expect(
      users.pushed.at(-1)?.instances.map(({ id, hostname, weight, zone, env, version, metadata }) => {
        return { id, hostname, weight, zone, env, version, metadata };
      }),
    ).toEqual([
      {
        id: 'sh001/good#0',
        hostname: 'good',
        weight: 5,
        zone: 'sh001',
        env: 'prod',
        version: '',
        metadata: {},
      },
      {
        id: 'sh001/odd#12',
        hostname: 'odd',
        weight: 100,
        zone: 'sh001',
        env: 'prod',
        version: '',
        metadata: {},
      },
      {
        id: 'sh001/weightless#0',
        hostname: 'weightless',
        weight: 100,
        zone: 'sh001',
        env: 'prod',
        version: '',
        metadata: {},
      },
    ]);
    expect(events.filter(({ type }) => type === 'malformed')).toHaveLength(1);
    expect(events[0]?.reason).toContain('and 9 more left out');
  });

  it('refuses a reply that is too large, by asking the transport to', async () => {
    const { clock, client, transport } = cluster({ maxReplyBytes: 2_048 });
    follow(client(), 'users');
    await clock.advance(0);
    expect(transport.sent.every(({ maxReplyBytes }) => maxReplyBytes === 2_048)).toBe(true);
  });

  it('gives up on a node that never answers', async () => {
    const { clock, client, node, transport } = cluster({}, [a, b]);
    await client({ nodes: [b] }, 2).register(instance('users', 'h1'));
    const silent = transport.nodes.get(a) as QuirkyRegistry;
    silent.handle = () => new Promise(() => undefined);
    const registry = client({ random: () => 0.9 });
    const users = follow(registry, 'users');
    await clock.advance(6_000);
    expect(users.hosts).toEqual(['h1']);
    expect(node(b).count('GET /discovery/polls')).toBe(1);
  });

  it('survives a listener that throws, and tells', async () => {
    const { clock, client, events } = cluster();
    const registry = client();
    registry.watch('users', () => {
      throw new Error('listener');
    });
    const users = follow(registry, 'users');
    await client({}, 2).register(instance('users', 'h1'));
    await clock.advance(1_000);
    expect(users.hosts).toEqual(['h1']);
    expect(events).toContainEqual({ type: 'fault', service: 'users', reason: 'listener' });
  });
});

describe('nodes', () => {
  it('learns those of its own zone that are up, and goes to them when a seed dies', async () => {
    const { clock, client, node, transport } = cluster({}, [a, b]);
    node(a).nodes = [
      { addr: '10.0.0.9:7171', status: 0, zone: 'elsewhere' },
      { addr: '10.0.0.8:7171', status: 1, zone: 'sh001' },
      { addr: '10.0.0.2:7171', status: 0, zone: 'sh001' },
      { addr: 'http://[nonsense', status: 0, zone: 'sh001' },
    ];
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(client({ nodes: [a] }), 'users');
    // The seed works, so nothing moves.
    await clock.advance(120_000);
    expect(node(b).count('GET /discovery/fetchs')).toBe(0);
    transport.kill(a);
    await clock.advance(2_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
    expect(node(b).count('GET /discovery/polls')).toBe(1);
    const asked = new Set(transport.sent.map(({ url }) => new URL(url).host));
    expect([...asked].sort()).toEqual(['10.0.0.1:7171', '10.0.0.2:7171']);
  });

  it('comes back to the seeds when everything learned is gone', async () => {
    const { clock, client, node, transport } = cluster({}, [a, b]);
    node(a).nodes = [{ addr: '10.0.0.2:7171', status: 0, zone: 'sh001' }];
    await client({}, 2).register(instance('users', 'h1'));
    const users = follow(client({ nodes: [a], rotateMs: 10_000 }), 'users');
    await clock.advance(60_000);
    expect(node(b).count('GET /discovery/polls')).toBeGreaterThan(0);
    transport.kill(b);
    await clock.advance(5_000);
    expect([users.hosts, users.stale]).toEqual([['h1'], false]);
  });
});

describe('registration', () => {
  it('sends what the server wants: repeated addresses, strings only, an id', async () => {
    const { client, node, clock } = cluster();
    const registry = client();
    const given = instance('users', 'h1', {
      addresses: ['http://h1:8080', 'grpc://h1:9000'],
      zone: '',
      env: '',
      region: '',
    });
    const registration = await registry.register(given);
    await clock.advance(0);
    const form = node(a).log.find(({ request }) => request === 'POST /discovery/register')?.params;
    expect(form && [...form].sort()).toEqual(
      [
        ['addrs', 'http://h1:8080'],
        ['addrs', 'grpc://h1:9000'],
        ['appid', 'users'],
        ['env', 'prod'],
        ['hostname', 'h1'],
        ['metadata', '{"color":"red","weight":"10","kratos.v2.serviceinstance.id":"h1/1"}'],
        ['region', 'sh'],
        ['status', '1'],
        ['version', '1'],
        ['zone', 'sh001'],
      ].sort(),
    );
    expect(registration.registered).toBe(true);
  });

  it('renews within the server’s 90 s, twice a minute at least, never at fixed times', async () => {
    const { clock, client, node } = cluster();
    await client().register(instance('users', 'h1'));
    await clock.advance(600_000);
    const at = node(a)
      .log.filter(({ request }) => request === 'POST /discovery/renew')
      .map((entry) => entry.at);
    const spans = at.slice(1).map((time, index) => time - (at[index] as number));
    expect(Math.max(...spans)).toBeLessThanOrEqual(30_000);
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(24_000);
    expect(new Set(spans).size).toBeGreaterThan(spans.length / 2);
  });

  it('registers again when it was forgotten', async () => {
    const { clock, client, node, events } = cluster();
    const registration = await client().register(instance('users', 'h1'));
    node(a).restart();
    await clock.advance(30_000);
    expect(
      node(a)
        .stored('prod', 'users')
        .map(({ hostname }) => hostname),
    ).toEqual(['h1']);
    expect(registration.registered).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'lost', 'registered']);
  });

  it('registers again what it was given at first, whatever became of the object', async () => {
    const { clock, client, node } = cluster();
    const addresses = ['http://h1:8080'];
    const metadata: Record<string, unknown> = { color: 'red' };
    await client().register(
      instance('users', 'h1', { addresses, metadata: metadata as Record<string, string> }),
    );
    const [before] = node(a).stored('prod', 'users');
    addresses.push('nonsense');
    metadata['itself'] = metadata;
    node(a).restart();
    await clock.advance(30_000);
    const [after] = node(a).stored('prod', 'users');
    expect([after?.addrs, after?.metadata]).toEqual([before?.addrs, before?.metadata]);
  });

  it('rejects when the server refuses, and only then', async () => {
    const { client, node } = cluster();
    node(a).garbled.set('/discovery/register', { status: 200, body: '{"code":-400,"message":"bad zone"}' });
    const registry = client();
    await expect(registry.register(instance('users', 'h1'))).rejects.toThrow(
      /refused users: code -400 bad zone/,
    );
    node(a).garbled.clear();
    await expect(registry.register(instance('users', 'h1'))).resolves.toMatchObject({ registered: true });
  });

  it('does not hammer a server that calls a registration missing', async () => {
    const { clock, client, node, transport } = cluster();
    transport.kill(a);
    node(a).garbled.set('/discovery/register', { status: 200, body: '{"code":-404,"message":"-404"}' });
    await client().register(instance('users', 'h1'));
    transport.revive(a);
    await clock.advance(60_000);
    expect(node(a).count('POST /discovery/register')).toBeLessThan(12);
    node(a).garbled.clear();
    await clock.advance(300_100);
    expect(node(a).stored('prod', 'users')).toHaveLength(1);
  });

  it('does not keep an app from starting when the registry does not answer', async () => {
    const { clock, client, node } = cluster({ requestTimeoutMs: 2_000 }, [a, b]);
    node(a).handle = () => new Promise(() => undefined);
    node(b).handle = node(a).handle;
    let started = false;
    void client()
      .register(instance('users', 'h1'))
      .then(() => {
        started = true;
      });
    await clock.advance(1_999);
    expect(started).toBe(false);
    await clock.advance(10);
    expect(started).toBe(true);
  });

  it('starts while the registry is away, and is registered when it comes', async () => {
    const { clock, client, node, transport, events } = cluster();
    transport.kill(a);
    const registration = await client().register(instance('users', 'h1'));
    expect(registration.registered).toBe(false);
    await clock.advance(600_000);
    expect(registration.registered).toBe(false);
    transport.revive(a);
    await clock.advance(15_000);
    expect(registration.registered).toBe(true);
    expect(node(a).stored('prod', 'users')).toHaveLength(1);
    expect(events.map(({ type }) => type)).toEqual(['lost', 'registered']);
  });

  it('takes an instance out, and does not renew again', async () => {
    const { clock, client, node, events } = cluster();
    const registration = await client().register(instance('users', 'h1'));
    await clock.advance(1_000);
    await Promise.all([registration.deregister(), registration.deregister()]);
    expect(registration.registered).toBe(false);
    expect(node(a).stored('prod', 'users')).toEqual([]);
    await clock.advance(600_000);
    expect(node(a).count('POST /discovery/cancel')).toBe(1);
    expect(node(a).count('POST /discovery/renew')).toBe(0);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'deregistered']);
  });

  it('waits for a renewal under way, so that it cannot bring the instance back', async () => {
    const { clock, client, node } = cluster();
    const registration = await client().register(instance('users', 'h1'));
    const handle = node(a).handle.bind(node(a));
    let answer = (): void => undefined;
    node(a).handle = async (method, path, params) => {
      if (path.endsWith('/renew')) await new Promise<void>((resolve) => (answer = resolve));
      return handle(method, path, params);
    };
    await clock.advance(30_000);
    node(a).restart();
    const left = registration.deregister();
    await clock.advance(1_000);
    expect(node(a).count('POST /discovery/cancel')).toBe(0);
    answer();
    await left;
    const order = node(a).log.map(({ request }) => request.split('/').at(-1));
    // The renewal found nothing; had the loop gone on, it would have registered anew.
    expect(order.filter((path) => path !== 'nodes')).toEqual(['register', 'renew', 'cancel']);
    await clock.advance(120_000);
    expect(node(a).stored('prod', 'users')).toEqual([]);
  });

  it('leaves a dead registry in bounded time, and says so', async () => {
    const { clock, client, transport, events } = cluster();
    const registration = await client().register(instance('users', 'h1'));
    transport.kill(a);
    await registration.deregister();
    expect(events.at(-1)).toMatchObject({ type: 'abandoned', service: 'users' });
    await clock.advance(600_000);
    expect(transport.sent.filter(({ url }) => url.includes('renew'))).toHaveLength(0);
  });

  it('leaves a registry that does not answer in bounded time', async () => {
    const { clock, client, node } = cluster({ requestTimeoutMs: 2_000 });
    const registration = await client().register(instance('users', 'h1'));
    node(a).handle = () => new Promise(() => undefined);
    let left = false;
    void registration.deregister().then(() => {
      left = true;
    });
    await clock.advance(1_999);
    expect(left).toBe(false);
    await clock.advance(10);
    expect(left).toBe(true);
  });

  it('refuses a second registration under one host name', async () => {
    const { client } = cluster();
    const registry = client();
    const first = await registry.register(instance('users', 'h1'));
    await expect(registry.register(instance('users', 'h1', { id: 'other' }))).rejects.toThrow(
      /registered already/,
    );
    await first.deregister();
    await expect(registry.register(instance('users', 'h1'))).resolves.toMatchObject({ registered: true });
  });

  it.each([
    ['no address', { addresses: [] }],
    ['a wildcard', { addresses: ['http://0.0.0.0:80'] }],
    ['port 0', { addresses: ['http://10.0.0.1:0'] }],
    ['no hostname', { hostname: '' }],
    ['a label that is no text', { metadata: { shard: 7 } as unknown as Record<string, string> }],
    ['no service', { service: '' }],
  ])('refuses an instance with %s before it is sent', async (_, more) => {
    const { client, transport } = cluster();
    await expect(client().register(instance('users', 'h1', more))).rejects.toThrow(TypeError);
    expect(transport.sent).toEqual([]);
  });

  it('closes: takes out what is registered, pushes nothing more, holds no timer of its own loops', async () => {
    const { clock, client, node, transport } = cluster();
    const registry = client();
    await registry.register(instance('users', 'h1'));
    const users = follow(registry, 'users');
    await clock.advance(1_000);
    await registry.close();
    expect(node(a).stored('prod', 'users')).toEqual([]);
    expect(transport.closed).toBe(true);
    const asked = transport.sent.length;
    const seen = users.pushed.length;
    await client({}, 2).register(instance('users', 'h2'));
    await clock.advance(600_000);
    expect(users.pushed).toHaveLength(seen);
    expect(transport.sent.slice(asked).every(({ url }) => /register|renew|nodes/.test(url))).toBe(true);
    await expect(registry.register(instance('users', 'h3'))).rejects.toThrow(/closed/);
    expect(follow(registry, 'users').pushed).toEqual([]);
  });
});

describe('options', () => {
  it.each([
    ['nothing', undefined],
    ['no nodes', { nodes: [] }],
    ['a node that is no URL', { nodes: ['127.0.0.1:7171'] }],
    ['a node of another scheme', { nodes: ['grpc://127.0.0.1:7171'] }],
    ['an unknown option', { nodes: [a], renwMs: 1 }],
  ])('refuses %s', (_, options) => {
    expect(() => discovery(options as unknown as DiscoveryOptions)).toThrow(TypeError);
  });
  it('refuses a number out of range', () => {
    expect(() => discovery({ nodes: [a], renewMs: 90_000 })).toThrow(
      /discovery.renewMs must be a number >= 100 and <= 60000/,
    );
  });
});
