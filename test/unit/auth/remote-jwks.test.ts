import { generateKeyPairSync } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { type Jwk, jwt, type RemoteJwksOptions, remoteJwks } from 'keelson/auth';
import { createCall, currentCall, type GovernanceError, runWithCall } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { inbound, outcomeOf, rejection, run } from './tokens.js';

const wallMs = 1_700_000_000_000;

const pairs = ['k1', 'k2'].map((kid) => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }));
const jwks = await Promise.all(
  pairs.map(
    async ({ kid, publicKey }): Promise<Jwk> => ({
      ...(await exportJWK(publicKey)),
      kid,
    }),
  ),
);
const tokens = await Promise.all(
  pairs.map(({ kid, privateKey }) =>
    new SignJWT({ exp: wallMs / 1000 + 1e9 })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(privateKey as never),
  ),
);
const [one, two] = tokens.map((token) => `Bearer ${token}`) as [string, string];

const answer = (keys: unknown, init?: ResponseInit) => new Response(JSON.stringify(keys), init);

/** An issuer that does what `state` says, and the calls of a server that asks it. */
function setUp(options: RemoteJwksOptions = {}) {
  const clock = manualClock(1000, wallMs);
  const state = { respond: (): Response | Promise<Response> => answer({ keys: [jwks[0]] }) };
  const fetch = vi.fn(async (_url: string, _init: { signal: AbortSignal; redirect: string }) =>
    state.respond(),
  );
  const keys = remoteJwks('https://id.example/jwks.json', { fetch, clock, ...options });
  const middleware = jwt({ jwks: keys, clock, cacheMs: 0 });
  return { clock, state, fetch, middleware, shown: outcomeOf(middleware) };
}

const down = (): never => {
  throw new TypeError('fetch failed');
};

