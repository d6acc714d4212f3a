import { allOf, attempt, createCall, type Gate, guard, keyed, type Outcome, refusal } from 'keelson/core';
import { type CircuitBreakerFactory, type OpossumOptions, opossum, opossumSettings } from 'keelson/opossum';
import CircuitBreaker from 'opossum';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { acquire, feed } from './feed.js';

// Opossum has timers of its own; with the platform's faked they and the numbers told to the gate are one time.
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});
const now = () => Date.now();
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** Opossum learns of successes a few microtasks later. */
const settled = () => pass(0);

const create: CircuitBreakerFactory = (action, options) => new CircuitBreaker(action, options);
const make = (options?: OpossumOptions) => opossum(create, options);
const fail = (gate: Gate, count: number) => feed(gate, count, ['failure', now()]);

/** A gate whose breaker is half open, and that breaker. */
async function halfOpen(options?: OpossumOptions) {
  const gate = make(options);
  fail(gate, 20);
  await pass(options?.resetTimeout ?? 30_000);
  expect(gate.breaker.halfOpen).toBe(true);
  return gate;
}

describe('opossum as a gate', () => {
  it('passes, opens, finds out and closes', async () => {
    const told: string[] = [];
    const gate = make({ onTransition: (from, to, at) => told.push(`${from} > ${to} @${at - start}`) });
    const start = now();
    expect(fail(gate, 50)).toBe(20);
    expect(gate.snapshot()).toMatchObject({ state: 'open', requests: 20, successes: 0, rejects: 30 });
    expect(gate.code).toBe('BREAKER_OPEN');
    expect(gate.retryAfterMs?.(now() + 1000)).toBe(29_000);
    await pass(30_000);
    expect(gate.retryAfterMs?.(now())).toBeUndefined();
    const probe = acquire(gate, now());
    expect(gate.tryAcquire(now())).toBeNull();
    probe.release('success', now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ state: 'closed', inflight: 0 });
    acquire(gate, now()).release('success', now());
    expect(told).toEqual(['closed > open @0', 'open > half-open @0', 'half-open > closed @30000']);
  });

  it.each([
    ['failure', 'open'],
    ['overload', 'open'],
    ['ignored', 'half-open'],
    ['unsent', 'half-open'],
    ['success', 'closed'],
  ] as [Outcome, string][])('after a probe that ends %s is %s', async (outcome, state) => {
    const gate = await halfOpen();
    acquire(gate, now()).release(outcome, now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ state, inflight: 0 });
    // A probe that said nothing gave its place back.
    expect(gate.tryAcquire(now()) === null).toBe(state === 'open');
  });

  it.each([
    ['failure', 20, 0],
    ['overload', 20, 0],
    ['ignored', 0, 0],
    ['unsent', 0, 0],
    ['success', 20, 20],
  ] as [Outcome, number, number][])(
    'counts 20 that end %s as %i, %i of them good',
    async (outcome, requests, successes) => {
      const gate = make();
      feed(gate, 20, [outcome, now()]);
      await settled();
      expect(gate.snapshot()).toMatchObject({ requests, successes, inflight: 0 });
      expect(gate.breaker.closed).toBe(requests === successes);
    },
  );

  it('takes the first response for the verdict, and the end for the end', async () => {
    const gate = make();
    const permit = acquire(gate, now());
    permit.observe('success', now());
    permit.observe('failure', now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ requests: 1, successes: 1, inflight: 1 });
    permit.release('failure', now());
    permit.release('failure', now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it('lets everything pass while the breaker is disabled, and learns nothing', async () => {
    const breaker = new CircuitBreaker(async () => 1, opossumSettings());
    const gate = opossum(breaker);
    breaker.disable();
    expect(fail(gate, 100)).toBe(100);
    expect(breaker.stats.fires).toBe(0);
    breaker.enable();
    fail(gate, 20);
    expect(gate.tryAcquire(now())).toBeNull();
    breaker.disable();
    expect(gate.tryAcquire(now())).not.toBeNull();
  });

  it('emits what exporters count', async () => {
    const gate = make({ name: 'a:1', group: 'users' });
    const heard: Record<string, number> = {};
    for (const name of ['fire', 'success', 'failure', 'reject', 'open', 'halfOpen', 'close'])
      gate.breaker.on(name, () => {
        heard[name] = (heard[name] ?? 0) + 1;
      });
    fail(gate, 23);
    await pass(30_000);
    feed(gate, 1, ['success', now()]);
    await settled();
    expect(heard).toEqual({ fire: 21, failure: 20, reject: 3, success: 1, open: 1, halfOpen: 1, close: 1 });
    expect(gate.breaker).toMatchObject({ name: 'a:1', group: 'users' });
  });

  it.each(['failure', 'reject', 'open', 'success'])('outlives a listener of %s that throws', async (name) => {
    const gate = make({
      onTransition: () => {
        throw new Error('hook');
      },
    });
    gate.breaker.on(name, () => {
      throw new Error('listener');
    });
    fail(gate, 25);
    await pass(30_000);
    feed(gate, 1, ['success', now()]);
    await settled();
    expect(gate.snapshot().inflight).toBe(0);
  });

  it('follows a breaker that is opened and closed by hand', () => {
    const told: string[] = [];
    const breaker = new CircuitBreaker(async () => 1, opossumSettings());
    const gate = opossum(breaker, { onTransition: (_, to) => told.push(to) });
    breaker.open();
    expect(gate.retryAfterMs?.(now())).toBeUndefined();
    expect(gate.tryAcquire(now())).toBeNull();
    // Since when is not known; the wait is not told shorter than it is known to be.
    expect(gate.retryAfterMs?.(now() + 10_000)).toBe(20_000);
    breaker.close();
    expect(gate.tryAcquire(now())).not.toBeNull();
    expect(told).toEqual(['open', 'closed']);
  });

  it('begins in the state in which it finds the breaker', () => {
    const state = { closed: false, halfOpen: false, enabled: true, warmUp: false, shutdown: false };
    const told: string[] = [];
    const breaker = new CircuitBreaker(async () => 1, { ...opossumSettings(), state } as object);
    const gate = opossum(breaker, { onTransition: (from, to) => told.push(`${from} > ${to}`) });
    expect(gate.tryAcquire(now())).toBeNull();
    breaker.close();
    expect(told).toEqual(['open > closed']);
  });

  it('leaves the own action of a breaker to those who fire it', async () => {
    const action = vi.fn(async (id: string) => `user ${id}`);
    const breaker = new CircuitBreaker(action, opossumSettings());
    const gates = [opossum(breaker), opossum(breaker)];
    for (const gate of gates) feed(gate, 5, ['success', now()]);
    await settled();
    expect(action).not.toHaveBeenCalled();
    expect(await breaker.fire('7')).toBe('user 7');
    expect(breaker.stats).toMatchObject({ fires: 11, successes: 11 });
  });
});

