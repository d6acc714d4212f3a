import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners, setMaxListeners } from 'node:events';
import {
  type Call,
  cancelledBy,
  cancelSource,
  guard,
  isGovernanceError,
  type Outcome,
  refusal,
} from 'keelson/core';
import { type HedgeOptions, hedge, retry, retryBudget } from 'keelson/retry';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import {
  BadRequest,
  endpoint,
  get,
  hanging,
  outcome,
  type Reply,
  type Step,
  scene,
  scripted,
} from './scene.js';

const ok: Reply = { status: 200 };
const down: Reply = { status: 503 };
const worse: Reply = { status: 500 };
const reset = new Error('socket hang up');
const refused = refusal('BREAKER_OPEN', 'no', { side: 'client' });

function client(
  make: (ends: (ms: number, end: Reply | Error) => Step) => readonly Step[],
  options: Partial<HedgeOptions<string, Reply>> = {},
  ids?: readonly string[],
) {
  const clock = manualClock(1000);
  const stage = scene();
  /** A copy that ends by itself, deaf to aborts. */
  const ends = (ms: number, end: Reply | Error) => () =>
    new Promise<Reply>((resolve, reject) => {
      clock.after(ms, () => (end instanceof Error ? reject(end) : resolve(end)));
    });
  const leaf = scripted(make(ends), ids);
  const budget = retryBudget();
  const middleware = hedge({ protocol: stage.protocol, clock, delayMs: 20, budget, ...options });
  return { ...stage, ...leaf, clock, budget, send: middleware(leaf.handler) };
}

