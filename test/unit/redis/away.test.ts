import type { Call } from 'keelson/core';
import {
  type IoredisClient,
  type SharedRate,
  type SharedRateOptions,
  type SharedRateTransition,
  sharedRate,
} from 'keelson/redis';
import { type ManualClock, manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { type SimulatedRedis, simulatedRedis } from '../../doubles/simulated-redis.js';

interface Scene {
  readonly clock: ManualClock;
  readonly redis: SimulatedRedis;
  readonly limit: SharedRate;
  readonly told: SharedRateTransition[];
}

const setUp = (options: Partial<SharedRateOptions> = {}): Scene => {
  const clock = manualClock();
  const redis = simulatedRedis(clock);
  const told: SharedRateTransition[] = [];
  const limit = sharedRate({
    redis: redis.ioredis,
    name: 'api',
    perSecond: 10,
    clock,
    random: () => 0.5,
    onTransition: (transition) => void told.push(transition),
    ...options,
  });
  return { clock, redis, limit, told };
};

type What = Parameters<SharedRate['admit']>[0];

const ask = (limit: SharedRate, what?: What): Promise<unknown> =>
  limit.admit(what).then(
    () => 'passed',
    (error: unknown) => error,
  );

const countPassed = async (limit: SharedRate, times: number, what?: What): Promise<number> => {
  const answers = await Promise.all(Array.from({ length: times }, () => ask(limit, what)));
  return answers.filter((answer) => answer === 'passed').length;
};

/** Fails until nobody waits any longer. */
const goAway = async ({ clock, redis, limit }: Scene, mode: 'down' | 'mute' | 'queueing' = 'down') => {
  redis.mode = mode;
  for (let tries = 0; tries < 20; tries++) {
    void ask(limit);
    await clock.advance(100);
  }
  expect(limit.snapshot().away).toBe(true);
};

describe('while Redis is away', () => {
  it.each([
    { whenAway: 'open', passed: 50 },
    { whenAway: 'closed', passed: 0 },
    { whenAway: 'local', passed: 10 },
  ] as const)('$whenAway lets $passed of 50 pass', async ({ whenAway, passed }) => {
    const { redis, limit } = setUp({ whenAway });
    redis.mode = 'down';
    expect(await countPassed(limit, 50)).toBe(passed);
  });

  it('divides the limit among the processes', async () => {
    const { clock, redis, limit } = setUp({ perSecond: 100, burst: 40, processes: 4 });
    redis.mode = 'down';
    expect(await countPassed(limit, 50)).toBe(10);
    await clock.advance(200);
    expect(await countPassed(limit, 50)).toBe(5);
    expect(await ask(limit)).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.closeTo(40, 3) });
  });

  it('lets at least one call pass at a time where a part of the limit is less', async () => {
    const { clock, redis, limit } = setUp({ perSecond: 4, burst: 2, processes: 4 });
    redis.mode = 'down';
    await clock.advance(1000);
    expect(await countPassed(limit, 5)).toBe(0);
    await clock.advance(1000);
    expect(await countPassed(limit, 5)).toBe(1);
  });

  it('goes on from what Redis said last', async () => {
    const { redis, limit } = setUp({ perSecond: 1, burst: 40 });
    expect(await countPassed(limit, 30)).toBe(30);
    redis.mode = 'down';
    expect(await countPassed(limit, 50)).toBe(10);
  });

  it('spends what was granted before', async () => {
    const scene = setUp({ perSecond: 1000, whenAway: 'closed' });
    const { clock, redis, limit } = scene;
    for (let at = 0; at < 500; at++) {
      void ask(limit);
      await clock.advance(1);
    }
    const held = Math.floor(limit.snapshot().held);
    expect(held).toBeGreaterThan(10);
    redis.mode = 'down';
    expect(await countPassed(limit, 200)).toBe(held);
  });

  it('refuses what costs more than its part of the burst', async () => {
    const { redis, limit } = setUp({ burst: 8, processes: 4 });
    redis.mode = 'down';
    expect(await ask(limit, { cost: 3 })).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 75 });
    expect(await ask(limit, { cost: 2 })).toBe('passed');
  });

  it('says when to come back: when Redis is tried again', async () => {
    const { redis, limit } = setUp({ whenAway: 'closed' });
    redis.mode = 'down';
    expect(await ask(limit)).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 75 });
  });
});