describe('what opossum gets wrong', () => {
  it('does not open on the very first failure', () => {
    const gate = make();
    expect(fail(gate, 19)).toBe(19);
    expect(gate.snapshot().state).toBe('closed');
  });

  it('does not count calls in flight, nor refusals', async () => {
    const gate = make();
    for (let i = 0; i < 100; i++) acquire(gate, now());
    expect(gate.snapshot()).toMatchObject({ requests: 0, inflight: 100 });
    // With opossum's own count 20 of 120 would not open it.
    fail(gate, 20);
    expect(gate.snapshot().state).toBe('open');
    for (let i = 0; i < 500; i++) gate.tryAcquire(now());
    expect(gate.snapshot()).toMatchObject({ requests: 20, rejects: 500 });
  });

  it('has an empty window after it closed, however long the window', async () => {
    const gate = await halfOpen({ resetTimeout: 100, rollingCountTimeout: 60_000 });
    feed(gate, 1, ['success', now()]);
    await settled();
    expect(gate.snapshot()).toMatchObject({ state: 'closed', requests: 0 });
    expect(fail(gate, 19)).toBe(19);
    expect(gate.snapshot().state).toBe('closed');
  });

  it('is not opened by the refusals of a limiter within it', async () => {
    const gate = make();
    const clock = { now, wallMs: now, after: () => ({ cancel: () => undefined }) };
    for (let i = 0; i < 100; i++) {
      const shed = () => Promise.reject(refusal('OVERLOADED', 'no', { side: 'client' }));
      await expect(attempt(gate, shed, { clock })).rejects.toMatchObject({ code: 'OVERLOADED' });
    }
    expect(gate.snapshot()).toMatchObject({ state: 'closed', requests: 0, inflight: 0 });
  });

  it('counts a response that says 500, and a handler that resolves nothing is no failure', async () => {
    const clock = { now, wallMs: now, after: () => ({ cancel: () => undefined }) };
    const protocol = {
      classify: (status: number | undefined): Outcome => (status === 500 ? 'failure' : 'success'),
    };
    const call = createCall({ side: 'client', service: 'users', operation: 'GET' });
    const run = async (status: number | undefined) => {
      const gate = make();
      const handler = guard<void, number | undefined>([gate], { protocol, clock })(async () => status);
      for (let i = 0; i < 20; i++) await handler(undefined, call);
      await settled();
      const after = await handler(undefined, call).catch((error: unknown) => error);
      return { after, state: gate.snapshot().state };
    };
    expect(await run(undefined)).toEqual({ after: undefined, state: 'closed' });
    const bad = await run(500);
    expect(bad).toMatchObject({
      after: { code: 'BREAKER_OPEN', retryable: true, side: 'client', retryAfterMs: 30_000 },
      state: 'open',
    });
  });

  it('gives up a probe that hangs', async () => {
    const gate = await halfOpen({ probeTimeoutMs: 15_000 });
    const hung = acquire(gate, now());
    await pass(14_999);
    expect(gate.tryAcquire(now())).toBeNull();
    expect(gate.snapshot().state).toBe('half-open');
    await pass(1);
    expect(gate.tryAcquire(now())).toBeNull();
    expect(gate.snapshot().state).toBe('open');
    await pass(30_000);
    const probe = acquire(gate, now());
    hung.release('success', now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ state: 'half-open', inflight: 1 });
    probe.release('success', now());
    await settled();
    expect(gate.snapshot()).toMatchObject({ state: 'closed', inflight: 0 });
  });

  it('does not wait for a clock that stepped back', async () => {
    const gate = await halfOpen();
    acquire(gate, now());
    expect(gate.tryAcquire(now() - 1e9)).toBeNull();
    expect(gate.snapshot().state).toBe('open');
  });

  it('is not half open for ever because a probe failed during warm-up', async () => {
    const breaker = new CircuitBreaker(
      async () => 1,
      opossumSettings({ allowWarmUp: true, resetTimeout: 10 }),
    );
    const gate = opossum(breaker);
    breaker.open();
    await pass(10);
    fail(gate, 1);
    expect(breaker.opened).toBe(true);
    await pass(10);
    feed(gate, 1, ['success', now()]);
    await settled();
    expect(breaker.closed).toBe(true);
  });

  it('is neither closed nor opened by a call that began before it opened', async () => {
    const gate = make({ resetTimeout: 1000 });
    const [good, bad] = [acquire(gate, now()), acquire(gate, now())];
    fail(gate, 20);
    await pass(1000);
    good.release('success', now());
    await settled();
    expect(gate.snapshot().state).toBe('half-open');
    bad.release('failure', now());
    expect(gate.snapshot().state).toBe('half-open');
  });

  it('writes into nobody else’s options', () => {
    const seen: object[] = [];
    const options = Object.freeze({ name: 'users' });
    for (let i = 0; i < 2; i++)
      opossum((action, given) => {
        seen.push(given);
        return new CircuitBreaker(action, given);
      }, options);
    expect(seen[0]).not.toBe(seen[1]);
    expect(seen[0]).toMatchObject({
      name: 'users',
      timeout: false,
      cache: false,
      coalesce: false,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    });
    expect(seen[0]).not.toHaveProperty('abortController');
    expect(opossumSettings()).not.toHaveProperty('capacity');
    expect(opossumSettings()).not.toBe(opossumSettings());
  });

  it('stays shut down although a health check fails later', async () => {
    const breaker = new CircuitBreaker(async () => 1, opossumSettings());
    const gate = opossum(breaker);
    breaker.healthCheck(() => Promise.reject(new Error('ill')), 1000);
    breaker.shutdown();
    expect(gate.tryAcquire(now())).toBeNull();
    expect(gate.code).toBe('SHUTTING_DOWN');
    await pass(60_000);
    // Opossum has forgotten.
    expect(breaker.isShutdown).toBe(false);
    expect(gate.tryAcquire(now())).toBeNull();
    expect(gate.retryAfterMs?.(now())).toBeUndefined();
  });

  it('keeps no times of calls to sort', () => {
    const gate = make();
    fail(gate, 20);
    expect((gate.breaker.stats as { latencyMean?: number }).latencyMean).toBe(-1);
  });
});

