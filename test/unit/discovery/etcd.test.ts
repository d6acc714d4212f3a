import type http from 'node:http';
import type { DiscoveryEvent, Resolution, ServiceInstance } from 'keelson/discovery';
import { type EtcdOptions, etcd } from 'keelson/discovery/etcd';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, type Asked, HttpDouble, pass, until } from '../../doubles/http-double.js';

const patience = { timeout: 10_000, interval: 5 };
const ending: (() => unknown)[] = [];
const coded = (text: string): string => Buffer.from(text).toString('base64');
const header = { cluster_id: '1', member_id: '2', revision: '7', raft_term: '2' };

/** The JSON gateway of etcd as far as discovery goes; what happens to its watches is the test's business. */
class EtcdDouble extends HttpDouble {
  readonly watches: http.ServerResponse[] = [];
  kvs: ReturnType<typeof kv>[] = [kv('a')];

  protected answer({ path, body: question }: Asked, response: http.ServerResponse): Answer | undefined {
    const { min_mod_revision: since = '0' } = JSON.parse(question);
    const kvs = this.kvs.filter((its) => Number(its.mod_revision) >= Number(since));
    const bodies: Record<string, object> = {
      '/v3/kv/range': { header, kvs, count: String(this.kvs.length) },
      '/v3/lease/grant': { header, ID: '5', TTL: '15' },
      '/v3/lease/keepalive': { result: { header, ID: '5', TTL: '15' } },
      '/v3/lease/revoke': { header },
      '/v3/kv/put': { header },
      '/v3/auth/authenticate': { header, token: 'secret.1' },
    };
    const body = bodies[path];
    if (body !== undefined) return { body: JSON.stringify(body) };
    if (path !== '/v3/watch') return { status: 404, body: '404 page not found' };
    response.writeHead(200);
    response.write(`${JSON.stringify({ result: { header, created: true } })}\n`);
    this.watches.push(response);
    return undefined;
  }

  say(text: string): void {
    this.watches.at(-1)?.write(text);
  }
}

function kv(id: string, more: object = {}, mod_revision = '6') {
  const value = JSON.stringify({ id, name: 'users', endpoints: ['http://10.0.0.9:80'], ...more });
  return { key: coded(`/microservices/users/${id}`), value: coded(value), mod_revision, version: '1' };
}

const instance: ServiceInstance = {
  id: 'one',
  service: 'users',
  hostname: 'h',
  addresses: ['http://10.0.0.1:80'],
  version: '',
  zone: '',
  env: '',
  region: '',
  weight: 100,
  status: 'up',
  metadata: {},
};

let double: EtcdDouble;
beforeEach(async () => {
  double = await new EtcdDouble().start();
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  await double.stop();
});