describe('a Redis that does not answer', () => {
  it('keeps a call waiting for timeoutMs and no longer', async () => {
    const { clock, redis, limit } = setUp({ whenAway: 'open', timeoutMs: 40 });
    redis.mode = 'mute';
    let answer: unknown;
    void ask(limit).then((given) => {
      answer = given;
    });
    await clock.advance(39);
    expect(answer).toBeUndefined();
    // The wheel's resolution, and one more turn.
    await clock.advance(6);
    expect(answer).toBe('passed');
  });

  it('keeps nobody waiting once that is known', async () => {
    const scene = setUp({ whenAway: 'open' });
    const { clock, limit } = scene;
    await goAway(scene, 'mute');
    const call = {} as Call;
    const running = Promise.resolve('answer');
    for (let ms = 0; ms < 10_000; ms += 100) {
      expect(limit(() => running)('request', call)).toBe(running);
      await clock.advance(100);
    }
  });

  it('is asked again now and then, by a question that takes nothing', async () => {
    const scene = setUp({ whenAway: 'open', perSecond: 1000, burst: 1000 });
    const { clock, redis, limit } = scene;
    await countPassed(limit, 1);
    await goAway(scene, 'queueing');
    const before = limit.snapshot().trips;
    for (let ms = 0; ms < 6000; ms += 10) {
      void ask(limit);
      await clock.advance(10);
    }
    expect(limit.snapshot().trips - before).toBeGreaterThanOrEqual(2);
    expect(limit.snapshot().trips - before).toBeLessThanOrEqual(6);
    redis.mode = 'up';
    redis.values.clear();
    redis.drain();
    await clock.advance(0);
    // The first asked for one call; it gave that back when the answer came too late to be of use.
    await clock.advance(300);
    expect(redis.values.size).toBeLessThanOrEqual(1);
    expect(
      await countPassed(sharedRate({ redis: redis.ioredis, name: 'api', perSecond: 1000, clock }), 1001),
    ).toBe(1000);
  });

  it('does not gather questions for ever', async () => {
    const scene = setUp({ whenAway: 'open' });
    const { clock, limit } = scene;
    await goAway(scene, 'queueing');
    for (let seconds = 0; seconds < 600; seconds++) {
      void ask(limit);
      await clock.advance(1000);
    }
    expect(limit.snapshot().trips).toBeLessThanOrEqual(9 + 10);
  });

  it('is not one whose answer waited in the socket because this process was busy', async () => {
    const { clock, redis, limit } = setUp({ whenAway: 'closed' });
    await ask(limit);
    // At 52 the wheel says that the time is up; the answer is there, and is read in the same turn.
    redis.latencyMs = 52;
    const waiting = ask(limit);
    await clock.advance(52);
    expect(await waiting).toBe('passed');
    expect(limit.snapshot().away).toBe(false);
  });

  it('whose answer comes late gives back what it grants', async () => {
    const { clock, redis, limit } = setUp({ whenAway: 'closed', perSecond: 10, burst: 5 });
    expect(await countPassed(limit, 4)).toBe(4);
    redis.latencyMs = 120;
    const waiting = ask(limit);
    await clock.advance(60);
    expect(await waiting).toMatchObject({ code: 'RATE_LIMITED' });
    redis.latencyMs = 0;
    await clock.advance(200);
    void ask(limit);
    await clock.advance(200);
    // Without what was given back, 0.4 of the 5 would still be owed.
    expect(await countPassed(limit, 9)).toBe(5);
  });
});