describe('the life of a gate', () => {
  it('ends with its breaker where it made it', () => {
    const before = vi.getTimerCount();
    const gate = make();
    const permit = acquire(gate, now());
    fail(gate, 20);
    expect(vi.getTimerCount()).toBeGreaterThan(before);
    gate.dispose();
    gate.dispose();
    expect(gate.breaker.isShutdown).toBe(true);
    expect(vi.getTimerCount()).toBe(before);
    permit.release('failure', now());
    expect(gate.breaker.isShutdown).toBe(true);
    expect(gate.snapshot().inflight).toBe(0);
    expect(gate.tryAcquire(now())).toBeNull();
  });

  it('ends without the breaker where that is the user’s', () => {
    const breaker = new CircuitBreaker(async () => 1, opossumSettings());
    const listeners = () =>
      ['open', 'halfOpen', 'close', 'shutdown'].map((name) => breaker.listenerCount(name));
    const before = listeners();
    const gate = opossum(breaker);
    gate.dispose();
    expect(listeners()).toEqual(before);
    expect(breaker.isShutdown).toBe(false);
    expect(gate.tryAcquire(now())).toBeNull();
  });

  it('is one per key, and a forgotten one leaves no timer', () => {
    const before = vi.getTimerCount();
    const perOperation = keyed(() => make(), { maxKeys: 3 });
    for (let i = 0; i < 100; i++) {
      const operation = `GET /${i}`;
      perOperation.tryAcquire(now(), { operation })?.release('success', now());
    }
    expect(vi.getTimerCount()).toBe(before + 3);
    perOperation.dispose();
    expect([perOperation.size, vi.getTimerCount()]).toEqual([0, before]);
  });
});

