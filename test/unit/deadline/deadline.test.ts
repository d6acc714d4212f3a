import { getEventListeners, setMaxListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type Call,
  cancelledBy,
  cancelSource,
  createCall,
  type Handler,
  isGovernanceError,
  type Outcome,
  type Protocol,
  uncancelled,
} from 'keelson/core';
import { type AttemptTimeoutOptions, attemptTimeout, type DeadlineOptions, deadline } from 'keelson/deadline';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const call = (init: Partial<Parameters<typeof createCall>[0]> = {}): Call =>
  createCall({ side: 'client', service: 'users', operation: 'GET', ...init });

const settled = <T>(promise: Promise<T>) => promise.catch((thrown: unknown) => ({ thrown }));

/** A wire whose responses are strings with bodies that end when told. */
function wire() {
  const discarded: string[] = [];
  const bodies: ((outcome: Outcome) => void)[] = [];
  const protocol: Protocol<string, string> = {
    classify: (response) => (response === undefined ? 'failure' : 'success'),
    onEnd: (response, done) => {
      if (response === 'empty') return false;
      bodies.push(done);
      return true;
    },
    discard: (response) => {
      discarded.push(response);
    },
  };
  return { protocol, discarded, bodies };
}

function client(
  answer: (inner: Call, later: (ms: number, response: string) => Promise<string>) => Promise<string>,
  options: Partial<DeadlineOptions<string, string>> = {},
) {
  const clock = manualClock(1000);
  const { protocol, discarded, bodies } = wire();
  const seen: Call[] = [];
  const later = (ms: number, response: string) =>
    new Promise<string>((resolve) => void clock.after(ms, () => resolve(response)));
  const send = deadline<string, string>({ timeoutMs: 100, protocol, clock, ...options })((_, inner) => {
    seen.push(inner);
    return answer(inner, later);
  });
  return {
    clock,
    protocol,
    discarded,
    bodies,
    seen,
    send: (init?: Parameters<typeof call>[0]) => send('hello', call(init)),
  };
}

/** Answers nothing, heeds nothing. */
const deaf = () => new Promise<string>(() => undefined);

/** Ends by its abort, as a wire should. */
const heedful = (inner: Call) =>
  new Promise<string>((_, reject) => {
    inner.cancel.signal.addEventListener('abort', () => reject(inner.cancel.signal.reason));
  });

