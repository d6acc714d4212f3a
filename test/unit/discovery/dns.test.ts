import type { Resolution } from 'keelson/discovery';
import { type DnsOptions, type DnsQueries, dns } from 'keelson/discovery/dns';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

type Answer = readonly object[] | string;

/** A name server whose answers a test may change; a string is an error code. */
function nameServer(records: Record<string, Answer>) {
  const asked: string[] = [];
  const ask = async (name: string): Promise<never> => {
    asked.push(name);
    const answer = records[name] ?? 'ENOTFOUND';
    if (typeof answer === 'string') throw Object.assign(new Error(`query ${answer}`), { code: answer });
    return answer as never;
  };
  const queries: DnsQueries = { resolve4: ask, resolve6: ask, resolveSrv: ask };
  return { asked, queries, records };
}

function setUp(
  records: Record<string, Answer>,
  options: Partial<DnsOptions> = {},
  url = 'http://users.internal:8080',
) {
  const clock = manualClock();
  const server = nameServer(records);
  const resolver = dns({
    services: { users: url },
    clock,
    random: () => 0.999999,
    resolver: server.queries,
    ...options,
  });
  const pushed: Resolution[] = [];
  const watch = resolver.watch('users', (resolution) => pushed.push(resolution));
  return {
    clock,
    server,
    resolver,
    pushed,
    watch,
    get addresses() {
      return pushed.at(-1)?.instances.flatMap(({ addresses }) => addresses);
    },
    get stale() {
      return pushed.at(-1)?.stale;
    },
  };
}

