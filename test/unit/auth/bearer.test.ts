import { type BearerOptions, bearer, jwtSigner } from 'keelson/auth';
import {
  type Call,
  cancelSource,
  carrier,
  compose,
  createCall,
  currentCall,
  fork,
  type Handler,
  type Protocol,
  runWithCall,
} from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { rejection, secret } from './tokens.js';

interface Answer {
  readonly status: number;
  readonly headers: object;
  readonly token: string | undefined;
}

const protocol: Protocol<string, Answer> = {
  classify: () => 'success',
  replay: (request) => (request === 'stream' ? undefined : request),
};

const call = (more: Partial<Parameters<typeof createCall>[0]> = {}) =>
  createCall({ side: 'client', service: 'users', operation: 'GET', ...more });

const answerOf = (status: number, { headers }: Call): Answer => ({
  status,
  headers: {},
  token: headers.get('authorization'),
});

const setUp = (
  options: Partial<BearerOptions<string, Answer>>,
  statusOf = (_token: string | undefined): number => 200,
) => {
  const clock = manualClock(1000);
  const calls = vi.fn(async (_: string, one: Call) =>
    answerOf(statusOf(one.headers.get('authorization')), one),
  );
  const handler: Handler<string, Answer> = compose([bearer<string, Answer>({ clock, ...options })], calls);
  const send = async (one = call(), request = 'get') => (await handler(request, one)).token;
  return { clock, calls, handler, send };
};

/** A source of numbered tokens. */
const numbered = (more: object = {}) => {
  let count = 0;
  return vi.fn(async () => ({ token: `t${++count}`, ...more }));
};