describe('recovery', () => {
  it.each(['down', 'mute', 'queueing'] as const)('comes by itself after %s', async (mode) => {
    const scene = setUp({ whenAway: 'closed', perSecond: 100 });
    const { clock, redis, limit } = scene;
    await goAway(scene, mode);
    redis.mode = 'up';
    redis.drain();
    for (let ms = 0; ms < 3000 && limit.snapshot().away; ms += 50) {
      void ask(limit);
      await clock.advance(50);
    }
    expect(limit.snapshot().away).toBe(false);
    expect(await ask(limit)).toBe('passed');
  });

  it('is told, once, as is what it follows', async () => {
    const scene = setUp();
    const { clock, redis, limit, told } = scene;
    await ask(limit);
    expect(told).toEqual([]);
    await goAway(scene);
    expect(told).toEqual([
      { away: true, key: '', error: expect.objectContaining({ message: 'connect ECONNREFUSED' }) },
      { away: true, key: undefined, error: expect.objectContaining({ message: 'connect ECONNREFUSED' }) },
    ]);
    redis.mode = 'up';
    for (let tries = 0; tries < 30; tries++) {
      await ask(limit);
      await clock.advance(100);
    }
    expect(told.slice(2)).toEqual([
      { away: false, key: undefined, error: undefined },
      { away: false, key: '', error: undefined },
    ]);
  });

  it('survives a hook that throws or rejects', async () => {
    for (const onTransition of [
      () => {
        throw new Error('hook');
      },
      () => Promise.reject(new Error('hook')) as unknown as undefined,
    ]) {
      const { redis, limit } = setUp({ onTransition, whenAway: 'open' });
      redis.mode = 'down';
      expect(await ask(limit)).toBe('passed');
    }
  });

  it('survives a hook that asks', async () => {
    const answers: unknown[] = [];
    const { redis, limit }: Scene = setUp({
      whenAway: 'open',
      onTransition: () => void ask(limit).then((answer) => answers.push(answer)),
    });
    redis.mode = 'down';
    expect(await countPassed(limit, 3)).toBe(3);
    expect(answers).toEqual(['passed']);
  });
});

describe('one key that fails', () => {
  it('leaves the others alone', async () => {
    const { clock, redis, limit, told } = setUp({ by: 'key', whenAway: 'closed', perSecond: 100 });
    redis.foreign.add('keelson:{api:bad}');
    for (let at = 0; at < 20; at++) {
      expect(await ask(limit, { key: 'bad' })).toMatchObject({ code: 'RATE_LIMITED' });
      expect(await ask(limit, { key: 'good' })).toBe('passed');
      await clock.advance(50);
    }
    expect(limit.snapshot({ key: 'bad' }).away).toBe(true);
    expect(limit.snapshot({ key: 'good' }).away).toBe(false);
    expect(told).toEqual([
      {
        away: true,
        key: 'bad',
        error: expect.objectContaining({ message: expect.stringMatching('WRONGTYPE') }),
      },
    ]);
    redis.foreign.clear();
    for (let tries = 0; tries < 30; tries++) {
      void ask(limit, { key: 'bad' });
      await clock.advance(100);
    }
    expect(await ask(limit, { key: 'bad' })).toBe('passed');
    expect(told.slice(1)).toEqual([{ away: false, key: 'bad', error: undefined }]);
  });
});

