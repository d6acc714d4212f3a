import Bottleneck from 'bottleneck';
import { Cluster, Redis as Redis6 } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { type Quota, type QuotaOptions, quota } from 'keelson/bottleneck';
import { type CallInit, cancelSource, createCall } from 'keelson/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { type RedisServer, redisVersion, startRedis } from '../doubles/redis-server.js';

const version = redisVersion();
const major = version?.[0] ?? 0;
if (version === undefined)
  console.error('SKIPPED: test/integration/bottleneck-redis needs redis-server, and there is none');

let server: RedisServer;
beforeAll(async () => {
  if (version !== undefined) server = (await startRedis()) as RedisServer;
});
afterAll(() => server?.stop());

const clients: (Redis5 | Redis6)[] = [];
const quotas: Quota<string, string>[] = [];
beforeEach(async () => {
  if (version !== undefined) await server.restart();
});
afterEach(async () => {
  server?.thaw();
  for (const pace of quotas.splice(0)) await pace.stop();
  for (const client of clients.splice(0)) client.disconnect();
});

const poll = { timeout: 20_000, interval: 10 };
const eventually = (check: () => unknown) => vi.waitFor(check, poll);

function connect<Client extends Redis5 | Redis6>(client: Client): Client {
  // Both say so while it is away; that is what the tests are about.
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}
const ioredis = () => connect(new Redis6(server.url));

/** One process of several that share a quota: its own quota, its own connection. */
function process(options: Partial<QuotaOptions<string, string>>, { hold = false } = {}) {
  const began: string[] = [];
  const finish: (() => void)[] = [];
  const base = options.limiter === undefined ? { Bottleneck, redis: options.redis ?? ioredis() } : {};
  const pace = quota<string, string>({ awayAfterMs: 200, ...base, ...options });
  quotas.push(pace);
  const handler = pace((name) => {
    began.push(name);
    return hold ? new Promise((resolve) => finish.push(() => resolve(name))) : Promise.resolve(name);
  });
  const ask = (name: string, init: Partial<CallInit> = {}): Promise<string> =>
    handler(name, createCall({ side: 'client', service: 'pay', operation: 'POST', ...init })).catch(
      (error: { code?: string }) => error.code ?? String(error),
    );
  const askAll = (count: number) => Array.from({ length: count }, (_, i) => ask(`${i}`));
  return { pace, ask, askAll, began, finish, handler };
}