it('joined gates end together, whatever one of them throws', () => {
  const gates = [make(), make(), make()];
  const broken = {
    code: 'OVERLOADED' as const,
    tryAcquire: () => null,
    dispose: () => {
      throw new Error('gate');
    },
  };
  expect(() => allOf([gates[0] as Gate, broken, gates[1] as Gate, gates[2] as Gate]).dispose?.()).toThrow(
    'gate',
  );
  expect(gates.map(({ breaker }) => breaker.isShutdown)).toEqual([true, true, true]);
});

describe('what is refused at construction', () => {
  it.each([
    [{ errorThresholdPercentage: 100 }, 'opossum.errorThresholdPercentage must be a number >= 1 and <= 99'],
    [{ volumeThreshold: 1 }, 'opossum.volumeThreshold must be a whole number >= 2'],
    [{ resetTimeout: 0 }, 'opossum.resetTimeout'],
    [{ rollingCountTimeout: Number.NaN }, 'opossum.rollingCountTimeout'],
    [{ rollingCountBuckets: 0.5 }, 'opossum.rollingCountBuckets'],
    [{ probeTimeoutMs: '5' }, 'opossum.probeTimeoutMs'],
    [{ allowWarmUp: 1 }, 'opossum.allowWarmUp must be a boolean'],
    [{ onTransition: 'log' }, 'opossum.onTransition must be a function'],
    [{ timeout: 1000 }, 'opossum.timeout is not an option'],
    [{ cache: true }, 'opossum.cache is not an option'],
    [{ capacity: 10 }, 'opossum.capacity is not an option'],
    [{ abortController: new AbortController() }, 'opossum.abortController is not an option'],
  ])('the option %o', (options, message) => {
    expect(() => opossum(create, options as never)).toThrow(message);
  });

  it.each([
    [{ timeout: 1000 }, 'timeout must be false'],
    [{ capacity: 10 }, 'capacity must not be set'],
    [{ cache: true }, 'cache must be off'],
    [{ coalesce: true }, 'coalesce must be off'],
    [{ abortController: new AbortController() }, 'abortController must not be set'],
    [{ rollingPercentilesEnabled: true }, 'rollingPercentilesEnabled must be false'],
    [{ errorThresholdPercentage: 100 }, 'errorThresholdPercentage must be below 100'],
    [{ volumeThreshold: 0 }, 'volumeThreshold must be 2 or more'],
  ])('a breaker with %o', (options, message) => {
    const breaker = new CircuitBreaker(async () => 1, { ...opossumSettings(), ...options } as object);
    expect(() => opossum(breaker)).toThrow(message);
    breaker.shutdown();
  });

  it('a breaker as opossum makes it, all that is wrong with it at once', () => {
    const breaker = new CircuitBreaker(async () => 1);
    expect(() => opossum(breaker)).toThrow(/timeout .*; rollingPercentilesEnabled .*; volumeThreshold /);
  });

  it.each([
    [undefined, 'needs an opossum CircuitBreaker'],
    [{}, 'needs an opossum CircuitBreaker'],
    [{ fire: () => undefined }, 'needs an opossum CircuitBreaker'],
    [() => ({}), 'must return an opossum CircuitBreaker'],
    [
      (_: never, options: object) => new CircuitBreaker(async () => 1, options),
      'the action that it is given',
    ],
  ])('%o', (source, message) => {
    expect(() => opossum(source as never)).toThrow(message);
  });

  it('settings for a breaker that is already made', () => {
    const breaker = new CircuitBreaker(async () => 1, opossumSettings());
    expect(() => opossum(breaker, { resetTimeout: 5 } as never)).toThrow(
      'opossum.resetTimeout comes too late',
    );
  });
});
