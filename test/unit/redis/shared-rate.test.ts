import { createHash } from 'node:crypto';
import { type Call, cancelledBy, createCall, type GovernanceError, isGovernanceError } from 'keelson/core';
import { type SharedRate, type SharedRateOptions, sharedRate } from 'keelson/redis';
import { type ManualClock, manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { simulatedRedis } from '../../doubles/simulated-redis.js';

type Options = Partial<SharedRateOptions>;

const setUp = (options: Options = {}) => {
  const clock = manualClock();
  const redis = simulatedRedis(clock);
  const member = (more: Options = {}): SharedRate =>
    sharedRate({
      redis: redis.ioredis,
      name: 'api',
      perSecond: 10,
      clock,
      random: () => 0.5,
      ...options,
      ...more,
    });
  return { clock, redis, member, limit: member() };
};

/** `passed`, or what it was refused with. */
const ask = (limit: SharedRate, what: Parameters<SharedRate['admit']>[0] = {}): Promise<unknown> =>
  limit.admit(what).then(
    () => 'passed',
    (error: unknown) => error,
  );

const countPassed = async (limit: SharedRate, times: number, what?: Parameters<SharedRate['admit']>[0]) => {
  const answers = await Promise.all(Array.from({ length: times }, () => ask(limit, what)));
  return answers.filter((answer) => answer === 'passed').length;
};

/** As many calls as come in `ms` at that distance; how many passed. */
const traffic = async (
  clock: ManualClock,
  limit: SharedRate,
  { ms, everyMs, what }: { ms: number; everyMs: number; what?: Parameters<SharedRate['admit']>[0] },
): Promise<number> => {
  let passed = 0;
  for (let at = 0; at < ms; at += everyMs) {
    void ask(limit, what).then((answer) => {
      if (answer === 'passed') passed++;
    });
    await clock.advance(everyMs);
  }
  return passed;
};

const callOf = (init: Partial<Parameters<typeof createCall>[0]> = {}): Call =>
  createCall({ side: 'server', service: 'orders', operation: 'GET /', ...init });

describe('sharedRate', () => {
  it.each<{ name: string; options: Record<string, unknown>; message: RegExp }>([
    { name: 'no client', options: { redis: {} }, message: /sharedRate\.redis must be a client/ },
    { name: 'null for a client', options: { redis: null }, message: /sharedRate\.redis must be a client/ },
    { name: 'no name', options: { name: undefined }, message: /sharedRate\.name must be a string/ },
    { name: 'an empty name', options: { name: '' }, message: /sharedRate\.name/ },
    { name: 'a name with braces', options: { name: 'a{b}' }, message: /sharedRate\.name/ },
    { name: 'no rate', options: { perSecond: undefined }, message: /perSecond must be a number > 0/ },
    {
      name: 'a rate of nothing',
      options: { perSecond: 0 },
      message: /perSecond must be a number > 0, got 0/,
    },
    { name: 'a burst below one', options: { burst: 0.5 }, message: /burst must be a number >= 1, got 0.5/ },
    { name: 'no time ahead', options: { aheadMs: 0 }, message: /aheadMs must be a number >= 1/ },
    { name: 'no patience', options: { timeoutMs: 0 }, message: /timeoutMs must be a number > 0/ },
    { name: 'no process', options: { processes: 0 }, message: /processes must be a number >= 1/ },
    { name: 'half a key', options: { maxKeys: 1.5 }, message: /maxKeys must be a whole number/ },
    { name: 'an unknown choice', options: { whenAway: 'maybe' }, message: /whenAway must be one of/ },
    { name: 'an unknown part', options: { by: 'colour' }, message: /sharedRate\.by must be one of/ },
    { name: 'no hook', options: { onTransition: 1 }, message: /onTransition must be a function/ },
    { name: 'an unknown option', options: { limit: 5 }, message: /sharedRate\.limit is not an option/ },
  ])('refuses $name', ({ options, message }) => {
    expect(() => setUp(options as Options)).toThrow(message);
  });

  it('lets a burst pass and then the rate, over all processes', async () => {
    const { clock, member, limit } = setUp({ burst: 4 });
    const other = member();
    expect(await countPassed(limit, 3)).toBe(3);
    expect(await countPassed(other, 3)).toBe(1);
    await clock.advance(100);
    expect(await countPassed(limit, 2)).toBe(1);
    await clock.advance(100);
    expect(await countPassed(other, 2)).toBe(1);
  });

  it('asks Redis by a hash and sends the script only where it is unknown', async () => {
    const { clock, redis, limit } = setUp();
    await ask(limit);
    await clock.advance(1);
    await ask(limit);
    expect(redis.commands).toEqual(['evalsha', 'eval', 'evalsha']);
    redis.forgetScripts();
    expect(await ask(limit)).toBe('passed');
    expect(redis.commands.slice(3)).toEqual(['evalsha', 'eval']);
    expect(redis.script.sha).toBe(
      createHash('sha1')
        .update(redis.script.source ?? '')
        .digest('hex'),
    );
  });

  it('speaks node-redis as well', async () => {
    const clock = manualClock();
    const redis = simulatedRedis(clock);
    const limit = sharedRate({ redis: redis.nodeRedis, name: 'api', perSecond: 1, clock });
    expect(await countPassed(limit, 2)).toBe(1);
    expect(redis.commands).toEqual(['evalsha', 'eval']);
    expect([...redis.values.keys()]).toEqual(['keelson:{api:}']);
  });

  it('tells a cluster of node-redis the key beside the command', async () => {
    const clock = manualClock();
    const { ioredis } = simulatedRedis(clock);
    const sent: unknown[] = [];
    const wrong = () => Promise.reject(new Error('MOVED 1 127.0.0.1:1'));
    const cluster = {
      masters: [],
      evalSha: wrong,
      eval: wrong,
      sendCommand: (key: string, isReadonly: boolean, [name = '', ...rest]: string[]) => {
        sent.push([key, isReadonly, name]);
        const [operand = '', count = '', ...keysAndArguments] = rest;
        return name === 'EVAL'
          ? ioredis.eval(operand, Number(count), ...keysAndArguments)
          : ioredis.evalsha(operand, Number(count), ...keysAndArguments);
      },
    };
    const limit = sharedRate({ redis: cluster, name: 'api', perSecond: 2, clock, whenAway: 'open' });
    expect(await countPassed(limit, 5)).toBe(2);
    expect(sent.slice(0, 2)).toEqual([
      ['keelson:{api:}', false, 'EVALSHA'],
      ['keelson:{api:}', false, 'EVAL'],
    ]);
  });

  it('keeps one key of a cluster per key', async () => {
    const { redis, limit } = setUp({ by: 'key' });
    await ask(limit, { key: 'acme' });
    await ask(limit);
    expect([...redis.values.keys()]).toEqual(['keelson:{api:acme}', 'keelson:{api:}']);
  });

  it('places keys with braces by all of them, and mistakes none for another', async () => {
    const { redis, limit } = setUp({ by: 'key' });
    for (const key of ['{a}b', 'a}', 'a%7D', 'a%257D']) await ask(limit, { key });
    const keys = [...redis.values.keys()];
    expect(new Set(keys).size).toBe(4);
    for (const key of keys) expect(key.indexOf('}')).toBe(key.length - 1);
  });

  it.each<{ by: SharedRateOptions['by']; same: object; other: object }>([
    { by: 'key', same: { key: 'a', operation: 'x' }, other: { key: 'b', operation: 'y' } },
    { by: 'operation', same: { operation: 'x', key: 'b' }, other: { operation: 'y', key: 'a' } },
    { by: (a) => String(a?.priority), same: { priority: 1 }, other: { priority: 2 } },
  ])('counts by $by', async ({ by, same, other }) => {
    const { limit } = setUp({ by, perSecond: 1 });
    expect(await countPassed(limit, 2, same)).toBe(1);
    expect(await countPassed(limit, 2, other)).toBe(1);
  });

  it('rejects with whatever a function that reads the key throws', async () => {
    const fault = new Error('no tenant');
    const { limit } = setUp({
      by: () => {
        throw fault;
      },
    });
    expect(await ask(limit)).toBe(fault);
    await expect(limit(async () => 1)('request', callOf())).rejects.toBe(fault);
  });

  describe('cost', () => {
    it('is taken in calls', async () => {
      const { clock, limit } = setUp({ burst: 10 });
      expect(await ask(limit, { cost: 8 })).toBe('passed');
      expect(await ask(limit, { cost: 2.5 })).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 50 });
      await clock.advance(50);
      expect(await ask(limit, { cost: 2.5 })).toBe('passed');
    });

    it('that exceeds the burst never passes and asks nobody', async () => {
      const { redis, limit } = setUp({ burst: 10 });
      expect(await ask(limit, { cost: 11 })).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: undefined });
      expect(redis.commands).toEqual([]);
    });

    it('of nothing is nothing', async () => {
      const { limit } = setUp({ burst: 1 });
      expect(await countPassed(limit, 5, { cost: 0 })).toBe(5);
      expect(await countPassed(limit, 2)).toBe(1);
    });

    it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('of %s counts as one', async (cost) => {
      const { limit } = setUp({ burst: 3 });
      expect(await countPassed(limit, 5, { cost })).toBe(3);
    });

    it('that is large is not kept waiting by small ones that come later', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 1000, burst: 100 });
      await traffic(clock, limit, { ms: 400, everyMs: 2 });
      redis.latencyMs = 10;
      const { held } = limit.snapshot();
      const order: string[] = [];
      void ask(limit, { cost: held + 5 }).then((answer) => order.push(`large ${answer}`));
      for (let ms = 0; ms < 10; ms++) {
        void ask(limit).then((answer) => order.push(`small ${answer}`));
        await clock.advance(1);
      }
      await clock.advance(20);
      expect(order[0]).toBe('large passed');
      expect(order).toHaveLength(11);
    });

    it('is asked for again and again by no call, though a lease is over before its answer is there', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 100, burst: 10, aheadMs: 10 });
      await ask(limit);
      redis.latencyMs = 40;
      const answers: unknown[] = [];
      for (const cost of [1, 3, 3, 0.25, 3]) void ask(limit, { cost }).then((answer) => answers.push(answer));
      await clock.advance(200);
      expect(answers.filter((answer) => answer === 'passed')).toHaveLength(4);
      expect(answers).toHaveLength(5);
      expect(limit.snapshot()).toMatchObject({ waiting: 0, away: false });
      expect(limit.snapshot().trips).toBeLessThanOrEqual(5);
    });

    it('that is too large for now does not keep smaller ones waiting', async () => {
      const { clock, redis, limit } = setUp({ burst: 10 });
      redis.latencyMs = 4;
      const answers = [3, 10, 2, 2].map((cost) => ask(limit, { cost }));
      await clock.advance(50);
      expect(await Promise.all(answers)).toEqual([
        'passed',
        expect.objectContaining({ code: 'RATE_LIMITED' }),
        'passed',
        'passed',
      ]);
    });
  });

  describe('as a middleware', () => {
    it('asks Redis about the first call, and is out of the way of those it has tokens for', async () => {
      const { clock, limit } = setUp({ perSecond: 1000 });
      await traffic(clock, limit, { ms: 300, everyMs: 2 });
      expect(limit.snapshot().held).toBeGreaterThan(1);
      const running = Promise.resolve('answer');
      expect(limit(() => running)('request', callOf())).toBe(running);
    });

    it('passes the request and the call on', async () => {
      const { limit } = setUp();
      const call = callOf();
      const seen = await limit(async (request: string, given) => [request, given])('request', call);
      expect(seen).toEqual(['request', call]);
    });

    it('refuses without calling, and says when to come back', async () => {
      const { limit } = setUp({ perSecond: 2, burst: 1 });
      let calls = 0;
      const handler = limit(async () => ++calls);
      await handler('request', callOf());
      const refusal: GovernanceError = await handler('request', callOf()).then(
        () => expect.unreachable(),
        (error) => error,
      );
      expect(isGovernanceError(refusal)).toBe(true);
      expect(refusal).toMatchObject({
        code: 'RATE_LIMITED',
        retryAfterMs: 500,
        service: 'orders',
        side: 'server',
        message: 'orders GET /: refused (RATE_LIMITED)',
      });
      expect(calls).toBe(1);
    });

    it('is one limit for all that it is wrapped around', async () => {
      const { limit } = setUp({ burst: 1 });
      await limit(async () => 'a')('request', callOf());
      await expect(limit(async () => 'b')('request', callOf())).rejects.toThrow('RATE_LIMITED');
    });

    it('turns what a handler throws at once into a rejection', async () => {
      const { clock, limit } = setUp({ perSecond: 1000 });
      const fault = new Error('broken');
      const handler = limit(() => {
        throw fault;
      });
      await expect(handler('request', callOf())).rejects.toBe(fault);
      await traffic(clock, limit, { ms: 300, everyMs: 2 });
      await expect(handler('request', callOf())).rejects.toBe(fault);
    });

    it('lets a caller go that gives up while it waits', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 1 });
      redis.latencyMs = 20;
      const controller = new AbortController();
      const reason = new Error('gone');
      let calls = 0;
      const waiting = limit(async () => ++calls)(
        'request',
        callOf({ cancel: cancelledBy(controller.signal) }),
      );
      const refused = expect(waiting).rejects.toBe(reason);
      expect(limit.snapshot().waiting).toBe(1);
      controller.abort(reason);
      await refused;
      expect(limit.snapshot().waiting).toBe(0);
      // What was asked for it is there for the next. Two trips there and back: the script was unknown.
      await clock.advance(40);
      expect(limit.snapshot()).toMatchObject({ held: 1, trips: 1 });
      expect(await ask(limit)).toBe('passed');
      expect(calls).toBe(0);
    });

    it('does not let one in that gave up before', async () => {
      const { limit } = setUp();
      const reason = new Error('gone');
      const cancel = cancelledBy(AbortSignal.abort(reason));
      await expect(limit(async () => 1)('request', callOf({ cancel }))).rejects.toBe(reason);
    });

    it('is held up by none that gave up before', async () => {
      const { clock, limit } = setUp({ perSecond: 1000 });
      await traffic(clock, limit, { ms: 300, everyMs: 2 });
      const { held } = limit.snapshot();
      const cancel = cancelledBy(AbortSignal.abort(new Error('gone')));
      await expect(limit.admit({ cost: held + 1, cancel })).rejects.toThrow('gone');
      const running = Promise.resolve('answer');
      expect(limit(() => running)('request', callOf())).toBe(running);
    });
  });

  describe('round trips', () => {
    it('one for all that come while it is under way', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 100 });
      redis.latencyMs = 10;
      const passed = countPassed(limit, 40);
      expect(limit.snapshot()).toMatchObject({ waiting: 40, trips: 1 });
      await clock.advance(30);
      expect(await passed).toBe(40);
      // The first asked for itself alone; the second for all that came meanwhile.
      expect(limit.snapshot()).toMatchObject({ waiting: 0, trips: 2 });
    });

    it('are a few for many calls of a busy key, none of which waits once it is known to be busy', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 10_000 });
      redis.latencyMs = 2;
      await traffic(clock, limit, { ms: 400, everyMs: 1 });
      const before = limit.snapshot().trips;
      let waited = 0;
      for (let at = 0; at < 1000; at++) {
        void ask(limit);
        waited += limit.snapshot().waiting;
        await clock.advance(1);
      }
      expect(waited).toBe(0);
      // 3/4 of what is used in 100 ms at a time: 13.3 a second, and the odd one more.
      expect(limit.snapshot().trips - before).toBeLessThanOrEqual(16);
    });

    it('none for calls that are refused', async () => {
      const { clock, limit } = setUp({ perSecond: 1, burst: 1 });
      await ask(limit);
      await ask(limit);
      const before = limit.snapshot().trips;
      for (let ms = 100; ms <= 900; ms += 100) {
        await clock.advance(100);
        expect(await ask(limit)).toMatchObject({ retryAfterMs: expect.closeTo(1000 - ms, 3) });
      }
      expect(limit.snapshot().trips).toBe(before);
      await clock.advance(100);
      expect(await ask(limit)).toBe('passed');
    });

    it('are not saved for longer than a second, should somebody let a caller in again', async () => {
      const { clock, redis, limit } = setUp({ perSecond: 1 / 60, burst: 1 });
      await ask(limit);
      expect(await ask(limit)).toMatchObject({ retryAfterMs: expect.closeTo(60_000, 3) });
      redis.values.clear();
      await clock.advance(999);
      expect(await ask(limit)).toMatchObject({ code: 'RATE_LIMITED' });
      await clock.advance(1);
      expect(await ask(limit)).toBe('passed');
    });

    it('leave an empty bucket alone until there is more in it than a token', async () => {
      const { clock, limit } = setUp({ perSecond: 1000, burst: 100 });
      const passed = await traffic(clock, limit, { ms: 1000, everyMs: 0.5 });
      expect(passed).toBeGreaterThan(1000);
      expect(passed).toBeLessThanOrEqual(1100);
      // One each 50 ms, and those of the beginning.
      expect(limit.snapshot().trips).toBeLessThan(50);
    });

    it('are not paused so long that a small burst runs over', async () => {
      const { clock, limit } = setUp({ perSecond: 1000, burst: 10 });
      const passed = await traffic(clock, limit, { ms: 1000, everyMs: 0.5 });
      expect(passed).toBeGreaterThanOrEqual(980);
      expect(passed).toBeLessThanOrEqual(1010);
    });

    it('are one for each call where little is used', async () => {
      const { clock, limit } = setUp({ perSecond: 10 });
      expect(await traffic(clock, limit, { ms: 3000, everyMs: 150 })).toBe(20);
      expect(limit.snapshot()).toMatchObject({ trips: 20, held: 0 });
    });
  });

  describe('what was taken in advance', () => {
    /** A process that holds some, and another that has just taken all the rest. */
    const contended = async (options: Options = {}, what: { key?: string } = {}) => {
      const { clock, redis, member, limit } = setUp({ perSecond: 1000, burst: 2000, ...options });
      const other = member();
      expect(await countPassed(other, 1500, what)).toBe(1500);
      await traffic(clock, limit, { ms: 500, everyMs: 1, what });
      const { held } = limit.snapshot(what);
      expect(held).toBeGreaterThan(20);
      const passed = await countPassed(other, 3000, what);
      expect(passed + held).toBeGreaterThanOrEqual(490);
      expect(passed + held).toBeLessThanOrEqual(510);
      return { clock, redis, member, limit, other, held };
    };

    it('is given back when it is not used in time', async () => {
      const { clock, limit, other, held } = await contended();
      await clock.advance(200);
      expect(limit.snapshot().held).toBe(0);
      // What flowed in meanwhile, and what was given back.
      const passed = await countPassed(other, 3000);
      expect(passed).toBeGreaterThanOrEqual(200 + Math.floor(held));
      expect(passed).toBeLessThanOrEqual(201 + held);
    });

    it('is given back at the end', async () => {
      const { clock, redis, limit, other, held } = await contended();
      redis.latencyMs = 2;
      const closing = limit.close();
      expect(limit.close()).toBe(closing);
      await clock.advance(2);
      await closing;
      expect(limit.snapshot()).toMatchObject({ held: 0, away: true });
      redis.latencyMs = 0;
      await clock.advance(98);
      const passed = await countPassed(other, 3000);
      expect(passed).toBeGreaterThanOrEqual(100 + Math.floor(held));
      expect(passed).toBeLessThanOrEqual(101 + held);
    });

    it('is given back of keys that were forgotten', async () => {
      const { clock, limit, other, held } = await contended({ by: 'key', maxKeys: 1 }, { key: 'a' });
      await ask(limit, { key: 'b' });
      expect(limit.snapshot({ key: 'a' }).held).toBe(0);
      await clock.advance(200);
      expect(await countPassed(other, 3000, { key: 'a' })).toBeGreaterThanOrEqual(200 + Math.floor(held));
    });

    it('is not given back where that would let too much pass, the bucket having been full meanwhile', async () => {
      const { clock, member, limit } = setUp({ perSecond: 1000, burst: 1000 });
      await traffic(clock, limit, { ms: 500, everyMs: 1 });
      expect(limit.snapshot().held).toBeGreaterThan(20);
      await clock.advance(110);
      const other = member();
      expect(await countPassed(other, 2000)).toBe(1000);
      await clock.advance(100);
      expect(limit.snapshot().held).toBe(0);
      expect(await countPassed(other, 2000)).toBe(100);
    });

    it('is not given back twice, nor to a key that began anew', async () => {
      const { clock, redis, member, limit } = await contended();
      redis.values.clear();
      await clock.advance(1);
      const third = member();
      expect(await countPassed(third, 3000)).toBe(2000);
      await clock.advance(200);
      expect(limit.snapshot().held).toBe(0);
      expect(await countPassed(third, 3000)).toBe(200);
    });

    it('is no more than the process uses, and no more than all may', async () => {
      const { clock, limit } = setUp({ perSecond: 500, burst: 500 });
      for (const everyMs of [10, 1]) {
        for (let at = 0; at < 600; at += everyMs) {
          void ask(limit);
          expect(limit.snapshot().held).toBeLessThanOrEqual(Math.min(100 / everyMs, 50) + 1);
          await clock.advance(everyMs);
        }
      }
    });

    it('is nothing on a key that one call uses up', async () => {
      const { limit } = setUp({ perSecond: 1000 });
      await ask(limit);
      expect(limit.snapshot().held).toBe(0);
    });
  });

  describe('keys', () => {
    it('are bounded, and those in use stay', async () => {
      const { clock, limit } = setUp({ by: 'key', maxKeys: 10, perSecond: 1000 });
      for (let at = 0; at < 300; at++) {
        void ask(limit, { key: 'busy' });
        void ask(limit, { key: `k${at}` });
        expect(limit.snapshot().keys).toBeLessThanOrEqual(10);
        await clock.advance(1);
      }
      expect(limit.snapshot({ key: 'busy' }).held).toBeGreaterThan(0);
    });

    it('may be one', async () => {
      const { limit } = setUp({ by: 'key', maxKeys: 1, burst: 1 });
      expect(await countPassed(limit, 2, { key: 'a' })).toBe(1);
      expect(await countPassed(limit, 2, { key: 'b' })).toBe(1);
      expect(await countPassed(limit, 2, { key: 'a' })).toBe(0);
      expect(limit.snapshot().keys).toBe(1);
    });

    it('are not made by looking at them', () => {
      const { limit } = setUp({ by: 'key' });
      expect(limit.snapshot({ key: 'a' })).toEqual({ held: 0, waiting: 0, away: false, keys: 0, trips: 0 });
    });
  });
});