describe('bearer', () => {
  it('shows a token that is given as text', async () => {
    expect(await setUp({ token: 'abc' }).send()).toBe('Bearer abc');
  });

  it('leaves an authorization of the caller alone, and knows its own on the next try', async () => {
    for (const options of [{ token: 'abc' }, { token: numbered() }, { tokenFor: () => 'abc' }]) {
      const { handler } = setUp(options);
      expect((await handler('', call({ headers: carrier({ Authorization: 'Basic x' }) }))).token).toBe(
        'Basic x',
      );
    }
    const source = numbered({ expiresInMs: 1000 });
    const { send, clock } = setUp({ token: source });
    const first = call();
    expect(await send(first)).toBe('Bearer t1');
    await clock.advance(1000);
    expect(await send(fork(first))).toBe('Bearer t2');
  });

  it('asks the source once for all that wait', async () => {
    let give = (_: string): void => undefined;
    const token = vi.fn(() => new Promise<string>((resolve) => (give = resolve)));
    const { send, clock } = setUp({ token });
    const waiting = Promise.all([send(), send(), send()]);
    await clock.advance(0);
    give('abc');
    expect(await waiting).toEqual(['Bearer abc', 'Bearer abc', 'Bearer abc']);
    expect(await send()).toBe('Bearer abc');
    expect(token).toHaveBeenCalledTimes(1);
  });

  it('asks it as part of no call, so that no deadline is inherited', async () => {
    const seen: unknown[] = [];
    const { send } = setUp({
      token: () => {
        seen.push(currentCall());
        return 'abc';
      },
    });
    await runWithCall(createCall({ side: 'server', service: 'orders', operation: 'GET' }), () => send());
    expect(seen).toEqual([undefined]);
  });

  it('renews in the background before the end, and waits only after it', async () => {
    const source = numbered({ expiresInMs: 100_000 });
    const { send, clock } = setUp({ token: source, refreshAheadMs: 20_000 });
    for (const [advance, token, asked] of [
      [0, 't1', 1],
      [79_999, 't1', 1],
      // Goes on with the old one, while the new one is on its way.
      [1, 't1', 2],
      [0, 't2', 2],
      [200_000, 't3', 3],
    ] as const) {
      await clock.advance(advance);
      expect([await send(), source.mock.calls.length]).toEqual([`Bearer ${token}`, asked]);
      await clock.advance(0);
    }
  });

  it('renews a short-lived token in the second half of its life at the earliest', async () => {
    const source = numbered({ expiresInMs: 10_000 });
    const { send, clock } = setUp({ token: source });
    await send();
    await clock.advance(4999);
    await send();
    expect(source).toHaveBeenCalledTimes(1);
    await clock.advance(1);
    await send();
    await clock.advance(0);
    expect(source).toHaveBeenCalledTimes(2);
  });

  it('reads the end of a JWT, and keeps what does not tell its end for maxAgeMs', async () => {
    const clock = manualClock(1000);
    const sign = vi.fn(jwtSigner({ secret, clock, lifetimeMs: 100_000 }));
    const jwts = vi.fn(async () => (await sign()).token);
    const { send } = setUp({ token: jwts, clock });
    const first = await send();
    await clock.advance(49_000);
    expect(await send()).toBe(first);
    await clock.advance(52_000);
    expect(await send()).not.toBe(first);
    const opaque = vi.fn(() => 'opaque');
    const other = setUp({ token: opaque, maxAgeMs: 10_000, refreshAheadMs: 0 });
    await other.send();
    await other.clock.advance(9_999);
    await other.send();
    expect(opaque).toHaveBeenCalledTimes(1);
    await other.clock.advance(1);
    await other.send();
    expect(opaque).toHaveBeenCalledTimes(2);
  });

  it.each(['a.b.c', 'a.e30.c', 'a.!.c', `a.${Buffer.from('{"exp":"x"}').toString('base64url')}.c`])(
    'takes %s for a token without an end',
    async (text) => {
      const token = vi.fn(() => text);
      const { send, clock } = setUp({ token, maxAgeMs: 1000 });
      await send();
      await clock.advance(499);
      await send();
      expect(token).toHaveBeenCalledTimes(1);
    },
  );

  it('does not ask for each call when tokens have ended before they come', async () => {
    const source = numbered({ expiresInMs: -5000 });
    const { send, clock } = setUp({ token: source });
    for (let i = 0; i < 10; i++) await send();
    expect(source).toHaveBeenCalledTimes(1);
    await clock.advance(1000);
    expect(await send()).toBe('Bearer t2');
  });

  describe('when the source fails', () => {
    it('refuses calls, blames no endpoint, and asks ever later', async () => {
      const error = new Error('login');
      const token = vi.fn(() => Promise.reject(error));
      const { send, clock, calls } = setUp({ token });
      const asked: number[] = [];
      for (let second = 0; second < 100; second++) {
        const before = token.mock.calls.length;
        expect(await rejection(send())).toMatchObject({
          code: 'AUTH_UNAVAILABLE',
          side: 'client',
          service: 'users',
          cause: error,
        });
        if (token.mock.calls.length > before) asked.push(second);
        await clock.advance(1000);
      }
      expect(asked).toEqual([0, 1, 3, 7, 15, 31, 61, 91]);
      expect(calls).not.toHaveBeenCalled();
    });

    it('goes on with the old token while that is good', async () => {
      let fails = false;
      const source = numbered({ expiresInMs: 100_000 });
      const { send, clock } = setUp({
        token: async () => {
          if (fails) throw new Error('login');
          return source();
        },
      });
      await send();
      fails = true;
      await clock.advance(99_999);
      expect(await send()).toBe('Bearer t1');
      await clock.advance(1);
      await expect(send()).rejects.toMatchObject({ code: 'AUTH_UNAVAILABLE' });
      fails = false;
      await clock.advance(2000);
      expect(await send()).toBe('Bearer t2');
    });

    it.each([
      [
        'throws',
        () => {
          throw new Error('sync');
        },
      ],
      ['gives nothing', () => undefined],
      ['gives a header break', () => 'a\r\nb'],
      ['gives a text with blanks', () => 'a b'],
      ['gives a text that is too long', () => 'a'.repeat(20_000)],
      ['gives another thing', () => ({ access_token: 'a' })],
    ])('because it %s', async (_, token) => {
      expect(await rejection(setUp({ token: token as never }).send())).toMatchObject({
        code: 'AUTH_UNAVAILABLE',
      });
    });

    it('because it hangs', async () => {
      const { send, clock } = setUp({ token: () => new Promise<string>(() => undefined), timeoutMs: 300 });
      const running = rejection(send());
      await clock.advance(300);
      expect(await running).toMatchObject({
        code: 'AUTH_UNAVAILABLE',
        cause: { message: 'no answer within 300 ms' },
      });
    });
  });

  it('lets go of a call that is given up while it waits', async () => {
    const cancel = cancelSource();
    for (const options of [
      { token: () => new Promise<string>(() => undefined) },
      { tokenFor: () => new Promise<string>(() => undefined) },
    ]) {
      const { send, calls } = setUp(options);
      const running = rejection(send(call({ cancel })));
      cancel.abort(new Error('gave up'));
      expect(await running).toMatchObject({ code: 'AUTH_UNAVAILABLE', cause: cancel.reason });
      expect(calls).not.toHaveBeenCalled();
    }
  });

  describe('when a callee refuses the token', () => {
    const rotating = (options: Partial<BearerOptions<string, Answer>> = {}) => {
      const source = numbered();
      const state = { valid: 't1' };
      const set = setUp({ token: source, protocol, ...options }, (shown) =>
        shown === `Bearer ${state.valid}` ? 200 : 401,
      );
      return { ...set, source, state };
    };

    it('gets another and sends once more', async () => {
      const discard = vi.fn();
      const { handler, calls, source, state } = rotating({ protocol: { ...protocol, discard } });
      expect((await handler('get', call())).status).toBe(200);
      state.valid = 't2';
      expect(await handler('get', call())).toMatchObject({ status: 200, token: 'Bearer t2' });
      expect([calls.mock.calls.length, source.mock.calls.length, discard.mock.calls.length]).toEqual([
        3, 2, 1,
      ]);
    });

    it('does so once for all that were refused', async () => {
      const { handler, source, state } = rotating();
      await handler('get', call());
      state.valid = 't2';
      const answers = await Promise.all(Array.from({ length: 20 }, () => handler('get', call())));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(source).toHaveBeenCalledTimes(2);
    });

    it('does not cost a token a call when every token is refused', async () => {
      const { handler, clock, source, state } = rotating();
      state.valid = 'none';
      for (let i = 0; i < 50; i++) {
        expect((await handler('get', call())).status).toBe(401);
        await clock.advance(100);
      }
      // One at the start, one at once, one after five seconds at the earliest.
      expect(source.mock.calls.length).toBe(2);
      await handler('get', call());
      expect(source.mock.calls.length).toBe(3);
    });

    it('gives the answer on if the request cannot be sent twice, and has another token next time', async () => {
      for (const options of [{}, { protocol: undefined }]) {
        const { handler, calls, state, clock } = rotating(options);
        await handler('get', call());
        state.valid = 't2';
        expect((await handler('stream', call())).status).toBe(401);
        await clock.advance(0);
        expect(calls).toHaveBeenCalledTimes(2);
        expect((await handler('stream', call())).status).toBe(200);
      }
    });

    it('gives the answer on if there is no other token', async () => {
      const discard = vi.fn();
      let fails = false;
      const same = setUp({ token: () => 'abc', protocol: { ...protocol, discard } }, () => 401);
      expect((await same.handler('get', call())).status).toBe(401);
      expect(same.calls).toHaveBeenCalledTimes(1);
      const failing = setUp(
        {
          protocol: { ...protocol, discard },
          token: () => {
            if (fails) throw new Error('login');
            fails = true;
            return 'abc';
          },
        },
        () => 401,
      );
      expect((await failing.handler('get', call())).status).toBe(401);
      const fixed = setUp({ token: 'abc', protocol: { ...protocol, discard } }, () => 401);
      expect((await fixed.handler('get', call())).status).toBe(401);
      expect(discard).not.toHaveBeenCalled();
    });

    it.each([
      ['gRPC', { code: 16 }],
      ['axios', { isAxiosError: true, response: { status: 401, headers: {} } }],
      ['another client', { status: 401 }],
    ])('in the form of an error of %s', async (_, thrown) => {
      const clock = manualClock();
      const leaf = vi.fn(async (_request: string, one: Call) => {
        if (one.headers.get('authorization') === 'Bearer t1') throw thrown;
        return answerOf(200, one);
      });
      const handler = compose([bearer<string, Answer>({ token: numbered(), protocol, clock })], leaf);
      expect((await handler('get', call())).token).toBe('Bearer t2');
    });

    it.each([
      [new Error('reset')],
      [{ code: 14 }],
      [{ response: { status: 403, headers: {} } }],
      ['401'],
      [undefined],
    ])('and not in the form of %o', async (thrown) => {
      const leaf = vi.fn(() => Promise.reject(thrown));
      const handler = compose(
        [bearer<string, Answer>({ token: numbered(), protocol, clock: manualClock() })],
        leaf,
      );
      await handler('get', call()).then(
        () => expect.unreachable(),
        (error: unknown) => expect(error).toBe(thrown),
      );
      expect(leaf).toHaveBeenCalledTimes(1);
    });

    it('does not take a message with a field of that name for one', async () => {
      const leaf = vi.fn(async () => ({ status: 401, code: 16 }));
      const handler = compose([bearer<string, object>({ token: numbered(), clock: manualClock() })], leaf);
      await handler('get', call());
      await handler('get', call());
      expect(leaf).toHaveBeenCalledTimes(2);
    });
  });

  it('asks for the token of each call where it depends on the call', async () => {
    const tokenFor = vi.fn(async ({ key }: Call) => (key === undefined ? undefined : `of-${key}`));
    const { send } = setUp({ tokenFor });
    expect([await send(call({ key: 'a' })), await send(call({ key: 'b' })), await send()]).toEqual([
      'Bearer of-a',
      'Bearer of-b',
      undefined,
    ]);
    const bad = setUp({ tokenFor: () => 'a b' });
    expect(await rejection(bad.send())).toMatchObject({ code: 'AUTH_UNAVAILABLE' });
  });

  it.each([
    [{}],
    [{ token: 'a', tokenFor: () => 'a' }],
    [{ token: '' }],
    [{ token: 'caf\u00e9' }],
    [{ token: 'a b' }],
    [{ token: 5 }],
    [{ tokenFor: 'a' }],
    [{ token: 'a', refreshAheadMs: -1 }],
    [{ token: 'a', maxAgeMs: 0 }],
    [{ token: 'a', timeoutMs: 0 }],
    [{ token: 'a', protocol: {} }],
    [{ token: 'a', refused: 401 }],
    [{ token: 'a', scheme: 'x' }],
  ])('refuses %o', (options) => {
    expect(() => bearer(options as never)).toThrow(/bearer/);
  });

  it('does not show a token that it refuses', () => {
    expect(() => bearer({ token: 'hunter2 hunter2' })).toThrow(/^(?!.*hunter2)/);
  });
});
