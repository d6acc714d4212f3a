import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners, setMaxListeners } from 'node:events';
import {
  cancelledBy,
  cancelSource,
  createCall,
  type Handler,
  neverAgain,
  type Protocol,
  type RejectionCode,
  refusal,
  rejections,
  retriedBelow,
  runWithCall,
} from 'keelson/core';
import { attemptTimeout } from 'keelson/deadline';
import { type RetryOptions, retry, retryBudget, retryDefaults } from 'keelson/retry';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { BadRequest, get, hanging, outcome, type Reply, type Step, scene, scripted } from './scene.js';

const ok: Reply = { status: 200 };
const down: Reply = { status: 503 };
const busy: Reply = { status: 429 };
const reset = new Error('socket hang up');

/** Waits as long as it may: the upper end of the jitter. */
const longest = () => 1 - Number.EPSILON;

function client(
  steps: readonly Step[],
  options: Partial<RetryOptions<string, Reply>> = {},
  ids?: readonly string[],
) {
  const clock = manualClock(1000);
  const stage = scene();
  const leaf = scripted(steps, ids);
  const budget = retryBudget({ minPerSecond: 100 });
  const middleware = retry({ protocol: stage.protocol, clock, budget, random: longest, ...options });
  return { ...stage, ...leaf, clock, budget, send: middleware(leaf.handler) };
}