describe.runIf(version !== undefined)('a quota in Redis', () => {
  it.each([
    ['5', () => connect(new Redis5(server.url))],
    ['6', ioredis],
    ['6 that connects late', () => connect(new Redis6(server.url, { lazyConnect: true }))],
    ['6 without a queue', () => connect(new Redis6(server.url, { enableOfflineQueue: false }))],
  ])('is shared with ioredis %s', async (_, client) => {
    const processes = [1, 2, 3].map(() => process({ maxConcurrent: 2, redis: client() }, { hold: true }));
    const began = () => processes.reduce((sum, one) => sum + one.began.length, 0);
    const asked = processes.flatMap((one) => one.askAll(2));
    let most = 0;
    for (let over = 0; over < 6; over++) {
      await eventually(() => expect(began()).toBeGreaterThan(over));
      most = Math.max(most, began() - over);
      const one = processes.find(({ finish }) => finish.length > 0);
      one?.finish.shift()?.();
    }
    expect(await Promise.all(asked)).toHaveLength(6);
    expect(most).toBe(2);
  });

  it('has one reservoir for all, and what was asked for in vain goes back to it', async () => {
    const options = { reservoir: 5, maxWaitMs: 1500 };
    const [one, two] = [process(options), process(options)];
    const cancel = cancelSource();
    await Promise.all([one.ask('first'), two.ask('first')]);
    // Four that give up while places are on their way to them.
    const gone = ['a', 'b', 'c', 'd'].map((name) => two.ask(name, { cancel }));
    cancel.abort('enough');
    expect(new Set(await Promise.all(gone))).toEqual(new Set(['enough']));
    const answers = await Promise.all([...one.askAll(4), ...two.askAll(4)]);
    expect(answers.filter((answer) => answer === 'RATE_LIMITED')).toHaveLength(5);
    expect(one.began.length + two.began.length).toBe(5);
  });

  it('goes on after FLUSHALL, SCRIPT FLUSH and a restart, where bottleneck alone fails for ever', async () => {
    const admin = ioredis();
    const connection = new Bottleneck.IORedisConnection({ client: ioredis() });
    const alone = new Bottleneck({ id: 'alone', maxConcurrent: 5, connection });
    await alone.schedule(async () => 'well');
    const one = process({ maxConcurrent: 5 });
    expect(await one.ask('before')).toBe('before');

    await admin.flushall();
    const failure = await alone.schedule(async () => 'well').catch((error: Error) => error.message);
    if (major >= 7) expect(failure).toBe('ERR SETTINGS_KEY_NOT_FOUND');
    expect(await Promise.all(one.askAll(20))).toHaveLength(20);
    await admin.script('FLUSH');
    expect(await one.ask('flushed')).toBe('flushed');
    expect(one.pace.snapshot().away).toBe(false);

    await server.restart();
    await eventually(async () => expect(await one.ask('restarted')).toBe('restarted'));
    await connection.disconnect(false);
  });

  it('goes on when Redis has forgotten this process', async () => {
    const admin = ioredis();
    const one = process({ maxConcurrent: 5, id: 'pay' });
    await one.ask('before');
    expect(await admin.del('b_{pay}_client_last_seen')).toBe(1);
    expect(await one.ask('after')).toBe('after');
    expect(one.pace.snapshot().away).toBe(false);
  });

  it('heals a limiter of the user’s own', async () => {
    const connection = new Bottleneck.IORedisConnection({ client: ioredis() });
    const limiter = new Bottleneck({ id: 'own', maxConcurrent: 2, connection });
    const one = process({ limiter });
    expect(await one.ask('before')).toBe('before');
    await ioredis().flushall();
    expect(await Promise.all(one.askAll(5))).toEqual(['0', '1', '2', '3', '4']);
    expect(await limiter.schedule(async () => 'mine')).toBe('mine');
    await one.pace.stop();
    expect(await limiter.schedule(async () => 'still mine')).toBe('still mine');
    await connection.disconnect(false);
  });

  it('keeps keys apart, in one slot each, and lets Redis forget them', async () => {
    const admin = ioredis();
    const one = process({ reservoir: 1, by: 'key', id: 'pay', maxWaitMs: 300 });
    expect(await Promise.all([one.ask('x', { key: 'x' }), one.ask('y', { key: 'y' })])).toEqual(['x', 'y']);
    expect(await one.ask('x', { key: 'x' })).toBe('RATE_LIMITED');
    const keys = await admin.keys('*');
    expect(new Set(keys.map((key) => /\{.*\}/.exec(key)?.[0]))).toEqual(new Set(['{pay:x}', '{pay:y}']));
    for (const key of keys) expect(await admin.pttl(key)).toBeGreaterThan(60_000);
  });

  it.runIf(major >= 7)('is shared in a cluster', async () => {
    const port = await freePort();
    const config = `--cluster-enabled yes --cluster-port ${port} --cluster-announce-ip 127.0.0.1`;
    const node = (await startRedis(config.split(' '))) as RedisServer;
    const admin = connect(new Redis6(node.url));
    await admin.cluster('ADDSLOTSRANGE', 0, 16383);
    await eventually(async () => expect(await admin.cluster('INFO')).toContain('cluster_state:ok'));
    const cluster = new Cluster([{ host: '127.0.0.1', port: node.port }]);
    cluster.on('error', () => undefined);
    try {
      const processes = [1, 2].map(() => process({ reservoir: 3, maxWaitMs: 1000, redis: cluster }));
      const answers = await Promise.all(processes.flatMap((one) => one.askAll(3)));
      expect(answers.filter((answer) => answer === 'RATE_LIMITED')).toHaveLength(3);
      await admin.flushall();
      expect(await processes[0]?.ask('after')).toBe('after');
      for (const { pace } of processes) await pace.stop();
    } finally {
      cluster.disconnect();
      await node.stop();
    }
  });

  it('gives the place of a process that died to others', async () => {
    const options = { maxConcurrent: 1, expirationMs: 500 };
    const dead = process(options, { hold: true });
    void dead.ask('dies');
    await eventually(() => expect(dead.began).toHaveLength(1));
    const heir = process(options);
    expect(await heir.ask('heir')).toBe('heir');
    dead.finish[0]?.();
  });

  it('leaves the user’s client alone, and nothing of its own', async () => {
    const redis = ioredis();
    await redis.ping();
    const connected = async () => {
      const list = String(await redis.client('LIST'));
      return list.trim().split('\n').length;
    };
    const before = await connected();
    const one = process({ redis, maxConcurrent: 1, id: 'pay' }, { hold: true });
    const asked = one.ask('last');
    await eventually(() => expect(one.began).toEqual(['last']));
    expect(await connected()).toBe(before + 2);
    const stopping = one.pace.stop();
    one.finish[0]?.();
    expect(await asked).toBe('last');
    await stopping;
    await eventually(async () => expect(await connected()).toBe(before));
    // Its place was given back before the connection was.
    expect(await redis.hget('b_{pay}_settings', 'running')).toBe('0');
    expect(await redis.ping()).toBe('PONG');
  });
});