function client(options: Partial<EtcdOptions> = {}) {
  const events: DiscoveryEvent[] = [];
  const seen: Resolution[] = [];
  const registry = etcd({
    endpoints: [double.url],
    env: '',
    requestTimeoutMs: 200,
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

describe('etcd with a server that misbehaves', () => {
  const list = '/v3/kv/range';
  const watch = '/v3/watch';
  const ranges: readonly (readonly [string, string, Answer])[] = [
    ['hangs', list, 'hang'],
    ['breaks the connection', list, 'reset'],
    ['answers with a page', list, { body: '<html>' }],
    ['answers with nothing', list, { body: '' }],
    ['answers with null', list, { body: 'null' }],
    ['answers without a header', list, { body: '{"kvs":[]}' }],
    ['answers with keys that are no list', list, { body: JSON.stringify({ header, kvs: {} }) }],
    ['answers with a key that is no text', list, { body: JSON.stringify({ header, kvs: [{ key: 7 }] }) }],
    ['answers with a revision that is no number', list, { body: '{"header":{"revision":"1e9"}}' }],
    ['answers with more than it may', list, { body: JSON.stringify({ header, more: 'x'.repeat(200_000) }) }],
    ['is in trouble', list, { status: 503, body: '{"error":"etcdserver: no leader","code":14}' }],
    ['has no gateway', list, { status: 404, body: '404 page not found' }],
    ['sends elsewhere', list, { status: 302, headers: { location: 'http://10.0.0.1/' } }],
    ['ends a watch at once', watch, { body: '' }],
    ['answers a watch with a page', watch, { body: '<html>\n' }],
    ['answers a watch with an error', watch, { body: '{"error":{"grpc_code":14,"message":"no leader"}}\n' }],
    ['cancels a watch', watch, { body: '{"result":{"canceled":true,"cancel_reason":"no leader"}}\n' }],
    ['tells of events that are none', watch, { body: JSON.stringify({ result: { header, events: [7] } }) }],
    ['begins a line without end', watch, { body: 'x'.repeat(200_000) }],
    ['hangs at a watch', watch, 'hang'],
  ];

  it.each(ranges)('%s (%s): serves what it knows until it is well again', async (_, path, answer) => {
    const { follow, seen, ids } = client({ maxReplyBytes: 65_536 });
    let faults = 0;
    double.fault = (asked) => {
      if (asked.path !== path) return undefined;
      faults++;
      return answer;
    };
    follow();
    await vi.waitFor(() => expect(faults).toBeGreaterThan(1), patience);
    if (path === list)
      expect(seen).toEqual([{ instances: [], stale: true, reason: expect.stringMatching(/./) }]);
    double.fault = undefined;
    await vi.waitFor(() => expect(double.watches.length).toBeGreaterThan(0), patience);
    await vi.waitFor(() => expect(seen.at(-1)).toMatchObject({ stale: false }), patience);
    expect(ids()).toEqual(['a']);
    double.say(`${JSON.stringify({ result: { header: { revision: '8' }, events: [{ kv: kv('b') }] } })}\n`);
    await vi.waitFor(() => expect(ids()).toEqual(['a', 'b']), patience);
  });

  it('puts up with news that come letter by letter, many at once, and of nothing', async () => {
    const { follow, ids } = client();
    follow();
    await vi.waitFor(() => expect(double.watches).toHaveLength(1), patience);
    const gone = { type: 'DELETE', kv: { key: coded('/microservices/users/a'), mod_revision: '9' } };
    const lines = [
      { result: { header: { revision: '8' } } },
      { result: { header: { revision: '8' }, events: [{ kv: kv('b') }, { kv: kv('c') }] } },
      { result: { header: { revision: '9' }, events: [gone] } },
    ];
    for (const letter of lines.map((line) => `${JSON.stringify(line)}\n`).join('')) double.say(letter);
    await vi.waitFor(() => expect(ids()).toEqual(['b', 'c']), patience);
    double.say('\n\r\n');
    double.say(lines.map((line) => JSON.stringify(line)).join('\n'));
    double.say('\n');
    expect(double.count('POST', '/v3/watch')).toBe(1);
  });

  it('asks for changes from the list on, and for a leader behind them', async () => {
    const { follow } = client();
    follow();
    await vi.waitFor(() => expect(double.watches).toHaveLength(1), patience);
    const asked = double.asked.find(({ path }) => path === watch);
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      create_request: {
        key: coded('/microservices/users/'),
        range_end: coded('/microservices/users0'),
        start_revision: '8',
        progress_notify: true,
      },
    });
    expect(asked?.headers['grpc-metadata-hasleader']).toBe('true');
  });

  it('looks now and then whether a silent watch is behind, and believes it unless it is', async () => {
    const clock = manualClock();
    const { follow, ids, seen } = client({ clock, requestTimeoutMs: 60_000 });
    follow();
    await until(() => double.watches.length === 1);
    await pass(clock, 120_000);
    expect(double.count('POST', list)).toBeGreaterThan(3);
    expect(double.watches).toHaveLength(1);
    double.kvs = [kv('a'), kv('b', {}, '8')];
    await pass(clock, 60_000, () => ids()?.length === 2);
    expect(ids()).toEqual(['a', 'b']);
    expect(double.watches).toHaveLength(2);
    expect(seen.every(({ stale }) => !stale)).toBe(true);
  });

  it('deregisters in bounded time from a server that hangs', async () => {
    const { registry, events } = client();
    const registration = await registry.register(instance);
    double.fault = () => 'hang';
    await registration.deregister();
    expect(events.at(-1)).toMatchObject({ type: 'abandoned' });
  });

  it.each([
    ['no lease', '/v3/lease/grant', { body: JSON.stringify({ header, TTL: '15' }) }],
    ['a lease that is no number', '/v3/lease/grant', { body: JSON.stringify({ header, ID: 'x' }) }],
    [
      'a lease that is lost at once',
      '/v3/kv/put',
      { status: 404, body: 'etcdserver: requested lease not found' },
    ],
    ['trouble', '/v3/kv/put', { status: 503, body: '' }],
    ['no space', '/v3/kv/put', { status: 429, body: 'etcdserver: mvcc: database space exceeded' }],
  ])('registers later with a server that gives %s', async (_, path, answer) => {
    const { registry } = client();
    double.fault = (asked) => (asked.path === path ? answer : undefined);
    const registration = await registry.register(instance);
    expect(registration.registered).toBe(false);
    double.fault = undefined;
    await vi.waitFor(() => expect(registration.registered).toBe(true), patience);
  });

  it('tells of what is refused', async () => {
    const { registry } = client();
    double.fault = ({ path }) =>
      path === '/v3/kv/put' ? { status: 403, body: '{"error":"etcdserver: permission denied"}' } : undefined;
    await expect(registry.register(instance)).rejects.toThrow(
      /refused users: .*HTTP status 403.*permission denied/,
    );
    await registry.close();
    expect(double.count('POST', '/v3/lease/keepalive')).toBe(0);
  });

  it.each(['invalid auth token', 'user name is empty', 'revision of auth store is old'])(
    'gets one new token for all when the old one is answered with "%s"',
    async (message) => {
      const { registry, follow, ids } = client({ auth: { user: 'svc', password: 'secret' } });
      let token = 'secret.1';
      double.fault = ({ path, headers }) => {
        if (path === '/v3/auth/authenticate') return { body: JSON.stringify({ header, token }) };
        const old = headers.authorization !== token;
        return old ? { status: 401, body: JSON.stringify({ error: `etcdserver: ${message}` }) } : undefined;
      };
      await registry.register(instance);
      token = 'secret.2';
      follow();
      await registry.register({ ...instance, id: 'two' });
      await vi.waitFor(() => expect(ids()).toEqual(['a']), patience);
      expect(double.count('POST', '/v3/auth/authenticate')).toBe(2);
    },
  );

  it('goes on without a token where none is asked for', async () => {
    const { registry } = client({ auth: { user: 'svc', password: 'secret' } });
    double.fault = ({ path }) =>
      path === '/v3/auth/authenticate'
        ? { status: 412, body: '{"error":"etcdserver: authentication is not enabled"}' }
        : undefined;
    expect((await registry.register(instance)).registered).toBe(true);
  });

  it.each([[''], ['a b'], ['a\r\nb: c'], ['x'.repeat(9_000)], [7]])(
    'takes no token that is none (%#)',
    async (token) => {
      const { registry } = client({ auth: { user: 'svc', password: 'secret' } });
      double.fault = ({ path }) =>
        path === '/v3/auth/authenticate' ? { body: JSON.stringify({ header, token }) } : undefined;
      await expect(registry.register(instance)).rejects.toThrow('etcd gave no token');
    },
  );

  it('leaves time for the others when a member hangs', async () => {
    const other = await new EtcdDouble().start();
    ending.push(() => other.stop());
    double.fault = () => 'hang';
    const { registry } = client({ endpoints: [double.url, other.url], requestTimeoutMs: 400 });
    const registration = await registry.register(instance);
    expect(registration.registered).toBe(true);
    expect(other.count('POST', '/v3/kv/put')).toBe(1);
  });

  it('sees who is of its environment, or of none', async () => {
    const of = (id: string, env: string) => kv(id, { metadata: env === '' ? {} : { env } });
    double.kvs = [of('1', 'prod'), of('2', 'uat'), of('3', '')];
    const { follow, ids } = client({ env: 'prod' });
    follow();
    await vi.waitFor(() => expect(ids()).toEqual(['1', '3']), patience);
  });
});

describe('options of etcd', () => {
  const endpoints = ['http://127.0.0.1:2379'];
  it.each([
    [{}, /endpoints must be base URLs .* at least one/],
    [{ endpoints: [] }, /at least one/],
    [{ endpoints: ['127.0.0.1:2379'] }, /endpoints must be base URLs/],
    [{ endpoints: ['ftp://x'] }, /endpoints must be base URLs/],
    [{ endpoints: ['http://u:p@x'] }, /endpoints must be base URLs/],
    [{ endpoints, namespace: '/x/' }, /namespace must be a text without a slash at its end/],
    [{ endpoints, ttlMs: 10 }, /ttlMs must be/],
    [{ endpoints, auth: { user: 'x' } }, /needs a user and a password/],
    [{ endpoints, tls: { key: 'x' } }, /needs cert and key/],
    [{ endpoints, tls: { cert: 'x', key: 'y' } }, /tls\.cert must be PEM: what is in the file, not its path/],
    [{ endpoints, tls: { cert: '-----BEGIN x', key: '-----BEGIN y' } }, /tls cannot be used/],
    [{ endpoints, nodes: [] }, /nodes is not an option/],
  ])('%j is refused', (options, message) => {
    expect(() => etcd(options as unknown as EtcdOptions)).toThrow(message);
  });

  it.each([
    [{ service: '' }, /needs a service and a hostname/],
    [{ addresses: [] }, /needs an address/],
    [{ addresses: ['http://0.0.0.0:80'] }, /wildcard/],
    [{ metadata: { a: 1 } }, /metadata.a must be a string/],
    [{ metadata: { a: 'x'.repeat(70_000) } }, /longer than 65536/],
  ])('an instance is not registered with bad fields (%#)', async (more, message) => {
    await expect(client().registry.register({ ...instance, ...more } as ServiceInstance)).rejects.toThrow(
      message,
    );
    expect(double.asked).toEqual([]);
  });
});
