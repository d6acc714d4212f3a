import type { Resolution } from 'keelson/discovery';
import { type DnsOptions, dns } from 'keelson/discovery/dns';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { pass, until } from '../doubles/http-double.js';
import { NameServer } from '../doubles/name-server.js';

const name = '_grpc._tcp.users.internal';
const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function setUp(options: Partial<DnsOptions> = {}) {
  const clock = manualClock();
  const server = await new NameServer().start();
  ending.push(() => server.stop());
  const pushed: Resolution[] = [];
  const watch = () => {
    const resolver = dns({
      services: { users: `grpc://${name}` },
      type: 'SRV',
      nameServers: [server.address],
      timeoutMs: 500,
      clock,
      random: () => 0.999999,
      ...options,
    });
    ending.push(() => resolver.close?.());
    resolver.watch('users', (resolution) => pushed.push(resolution));
  };
  const addresses = () => pushed.at(-1)?.instances.flatMap((instance) => instance.addresses);
  return { clock, server, pushed, watch, addresses };
}

describe('SRV records', () => {
  it.each([
    [5, 5_000],
    [0, 1_000],
    [3_600, 30_000],
    [2 ** 31, 1_000],
  ])('are asked for again after their ttl of %s s, within %s ms', async (ttl, ms) => {
    const { clock, server, watch, addresses } = await setUp();
    server.records.set(name, [
      { target: 'a.internal', port: 1, weight: 3, ttl: 3_600 },
      { target: 'b.internal', port: 2, ttl },
    ]);
    watch();
    await until(() => addresses());
    expect(addresses()).toEqual(['grpc://a.internal:1', 'grpc://b.internal:2']);
    await pass(clock, ms - 100);
    expect(server.asked).toHaveLength(1);
    await pass(clock, 200);
    expect(server.asked).toHaveLength(2);
    expect(server.asked[0]).toEqual({ name, tcp: false });
  });

  it('have no longer a time than the name that stands for theirs', async () => {
    const { clock, server, watch, addresses } = await setUp();
    server.aliases.set(name, { name: 'other', ttl: 2 });
    server.records.set('other', [{ target: 'a.internal', port: 1, ttl: 60 }]);
    watch();
    await until(() => addresses());
    await pass(clock, 2_100);
    expect(server.asked).toHaveLength(2);
  });

  it('are asked for over TCP when an answer is not whole', async () => {
    const { server, watch, addresses } = await setUp();
    server.truncates = true;
    server.records.set(
      name,
      Array.from({ length: 200 }, (_, at) => ({ target: `host-${at}.internal`, port: 1, ttl: 5 })),
    );
    watch();
    await until(() => addresses()?.length === 200);
    expect(server.asked.map(({ tcp }) => tcp)).toEqual([false, true]);
  });

  it.each([true, false])('that are not there are an empty list; the name exists: %s', async (exists) => {
    const { server, pushed, watch } = await setUp();
    if (exists) server.bare.add(name);
    watch();
    await until(() => pushed.length > 0);
    expect(pushed[0]).toEqual({ instances: [], stale: false, reason: undefined });
    expect(server.asked).toHaveLength(1);
  });

  // The last name, "a.internal" in 12 bytes, points behind the message, or at itself.
  const pointing = (answer: Buffer, to: number) => {
    const at = answer.length - 12;
    return Buffer.concat([answer.subarray(0, at), Buffer.of(0xc0, to || at), Buffer.alloc(10)]);
  };
  it.each<[string, (answer: Buffer) => readonly Buffer[]]>([
    ['another id', (answer) => [Buffer.concat([Buffer.of(0, 0), answer.subarray(2)]), answer]],
    ['no answer', () => [Buffer.of(1, 2, 3)]],
    ['a question', (answer) => [Buffer.concat([answer.subarray(0, 2), Buffer.alloc(10)]), answer]],
    ['half of one', (answer) => [answer.subarray(0, answer.length - 4)]],
    ['a name that points out of it', (answer) => [pointing(answer, 0xff)]],
    ['a name that points at itself', (answer) => [pointing(answer, 0)]],
    [
      'trouble',
      (answer) => [Buffer.concat([answer.subarray(0, 2), Buffer.of(0x81, 0x82), answer.subarray(4)])],
    ],
  ])('are found or not, and nothing breaks, when a name server sends %s first', async (_, distort) => {
    const { clock, server, pushed, watch } = await setUp({ minRefreshMs: 100 });
    server.records.set(name, [{ target: 'a.internal', port: 1, ttl: 5 }]);
    server.distort = (answer) => {
      server.distort = (whole) => [whole];
      return distort(answer);
    };
    watch();
    await pass(clock, 5_000, () => pushed.at(-1)?.instances.length === 1);
    expect(pushed.at(-1)?.instances[0]).toMatchObject({ addresses: ['grpc://a.internal:1'] });
    // Where our own question fails, the platform asks at once.
    expect(pushed[0]?.stale).toBe(false);
  });

  it('are believed only from the answer to the question, which is waited for', async () => {
    const { server, pushed, watch } = await setUp();
    server.records.set(name, [{ target: 'a.internal', port: 1, ttl: 5 }]);
    server.distort = (answer) => {
      // By somebody who does not know the id, and knows all else.
      const forged = Buffer.from(answer);
      forged[0] = (forged[0] as number) ^ 0xff;
      forged.write('z', forged.length - 11);
      const other = Buffer.from(answer);
      other.write('x', 13);
      return [forged, other, answer];
    };
    watch();
    await until(() => pushed.length > 0);
    expect(pushed[0]?.instances[0]?.addresses).toEqual(['grpc://a.internal:1']);
    expect(server.asked).toHaveLength(1);
  });

  it('are not there to be had from a name server that says nothing: the last good list serves', async () => {
    const { clock, server, pushed, watch } = await setUp({ timeoutMs: 50 });
    server.records.set(name, [{ target: 'a.internal', port: 1, ttl: 1 }]);
    watch();
    await until(() => pushed.length > 0);
    server.distort = () => [];
    await pass(clock, 10_000, () => pushed.at(-1)?.stale);
    await until(() => pushed.at(-1)?.stale === true || void clock.advance(100));
    expect(pushed.at(-1)?.instances).toHaveLength(1);
  });
});

describe('dns', () => {
  it('refuses name servers that are none', () => {
    expect(() => dns({ services: {}, nameServers: ['not an address'] })).toThrow(
      new TypeError('dns.nameServers must be IP addresses, with a port or without, got ["not an address"]'),
    );
  });
});