describe('hedge', () => {
  it.each<{
    name: string;
    copies: Parameters<typeof client>[0];
    options?: Partial<HedgeOptions<string, Reply>>;
    ids?: string[];
    call?: Parameters<typeof get>[0];
    request?: string;
    result: Reply | Error;
    at: number;
    picks: string;
    discarded?: Reply[];
  }>([
    { name: 'fast enough', copies: (ends) => [ends(10, ok)], result: ok, at: 10, picks: 'a' },
    {
      name: 'second wins',
      copies: (ends) => [ends(900, down), ends(10, ok)],
      result: ok,
      at: 30,
      picks: 'ab',
      discarded: [down],
    },
    {
      name: 'first wins',
      copies: (ends) => [ends(40, ok), ends(900, down)],
      result: ok,
      at: 40,
      picks: 'ab',
      discarded: [down],
    },
    { name: 'first fails alone', copies: (ends) => [ends(10, reset)], result: reset, at: 10, picks: 'a' },
    {
      name: 'first fails, second runs',
      copies: (ends) => [ends(30, reset), ends(30, ok)],
      result: ok,
      at: 50,
      picks: 'ab',
    },
    {
      name: 'first answers a failure, second runs',
      copies: (ends) => [ends(30, down), ends(30, ok)],
      result: ok,
      at: 50,
      picks: 'ab',
      discarded: [down],
    },
    {
      name: 'second fails, first runs',
      copies: (ends) => [ends(90, ok), ends(10, reset)],
      result: ok,
      at: 90,
      picks: 'ab',
    },
    {
      name: 'both fail: the later',
      copies: (ends) => [ends(90, reset), ends(10, down)],
      result: reset,
      at: 90,
      picks: 'ab',
      discarded: [down],
    },
    {
      name: 'both answer a failure: the later',
      copies: (ends) => [ends(30, down), ends(30, worse)],
      result: worse,
      at: 50,
      picks: 'ab',
      discarded: [down],
    },
    {
      name: 'a refusal here does not hide an answer',
      copies: (ends) => [ends(30, down), ends(30, refused)],
      result: down,
      at: 50,
      picks: 'ab',
    },
    {
      name: 'nor when it came first',
      copies: (ends) => [ends(60, down), ends(10, refused)],
      result: down,
      at: 60,
      picks: 'ab',
    },
    {
      name: 'only refusals',
      copies: (ends) => [ends(60, refused), ends(10, refused)],
      result: refused,
      at: 60,
      picks: 'ab',
    },
    {
      name: 'an answer that is no failure ends it',
      copies: (ends) => [ends(900, ok), ends(10, { status: 404 })],
      result: { status: 404 },
      at: 30,
      picks: 'ab',
      discarded: [ok],
    },
    {
      name: 'a bad request ends it',
      copies: (ends) => [ends(900, ok), ends(10, new BadRequest())],
      result: new BadRequest(),
      at: 30,
      picks: 'ab',
      discarded: [ok],
    },
    {
      name: 'three copies',
      options: { maxHedges: 2 },
      copies: (ends) => [ends(900, ok), ends(900, ok), ends(5, ok)],
      result: ok,
      at: 45,
      picks: 'abc',
      discarded: [ok, ok],
    },
    {
      name: 'never more than allowed',
      options: { maxHedges: 2 },
      copies: (ends) => [ends(200, ok), ends(900, down), ends(900, down)],
      result: ok,
      at: 200,
      picks: 'abc',
      discarded: [down, down],
    },
    {
      name: 'nowhere else',
      ids: ['a'],
      copies: (ends) => [ends(200, ok)],
      result: ok,
      at: 200,
      picks: 'a',
    },
    {
      name: 'everywhere already',
      ids: ['a', 'b'],
      options: { maxHedges: 5 },
      copies: (ends) => [ends(200, ok), ends(900, down)],
      result: ok,
      at: 200,
      picks: 'ab',
      discarded: [down],
    },
    {
      name: 'nobody picks',
      ids: [],
      copies: (ends) => [ends(200, ok), ends(10, ok)],
      result: ok,
      at: 30,
      picks: '--',
      discarded: [ok],
    },
    {
      name: 'not idempotent',
      call: { idempotent: false },
      copies: (ends) => [ends(200, ok)],
      result: ok,
      at: 200,
      picks: 'a',
    },
    {
      name: 'cannot be sent again',
      request: 'stream',
      copies: (ends) => [ends(200, ok)],
      result: ok,
      at: 200,
      picks: 'a',
    },
    {
      name: 'no time left',
      call: { deadline: 1020 },
      copies: (ends) => [ends(200, ok)],
      result: ok,
      at: 200,
      picks: 'a',
    },
    {
      name: 'no budget left',
      options: { budget: retryBudget({ minPerSecond: 0 }) },
      copies: (ends) => [ends(200, ok)],
      result: ok,
      at: 200,
      picks: 'a',
    },
  ])('$name: $picks', async ({ copies, options, ids, call, request, ...expected }) => {
    const { send, clock, picks, discarded, seen } = client(copies, options, ids);
    let endedAt = Number.NaN;
    const ended = outcome(send(request ?? 'hello', get(call))).finally(() => {
      endedAt = clock.now() - 1000;
    });
    for (let ms = 0; ms < 1000; ms++) await clock.advance(1);
    const result = await ended;
    expect('thrown' in result ? result.thrown : result).toEqual(expected.result);
    expect(endedAt).toBe(expected.at);
    expect(picks()).toBe(expected.picks);
    expect(discarded).toEqual(expected.discarded ?? []);
    expect(seen.map(({ attempt }) => attempt.number)).toEqual(seen.map((_, at) => at + 1));
    expect(clock.pending).toBe(0);
  });

  it('cancels the loser, whose permit is free and says nothing of its endpoint', async () => {
    const { protocol, clock, handler } = client((ends) => [hanging, ends(10, ok)]);
    const released: Outcome[] = [];
    const gate = {
      code: 'OVERLOADED' as const,
      tryAcquire: () => ({
        observe: () => undefined,
        release: (end: Outcome) => {
          released.push(end);
        },
      }),
    };
    const { onEnd: _, ...simple } = protocol;
    const guarded = guard<string, Reply>([gate], { protocol: simple, clock })(handler);
    const ended = hedge({ protocol: simple, clock, delayMs: 20 })(guarded)('hello', get());
    await clock.advance(100);
    expect(await ended).toBe(ok);
    expect(released.sort()).toEqual(['ignored', 'success']);
  });

  it('lets the caller cancel both copies, at any time before the answer', async () => {
    for (const afterMs of [5, 30]) {
      const controller = new AbortController();
      const { send, clock, seen } = client(() => [hanging, hanging]);
      const ended = outcome(send('hello', get({ cancel: cancelledBy(controller.signal) })));
      await clock.advance(afterMs);
      controller.abort('changed my mind');
      expect(await ended).toEqual({ thrown: 'changed my mind' });
      expect(seen.map(({ cancel }) => cancel.reason)).toEqual(seen.map(() => 'changed my mind'));
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await clock.advance(100);
      expect(seen.length).toBe(afterMs < 20 ? 1 : 2);
      expect(clock.pending).toBe(0);
    }
  });

  it("lets the caller's abort reach the body of the winner until it ends, and then lets go", async () => {
    const controller = new AbortController();
    const listeners = () => getEventListeners(controller.signal, 'abort').length;
    const call = () => get({ cancel: cancelledBy(controller.signal) });
    const { send, clock, seen, bodies } = client((ends) => [hanging, ends(10, ok), ends(10, worse)]);
    const ended = send('hello', call());
    await clock.advance(100);
    expect(await ended).toBe(ok);
    expect(listeners()).toBe(1);
    expect(seen.map(({ cancel }) => cancel.aborted)).toEqual([true, false]);
    expect(isGovernanceError(seen[0]?.cancel.reason)).toBe(true);
    bodies.get(ok)?.('success');
    expect(listeners()).toBe(0);

    const second = send('hello', call());
    await clock.advance(10);
    expect(await second).toBe(worse);
    controller.abort('enough');
    expect(seen[2]?.cancel.reason).toBe('enough');
    expect(listeners()).toBe(0);
  });

  it('never gathers listeners on a signal that lives on', async () => {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const { clock, protocol } = client(() => []);
    const { onEnd: _, ...simple } = protocol;
    const budget = retryBudget({ minPerSecond: 1e6, maxTries: 1e6 });
    const send = hedge({ protocol: simple, clock, delayMs: 1, budget })((_request: string, call: Call) =>
      call.attempt.number === 1 ? hanging(call) : Promise.resolve(ok),
    );
    for (let i = 0; i < 20; i++) {
      const calls = Array.from({ length: 500 }, () =>
        send('hello', get({ cancel: cancelledBy(controller.signal) })),
      );
      await clock.advance(8);
      await Promise.all(calls);
    }
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(budget.snapshot(clock.now()).withdrawn).toBe(10_000);
  });

  it.each<[string, Parameters<typeof client>[0]]>([
    ['both copies fail', (ends) => [ends(30, reset), ends(30, reset)]],
    ['one copy fails', (ends) => [ends(30, reset), ends(30, { status: 404 })]],
    ['the first copy fails alone', (ends) => [ends(5, reset)]],
    ['a copy is refused here', (ends) => [ends(30, reset), ends(1, refused)]],
  ])('lets go of the caller when %s', async (_, copies) => {
    const controller = new AbortController();
    const { protocol, clock, handler } = client(copies);
    const { onEnd: __, ...simple } = protocol;
    const call = get({ cancel: cancelledBy(controller.signal) });
    const ended = outcome(hedge({ protocol: simple, clock, delayMs: 20 })(handler)('hello', call));
    for (let ms = 0; ms < 100; ms++) await clock.advance(1);
    await ended;
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('sends no copy for a caller who gave up, though the wire goes on', async () => {
    const source = cancelSource();
    const { send, clock, seen } = client((ends) => [ends(100, ok)]);
    const ended = send('hello', get({ cancel: source }));
    await clock.advance(10);
    source.abort('changed my mind');
    await clock.advance(100);
    expect(await ended).toBe(ok);
    expect(seen.length).toBe(1);
  });

  it('waits no longer after the answer', async () => {
    const { protocol, clock, send } = client((ends) => [ends(1, ok)]);
    const patient = hedge({ protocol, clock, delayMs: 1000 })(() => Promise.resolve(ok));
    await patient('hello', get());
    const ended = send('hello', get());
    await clock.advance(1);
    await ended;
    // The wheel keeps a timer for the nearest time only, and afterwards one for whatever still waits.
    await clock.advance(24);
    expect(clock.pending).toBe(0);
  });

  it('avoids an endpoint that the first copy got only later', async () => {
    const clock = manualClock();
    const calls: Call[] = [];
    const { protocol } = scene();
    const send = hedge({ protocol, clock, delayMs: 10, maxHedges: 2 })((_request: string, call: Call) => {
      calls.push(call);
      return hanging(call);
    });
    void outcome(send('hello', get()));
    await clock.advance(16);
    for (const [at, call] of calls.entries()) call.attempt.endpoint = endpoint(`late-${at}`);
    await clock.advance(16);
    expect(calls[2]?.attempt.avoid).toEqual(new Set(['late-0', 'late-1']));
  });

  it('sends the second copy in the context of the call', async () => {
    const context = new AsyncLocalStorage<string>();
    const found: string[] = [];
    const clock = manualClock();
    const { protocol } = scene();
    const send = hedge({ protocol, clock, delayMs: 10 })((request: string, call: Call) => {
      found.push(`${request} in ${context.getStore()}`);
      return call.attempt.number === 1 ? hanging(call) : Promise.resolve(ok);
    });
    const ended = ['A', 'B'].map((name) => context.run(name, () => send(name, get())));
    await clock.advance(100);
    await Promise.all(ended);
    expect(found.sort()).toEqual(['A in A', 'A in A', 'B in B', 'B in B']);
  });

  it('shares one budget with retry, which fills it; alone it fills its own', async () => {
    const shared = retryBudget({ minPerSecond: 0, ratio: 0.5 });
    const { protocol, clock } = client(() => []);
    const answer = () => Promise.resolve(ok);
    const both = retry({ protocol, clock, budget: shared })(
      hedge({ protocol, clock, budget: shared })(answer),
    );
    await both('hello', get());
    await both('hello', get());
    expect(shared.snapshot(0).available).toBe(1);

    // Alone: 3 copies to start with.
    let copies = 0;
    const alone = hedge({ protocol, clock, delayMs: 20 })((_request: string, call: Call) => {
      if (call.attempt.number > 1) copies++;
      return new Promise<Reply>((resolve) => void clock.after(50, () => resolve(ok)));
    });
    const burst = async (calls: number) => {
      const ended = Array.from({ length: calls }, () => alone('hello', get()));
      clock.advanceSync(24);
      await clock.advance(26);
      await Promise.all(ended);
    };
    await burst(5);
    expect(copies).toBe(3);
  });

  it('retries when all copies failed, away from all of them', async () => {
    const { protocol, clock, handler, picks, seen } = client((ends) => [ends(40, down), ends(10, reset), ok]);
    const send = retry({ protocol, clock, baseMs: 0 })(hedge({ protocol, clock, delayMs: 20 })(handler));
    const ended = send('hello', get());
    // The leaf's own clock is the client's: both are the same here.
    await clock.advance(100);
    expect(await ended).toBe(ok);
    expect(picks()).toBe('abc');
    expect(seen.map(({ attempt }) => attempt.number)).toEqual([1, 2, 3]);
  });

  describe('the measured delay', () => {
    const measured = (
      latencyMs: (nth: number) => number,
      options: Partial<HedgeOptions<string, Reply>> = {},
    ) => {
      const clock = manualClock();
      const { protocol } = scene();
      const copies: { at: number; number: number; operation: string }[] = [];
      let nth = 0;
      const send = hedge({
        protocol,
        clock,
        budget: retryBudget({ ratio: 1, minPerSecond: 100 }),
        ...options,
      })((_request: string, call: Call) => {
        copies.push({ at: clock.now(), number: call.attempt.number, operation: call.operation });
        const ms = call.attempt.number === 1 ? latencyMs(nth++) : 1;
        return new Promise<Reply>((resolve) => void clock.after(ms, () => resolve(ok)));
      });
      const run = async (operation = 'GET') => {
        const startedAt = clock.now();
        const ended = send('hello', get({ operation }));
        await clock.advance(100);
        await ended;
        return copies
          .filter(({ at, number }) => at >= startedAt && number > 1)
          .map(({ at }) => at - startedAt);
      };
      return { run };
    };

    it('is unknown before 50 calls, then the percentile, per operation', async () => {
      const { run } = measured((nth) => (nth < 50 ? 40 : 90));
      for (let i = 0; i < 50; i++) expect(await run()).toEqual([]);
      const [delay] = await run();
      expect(delay).toBeGreaterThanOrEqual(40);
      expect(delay).toBeLessThanOrEqual(40 * 1.1 + 4);
      expect(await run('GET /other')).toEqual([]);
    });

    it('has a floor', async () => {
      const { run } = measured((nth) => (nth < 50 ? 1 : 90), { minDelayMs: 60 });
      for (let i = 0; i < 50; i++) await run();
      const [delay] = await run();
      expect(delay).toBeGreaterThanOrEqual(60);
      expect(delay).toBeLessThanOrEqual(64);
    });

    it('does not sink because losers are cut short', async () => {
      // One in five takes 40 to 90 ms, so the 90th percentile is their middle, 65; all above it are cut short.
      const { run } = measured((nth) => (nth % 5 === 4 ? 40 + ((nth * 7) % 50) : 20), { percentile: 0.9 });
      const delays: number[] = [];
      for (let i = 0; i < 1000; i++) delays.push(...(await run()));
      const late = delays.slice(-20);
      expect(late.length).toBe(20);
      expect(Math.min(...late)).toBeGreaterThan(55);
    });

    it('forgets operations beyond its bound: they are not hedged', async () => {
      const { run } = measured(() => 40);
      for (let i = 0; i < 256; i++) await run(`op ${i}`);
      for (let i = 0; i < 60; i++) expect(await run('one too many')).toEqual([]);
    });
  });

  it('shows a protocol that throws to the caller, and leaves nothing running', async () => {
    for (const fault of ['classify', 'onEnd'] as const) {
      const error = new Error(fault);
      const { protocol, clock, handler, seen } = client((ends) => [ends(30, ok), hanging]);
      const broken = {
        ...protocol,
        [fault]: () => {
          throw error;
        },
      };
      const ended = outcome(hedge({ protocol: broken, clock, delayMs: 20 })(handler)('hello', get()));
      await clock.advance(100);
      expect(await ended).toEqual({ thrown: error });
      expect(seen.map(({ cancel }) => cancel.aborted)).toEqual([false, true]);
      expect(clock.pending).toBe(0);
    }
  });

  it('goes on with the first copy if a second cannot be made', async () => {
    const { protocol, clock, handler, seen } = client((ends) => [ends(50, ok)]);
    const replay = (): string => {
      throw new Error('replay');
    };
    const ended = hedge({ protocol: { ...protocol, replay }, clock, delayMs: 20 })(handler)('hello', get());
    await clock.advance(100);
    expect(await ended).toBe(ok);
    expect(seen.length).toBe(1);
  });

  it('makes no AbortController unless the wire asks for a signal', async () => {
    const controllers = vi.spyOn(globalThis, 'AbortController');
    const { send } = client(() => [ok]);
    await send('hello', get({ cancel: cancelSource() }));
    expect(controllers).not.toHaveBeenCalled();
    controllers.mockRestore();
  });

  it.each([
    [{ delayMs: -1 }, RangeError, 'hedge.delayMs'],
    [{ percentile: 1 }, RangeError, 'hedge.percentile'],
    [{ percentile: 0.4 }, RangeError, 'hedge.percentile'],
    [{ minDelayMs: -1 }, RangeError, 'hedge.minDelayMs'],
    [{ maxHedges: 0 }, RangeError, 'hedge.maxHedges'],
    [{ maxHedges: 6 }, RangeError, 'hedge.maxHedges'],
    [{ maxHedges: 1.5 }, RangeError, 'hedge.maxHedges'],
    [{ copies: 2 }, TypeError, 'hedge.copies is not an option'],
    [{ protocol: undefined }, TypeError, 'hedge.protocol must be a Protocol'],
    [{ budget: { ratio: 0.1 } }, TypeError, 'hedge.budget must be a RetryBudget'],
  ])('refuses %j', (options, kind, message) => {
    const make = () => hedge({ protocol: scene().protocol, ...options } as HedgeOptions<string, Reply>);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });
});
