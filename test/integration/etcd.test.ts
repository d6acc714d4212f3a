import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DiscoveryEvent, Registry, Resolution, ServiceInstance } from 'keelson/discovery';
import { type EtcdOptions, etcd } from 'keelson/discovery/etcd';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { type EtcdServer, hasEtcd, startEtcd } from '../doubles/etcd-server.js';
import { freePort } from '../doubles/free-port.js';
import { loneProgram } from '../doubles/lone-program.js';
import { tcpProxy } from '../doubles/tcp-proxy.js';
import { tlsFront } from '../doubles/tls-front.js';

if (!hasEtcd)
  console.error('NO etcd ON THIS MACHINE: keelson/discovery/etcd IS NOT TESTED WITH A REAL SERVER');

const patience = { timeout: 15_000, interval: 20 };
const ending: (() => unknown)[] = [];
let server: EtcdServer;
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

function client(endpoints: readonly string[], options: Partial<EtcdOptions> = {}) {
  const events: DiscoveryEvent[] = [];
  const registry: Registry = etcd({
    endpoints,
    ttlMs: 3_000,
    requestTimeoutMs: 1_000,
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

const value = (name: string, id: string): string =>
  JSON.stringify({ id, name, version: '', metadata: null, endpoints: ['http://10.0.0.9:80'] });

// At once: most of each is waiting.
describe.skipIf(!hasEtcd).concurrent('etcd with a real server', () => {
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(async () => {
    for (const end of ending.splice(0).reverse()) await end();
    await server?.stop();
  });

  it('writes what kratos writes, on a lease, and takes it out', async () => {
    const name = freshName();
    const { registry, events } = client([server.url]);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(true);
    const [entry, ...others] = await server.read(`/microservices/${name}/`);
    expect(others).toEqual([]);
    expect(entry?.key).toBe(`/microservices/${name}/one`);
    expect(entry?.lease).not.toBe('0');
    expect(JSON.parse(entry?.value ?? '')).toEqual({
      id: 'one',
      name,
      version: 'v1.2.3',
      metadata: { color: 'red', weight: '10', zone: 'sh001', region: 'sh', hostname: 'host-1' },
      endpoints: ['http://10.0.0.1:8000', 'grpc://10.0.0.1:9000'],
    });
    await registration.deregister();
    expect(registration.registered).toBe(false);
    expect(await server.read(`/microservices/${name}/`)).toEqual([]);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'deregistered']);
  });

  it('finds keys written by hand, and follows every change of them', async () => {
    const name = freshName();
    await server.put(`/microservices/${name}/b`, value(name, 'b'));
    await server.put(`/microservices/${name}s/c`, value(`${name}s`, 'c'));
    const { registry } = client([server.url]);
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['b']), patience);
    expect(seen.last?.instances[0]).toMatchObject({ addresses: ['http://10.0.0.9:80'], weight: 100 });
    await server.put(`/microservices/${name}/a`, value(name, 'a'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'b']), patience);
    await server.remove(`/microservices/${name}/b`);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a']), patience);
    await server.put(`/microservices/${name}/a`, value(name, 'a').replace(':80', ':81'));
    await vi.waitFor(
      () => expect(seen.last?.instances[0]?.addresses).toEqual(['http://10.0.0.9:81']),
      patience,
    );
    await server.remove(`/microservices/${name}/a`);
    await vi.waitFor(() => expect(seen.ids).toEqual([]), patience);
  });

  it('reads back all of an instance that another keelson registered', async () => {
    const name = freshName();
    const { registry } = client([server.url]);
    const seen = follow(registry, name);
    const given = instanceOf(name, { env: 'prod', metadata: { ['__proto__x']: '1', color: 'ü' } });
    await registry.register(given);
    await registry.register(instanceOf(name, { id: 'two', hostname: 'h2', status: 'waiting' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    expect(seen.last?.instances[0]).toEqual(given);
  });

  it('leaves out what lies or is garbage, says so once, and is not polluted', async () => {
    const name = freshName();
    const prefix = `/microservices/${name}/`;
    await server.put(`${prefix}good`, value(name, 'good'));
    await server.put(`${prefix}liar`, value(name, 'good'));
    await server.put(`${prefix}foreign`, value('other', 'foreign'));
    await server.put(`${prefix}torn`, '{"id":');
    await server.put(
      `${prefix}proto`,
      `{"id":"proto","name":"${name}","metadata":{"__proto__":"x","toString":"y"},"endpoints":["http://10.0.0.9:80"]}`,
    );
    const { registry, events } = client([server.url]);
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['good', 'proto']), patience);
    await server.put(`${prefix}later`, value(name, 'later'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['good', 'later', 'proto']), patience);
    expect(Object.getPrototypeOf(seen.last?.instances[2]?.metadata)).toBe(null);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    const malformed = events.filter(({ type }) => type === 'malformed');
    expect(malformed).toHaveLength(1);
    expect(malformed[0]?.reason).toMatch(/and 2 more left out/);
  });

  it('writes the key anew when its lease is revoked', async () => {
    const name = freshName();
    const { registry, events } = client([server.url], { ttlMs: 1_000 });
    await registry.register(instanceOf(name));
    const [before] = await server.read(`/microservices/${name}/`);
    await server.call('/v3/lease/revoke', { ID: before?.lease });
    expect(await server.read(`/microservices/${name}/`)).toEqual([]);
    await vi.waitFor(async () => {
      const [now] = await server.read(`/microservices/${name}/`);
      expect(now?.lease).toEqual(expect.stringMatching(/^[1-9]/));
      expect(now?.lease).not.toBe(before?.lease);
    }, patience);
    await vi.waitFor(
      () => expect(events.map(({ type }) => type)).toEqual(['registered', 'lost', 'registered']),
      patience,
    );
  });

  it('writes the key anew when it is deleted by hand, and leaves that of a successor alone', async () => {
    const name = freshName();
    const key = `/microservices/${name}/one`;
    const { registry } = client([server.url], { ttlMs: 1_000 });
    const registration = await registry.register(instanceOf(name));
    await server.remove(key);
    await vi.waitFor(async () => expect(await server.read(key)).toHaveLength(1), patience);
    await server.put(key, value(name, 'one'));
    await registration.deregister();
    expect(await server.read(key)).toMatchObject([{ lease: '0' }]);
  });

  it('is forgotten soon after it crashed', async () => {
    const name = freshName();
    const proxy = await tcpProxy(() => server.port);
    ending.push(() => proxy.close());
    const { registry } = client([`http://127.0.0.1:${proxy.port}`], { ttlMs: 1_000, requestTimeoutMs: 100 });
    await registry.register(instanceOf(name));
    const seen = follow(client([server.url]).registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    proxy.cut('refuse');
    await vi.waitFor(() => expect(seen.ids).toEqual([]), patience);
  });

  it('keeps the last good list, stale, while it is cut off, and catches up', async () => {
    const name = freshName();
    await server.put(`/microservices/${name}/a`, value(name, 'a'));
    const proxy = await tcpProxy(() => server.port);
    ending.push(() => proxy.close());
    const { registry, events } = client([`http://127.0.0.1:${proxy.port}`]);
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a']), patience);
    proxy.cut('refuse');
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: true }), patience);
    expect(seen.ids).toEqual(['a']);
    expect(seen.last?.reason).toContain(`127.0.0.1:${proxy.port}`);
    await server.put(`/microservices/${name}/b`, value(name, 'b'));
    proxy.mend();
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: false }), patience);
    expect(seen.ids).toEqual(['a', 'b']);
    expect(events.map(({ type }) => type)).toEqual(['stale', 'fresh']);
  });

  it('notices a watch that hangs', async () => {
    const name = freshName();
    await server.put(`/microservices/${name}/a`, value(name, 'a'));
    const proxy = await tcpProxy(() => server.port);
    ending.push(() => proxy.close());
    const { registry } = client([`http://127.0.0.1:${proxy.port}`], {
      recheckMs: 1_000,
      requestTimeoutMs: 300,
    });
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a']), patience);
    proxy.cut('swallow');
    await server.put(`/microservices/${name}/b`, value(name, 'b'));
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: true }), patience);
    proxy.mend();
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'b']), patience);
  });

  it('turns to another member when one is gone', async () => {
    const name = freshName();
    await server.put(`/microservices/${name}/a`, value(name, 'a'));
    const proxy = await tcpProxy(() => server.port);
    ending.push(() => proxy.close());
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const endpoints = [nobody, `http://127.0.0.1:${proxy.port}`, server.url];
    const { registry, events } = client(endpoints);
    const seen = follow(registry, name);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(true);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'one']), patience);
    proxy.cut('refuse');
    await server.put(`/microservices/${name}/b`, value(name, 'b'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'b', 'one']), patience);
    expect(events.map(({ type }) => type)).toEqual(['registered']);
  });

  it('lists anew what was compacted away before it was heard', async () => {
    const name = freshName();
    await server.put(`/microservices/${name}/a`, value(name, 'a'));
    let watches = 0;
    const front = http.createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      if (request.url === '/v3/watch' && ++watches === 1) {
        await server.put(`/microservices/${name}/b`, value(name, 'b'));
        await server.put(`/microservices/${name}/c`, value(name, 'c'));
        const { header } = await server.call('/v3/kv/range', { key: 'AA==' });
        await server.call('/v3/kv/compaction', { revision: (header as { revision: string }).revision });
      }
      const onward = http.request(`${server.url}${request.url}`, { method: 'POST' }, (answer) => {
        response.writeHead(answer.statusCode ?? 500);
        response.flushHeaders();
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      onward.end(body);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    ending.push(() => front.close());
    ending.push(() => front.closeAllConnections());
    const { registry } = client([`http://127.0.0.1:${(front.address() as AddressInfo).port}`]);
    const seen = follow(registry, name);
    await vi.waitFor(() => expect(seen.ids).toEqual(['a', 'b', 'c']), patience);
    await vi.waitFor(() => expect(watches).toBe(2), patience);
    await server.remove(`/microservices/${name}/a`);
    await vi.waitFor(() => expect(seen.ids).toEqual(['b', 'c']), patience);
    expect(seen.seen.some(({ stale }) => stale)).toBe(false);
  });

  it('starts without etcd, and is there once etcd is', async () => {
    const name = freshName();
    const proxy = await tcpProxy(() => server.port);
    ending.push(() => proxy.close());
    proxy.cut('refuse');
    const { registry, events } = client([`http://127.0.0.1:${proxy.port}`]);
    const seen = follow(registry, name);
    const registration = await registry.register(instanceOf(name));
    expect(registration.registered).toBe(false);
    expect(seen.last).toMatchObject({ instances: [], stale: true });
    proxy.mend();
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    proxy.cut('refuse');
    await registration.deregister();
    expect(events.at(-1)).toMatchObject({ type: 'abandoned', service: name });
  });

  it('takes everything out when it is closed, and is of no use afterwards', async () => {
    const name = freshName();
    const { registry } = client([server.url]);
    const seen = follow(registry, name);
    await registry.register(instanceOf(name));
    await expect(registry.register(instanceOf(name))).rejects.toThrow(/registered as .* already/);
    await registry.close();
    expect(await server.read(`/microservices/${name}/`)).toEqual([]);
    await expect(registry.register(instanceOf(name))).rejects.toThrow('closed');
    const heard = seen.seen.length;
    registry.watch(name, () => expect.unreachable()).close();
    expect(seen.seen).toHaveLength(heard);
  });

  it('holds no process by a watch and a renewal to come, and does for what is awaited', async () => {
    const name = freshName();
    const code = (where: string): string => `
      import { etcd } from 'keelson/discovery/etcd';
      const registry = etcd({ ${where}, requestTimeoutMs: 1000 });
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
    const module = ['keelson/discovery/etcd', 'discovery/etcd.ts'] as const;
    const here = await loneProgram(module, code(`endpoints: ['${server.url}']`));
    expect(here).toEqual({ status: 0, output: 'true\nfalse\n1\n' });
    const away = await loneProgram(module, code(`endpoints: ['http://127.0.0.1:${await freePort()}']`));
    expect(away).toEqual({ status: 0, output: 'false\nfalse\n0\n' });
  });

  it('shows its certificate, and trusts nobody whom it was not told to', async () => {
    const name = freshName();
    const front = await tlsFront(server.port);
    ending.push(() => front.stop());
    const { cert, key } = front;
    const where = [`https://127.0.0.1:${front.port}`];
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

  it('tells by which address it reaches etcd', async () => {
    expect(await client([server.url]).registry.localAddress?.()).toBe('127.0.0.1');
  });
});

describe.skipIf(!hasEtcd)('etcd with a real server of its own', () => {
  let own: EtcdServer;

  beforeAll(async () => {
    own = await startEtcd();
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  afterAll(() => own?.stop());

  it('outlives a crash of etcd', async () => {
    const { registry, events } = client([own.url]);
    const seen = follow(registry, 'users');
    const registration = await registry.register(instanceOf('users'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await own.kill();
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: true }), patience);
    expect(seen.ids).toEqual(['one']);
    await vi.waitFor(() => expect(registration.registered).toBe(false), patience);
    await own.restart();
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: false }), patience);
    expect(seen.ids).toEqual(['one']);
    expect(events.map(({ type }) => type).sort()).toEqual([
      'fresh',
      'lost',
      'registered',
      'registered',
      'stale',
    ]);
  });

  it('names its user, gets a new token when the old one is forgotten, and tells of a refusal', async () => {
    const rule = {
      perm: { permType: 'READWRITE', key: 'L21pY3Jvc2VydmljZXMv', range_end: 'L21pY3Jvc2VydmljZXMw' },
    };
    for (const name of ['root', 'svc']) await own.call('/v3/auth/role/add', { name });
    await own.call('/v3/auth/role/grant', { name: 'svc', ...rule });
    for (const name of ['root', 'svc']) {
      await own.call('/v3/auth/user/add', { name, password: 'secret' });
      await own.call('/v3/auth/user/grant', { user: name, role: name });
    }
    await own.call('/v3/auth/enable', {});
    const auth = { user: 'svc', password: 'secret' };
    const { registry, events } = client([own.url], { auth, ttlMs: 1_000 });
    const seen = follow(registry, 'orders');
    const registration = await registry.register(instanceOf('orders'));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one']), patience);
    await own.restart();
    await vi.waitFor(() => expect(seen.last).toMatchObject({ stale: false }), patience);
    await registry.register(instanceOf('orders', { id: 'two' }));
    await vi.waitFor(() => expect(seen.ids).toEqual(['one', 'two']), patience);
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
    expect(events.filter(({ type }) => type === 'refused')).toEqual([]);
    const elsewhere = client([own.url], { auth, namespace: '/elsewhere' });
    await expect(elsewhere.registry.register(instanceOf('x'))).rejects.toThrow(
      /refused x: .*permission denied/,
    );
    const stranger = client([own.url], { auth: { user: 'svc', password: 'wrong' } });
    await expect(stranger.registry.register(instanceOf('x'))).rejects.toThrow(/authentication failed/);
    const nobody = client([own.url]);
    await expect(nobody.registry.register(instanceOf('x'))).rejects.toThrow(
      /refused x: .*user name is empty/,
    );
  });
});