describe('remoteJwks', () => {
  it('asks once for all that wait, follows no redirect, and gives up by a signal', async () => {
    const { fetch, shown } = setUp();
    expect(await Promise.all([shown(one), shown(one), shown(one)])).toEqual(['ok', 'ok', 'ok']);
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(fetch.mock.calls[0]).toMatchObject(['https://id.example/jwks.json', { redirect: 'error' }]);
  });

  it('asks as part of no call', async () => {
    const { shown, fetch, state } = setUp();
    const seen: unknown[] = [];
    state.respond = () => {
      seen.push(currentCall());
      return answer({ keys: [jwks[0]] });
    };
    await runWithCall(createCall({ side: 'server', service: 's', operation: 'o' }), () => shown(one));
    expect([seen, fetch.mock.calls.length]).toEqual([[undefined], 1]);
  });

  it('hears of a new key at the first token that is signed with it', async () => {
    const { clock, fetch, state, shown } = setUp();
    await shown(one);
    state.respond = () => answer({ keys: jwks });
    await clock.advance(30_000);
    expect([await shown(two), await shown(one)]).toEqual(['ok', 'ok']);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('tells why keys could not be had, also while older ones are used', async () => {
    const told: unknown[] = [];
    const { clock, state, shown } = setUp({
      refreshMs: 60_000,
      onError: (error) => {
        told.push((error as Error).message);
        throw new Error('of the listener');
      },
    });
    await shown(one);
    state.respond = () => answer({}, { status: 404 });
    await clock.advance(60_000);
    expect([await shown(one), await shown(one)]).toEqual(['ok', 'ok']);
    await clock.advance(0);
    expect(told).toEqual(['https://id.example/jwks.json answered 404']);
    expect(await shown(one)).toBe('ok');
  });

  it('is not made to ask by tokens with made-up key ids', async () => {
    const { clock, fetch, shown } = setUp();
    await shown(one);
    for (let i = 0; i < 100; i++) {
      expect(await shown(two)).toBe('UNAUTHENTICATED');
      await clock.advance(900);
    }
    // At the start and every 30 of 90 seconds.
    expect(fetch.mock.calls.length).toBe(3);
  });

  it('asks again for old keys in the background, and hears of one that was taken back', async () => {
    const { clock, fetch, state, shown } = setUp({ refreshMs: 60_000 });
    await shown(one);
    state.respond = () => answer({ keys: [jwks[1]] });
    await clock.advance(59_999);
    expect([await shown(one), fetch.mock.calls.length]).toEqual(['ok', 1]);
    await clock.advance(1);
    expect(await shown(one)).toBe('ok');
    await clock.advance(0);
    expect([await shown(one), await shown(two), fetch.mock.calls.length]).toEqual([
      'UNAUTHENTICATED',
      'ok',
      2,
    ]);
  });

  it('serves from the last good keys while the issuer is away, but not for ever', async () => {
    const { clock, state, shown } = setUp({ maxStaleMs: 3_600_000 });
    await shown(one);
    state.respond = down;
    await clock.advance(3_599_999);
    expect(await shown(one)).toBe('ok');
    await clock.advance(1);
    expect(await shown(one)).toBe('AUTH_UNAVAILABLE');
    state.respond = () => answer({ keys: [jwks[0]] });
    await clock.advance(30_000);
    expect(await shown(one)).toBe('ok');
  });

  it('does not say that a key does not exist when it cannot be asked', async () => {
    const { clock, state, shown } = setUp();
    await shown(one);
    state.respond = down;
    await clock.advance(30_000);
    expect(await shown(two)).toBe('AUTH_UNAVAILABLE');
    expect(await shown(one)).toBe('ok');
  });

  it.each<[string, () => Response | Promise<Response>]>([
    ['is down', down],
    ['answers 500', () => answer({ keys: [jwks[0]] }, { status: 500 })],
    ['answers 204', () => new Response(null, { status: 204 })],
    ['answers with something else', () => new Response('<html>')],
    ['answers with no keys', () => answer({})],
    ['answers with keys that are none', () => answer({ keys: [5] })],
    ['answers without end', () => new Response('x'.repeat(2_000_000))],
  ])('is asked ever later when the issuer %s', async (_, respond) => {
    const { clock, state, fetch, middleware, shown } = setUp();
    state.respond = respond;
    const asked: number[] = [];
    for (let second = 0; second < 70; second++) {
      const before = fetch.mock.calls.length;
      expect(await shown(one)).toBe('AUTH_UNAVAILABLE');
      if (fetch.mock.calls.length > before) asked.push(second);
      await clock.advance(1000);
    }
    expect(asked).toEqual([0, 1, 3, 7, 15, 31, 61]);
    const error = (await rejection(
      run(middleware, async () => 'ok')(undefined, inbound(one)),
    )) as GovernanceError;
    expect(error).toMatchObject({
      side: 'server',
      httpStatus: 503,
      grpcStatus: 14,
      retryable: true,
      answer: undefined,
    });
    expect(error.retryAfterMs).toBe(21_000);
    expect(error.cause).toBeInstanceOf(Error);
    state.respond = () => answer({ keys: [jwks[0]] });
    await clock.advance(21_000);
    expect(await shown(one)).toBe('ok');
  });

  it('gives up an issuer that does not answer, also one that does not heed the signal', async () => {
    const { clock, state, fetch, shown } = setUp({ timeoutMs: 700 });
    state.respond = () => new Promise(() => undefined);
    const waiting = shown(one);
    await clock.advance(700);
    expect(await waiting).toBe('AUTH_UNAVAILABLE');
    expect(fetch.mock.calls[0]?.[1].signal.aborted).toBe(true);
  });

  it('uses the fetch of the platform if it is given none', async () => {
    const clock = manualClock(0, wallMs);
    const platform = vi.spyOn(globalThis, 'fetch').mockResolvedValue(answer({ keys: [jwks[0]] }));
    try {
      expect(await outcomeOf(jwt({ jwks: new URL('http://id.example/'), clock }))(one)).toBe('ok');
      expect(platform.mock.calls[0]?.[0]).toBe('http://id.example/');
    } finally {
      platform.mockRestore();
    }
  });

  it.each([
    ['https://a', { refreshMs: 0 }],
    ['https://a', { cooldownMs: 0 }],
    ['https://a', { timeoutMs: 0 }],
    ['https://a', { maxStaleMs: 1000 }],
    ['https://a', { fetch: 'fetch' }],
    ['https://a', { ttl: 1 }],
    ['data:,', {}],
    ['a', {}],
  ])('refuses %s with %o', (url, options) => {
    expect(() => remoteJwks(url, options as never)).toThrow(/remoteJwks|Invalid URL/);
  });
});
