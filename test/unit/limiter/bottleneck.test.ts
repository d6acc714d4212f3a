import Bottleneck from 'bottleneck';
import { type QuotaOptions, quota } from 'keelson/bottleneck';
import {
  type CallInit,
  type Clock,
  cancelSource,
  createCall,
  type Outcome,
  refusal,
  systemClock,
} from 'keelson/core';
import { afterEach, beforeEach, describe, expect, it, type Mock, vi } from 'vitest';
import { type Reply, scene as stackScene } from '../stack/stack-scene.js';

// Bottleneck follows the platform's timers and nothing else; faked, they and the clock of the quota are one time.
let clock: Clock;
let start: number;
beforeEach(() => {
  vi.useFakeTimers();
  // A wheel of its own: one that is shared would keep a timer that is no longer there.
  clock = { ...systemClock };
  start = clock.now();
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const elapsed = () => clock.now() - start;

/** A quota around a handler that writes down when it was called, and answers when the test says so or at once. */
function scene(options: Partial<QuotaOptions<string, string>>, { hold = false } = {}) {
  const log: string[] = [];
  const finish = new Map<string, (error?: unknown) => void>();
  const pace = quota<string, string>({ Bottleneck, clock, ...options });
  const handler = pace((request) => {
    log.push(`${request} @${Math.round(elapsed())}`);
    if (!hold) return Promise.resolve(request);
    return new Promise((resolve, reject) => {
      finish.set(request, (error) => (error === undefined ? resolve(request) : reject(error)));
    });
  });
  const ask = (request: string, init: Partial<CallInit> = {}): Promise<string> =>
    handler(request, createCall({ side: 'client', service: 'pay', operation: 'POST', ...init })).catch(
      (error: { code?: string }) => error.code ?? String(error),
    );
  const names = () => log.map((line) => line.split(' ')[0]);
  return {
    pace,
    handler,
    ask,
    log,
    names,
    end: (name: string, error?: unknown) => finish.get(name)?.(error),
  };
}

/** When the calls began, to the hundred milliseconds: bottleneck adds a few of its own. */
const hundreds = (log: readonly string[]) =>
  log.map((line) => Math.round(Number(line.split('@')[1]) / 100) * 100);

describe('a quota', () => {
  it('spaces calls', async () => {
    const { ask, log, pace } = scene({ minTimeMs: 500 });
    const asked = ['a', 'b', 'c', 'd'].map((name) => ask(name));
    await pass(2000);
    expect(await Promise.all(asked)).toEqual(['a', 'b', 'c', 'd']);
    expect(hundreds(log)).toEqual([0, 500, 1000, 1500]);
    expect(pace.snapshot()).toEqual({ waiting: 0, running: 0, keys: 1, away: false });
  });

  it('bounds calls under way', async () => {
    const { ask, names, end, pace } = scene({ maxConcurrent: 2 }, { hold: true });
    for (const name of ['a', 'b', 'c', 'd']) void ask(name);
    await pass(100);
    expect(names()).toEqual(['a', 'b']);
    expect(pace.snapshot()).toMatchObject({ waiting: 2, running: 2 });
    end('a');
    await pass(100);
    end('b', new Error('500'));
    await pass(100);
    expect(names()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('has a reservoir that is set anew', async () => {
    const { ask, log } = scene({ reservoir: 2, refreshMs: 1000 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) void ask(name);
    await pass(3000);
    expect(hundreds(log)).toEqual([0, 0, 1000, 1000, 2000]);
  });

  it('has a reservoir to which is added', async () => {
    const { ask, log } = scene({ reservoir: 3, increaseMs: 1000, increaseAmount: 2 });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void ask(name);
    await pass(4000);
    expect(hundreds(log)).toEqual([0, 0, 0, 1000, 1000, 2000]);
  });

  it('lets the more important go first, otherwise in the order of coming', async () => {
    const { ask, names } = scene({ minTimeMs: 100 });
    const priorities = { a: 0, b: -1, c: 0, d: 5, e: 5, f: 100 };
    for (const [name, priority] of Object.entries(priorities)) void ask(name, { priority });
    await pass(2000);
    expect(names()).toEqual(['f', 'd', 'e', 'a', 'c', 'b']);
  });

  it('takes costs, rounded up', async () => {
    const { ask, log, names } = scene({ reservoir: 10, refreshMs: 1000 });
    for (const [name, cost] of Object.entries({ a: 6, b: 3.5, c: 1, d: 10 })) void ask(name, { cost });
    await pass(2500);
    expect(names()).toEqual(['a', 'b', 'c', 'd']);
    expect(hundreds(log)).toEqual([0, 0, 1000, 2000]);
    expect(await ask('e', { cost: 11 })).toBe('RATE_LIMITED');
  });

  it('is one for each key, and forgets the one least recently used', async () => {
    const { ask, names, pace } = scene({ reservoir: 1, by: 'key', maxKeys: 2, maxWaitMs: 50 });
    const round = async (...keys: string[]) => {
      for (const key of keys) void ask(key, { key });
      await pass(100);
    };
    await round('x', 'y');
    await round('x', 'y');
    expect(names()).toEqual(['x', 'y']);
    await round('z');
    expect(pace.snapshot().keys).toBe(2);
    // x was forgotten, and has a new reservoir; y, which was not, has none.
    await round('y');
    await round('x');
    expect(names()).toEqual(['x', 'y', 'z', 'x']);
  });

  it('refuses further keys while all are in use', async () => {
    const { ask, end } = scene({ maxConcurrent: 1, by: ({ key }) => `${key}`, maxKeys: 1 }, { hold: true });
    void ask('a', { key: 'x' });
    await pass(50);
    expect(await ask('b', { key: 'y' })).toBe('RATE_LIMITED');
    end('a');
    await pass(50);
    void ask('b', { key: 'y' });
    await pass(50);
    end('b');
  });

  it('is a rejection, not a throw, when the function of the key throws', async () => {
    const by = () => {
      throw new Error('no key');
    };
    expect(await scene({ by }).ask('a')).toBe('Error: no key');
  });

  it('keeps the place until the body has ended', async () => {
    let over: (outcome: Outcome) => void = () => undefined;
    const protocol = {
      classify: (): Outcome => 'success',
      onEnd: (_: string, done: (outcome: Outcome) => void) => {
        over = done;
        return true;
      },
    };
    const { ask, names } = scene({ maxConcurrent: 1, protocol });
    const first = ask('a');
    void ask('b');
    await pass(100);
    expect(await first).toBe('a');
    expect(names()).toEqual(['a']);
    over('success');
    over('success');
    await pass(100);
    expect(names()).toEqual(['a', 'b']);
  });

  it('frees the place when the protocol throws', async () => {
    const protocol = {
      classify: (): Outcome => 'success',
      onEnd: () => {
        throw new Error('protocol');
      },
    };
    const { ask, pace } = scene({ maxConcurrent: 1, protocol });
    const asked = [ask('a'), ask('b')];
    await pass(100);
    expect(await Promise.all(asked)).toEqual(['Error: protocol', 'Error: protocol']);
    expect(pace.snapshot().running).toBe(0);
  });

  it('paces a limiter of the user’s own', async () => {
    const limiter = new Bottleneck({ minTime: 300 });
    const { ask, log, pace } = scene({ Bottleneck: undefined, limiter });
    for (const name of ['a', 'b']) void ask(name);
    void limiter.schedule(async () => log.push(`user @${elapsed()}`));
    await pass(2000);
    expect(hundreds(log).sort((a, b) => a - b)).toEqual([0, 300, 600]);
    await pace.stop();
    expect(await ask('c')).toBe('SHUTTING_DOWN');
    const after = limiter.schedule(async () => 'still mine');
    await pass(1000);
    expect(await after).toBe('still mine');
  });
});

describe('a call that gives up', () => {
  it('leaves at once, and what waits behind it does not pay for it', async () => {
    const { ask, log, names, pace } = scene({ minTimeMs: 1000 });
    const cancels = Array.from({ length: 3 }, () => cancelSource());
    void ask('a');
    await pass(50);
    const gone = cancels.map((cancel, i) => ask(`gone${i}`, { cancel }));
    void ask('b');
    await pass(50);
    for (const cancel of cancels) cancel.abort(new Error('enough'));
    expect(await Promise.all(gone)).toEqual(['Error: enough', 'Error: enough', 'Error: enough']);
    expect(pace.snapshot().waiting).toBe(1);
    await pass(3000);
    expect(names()).toEqual(['a', 'b']);
    expect(hundreds(log)).toEqual([0, 1000]);
  });

  it('uses up nothing of the reservoir, though it was the only one', async () => {
    const { ask, names, pace } = scene({ reservoir: 2, refreshMs: 1000, refreshAmount: 2, maxWaitMs: 5000 });
    await Promise.all([ask('a'), ask('b'), pass(100)]);
    const cancel = cancelSource();
    const gone = ['c', 'd', 'e'].map((name) => ask(name, { cancel }));
    await pass(100);
    cancel.abort('enough');
    expect(await Promise.all(gone)).toEqual(['enough', 'enough', 'enough']);
    // Filled again, and what was asked for in vain has been given back.
    await pass(1000);
    await Promise.all([ask('f'), ask('g'), pass(100)]);
    expect(names()).toEqual(['a', 'b', 'f', 'g']);
    expect(pace.snapshot()).toMatchObject({ waiting: 0, running: 0 });
  });

  it('never begins if it gave up beforehand', async () => {
    const { ask, log } = scene({});
    const cancel = cancelSource();
    cancel.abort('enough');
    expect(await ask('a', { cancel })).toBe('enough');
    await pass(100);
    expect(log).toEqual([]);
  });

  it('is nobody’s fault when a deadline ended it', async () => {
    const { handler } = scene({ maxConcurrent: 1 }, { hold: true });
    const cancel = cancelSource();
    const call = createCall({ side: 'client', service: 'pay', operation: 'POST', cancel });
    void handler('a', createCall({ side: 'client', service: 'pay', operation: 'POST' }));
    await pass(50);
    const asked = handler('b', call).catch((error: unknown) => error);
    cancel.abort(refusal('DEADLINE_EXCEEDED', 'late', { side: 'client' }));
    expect(await asked).toMatchObject({ code: 'DEADLINE_EXCEEDED', unsent: true, side: 'client' });
  });

  it.each([
    [{}, 30_000, 10_000],
    [{ maxWaitMs: 200 }, 30_000, 200],
    [{}, 700, 692],
  ])('with %o and %i ms until its deadline waits %i ms', async (options, leftMs, waitsMs) => {
    const { ask } = scene({ maxConcurrent: 1, ...options }, { hold: true });
    void ask('a');
    await pass(50);
    let ended = 0;
    const asked = ask('b', { deadline: clock.now() + leftMs }).finally(() => {
      ended = elapsed();
    });
    const from = elapsed();
    await pass(20_000);
    expect(await asked).toBe('RATE_LIMITED');
    expect(ended - from).toBeGreaterThanOrEqual(waitsMs);
    expect(ended - from).toBeLessThanOrEqual(waitsMs + 8);
  });

  it('is refused at once when it has no time to wait', async () => {
    const { ask } = scene({});
    expect(await ask('a', { deadline: clock.now() + 5 })).toBe('RATE_LIMITED');
  });

  it('gives back what it took when it is refused further in', async () => {
    const clockOf = { Bottleneck, clock, reservoir: 1, maxWaitMs: 300 };
    const call = () => createCall({ side: 'client', service: 'pay', operation: 'POST' });
    const outcomes: string[] = [];
    const errors = [
      refusal('BREAKER_OPEN', 'open', { side: 'client' }),
      refusal('BREAKER_OPEN', 'of the callee’s callee'),
      new Error('sent'),
    ];
    for (const error of errors) {
      let times = 0;
      const handler = quota<string, string>(clockOf)(() => {
        times++;
        return Promise.reject(error);
      });
      await Promise.all([handler('a', call()).catch(() => undefined), pass(100)]);
      await Promise.all([handler('b', call()).catch(() => undefined), pass(500)]);
      outcomes.push(`${times}`);
    }
    expect(outcomes).toEqual(['2', '1', '1']);
  });
});

describe('in a stack', () => {
  it('a call that found no place in time is held against no endpoint', async () => {
    const outcomes: Outcome[] = [];
    const gate = {
      code: 'BREAKER_OPEN' as const,
      tryAcquire: () => ({
        observe: () => undefined,
        release: (outcome: Outcome) => void outcomes.push(outcome),
      }),
    };
    const pace = quota<string, Reply>({ Bottleneck, clock, maxConcurrent: 1 });
    const { ask, stack } = stackScene([{}], {
      clock,
      useAttempt: [pace],
      gates: () => [gate],
      timeoutMs: 1000,
    });
    const first = ask();
    await pass(900);
    const second = ask();
    await pass(95);
    expect(pace.snapshot()).toMatchObject({ waiting: 1, running: 1 });
    await pass(10);
    expect(await first).toBe('DEADLINE_EXCEEDED');
    // The place of the first is free again, but the second never answers either.
    await pass(2000);
    expect(await second).toBe('DEADLINE_EXCEEDED');
    expect(outcomes).toEqual(['failure', 'failure']);

    outcomes.length = 0;
    void pace(() => new Promise(() => undefined))(
      'holds',
      createCall({ side: 'client', service: 'x', operation: 'y' }),
    );
    await pass(50);
    const third = ask();
    await pass(1100);
    expect(await third).toBe('RATE_LIMITED');
    expect(outcomes).toEqual(['unsent']);
    expect(stack.snapshot()[0]?.inflight).toBe(0);
  });
});

describe('a line that is full', () => {
  it('refuses, and says when to come again', async () => {
    const { handler, ask } = scene({ minTimeMs: 1000, maxWaiting: 3, maxWaitMs: 60_000 });
    void ask('a');
    await pass(50);
    for (const name of ['b', 'c', 'd']) void ask(name);
    const call = createCall({ side: 'client', service: 'pay', operation: 'POST', priority: 9 });
    await expect(handler('e', call)).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryable: true,
      retryAfterMs: 4000,
      side: 'client',
      message: 'pay POST: 3 calls wait for its quota',
    });
    await pass(1000);
    expect(await Promise.race([ask('f'), pass(10_000).then(() => 'late')])).toBe('f');
  });

  it('holds a thousand that give up without a trace', async () => {
    const { ask, names, pace } = scene({ minTimeMs: 100, maxWaiting: 1000 });
    const cancel = cancelSource();
    const gone = Array.from({ length: 1000 }, (_, i) => ask(`${i}`, { cancel }));
    cancel.abort('enough');
    expect(new Set(await Promise.all(gone))).toEqual(new Set(['enough']));
    await pass(1000);
    const last = ask('last');
    await pass(200);
    expect(await last).toBe('last');
    expect(names()).toEqual(['last']);
    expect(pace.snapshot()).toMatchObject({ waiting: 0, running: 0 });
  });
});

describe('the end', () => {
  it('sends away those who wait, and waits for those under way', async () => {
    const { ask, end, pace } = scene({ maxConcurrent: 1 }, { hold: true });
    const [first, second] = [ask('a'), ask('b')];
    await pass(50);
    let stopped = false;
    const stopping = pace.stop().then(() => {
      stopped = true;
    });
    expect(await second).toBe('SHUTTING_DOWN');
    expect(await ask('c')).toBe('SHUTTING_DOWN');
    await pass(1000);
    expect(stopped).toBe(false);
    end('a');
    await pass(0);
    expect(await first).toBe('a');
    await stopping;
    await pace.stop();
    expect(pace.snapshot()).toMatchObject({ waiting: 0, running: 0 });
  });

  it('does not wait for ever for what hangs', async () => {
    const { ask, pace } = scene({}, { hold: true });
    void ask('a');
    await pass(50);
    const stopping = pace.stop();
    await pass(5000);
    await stopping;
  });

  it('leaves no timer behind', async () => {
    const { ask, pace } = scene({ reservoir: 5, refreshMs: 250, by: 'key', maxKeys: 3 });
    const asked = ['a', 'b', 'c', 'd', 'e'].map((name) => ask(name, { key: name }));
    await pass(500);
    await Promise.all(asked);
    // The wheel on which calls wait finds out at its next turn that nobody does.
    await Promise.all([pace.stop(), pass(10_000)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves none of a place that would come much later either', async () => {
    const { ask, pace, names } = scene({ minTimeMs: 3_600_000 });
    const asked = [ask('a'), ask('b')];
    await pass(500);
    await Promise.all([pace.stop(), pass(1000)]);
    expect(await Promise.all(asked)).toEqual(['a', 'SHUTTING_DOWN']);
    expect(vi.getTimerCount()).toBe(0);
    expect(names()).toEqual(['a']);
  });
});

describe('what is refused at construction', () => {
  const limiter = new Bottleneck();
  const ioredis = { status: 'ready', defineCommand: () => undefined, duplicate: () => undefined };
  const nodeRedis = {
    isOpen: true,
    connect: () => undefined,
    sendCommand: () => undefined,
    duplicate: () => ({}),
  };
  it.each([
    [{}, 'quota needs Bottleneck'],
    [{ Bottleneck: limiter }, 'quota needs Bottleneck'],
    [{ Bottleneck, limiter }, 'not both'],
    [{ limiter: {} }, 'quota.limiter is not of bottleneck 2.19: it has no schedule, running, ready'],
    [{ limiter: null }, 'quota.limiter is not of bottleneck 2.19'],
    [{ Bottleneck: class {} }, 'quota.Bottleneck is not of bottleneck 2.19: it has no schedule, running'],
    [{ limiter, minTimeMs: 5 }, 'quota.minTimeMs has no effect on a limiter that is already made'],
    [{ limiter, redis: ioredis }, 'quota.redis has no effect'],
    [{ limiter, whenAway: 'local' }, 'quota.whenAway cannot be "local"'],
    [{ limiter: Object.assign(new Bottleneck(), { datastore: 'redis' }) }, 'must not use node-redis'],
    [{ Bottleneck, redis: nodeRedis }, 'quota.redis must be an ioredis client'],
    [{ Bottleneck, redis: 'redis://127.0.0.1' }, 'quota.redis must be an ioredis client'],
    [{ Bottleneck, minTime: 5 }, 'quota.minTime is not an option'],
    [{ Bottleneck, minTimeMs: -1 }, 'quota.minTimeMs must be a number >= 0'],
    [{ Bottleneck, maxConcurrent: 0.5 }, 'quota.maxConcurrent must be a whole number >= 1'],
    [{ Bottleneck, reservoir: 0 }, 'quota.reservoir'],
    [{ Bottleneck, refreshMs: 1000 }, 'quota.refreshMs needs a reservoir'],
    [{ Bottleneck, reservoir: 5, refreshMs: 100 }, 'quota.refreshMs must be a multiple of 250, got 100'],
    [
      { Bottleneck, reservoir: 5, redis: ioredis, refreshMs: 1000 },
      'quota.refreshMs must be a multiple of 5000',
    ],
    [{ Bottleneck, reservoir: 5, refreshMs: 1000, increaseMs: 1000 }, 'exclude each other'],
    [{ Bottleneck, maxWaiting: 0 }, 'quota.maxWaiting'],
    [{ Bottleneck, maxWaitMs: 0 }, 'quota.maxWaitMs'],
    [{ Bottleneck, whenAway: 'wait' }, 'quota.whenAway must be one of "open", "closed", "local"'],
    [{ Bottleneck, by: 'user' }, 'quota.by must be one of "key", "operation"'],
    [{ Bottleneck, id: '{a}' }, 'quota.id must be a name without braces'],
    [{ Bottleneck, protocol: {} }, 'quota.protocol must be a Protocol'],
  ])('%o', (options, message) => {
    expect(() => quota(options as never)).toThrow(message);
  });

  describe('another version of bottleneck, for what is used of it and is no public part', () => {
    const made: { disconnect: Mock }[] = [];
    const redis = {
      ...ioredis,
      duplicate: () => {
        const copy = { disconnect: vi.fn() };
        made.push(copy);
        return copy;
      },
    };
    const own = new Bottleneck();
    class Light extends Bottleneck {
      static override readonly IORedisConnection = (() => undefined) as never;
    }
    class Undrained extends Bottleneck {}
    Object.defineProperty(Undrained.prototype, '_drainAll', { value: undefined });
    const seen: unknown[] = [];
    class Other extends Bottleneck {
      static override readonly IORedisConnection = class {
        constructor(options: object) {
          seen.push(options);
        }
        __scriptFn__() {}
        __removeLimiter__() {}
      } as never;
    }

    it.each([
      [
        { Bottleneck: Light, redis },
        'IORedisConnection is not of bottleneck 2.19: it has no __scriptFn__, __re',
      ],
      [{ Bottleneck: Undrained, redis }, 'quota.Bottleneck is not of bottleneck 2.19: it has no _drainAll'],
      [{ Bottleneck: Other, redis }, 'it has no client, subscriber, limiters, terminated'],
      [
        { limiter: Object.assign(own, { connection: { client: {}, subscriber: {} } }) },
        'quota.limiter.connection is not of bottleneck 2.19: it has no __scriptFn__, __removeLimiter__, limiters',
      ],
    ])('%#', (options, message) => {
      expect(() => quota(options as never)).toThrow(message);
      for (const copy of made) expect(copy.disconnect).toHaveBeenCalledOnce();
    });

    it('is taken where nothing of that is used: without Redis', () => {
      expect(() => quota({ Bottleneck: Undrained })).not.toThrow();
      expect(() => quota({ Bottleneck: Light })).not.toThrow();
    });

    it('none of which loads ioredis from where it is itself, for it is told the class of the client', () => {
      class OfUser {
        readonly status = 'ready';
        defineCommand() {}
        duplicate = redis.duplicate;
      }
      expect(() => quota({ Bottleneck: Other, redis: new OfUser() as never })).toThrow('bottleneck 2.19');
      expect(seen.at(-1)).toEqual({ client: made.at(-1), Redis: OfUser });
    });
  });

  it.each([
    ['4', 'redis4'],
    ['5', 'redis5'],
    ['6', 'redis'],
  ])('a client of node-redis %s', async (_, name) => {
    const { createClient } = await import(name);
    expect(() => quota({ Bottleneck, redis: createClient() })).toThrow(
      /ioredis.*node-redis 4 and later.*hangs/,
    );
  });
});