describe('what may go wrong in Redis', () => {
  it('all keys deleted: it begins anew', async () => {
    const { clock, redis, limit } = setUp({ burst: 3 });
    expect(await countPassed(limit, 5)).toBe(3);
    redis.values.clear();
    redis.forgetScripts();
    await clock.advance(300);
    expect(await countPassed(limit, 5)).toBe(3);
  });

  it('a clock that is set back: no time has passed, and it goes on from there', async () => {
    const { clock, redis, limit } = setUp({ burst: 3 });
    expect(await countPassed(limit, 5)).toBe(3);
    redis.skewMs = -60_000;
    await clock.advance(1000);
    expect(await countPassed(limit, 5)).toBe(0);
    await clock.advance(200);
    expect(await countPassed(limit, 5)).toBe(2);
  });

  it('a clock that is set forward: at most a burst more', async () => {
    const { clock, redis, limit } = setUp({ burst: 3 });
    expect(await countPassed(limit, 5)).toBe(3);
    redis.skewMs = 3_600_000;
    await clock.advance(100);
    expect(await countPassed(limit, 5)).toBe(3);
  });

  it.each([
    ['nothing', undefined],
    ['something else', 'OK'],
    ['numbers that are none', 'NaN NaN 0 0'],
    ['an object', {}],
  ])('an answer that is %s counts as none', async (_name, reply) => {
    const clock = manualClock();
    const limit = sharedRate({
      redis: { evalsha: async () => reply, eval: async () => reply },
      name: 'api',
      perSecond: 1,
      whenAway: 'open',
      clock,
    });
    expect(await countPassed(limit, 5)).toBe(5);
  });

  it('an answer in a Buffer is one', async () => {
    const clock = manualClock();
    const { ioredis } = simulatedRedis(clock);
    const buffers: IoredisClient = {
      evalsha: async (...args) => Buffer.from(String(await ioredis.evalsha(...args))),
      eval: async (...args) => Buffer.from(String(await ioredis.eval(...args))),
    };
    const limit = sharedRate({ redis: buffers, name: 'api', perSecond: 2, whenAway: 'open', clock });
    expect(await countPassed(limit, 5)).toBe(2);
  });

  it('a client that throws at once', async () => {
    const limit = sharedRate({
      redis: {
        evalsha: () => {
          throw new Error('closed');
        },
        eval: () => {
          throw new Error('closed');
        },
      },
      name: 'api',
      perSecond: 1,
      whenAway: 'open',
      clock: manualClock(),
    });
    expect(await countPassed(limit, 5)).toBe(5);
  });
});

describe('a clock of this process that steps back', () => {
  it('neither starves a key nor lets too much pass', async () => {
    const { clock, limit } = setUp({ perSecond: 100, burst: 10 });
    expect(await countPassed(limit, 20)).toBe(10);
    await clock.advance(-1_000_000);
    // Redis's clock went with it here: nothing has flowed in.
    expect(await countPassed(limit, 20)).toBe(0);
    await clock.advance(100);
    expect(await countPassed(limit, 20)).toBe(10);
  });

  it('does not keep Redis away', async () => {
    const scene = setUp({ whenAway: 'closed' });
    const { clock, redis, limit } = scene;
    await goAway(scene);
    redis.mode = 'up';
    await clock.advance(-1_000_000);
    void ask(limit);
    await clock.advance(100);
    expect(limit.snapshot().away).toBe(false);
  });
});

describe('close', () => {
  it('resolves though Redis is away, and later calls are decided without it', async () => {
    const scene = setUp({ perSecond: 1000, whenAway: 'open' });
    const { clock, redis, limit } = scene;
    for (let at = 0; at < 300; at++) {
      void ask(limit);
      await clock.advance(1);
    }
    redis.mode = 'mute';
    const closing = limit.close();
    await clock.advance(60);
    await closing;
    redis.mode = 'up';
    const { trips } = limit.snapshot();
    expect(await countPassed(limit, 5000)).toBe(5000);
    await clock.advance(5000);
    expect(limit.snapshot().trips).toBe(trips);
    expect(clock.pending).toBe(0);
  });

  it('lets those go on who wait', async () => {
    const { clock, redis, limit } = setUp({ perSecond: 100 });
    redis.latencyMs = 10;
    const passed = countPassed(limit, 5);
    const closing = limit.close();
    await clock.advance(60);
    await closing;
    expect(await passed).toBe(5);
  });
});