describe.runIf(version !== undefined)('while Redis is away, a quota', () => {
  const ways = [
    ['kill', () => server.kill(), () => server.restart()],
    ['freeze', async () => server.freeze(), async () => server.thaw()],
  ] as const;

  describe.each(ways)('(%s)', (_, leave, comeBack) => {
    it('closed, refuses, those who wait too, and recovers by itself', async () => {
      const one = process({ maxConcurrent: 1 }, { hold: true });
      const running = one.ask('running');
      await eventually(() => expect(one.began).toHaveLength(1));
      const waiting = one.askAll(3);
      await leave();
      expect(await Promise.all(waiting)).toEqual(['RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED']);
      expect(one.pace.snapshot()).toMatchObject({ away: true, waiting: 0, running: 1 });
      await expect(
        one.handler('late', createCall({ side: 'client', service: 'pay', operation: 'POST' })),
      ).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 200, side: 'client' });
      one.finish[0]?.();
      expect(await running).toBe('running');

      await comeBack();
      await eventually(() => expect(one.pace.snapshot().away).toBe(false));
      const after = one.ask('after');
      await eventually(() => expect(one.began).toContain('after'));
      one.finish.at(-1)?.();
      expect(await after).toBe('after');
    });

    it('open, lets everything pass, and paces again afterwards', async () => {
      const one = process({ maxConcurrent: 1, whenAway: 'open' }, { hold: true });
      void one.ask('first');
      await eventually(() => expect(one.began).toHaveLength(1));
      void one.askAll(5);
      expect(one.began).toHaveLength(1);
      await leave();
      await eventually(() => expect(one.began).toHaveLength(6));
      expect(one.pace.snapshot()).toMatchObject({ away: true, waiting: 0, running: 1 });
      for (const end of one.finish.splice(0)) end();

      await comeBack();
      await eventually(() => expect(one.pace.snapshot().away).toBe(false));
      void one.askAll(3);
      await eventually(() => expect(one.began).toHaveLength(7));
      expect(one.pace.snapshot()).toMatchObject({ waiting: 2, running: 1 });
      for (let over = 0; over < 3; over++) {
        await eventually(() => expect(one.finish.length).toBeGreaterThan(0));
        one.finish.shift()?.();
      }
      await eventually(() => expect(one.pace.snapshot().running).toBe(0));
    });

    it('local, lets its share pass, and shares again afterwards', async () => {
      const one = process({ maxConcurrent: 6, instances: 3, whenAway: 'local' }, { hold: true });
      await leave();
      const asked = one.askAll(5);
      await eventually(() => expect(one.began).toHaveLength(2));
      expect(one.pace.snapshot()).toMatchObject({ away: true, waiting: 3, running: 2 });
      one.finish.shift()?.();
      await eventually(() => expect(one.began).toHaveLength(3));

      await comeBack();
      await eventually(() => expect(one.pace.snapshot().away).toBe(false));
      await eventually(() => expect(one.began).toHaveLength(5));
      for (const end of one.finish.splice(0)) end();
      expect(await Promise.all(asked)).toEqual(['0', '1', '2', '3', '4']);
    });
  });

  it('that was made without it, says so in time, and begins when it comes', async () => {
    await server.kill();
    const one = process({ maxConcurrent: 5 });
    expect(await Promise.all(one.askAll(3))).toEqual(['RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED']);
    await server.restart();
    await eventually(async () => expect(await one.ask('there')).toBe('there'));
  });

  it('connects anew when it has been silent for long, and recovers', async () => {
    const one = process({ awayAfterMs: 50 });
    await one.ask('before');
    const disconnect = vi.spyOn(Redis6.prototype, 'disconnect');
    server.freeze();
    expect(await one.ask('frozen')).toBe('RATE_LIMITED');
    await eventually(() => expect(disconnect.mock.calls.filter(([again]) => again)).toHaveLength(2));
    disconnect.mockRestore();
    server.thaw();
    await eventually(async () => expect(await one.ask('there')).toBe('there'));
  });

  it('that cannot be written to, refuses, and begins when it can', async () => {
    const admin = ioredis();
    await admin.replicaof('127.0.0.1', 1);
    const one = process({ maxConcurrent: 5 });
    expect(await one.ask('first')).toBe('RATE_LIMITED');
    const call = createCall({ side: 'client', service: 'pay', operation: 'POST' });
    const refused = await one.handler('second', call).catch((error: Error) => error);
    expect(refused).toMatchObject({
      code: 'RATE_LIMITED',
      cause: { message: expect.stringMatching(/READONLY/) },
    });
    await admin.replicaof('NO', 'ONE');
    await eventually(async () => expect(await one.ask('there')).toBe('there'));
  });

  it('forgets keys and stops without a rejection that nobody handles', async () => {
    const one = process({ reservoir: 5, by: 'key', maxKeys: 1 });
    expect(await one.ask('x', { key: 'x' })).toBe('x');
    server.freeze();
    const waiting = one.ask('y', { key: 'y' });
    expect(one.pace.snapshot().keys).toBe(1);
    await one.pace.stop();
    expect(await waiting).toBe('SHUTTING_DOWN');
  });

  it('does not take it for back when the key by which it was noticed is forgotten', async () => {
    const admin = ioredis();
    const one = process({ reservoir: 5, by: 'key', maxKeys: 1, awayAfterMs: 200 });
    // A machine that is slow for a moment looks like a Redis that is away.
    await eventually(async () => expect(await one.ask('x', { key: 'x' })).toBe('x'));
    await admin.replicaof('127.0.0.1', 1);
    expect(await one.ask('x', { key: 'x' })).toBe('RATE_LIMITED');
    expect(await one.ask('y', { key: 'y' })).toBe('RATE_LIMITED');
    for (let looks = 0; looks < 10; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(one.pace.snapshot()).toMatchObject({ away: true, keys: 1 });
    }
    await admin.replicaof('NO', 'ONE');
    await eventually(async () => expect(await one.ask('z', { key: 'z' })).toBe('z'));
  });

  it('is stopped without waiting for it', async () => {
    const one = process({ maxConcurrent: 1 });
    await one.ask('before');
    await server.kill();
    const waiting = one.ask('waits');
    await one.pace.stop();
    expect(await waiting).toBe('SHUTTING_DOWN');
  });

  it('does not take a process that stood still for a Redis that is away', async () => {
    // Not less: on a busy machine Redis itself stands still for some tenths of a second.
    const one = process({ maxConcurrent: 1, awayAfterMs: 1000, maxWaitMs: 60_000 }, { hold: true });
    void one.ask('first');
    await eventually(() => expect(one.began).toHaveLength(1));
    const waiting = one.ask('second');
    let last = 0;
    for (let times = 0; times < 3; times++) {
      const until = performance.now() + 1300;
      while (performance.now() < until) last++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(last).toBeGreaterThan(0);
    expect(one.pace.snapshot()).toMatchObject({ away: false, waiting: 1, running: 1 });
    one.finish[0]?.();
    await eventually(() => expect(one.finish).toHaveLength(2));
    one.finish[1]?.();
    expect(await waiting).toBe('second');
  });

  it('never runs a call whose caller gave up meanwhile', async () => {
    const one = process({ maxConcurrent: 1, maxWaitMs: 60_000, awayAfterMs: 10_000 });
    await one.ask('before');
    server.freeze();
    const cancel = cancelSource();
    const gone = one.ask('gone', { cancel });
    await new Promise((resolve) => setTimeout(resolve, 50));
    cancel.abort('enough');
    expect(await gone).toBe('enough');
    server.thaw();
    expect(await one.ask('after')).toBe('after');
    expect(one.began).toEqual(['before', 'after']);
  });
});