describe('retry', () => {
  it.each<{
    name: string;
    steps: Step[];
    options?: Partial<RetryOptions<string, Reply>>;
    request?: string;
    idempotent?: boolean;
    ids?: string[];
    result: Reply | Error;
    picks: string;
    discarded?: Reply[];
  }>([
    { name: 'a success', steps: [ok], result: ok, picks: 'a' },
    { name: 'a failing response', steps: [down, ok], result: ok, picks: 'ab', discarded: [down] },
    { name: 'an error', steps: [reset, ok], result: ok, picks: 'ab' },
    { name: 'the last response as it is', steps: [reset, down], result: down, picks: 'ab' },
    { name: 'the last error as it is', steps: [down, reset], result: reset, picks: 'ab', discarded: [down] },
    {
      name: 'as many tries as allowed',
      steps: [down, reset, down, ok],
      options: { attempts: 4 },
      result: ok,
      picks: 'abca',
      discarded: [down, down],
    },
    { name: 'no second try', steps: [down], options: { attempts: 1 }, result: down, picks: 'a' },
    { name: 'not idempotent', steps: [down], idempotent: false, result: down, picks: 'a' },
    { name: 'not idempotent, error', steps: [reset], idempotent: false, result: reset, picks: 'a' },
    { name: 'cannot be sent again', steps: [down], request: 'stream', result: down, picks: 'a' },
    { name: 'an answer that is no failure', steps: [{ status: 404 }], result: { status: 404 }, picks: 'a' },
    { name: 'an overload, elsewhere', steps: [busy, ok], result: ok, picks: 'ab', discarded: [busy] },
    { name: 'an overload, nowhere else', steps: [busy], ids: ['a'], result: busy, picks: 'a' },
    {
      name: 'overloads until all were asked',
      steps: [busy, busy],
      ids: ['a', 'b'],
      options: { attempts: 3 },
      result: busy,
      picks: 'ab',
      discarded: [busy],
    },
    { name: 'an overload, nobody picks', steps: [busy], ids: [], result: busy, picks: '-' },
    {
      name: 'a failure, nobody picks',
      steps: [down, ok],
      ids: [],
      result: ok,
      picks: '--',
      discarded: [down],
    },
    { name: 'forbidden', steps: [down], options: { when: () => false }, result: down, picks: 'a' },
    {
      name: 'forbidden by a throw',
      steps: [down],
      options: {
        when: () => {
          throw new Error('when');
        },
      },
      result: down,
      picks: 'a',
    },
    {
      name: 'allowed by response',
      steps: [{ status: 500 }],
      options: { when: ({ response }) => response?.status !== 500 },
      result: { status: 500 },
      picks: 'a',
    },
    {
      name: 'a listener that throws',
      steps: [down, ok],
      options: {
        onRetry: () => {
          throw new Error('listener');
        },
      },
      result: ok,
      picks: 'ab',
      discarded: [down],
    },
  ])('$name: $picks', async ({ steps, options, request, idempotent = true, ids, ...expected }) => {
    const { send, clock, discarded, picks, requests } = client(steps, options, ids);
    const ended = outcome(send(request ?? 'hello', get({ idempotent })));
    await clock.advance(10_000);
    const result = await ended;
    expect('thrown' in result ? result.thrown : result).toEqual(expected.result);
    expect(picks()).toBe(expected.picks);
    expect(discarded).toEqual(expected.discarded ?? []);
    expect(new Set(requests).size).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('gives the first try the call itself, and the others forks with numbers', async () => {
    const { send, seen } = client([down, down, ok], { attempts: 3, baseMs: 0 });
    const call = get();
    await send('hello', call);
    expect(seen[0]).toBe(call);
    expect(seen.map(({ attempt }) => attempt.number)).toEqual([1, 2, 3]);
    expect(seen.map(({ attempt }) => attempt.avoid)).toEqual([undefined, new Set('a'), new Set('ab')]);
  });

  it('sends what the protocol gives for a replay', async () => {
    const { protocol } = scene();
    const sent: string[] = [];
    const replay = (request: string) => `${request}'`;
    const send = retry({ protocol: { ...protocol, replay }, baseMs: 0, attempts: 3 })((request: string) => {
      sent.push(request);
      return Promise.resolve(sent.length < 3 ? down : ok);
    });
    await send('hello', get());
    expect(sent).toEqual(['hello', "hello'", "hello'"]);
  });

  it('sends a request again as it is, be it undefined, if the protocol has no say', async () => {
    const tries = vi
      .fn<Handler<undefined, string>>()
      .mockRejectedValueOnce(reset)
      .mockResolvedValueOnce('rows');
    const protocol: Protocol<undefined, string> = { classify: (value) => (value ? 'success' : 'failure') };
    expect(await retry({ protocol, baseMs: 0 })(tries)(undefined, get())).toBe('rows');
    expect(tries).toHaveBeenCalledTimes(2);
  });

  it('goes on after an overload while there is an endpoint it was not at, wherever the picks went', async () => {
    const { protocol, clock } = client([]);
    const { handler, seen } = scripted([busy, busy, ok]);
    const send = retry({ protocol, clock, baseMs: 0, attempts: 3 })((request: string, call) => {
      const answer = handler(request, call);
      // One of two endpoints is out: the balancer had to pick the same again.
      call.attempt.endpoint = { id: 'a', url: 'http://a', weight: 100, metadata: {} };
      call.attempt.choices = 2;
      return answer;
    });
    expect(await send('hello', get())).toBe(ok);
    expect(seen.length).toBe(3);
  });

  it('never repeats what this side refused', async () => {
    for (const code of Object.keys(rejections) as RejectionCode[]) {
      if (code === 'DEADLINE_EXCEEDED') continue;
      const error = refusal(code, code, { side: 'client' });
      const { send, seen } = client([error]);
      expect(await outcome(send('hello', get()))).toEqual({ thrown: error });
      expect(seen.length, code).toBe(1);
    }
  });

  it.each<[RejectionCode, number]>([
    ['OVERLOADED', 2],
    ['SHUTTING_DOWN', 2],
    ['DEADLINE_EXCEEDED', 1],
    ['BODY_IDLE', 1],
    ['CANCELLED', 1],
  ])('sends a call that the other side refused with %s %i times', async (code, tries) => {
    const { send, seen } = client([refusal(code, code, { side: 'server' }), ok], { baseMs: 0 });
    await outcome(send('hello', get()));
    expect(seen.length).toBe(tries);
  });

  describe('the time of one try', () => {
    it('is followed by another try while the call has time', async () => {
      const { protocol, clock, handler, seen } = client([hanging, ok]);
      const send = retry({ protocol, clock, baseMs: 0 })(
        attemptTimeout({ perTryMs: 50, protocol, clock })(handler),
      );
      const ended = send('hello', get({ deadline: clock.now() + 200 }));
      await clock.advance(60);
      expect(await ended).toBe(ok);
      expect(seen.length).toBe(2);
    });

    it('ends the call when the call has none', async () => {
      const { protocol, clock, handler, seen } = client([hanging]);
      const send = retry({ protocol, clock, baseMs: 0 })(
        attemptTimeout({ perTryMs: 50, protocol, clock })(handler),
      );
      const ended = outcome(send('hello', get({ deadline: clock.now() + 50 })));
      await clock.advance(60);
      expect(await ended).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED' } });
      expect(seen.length).toBe(1);
    });
  });

  describe('the wait', () => {
    it.each<[string, Partial<RetryOptions<string, Reply>>, Step[], number[]]>([
      ['grows to its bound', { attempts: 5, maxMs: 150 }, [down, down, down, down, ok], [25, 50, 100, 150]],
      ['is drawn', { random: () => 0.5, attempts: 3 }, [down, down, ok], [12.5, 25]],
      ['may be nothing', { random: () => 0 }, [down, ok], [0]],
      ['is at least what was asked for', {}, [{ status: 503, retryAfterMs: 400 }, ok], [400]],
      ['also after an overload', {}, [{ status: 429, retryAfterMs: 400 }, ok], [400]],
      [
        'also when a refusal asks',
        {},
        [refusal('OVERLOADED', '', { side: 'server', retryAfterMs: 70 }), ok],
        [70],
      ],
      ['ignores what makes no sense', {}, [{ status: 503, retryAfterMs: Number.NaN }, ok], [25]],
      ['ignores what is negative', {}, [{ status: 503, retryAfterMs: -5 }, ok], [25]],
      ['may be asked for up to a bound', {}, [{ status: 503, retryAfterMs: 2001 }], []],
      ['may not be without end', {}, [{ status: 503, retryAfterMs: Number.POSITIVE_INFINITY }], []],
      ['has that bound as an option', { maxRetryAfterMs: 0 }, [{ status: 503, retryAfterMs: 1 }], []],
    ])('%s', async (_, options, steps, expected) => {
      const waits: number[] = [];
      const { send, clock, seen } = client(steps, {
        ...options,
        onRetry: (_failed, waitMs) => waits.push(Math.round(waitMs * 10) / 10),
      });
      const ended = outcome(send('hello', get()));
      const triedAt = [clock.now()];
      for (let ms = 0; ms < 1000; ms++) {
        await clock.advance(1);
        if (seen.length > triedAt.length) triedAt.push(clock.now());
      }
      await ended;
      for (const [at, wait] of expected.entries()) {
        const waited = Number(triedAt[at + 1]) - Number(triedAt[at]);
        expect(waited).toBeGreaterThanOrEqual(wait);
        // A slot of the wheel, and the step of this test.
        expect(waited).toBeLessThanOrEqual(wait + 5);
      }
      expect(waits).toEqual(expected);
      expect(seen.length).toBe(steps.length);
    });

    it('is not begun if the deadline comes first', async () => {
      for (const [leftMs, tries] of [
        [25, 1],
        [26, 2],
      ] as const) {
        const { send, clock, seen, budget } = client([down, ok], { random: () => 1 });
        const ended = send('hello', get({ deadline: clock.now() + leftMs }));
        await clock.advance(40);
        expect(await ended).toBe(tries === 1 ? down : ok);
        expect(seen.length).toBe(tries);
        expect(budget.snapshot(clock.now()).withdrawn).toBe(tries - 1);
      }
    });

    it('leaves the next try in the context of the call', async () => {
      const context = new AsyncLocalStorage<string>();
      const { protocol, clock } = client([]);
      const found: string[] = [];
      const send = retry({ protocol, clock })((request: string) => {
        found.push(`${request} in ${context.getStore()}`);
        return Promise.resolve(found.length <= 2 ? down : ok);
      });
      // Both wait in one wheel, whose timer was started by the first.
      const ended = ['A', 'B'].map((name) => context.run(name, () => send(name, get())));
      await clock.advance(100);
      await Promise.all(ended);
      expect(found.sort()).toEqual(['A in A', 'A in A', 'B in B', 'B in B']);
    });
  });

  describe('the caller who gives up', () => {
    it('before the call: the leaf decides, nothing is repeated', async () => {
      const source = cancelSource();
      source.abort('changed my mind');
      const { send, seen } = client([hanging]);
      expect(await outcome(send('hello', get({ cancel: source })))).toEqual({ thrown: 'changed my mind' });
      expect(seen.length).toBe(1);
    });

    it('during a try', async () => {
      const source = cancelSource();
      const { send, clock, seen } = client([hanging]);
      const ended = outcome(send('hello', get({ cancel: source })));
      await clock.advance(5);
      source.abort('changed my mind');
      expect(await ended).toEqual({ thrown: 'changed my mind' });
      expect(seen.length).toBe(1);
      expect(clock.pending).toBe(0);
    });

    it('during a try that answers all the same: the answer, failed or not', async () => {
      const source = cancelSource();
      const late = () => {
        source.abort('changed my mind');
        return Promise.resolve(down);
      };
      const { send, discarded } = client([late]);
      expect(await send('hello', get({ cancel: source }))).toBe(down);
      expect(discarded).toEqual([]);
    });

    it('during the wait: at once, with the reason, and no try follows', async () => {
      const controller = new AbortController();
      const { send, clock, seen, discarded } = client([down]);
      const ended = outcome(send('hello', get({ cancel: cancelledBy(controller.signal) })));
      await clock.advance(10);
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
      controller.abort('changed my mind');
      expect(await ended).toEqual({ thrown: 'changed my mind' });
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await clock.advance(1000);
      expect(seen.length).toBe(1);
      expect(discarded).toEqual([down]);
    });

    it('during the wait: nothing waits on', async () => {
      const source = cancelSource();
      const near = client([{ status: 503, retryAfterMs: 10 }], { baseMs: 0 });
      const send = retry({ protocol: near.protocol, clock: near.clock })(() =>
        Promise.resolve({ status: 503, retryAfterMs: 1000 }),
      );
      const call = get({ cancel: source });
      const ended = [outcome(send('hello', call)), outcome(near.send('hello', call))];
      await near.clock.advance(1);
      expect(near.clock.pending).toBe(1);
      source.abort('changed my mind');
      await Promise.all(ended);
      // The wheel keeps a timer for the nearest time only, and afterwards one for whatever still waits.
      await near.clock.advance(14);
      expect(near.clock.pending).toBe(0);
    });

    it('between the wait and the try', async () => {
      const source = cancelSource();
      const { send, clock, seen } = client([down]);
      const ended = outcome(send('hello', get({ cancel: source })));
      await clock.advance(10);
      clock.advanceSync(30);
      source.abort('changed my mind');
      expect(await ended).toEqual({ thrown: 'changed my mind' });
      expect(seen.length).toBe(1);
    });

    it('in a listener, before the wait', async () => {
      const source = cancelSource();
      for (const baseMs of [0, 25]) {
        const { send, clock, seen } = client([down], {
          baseMs,
          onRetry: () => source.abort('changed my mind'),
        });
        expect(await outcome(send('hello', get({ cancel: source })))).toSatisfy(
          (end) => end === down || (end as { thrown: unknown }).thrown === 'changed my mind',
        );
        await clock.advance(100);
        expect(seen.length).toBe(1);
        expect(clock.pending).toBe(0);
      }
    });

    it('never gathers listeners on a signal that lives on', async () => {
      const controller = new AbortController();
      setMaxListeners(0, controller.signal);
      const { protocol, clock } = client([]);
      let sent = 0;
      const send = retry({ protocol, clock, budget: retryBudget({ ratio: 1 }), random: longest })(() =>
        Promise.resolve(++sent % 2 === 1 ? down : ok),
      );
      for (let i = 0; i < 100; i++) {
        const calls = Array.from({ length: 100 }, () =>
          send('hello', get({ cancel: cancelledBy(controller.signal) })),
        );
        await clock.advance(30);
        await Promise.all(calls);
      }
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      expect(clock.pending).toBe(0);
    });
  });

  describe('the budget', () => {
    it('is filled by successes only, also by those of later tries', async () => {
      const { protocol, clock, handler } = client([ok, down, { status: 404 }, reset, ok], { attempts: 1 });
      const deposit = vi.fn();
      const budget = { ...retryBudget(), deposit, withdraw: (_now: number) => true };
      const send = retry({ protocol, clock, budget, baseMs: 0, attempts: 2 })(handler);
      await send('hello', get());
      expect(deposit).toHaveBeenCalledTimes(1);
      await send('hello', get());
      expect(deposit).toHaveBeenCalledTimes(1);
      await send('hello', get());
      expect(deposit).toHaveBeenCalledTimes(2);
    });

    it('is asked last, and its refusal leaves the response alone', async () => {
      const withdraw = vi.fn(() => false);
      const budget = { ...retryBudget(), deposit: () => undefined, withdraw };
      const { send, discarded, seen } = client([down, down, down], { budget });
      expect(await send('stream', get())).toBe(down);
      expect(await send('hello', get({ idempotent: false }))).toBe(down);
      expect(withdraw).not.toHaveBeenCalled();
      expect(await send('hello', get())).toBe(down);
      expect(withdraw).toHaveBeenCalledExactlyOnceWith(1000);
      expect(discarded).toEqual([]);
      expect(seen.length).toBe(3);
    });

    it('is one for all calls', async () => {
      const { send, clock, seen } = client(new Array(20).fill(down), {
        budget: retryBudget({ minPerSecond: 3, ttlMs: 1000 }),
        baseMs: 0,
      });
      for (let i = 0; i < 10; i++) await send('hello', get());
      expect(seen.length).toBe(13);
      // After 20 times as long as it can be saved, all of the reserve is there again.
      await clock.advance(20_000);
      for (let i = 0; i < 3; i++) await send('hello', get());
      expect(seen.length).toBe(18);
    });
  });

  it('makes no AbortController, no timer and no error on a call that succeeds', async () => {
    const controllers = vi.spyOn(globalThis, 'AbortController');
    const { send, clock } = client([ok]);
    const after = vi.spyOn(clock, 'after');
    const now = vi.spyOn(clock, 'now');
    await send('hello', get({ cancel: cancelSource() }));
    expect(controllers).not.toHaveBeenCalled();
    expect(after).not.toHaveBeenCalled();
    expect(now).toHaveBeenCalledTimes(1);
    controllers.mockRestore();
  });

  it('turns a synchronous throw of the next handler into a try that failed', async () => {
    const { protocol, clock } = client([]);
    const tries = vi.fn<Handler<string, Reply>>(() => {
      throw reset;
    });
    const send = retry({ protocol, clock, baseMs: 0 })(tries);
    expect(await outcome(send('hello', get()))).toEqual({ thrown: reset });
    expect(tries).toHaveBeenCalledTimes(2);
  });

  it('is not let try by a promise, of which nobody knows what it will say', async () => {
    const when = (() => Promise.resolve(true)) as never;
    const { send, seen } = client([down, ok], { when });
    expect(await send('hello', get())).toBe(down);
    expect(seen.length).toBe(1);
  });

  it('drops what its listener rejects with', async () => {
    const onRetry = () => Promise.reject(new Error('listener')) as never;
    const { send } = client([down, ok], { onRetry, baseMs: 0 });
    expect(await send('hello', get())).toBe(ok);
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('lets a bad request pass', async () => {
    const error = new BadRequest();
    const { send, seen } = client([error]);
    expect(await outcome(send('hello', get()))).toEqual({ thrown: error });
    expect(seen.length).toBe(1);
  });

  it('survives a protocol that cannot discard', async () => {
    const { protocol, handler } = client([down, ok]);
    const discard = () => {
      throw new Error('discard');
    };
    expect(await retry({ protocol: { ...protocol, discard }, baseMs: 0 })(handler)('hello', get())).toBe(ok);
  });

  it.each([
    [{ attempts: 0 }, RangeError, 'retry.attempts must be a whole number >= 1 and <= 10, got 0'],
    [{ attempts: 1.5 }, RangeError, 'retry.attempts'],
    [{ attempts: 11 }, RangeError, 'retry.attempts'],
    [{ attempts: '2' }, TypeError, 'retry.attempts'],
    [{ baseMs: -1 }, RangeError, 'retry.baseMs'],
    [{ maxMs: Number.NaN }, RangeError, 'retry.maxMs'],
    [{ factor: 0.5 }, RangeError, 'retry.factor'],
    [{ maxRetryAfterMs: Number.POSITIVE_INFINITY }, RangeError, 'retry.maxRetryAfterMs'],
    [{ when: 'always' }, TypeError, 'retry.when must be a function'],
    [{ retries: 3 }, TypeError, 'retry.retries is not an option'],
    [{ protocol: undefined }, TypeError, 'retry.protocol must be a Protocol'],
    [{ protocol: {} }, TypeError, 'retry.protocol must be a Protocol'],
    [{ budget: { ratio: 0.1 } }, TypeError, 'retry.budget must be a RetryBudget'],
    [{ budget: null }, TypeError, 'retry.budget must be a RetryBudget'],
  ])('refuses %j', (options, kind, message) => {
    const make = () => retry({ protocol: scene().protocol, ...options } as RetryOptions<string, Reply>);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });

  it('has the defaults that the handbook promises', () => {
    expect(retryDefaults).toMatchObject({ attempts: 2, baseMs: 25, maxMs: 250 });
  });
});

describe('what retry notes for those above', () => {
  const noted = async (
    options: Partial<RetryOptions<string, Reply>>,
    {
      request = 'hello',
      reply = down,
      call = {},
    }: { request?: string; reply?: Reply | Error; call?: Parameters<typeof get>[0] } = {},
  ): Promise<boolean> => {
    const inbound = createCall({ side: 'server', service: 'orders', operation: 'GET' });
    const { send } = client([reply, reply], { baseMs: 0, ...options });
    await runWithCall(inbound, () => outcome(send(request, get(call))));
    return retriedBelow(inbound);
  };
  const refused = refusal('BREAKER_OPEN', 'refused', { side: 'client' });

  it.each<[string, boolean, Parameters<typeof noted>[1], Partial<RetryOptions<string, Reply>>?]>([
    ['a call that failed at each try', true, {}],
    ['one for which the budget has no try', true, {}, { budget: retryBudget({ minPerSecond: 0 }) }],
    ['one that was not to be tried again', true, { reply: { status: 500, retryAfterMs: neverAgain } }],
    [
      'one that was not to be tried again, where nothing is retried',
      true,
      { reply: { status: 500, retryAfterMs: neverAgain } },
      { attempts: 1 },
    ],
    ['one that a breaker refused', true, { reply: refused }],
    ['no call that succeeded', false, { reply: { status: 200 } }],
    ['no call that was at fault itself', false, { reply: { status: 404 } }],
    ['none where nothing is retried', false, {}, { attempts: 1 }],
    ['none that could not be retried here: it is not idempotent', false, { call: { idempotent: false } }],
    ['none that could not be retried here: it cannot be sent again', false, { request: 'stream' }],
  ])('%s: %s', async (_, expected, what, options = {}) => {
    expect(await noted(options, what)).toBe(expected);
  });

  describe('of several calls of one handler', () => {
    type Served = (
      ask: (name: string, reply: Reply | Error, call?: Parameters<typeof get>[0]) => Promise<unknown>,
    ) => Promise<unknown>;
    const after = async (serve: Served): Promise<boolean> => {
      const inbound = createCall({ side: 'server', service: 'orders', operation: 'GET' });
      const clock = manualClock(1000);
      const slow = (name: string) => (name === 'slow' ? 50 : 5);
      const handler: Handler<string, Reply> = async (request) => {
        const [name = '', status = ''] = request.split(' ');
        await new Promise<void>((resolve) => clock.after(slow(name), resolve));
        if (status === 'reset') throw reset;
        return { status: Number(status) };
      };
      const send = retry({ protocol: scene().protocol, clock, baseMs: 0 })(handler);
      const ask = (name: string, reply: Reply | Error, call = {}) =>
        outcome(send(`${name} ${reply instanceof Error ? 'reset' : reply.status}`, get(call)));
      const served = runWithCall(inbound, () => serve(ask));
      await clock.advance(1000);
      await served;
      return retriedBelow(inbound);
    };

    it.each<[string, boolean, Served]>([
      ['the first failed in vain, and nothing came of it', true, (ask) => ask('a', down)],
      [
        'it was told of elsewhere with success, and may be passed on',
        true,
        async (ask) => [await ask('a', down), await ask('audit', ok, { idempotent: false })],
      ],
      [
        'a fallback went well, and what came later failed, and may be tried again',
        false,
        async (ask) => [
          await ask('a', down),
          await ask('fallback', ok),
          await ask('post', down, { idempotent: false }),
        ],
      ],
      [
        'the fallback failed in vain as well',
        true,
        async (ask) => [await ask('a', down), await ask('fallback', reset)],
      ],
      [
        'the fallback failed, and could not be sent twice',
        false,
        async (ask) => [await ask('a', down), await ask('post', down, { idempotent: false })],
      ],
      [
        'one failed beside another that went well, and took longer',
        true,
        (ask) => Promise.all([ask('a', down), ask('slow', ok)]),
      ],
      [
        'one failed beside another that failed for good, and took longer',
        true,
        (ask) => Promise.all([ask('a', down), ask('slow', down, { idempotent: false })]),
      ],
      [
        'one went well before another failed',
        true,
        async (ask) => [await ask('a', ok), await ask('b', down)],
      ],
    ])('%s: %s', async (_, expected, serve) => {
      expect(await after(serve)).toBe(expected);
    });
  });
});