describe('deadline', () => {
  it.each<[string, Partial<DeadlineOptions<string, string>>, number, number]>([
    ['of the option', {}, Number.POSITIVE_INFINITY, 1100],
    ['of the call, if nearer', {}, 1050, 1050],
    ['of the option, if nearer', {}, 1150, 1100],
    ['of the call alone', { timeoutMs: Number.POSITIVE_INFINITY }, 1150, 1150],
    ['of the option, if the call makes no sense', {}, Number.NaN, 1100],
    ['of the operation', { timeoutMs: ({ operation }) => (operation === 'GET' ? 30 : 60) }, 1e9, 1030],
    ['by default', { timeoutMs: undefined }, Number.POSITIVE_INFINITY, 11_000],
  ])('ends a call at the time %s', async (_, options, given, at) => {
    for (const answer of [deaf, heedful]) {
      const { send, clock, seen } = client(answer, options);
      let endedAt = Number.NaN;
      const ended = settled(send({ deadline: given })).finally(() => {
        endedAt = clock.now();
      });
      await clock.advance(at - 1001);
      expect(endedAt).toBeNaN();
      await clock.advance(4);
      expect(endedAt).toBeGreaterThanOrEqual(at);
      expect(await ended).toMatchObject({
        thrown: {
          code: 'DEADLINE_EXCEEDED',
          side: 'client',
          service: 'users',
          message: `users GET: no answer within ${at - 1000} ms`,
        },
      });
      expect(seen[0]?.deadline).toBe(at);
      expect(clock.pending).toBe(0);
    }
  });

  it('gives the wire and the caller one and the same error, without a stack', async () => {
    const { send, clock, seen } = client(deaf);
    const ended = settled(send());
    const signal = seen[0]?.cancel.signal;
    await clock.advance(104);
    const { thrown } = (await ended) as { thrown: Error };
    expect(isGovernanceError(thrown)).toBe(true);
    expect(signal?.reason).toBe(thrown);
    expect(thrown.stack).not.toMatch(/\n\s+at /);
  });

  it('passes a call on as it is when there is no limit at all', async () => {
    const { send, seen } = client(() => Promise.resolve('hi'), { timeoutMs: Number.POSITIVE_INFINITY });
    const source = cancelSource();
    expect(await send({ cancel: source })).toBe('hi');
    expect(seen[0]?.cancel).toBe(source);
  });

  it.each([1000, 999, Number.NEGATIVE_INFINITY])('sends nothing when the deadline was %d', async (given) => {
    const { send, seen, clock } = client(deaf);
    expect(await settled(send({ deadline: given }))).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED' } });
    expect(seen).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('knows its side', async () => {
    const { send, clock } = client(deaf);
    const ended = settled(send({ side: 'server' }));
    await clock.advance(104);
    expect(await ended).toMatchObject({ thrown: { side: 'server', httpStatus: 504, grpcStatus: 4 } });
  });

  const error = new Error('reset');
  it.each([
    ['a response', () => Promise.resolve('hi'), 'hi'],
    ['an error', () => Promise.reject(error), { thrown: error }],
  ])('leaves %s alone, also when the time comes', async (_, answer, result) => {
    const { send, clock, seen, discarded } = client(answer);
    expect(await settled(send({ cancel: cancelSource() }))).toEqual(result);
    await clock.advance(10_000);
    expect(seen[0]?.cancel.aborted).toBe(false);
    expect(discarded).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('discards a response that comes too late, also after an abort', async () => {
    for (const abort of [false, true]) {
      const source = cancelSource();
      const { send, clock, discarded } = client((_, later) => later(500, 'late'));
      const ended = settled(send({ cancel: source }));
      if (abort) source.abort('changed my mind');
      await clock.advance(499);
      expect(discarded).toEqual([]);
      await clock.advance(1);
      expect(discarded).toEqual(['late']);
      expect('thrown' in ((await ended) as object)).toBe(true);
    }
  });

  describe('the caller who gives up', () => {
    it('before: nothing is sent', async () => {
      const { send, seen } = client(deaf);
      const source = cancelSource();
      source.abort('changed my mind');
      expect(await settled(send({ cancel: source }))).toEqual({ thrown: 'changed my mind' });
      expect(seen).toEqual([]);
    });

    it.each([
      ['deaf', deaf],
      ['heedful', heedful],
    ])('during a call to a %s wire: at once, with the reason', async (_, answer) => {
      const controller = new AbortController();
      const { send, clock, seen } = client(answer);
      const ended = settled(send({ cancel: cancelledBy(controller.signal) }));
      await clock.advance(50);
      controller.abort('changed my mind');
      expect(await ended).toEqual({ thrown: 'changed my mind' });
      expect(seen[0]?.cancel.reason).toBe('changed my mind');
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await clock.advance(100);
      expect(clock.pending).toBe(0);
    });

    it('while the body comes: the wire is told, long after the time of the call', async () => {
      const controller = new AbortController();
      const { send, clock, seen } = client((inner) => {
        void inner.cancel.signal;
        return Promise.resolve('hi');
      });
      expect(await send({ cancel: cancelledBy(controller.signal) })).toBe('hi');
      await clock.advance(10_000);
      expect(seen[0]?.cancel.signal.aborted).toBe(false);
      controller.abort('enough');
      expect(seen[0]?.cancel.signal.reason).toBe('enough');
    });

    it('after the body: nobody listens any more', async () => {
      const controller = new AbortController();
      const listeners = () => getEventListeners(controller.signal, 'abort').length;
      const { send, seen, bodies } = client(() => Promise.resolve('hi'));
      await send({ cancel: cancelledBy(controller.signal) });
      expect(listeners()).toBe(1);
      bodies[0]?.('success');
      expect(listeners()).toBe(0);
      controller.abort('too late');
      expect(seen[0]?.cancel.aborted).toBe(false);
    });

    it('after a response that has no body, or that no protocol follows: nobody listens any more', async () => {
      for (const [response, protocol] of [
        ['empty', wire().protocol],
        ['hi', undefined],
        ['hi', { classify: () => 'success' as const }],
      ] as const) {
        const controller = new AbortController();
        const send = deadline<string, string>({ protocol })(() => Promise.resolve(response));
        await send('hello', call({ cancel: cancelledBy(controller.signal) }));
        expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      }
    });
  });

  it('never gathers listeners on a signal that lives on, however calls end', async () => {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    let nth = 0;
    const ends: ((later: (ms: number, response: string) => Promise<string>) => Promise<string>)[] = [
      () => Promise.resolve('empty'),
      () => Promise.reject(new Error('reset')),
      (later) => later(50, 'empty'),
      deaf,
    ];
    const { send, clock } = client((_, later) => ends[nth++ % 4]!(later));
    const ended = new Map<string, number>();
    for (let i = 0; i < 10; i++) {
      const calls = Array.from({ length: 1000 }, () =>
        settled(send({ cancel: cancelledBy(controller.signal) })),
      );
      await clock.advance(104);
      for (const end of await Promise.all(calls)) {
        const name = typeof end === 'string' ? end : (end.thrown as Error).message;
        ended.set(name, (ended.get(name) ?? 0) + 1);
      }
    }
    expect([...ended]).toEqual([
      ['empty', 5000],
      ['reset', 2500],
      ['users GET: no answer within 100 ms', 2500],
    ]);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  it.each<[string, () => Promise<string>]>([
    ['a response', () => Promise.resolve('empty')],
    ['an error', () => Promise.reject(new Error('reset'))],
    ['an abort', deaf],
  ])('waits no longer after %s', async (_, answer) => {
    const { send, clock } = client(answer);
    // The wheel keeps a timer for the nearest time only: that one is for a call that still waits.
    const source = cancelSource();
    const far = settled(send({ cancel: source, deadline: 1090 }));
    const near = settled(send({ cancel: source, deadline: 1010 }));
    if (answer === deaf) source.abort('changed my mind');
    await Promise.all([near, far]);
    await clock.advance(12);
    expect(clock.pending).toBe(0);
  });

  it('makes no AbortController and no error on a call in time, and one timer for all', async () => {
    const controllers = vi.spyOn(globalThis, 'AbortController');
    const { send, clock } = client((_, later) => later(10, 'hi'));
    const after = vi.spyOn(clock, 'after');
    const parent = cancelSource();
    const calls = Array.from({ length: 100 }, (_, at) => send(at % 2 ? {} : { cancel: parent }));
    expect(after.mock.calls.length).toBe(101);
    await clock.advance(10);
    await Promise.all(calls);
    expect(controllers).not.toHaveBeenCalled();
    controllers.mockRestore();
  });

  it('takes nothing from a caller who cannot abort: the body needs no watch', async () => {
    const { send, bodies } = client(() => Promise.resolve('hi'));
    await send({ cancel: uncancelled });
    expect(bodies).toEqual([]);
  });

  it('turns faults of the next handler, the protocol and the timeout function into rejections', async () => {
    const fault = new Error('fault');
    const fail = () => {
      throw fault;
    };
    const next: Handler<string, string> = () => Promise.resolve('hi');
    const clock = manualClock();
    const controller = new AbortController();
    const cases = [
      deadline<string, string>({ clock })(fail),
      deadline<string, string>({ clock, timeoutMs: fail })(next),
      deadline<string, string>({ clock, protocol: { classify: () => 'success', onEnd: fail } })(next),
    ];
    for (const send of cases)
      expect(await settled(send('hello', call({ cancel: cancelledBy(controller.signal) })))).toEqual({
        thrown: fault,
      });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    const odd = deadline<string, string>({ clock, timeoutMs: () => Number.NaN })(next);
    expect(await settled(odd('hello', call()))).toMatchObject({ thrown: { name: 'RangeError' } });
    await clock.advance(20_000);
    expect(clock.pending).toBe(0);
  });

  it('nests: the nearer end comes first, and its error is the one', async () => {
    const clock = manualClock();
    const inner = deadline<string, string>({ clock, timeoutMs: 50 })(deaf);
    const outer = deadline<string, string>({ clock, timeoutMs: 100 })(inner);
    const ended = settled(outer('hello', call()));
    await clock.advance(54);
    expect(await ended).toMatchObject({ thrown: { message: 'users GET: no answer within 50 ms' } });
    await clock.advance(60);
    expect(clock.pending).toBe(0);
  });

  it.each([
    [{ timeoutMs: 0 }, RangeError, 'deadline.timeoutMs must be a number > 0 or Infinity, got 0'],
    [{ timeoutMs: Number.NaN }, RangeError, 'deadline.timeoutMs'],
    [{ timeoutMs: '10s' }, TypeError, 'deadline.timeoutMs'],
    [{ timeout: 5 }, TypeError, 'deadline.timeout is not an option'],
    [{ protocol: {} }, TypeError, 'deadline.protocol'],
  ])('refuses %j', (options, kind, message) => {
    const make = () => deadline(options as DeadlineOptions<string, string>);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });
});

describe('attemptTimeout', () => {
  it.each([
    [200, Number.POSITIVE_INFINITY, 200],
    [200, 1120, 120],
    [200, 1300, 200],
  ])('of %d ms under a deadline of %d ends a try after %d ms', async (perTryMs, given, ms) => {
    const clock = manualClock(1000);
    const seen: Call[] = [];
    const send = attemptTimeout<string, string>({ perTryMs, clock })((_, inner) => {
      seen.push(inner);
      return deaf();
    });
    let ended = false;
    const end = settled(send('hello', call({ deadline: given }))).finally(() => {
      ended = true;
    });
    await clock.advance(ms - 1);
    expect(ended).toBe(false);
    await clock.advance(4);
    expect(await end).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED', side: 'client' } });
    expect(seen[0]?.deadline).toBe(1000 + ms);
    expect(seen[0]?.cancel.aborted).toBe(true);
  });

  it.each([
    [{}, TypeError, 'attemptTimeout.perTryMs must be a number > 0'],
    [{ perTryMs: 0 }, RangeError, 'attemptTimeout.perTryMs'],
    [{ perTryMs: Number.POSITIVE_INFINITY }, RangeError, 'attemptTimeout.perTryMs'],
    [{ perTryMs: 5, tries: 2 }, TypeError, 'attemptTimeout.tries is not an option'],
  ])('refuses %j', (options, kind, message) => {
    const make = () => attemptTimeout(options as unknown as AttemptTimeoutOptions<string, string>);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });
});

describe('a wire that never answers', () => {
  it('keeps its own call and none of those that its caller makes besides', async () => {
    const parent = cancelSource();
    const held: unknown[] = [];
    const clock = manualClock();
    const calls: WeakRef<Call>[] = [];
    const send = deadline<string, string>({ timeoutMs: 20, clock })((request) => {
      if (request === 'hang') return new Promise((resolve) => held.push(resolve));
      return new Promise((resolve) => setImmediate(() => resolve('ok')));
    });
    const overlapping = async () => {
      for (let i = 0; i < 20; i++) {
        const own = call({ cancel: parent });
        calls.push(new WeakRef(own));
        await send('hello', own);
      }
    };
    const hung = settled(send('hang', call({ cancel: parent })));
    clock.advanceSync(10);
    const lanes = [overlapping(), overlapping()];
    clock.advanceSync(10);
    expect(await hung).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED' } });
    await Promise.all(lanes);
    await vi.waitFor(() => {
      collect();
      expect(calls.filter((own) => own.deref() !== undefined).length).toBeLessThan(5);
    });
    expect(held).toHaveLength(1);
  });
});