describe('dns', () => {
  it('makes an instance of each A record, once', async () => {
    const all = setUp({
      'users.internal': [
        { address: '10.0.0.2', ttl: 5 },
        { address: '10.0.0.1', ttl: 9 },
        { address: '10.0.0.1', ttl: 9 },
      ],
    });
    expect(all.pushed).toEqual([]);
    await all.clock.advance(0);
    expect(all.addresses).toEqual(['http://10.0.0.1:8080', 'http://10.0.0.2:8080']);
    expect(all.pushed[0]?.instances[0]).toMatchObject({
      id: 'http://10.0.0.1:8080',
      service: 'users',
      weight: 100,
    });
  });

  it('brackets AAAA records', async () => {
    const all = setUp({ 'users.internal': [{ address: '2001:db8::1', ttl: 5 }] }, { type: 'AAAA' });
    await all.clock.advance(0);
    expect(all.addresses).toEqual(['http://[2001:db8::1]:8080']);
  });

  it('takes host, port and weight of the SRV records of the best priority', async () => {
    const records = [
      { name: 'a.internal.', port: 8001, priority: 1, weight: 60 },
      { name: 'b.internal', port: 8002, priority: 1, weight: 0 },
      { name: 'spare.internal', port: 8003, priority: 2, weight: 10 },
      { name: '.', port: 0, priority: 0, weight: 0 },
    ];
    const all = setUp({ '_grpc._tcp.users': records }, { type: 'SRV' }, 'grpc://_grpc._tcp.users');
    await all.clock.advance(0);
    expect(all.pushed[0]?.instances.map(({ addresses, weight }) => [...addresses, weight])).toEqual([
      ['grpc://a.internal:8001', 60],
      ['grpc://b.internal:8002', 1],
    ]);
  });

  it('takes SRV weights that are all 0 for no preference', async () => {
    const records = [
      { name: 'a.internal', port: 1, priority: 0, weight: 0 },
      { name: 'b.internal', port: 1, priority: 0, weight: 0 },
    ];
    const all = setUp({ '_http._tcp.users': records }, { type: 'SRV' }, 'http://_http._tcp.users');
    await all.clock.advance(0);
    expect(all.pushed[0]?.instances.map(({ weight }) => weight)).toEqual([100, 100]);
  });

  it.each([
    [5, 5_000],
    [0, 1_000],
    [3_600, 30_000],
    [Number.NaN, 30_000],
  ])('asks again after a ttl of %s s within %s ms', async (ttl, ms) => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl }] });
    await all.clock.advance(ms * 0.9 - 10);
    expect(all.server.asked).toHaveLength(1);
    await all.clock.advance(ms * 0.1 + 10);
    expect(all.server.asked).toHaveLength(2);
    expect(all.pushed).toHaveLength(1);
  });

  it('follows a change, and pushes only changes', async () => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] });
    await all.clock.advance(10_000);
    expect(all.pushed).toHaveLength(1);
    all.server.records['users.internal'] = [{ address: '10.0.0.9', ttl: 1 }];
    await all.clock.advance(1_000);
    expect(all.addresses).toEqual(['http://10.0.0.9:8080']);
    expect(all.stale).toBe(false);
  });

  it.each([undefined, null, 'down'])(
    'takes it for a failure when a resolver rejects with %s',
    async (thrown) => {
      const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] });
      await all.clock.advance(0);
      all.server.queries.resolve4 = () => Promise.reject(thrown);
      await all.clock.advance(1_000);
      expect(all.addresses).toEqual(['http://10.0.0.1:8080']);
      expect(all.pushed.at(-1)).toMatchObject({ stale: true, reason: `users.internal: ${thrown}` });
    },
  );

  it.each(['ESERVFAIL', 'ETIMEOUT', 'ECONNREFUSED', 'EREFUSED'])(
    'keeps the last good list while it fails: %s',
    async (code) => {
      const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] });
      await all.clock.advance(0);
      all.server.records['users.internal'] = code;
      await all.clock.advance(3_600_000);
      expect(all.addresses).toEqual(['http://10.0.0.1:8080']);
      expect(all.pushed.at(-1)).toMatchObject({ stale: true, reason: `users.internal: query ${code}` });
      expect(all.pushed).toHaveLength(2);
      all.server.records['users.internal'] = [{ address: '10.0.0.2', ttl: 1 }];
      await all.clock.advance(1_000);
      expect([all.addresses, all.stale]).toEqual([['http://10.0.0.2:8080'], false]);
    },
  );

  it.each<[string, Answer]>([
    ['the name is gone', 'ENOTFOUND'],
    ['it has no such record', 'ENODATA'],
    ['the answer is empty', []],
  ])('believes an empty answer only after a while: %s', async (_, answer) => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] }, { removalHoldMs: 40_000 });
    await all.clock.advance(0);
    all.server.records['users.internal'] = answer;
    await all.clock.advance(39_000);
    expect([all.addresses, all.stale]).toEqual([['http://10.0.0.1:8080'], true]);
    await all.clock.advance(2_000);
    expect([all.addresses, all.stale]).toEqual([[], false]);
  });

  it('doubts anew each time', async () => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] }, { removalHoldMs: 40_000 });
    await all.clock.advance(0);
    for (let episode = 0; episode < 3; episode++) {
      all.server.records['users.internal'] = 'ENOTFOUND';
      await all.clock.advance(30_000);
      expect([all.addresses, all.stale]).toEqual([['http://10.0.0.1:8080'], true]);
      all.server.records['users.internal'] = [{ address: '10.0.0.1', ttl: 1 }];
      // A name that is gone has no ttl: it is asked for again after refreshMs.
      await all.clock.advance(30_000);
      expect([all.addresses, all.stale]).toEqual([['http://10.0.0.1:8080'], false]);
    }
  });

  it('says at once that there is nobody when there never was', async () => {
    const all = setUp({});
    await all.clock.advance(0);
    expect(all.pushed).toEqual([{ instances: [], stale: false, reason: undefined }]);
  });

  it('says of a name that was never looked up with success why there is nothing', async () => {
    const all = setUp({ 'users.internal': 'ESERVFAIL' });
    await all.clock.advance(60_000);
    const reason = 'users.internal: query ESERVFAIL';
    expect(all.pushed).toEqual([{ instances: [], stale: true, reason }]);
  });

  it('looks nothing up when nobody watches', async () => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] });
    const second: Resolution[] = [];
    const other = all.resolver.watch('users', (resolution) => second.push(resolution));
    await all.clock.advance(500);
    expect(all.server.asked).toHaveLength(1);
    all.watch.close();
    await all.clock.advance(1_000);
    expect(all.server.asked).toHaveLength(2);
    other.close();
    other.close();
    await all.clock.advance(60_000);
    expect(all.server.asked).toHaveLength(2);
    expect(all.clock.pending).toBe(0);
  });

  it('ends at close, with a look-up under way too', async () => {
    const all = setUp({ 'users.internal': [{ address: '10.0.0.1', ttl: 1 }] });
    await all.resolver.close?.();
    await all.clock.advance(60_000);
    expect(all.pushed).toEqual([]);
    expect(all.clock.pending).toBe(0);
    all.resolver.watch('users', () => expect.unreachable());
    await all.clock.advance(60_000);
  });

  it('has nobody for a service without a name', () => {
    const pushed: Resolution[] = [];
    setUp({}).resolver.watch('orders', (resolution) => pushed.push(resolution));
    expect(pushed).toEqual([{ instances: [], stale: false, reason: 'dns.services has no name for orders' }]);
  });

  it.each([
    ['nothing', undefined],
    ['no services', {}],
    ['a bare name', { services: { users: 'users.internal:80' } }],
    ['a port with SRV', { services: { users: 'http://users.internal:80' }, type: 'SRV' }],
    ['no port where the scheme has none', { services: { users: 'grpc://users.internal' } }],
    ['an unknown option', { services: {}, refresh: 1 }],
  ])('refuses %s', (_, options) => {
    expect(() => dns(options as unknown as DnsOptions)).toThrow(TypeError);
  });

  it.each([
    [{ type: 'TXT' }, /dns.type must be one of/],
    [{ refreshMs: 1 }, /dns.refreshMs must be/],
  ])('refuses %j', (options, message) => {
    expect(() => dns({ services: {}, ...options } as unknown as DnsOptions)).toThrow(message);
  });
});
