import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { exportJWK, exportSPKI, type JWTPayload, SignJWT } from 'jose';
import { claimsOf, type JwtAlgorithm, type JwtClaims, type JwtOptions, jwt, jwtSigner } from 'keelson/auth';
import { compose, type GovernanceError, runWithCall } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { forged, inbound, outcomeOf, rejection, run, secret } from './tokens.js';

const wallMs = 1_700_000_000_000;
const nowS = wallMs / 1000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = await exportSPKI(rsa.publicKey as never);
const bytes = new TextEncoder().encode(secret);

const sign = (
  payload: JWTPayload,
  { alg = 'HS256', key = bytes, kid }: { alg?: string; key?: KeyObject | Uint8Array; kid?: string } = {},
) =>
  new SignJWT(payload).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key as never);

const good = (more: JWTPayload = {}) => sign({ sub: 'ada', exp: nowS + 60, ...more });
const guarded = (options: Partial<JwtOptions> = {}) => {
  const clock = manualClock(0, wallMs);
  const middleware = jwt({ secret, clock, ...options });
  return { clock, middleware, shown: outcomeOf(middleware) };
};

describe('jwt', () => {
  it.each([
    ['Bearer %', 'ok'],
    ['bearer %', 'ok'],
    ['BEARER   %', 'ok'],
    ['%', 'UNAUTHENTICATED'],
    ['Bearer', 'UNAUTHENTICATED'],
    ['Bearer %, Bearer %', 'UNAUTHENTICATED'],
    ['Bearer %x y', 'UNAUTHENTICATED'],
    ['Bearerx %', 'UNAUTHENTICATED'],
    ['Basic %', 'UNAUTHENTICATED'],
    ['Bearer caf\u00e9.caf\u00e9.caf\u00e9', 'UNAUTHENTICATED'],
    ['Bearer a.b', 'UNAUTHENTICATED'],
    ['Bearer ...', 'UNAUTHENTICATED'],
    ['', 'UNAUTHENTICATED'],
  ])('reads the header "%s": %s', async (header, expected) => {
    expect(await guarded().shown(header.replaceAll('%', await good()))).toBe(expected);
  });

  it('leaves the claims where they can be read, frozen', async () => {
    const { middleware } = guarded();
    const call = inbound(`Bearer ${await good({ roles: ['a'] })}`);
    type Ours = JwtClaims & { readonly roles: string[] };
    const handler = compose<undefined, Ours | undefined>([middleware], async () =>
      runWithCall(call, () => claimsOf<Ours>()),
    );
    const claims = await handler(undefined, call);
    expect(claims).toMatchObject({ sub: 'ada', roles: ['a'] });
    expect(claimsOf(call)).toBe(claims);
    expect(() => claims?.roles.push('admin')).toThrow(TypeError);
    expect(claimsOf(inbound())).toBeUndefined();
    expect(claimsOf()).toBeUndefined();
  });

  it.each<[string, JWTPayload, Partial<JwtOptions>, string]>([
    ['has ended', { exp: nowS - 6 }, {}, 'UNAUTHENTICATED'],
    ['has ended within the tolerance', { exp: nowS - 4 }, {}, 'ok'],
    ['has ended, without tolerance', { exp: nowS - 1 }, { clockToleranceMs: 0 }, 'UNAUTHENTICATED'],
    ['is not valid yet', { nbf: nowS + 6 }, {}, 'UNAUTHENTICATED'],
    ['will be valid within the tolerance', { nbf: nowS + 4 }, {}, 'ok'],
    ['has another issuer', { iss: 'b' }, { issuer: 'a' }, 'UNAUTHENTICATED'],
    ['has no issuer', {}, { issuer: 'a' }, 'UNAUTHENTICATED'],
    ['has one of the issuers', { iss: 'b' }, { issuer: ['a', 'b'] }, 'ok'],
    ['is for others', { aud: ['c', 'd'] }, { audience: ['a', 'b'] }, 'UNAUTHENTICATED'],
    ['is for us too', { aud: ['c', 'b'] }, { audience: ['a', 'b'] }, 'ok'],
    ['lacks a claim', {}, { requiredClaims: ['exp', 'tenant'] }, 'UNAUTHENTICATED'],
    ['has the claim', { tenant: 't' }, { requiredClaims: ['exp', 'tenant'] }, 'ok'],
    ['has an absurd end', { exp: 1e300 }, {}, 'ok'],
  ])('judges a token that %s', async (_, payload, options, expected) => {
    expect(await guarded(options).shown(`Bearer ${await good(payload)}`)).toBe(expected);
  });

  it('refuses a token without an end, unless told not to', async () => {
    const token = `Bearer ${await sign({ sub: 'ada' })}`;
    expect(await guarded().shown(token)).toBe('UNAUTHENTICATED');
    expect(await guarded({ requiredClaims: [] }).shown(token)).toBe('ok');
  });

  it('refuses what is signed with another secret, or not at all', async () => {
    const { shown } = guarded();
    const stranger = await sign({ exp: nowS + 60 }, { key: new TextEncoder().encode('x'.repeat(32)) });
    const [head, payload] = (await good()).split('.');
    for (const token of [
      stranger,
      forged({ alg: 'none' }, { exp: nowS + 60 }),
      forged({ alg: 'None' }, { exp: nowS + 60 }),
      `${head}.${payload}.AAAA`,
      forged({ alg: 'HS256', crit: ['b64'], b64: false }, { exp: nowS + 60 }),
      forged('{', { exp: 1 }),
      forged({ alg: 'HS256' }, 'no json'),
      forged({ alg: 5 }, {}),
      forged([], []),
    ])
      expect(await shown(`Bearer ${token}`), token).toBe('UNAUTHENTICATED');
    expect(await shown(`Bearer ${forged({ alg: 'none' }, { exp: nowS + 60 }, '').slice(0, -1)}.`)).toBe(
      'UNAUTHENTICATED',
    );
  });

  it('does not take a public key for a secret', async () => {
    const head = Buffer.from('{"alg":"HS256"}').toString('base64url');
    const payload = Buffer.from(JSON.stringify({ exp: nowS + 60 })).toString('base64url');
    const signature = createHmac('sha256', pem).update(`${head}.${payload}`).digest('base64url');
    const confused = `Bearer ${head}.${payload}.${signature}`;
    const jwk = { ...(await exportJWK(rsa.publicKey as never)), kid: 'a' } as never;
    for (const options of [
      { publicKey: pem, algorithms: ['RS256'] },
      { publicKey: rsa.publicKey, algorithms: ['RS256'] },
      { jwks: { keys: [jwk] } },
    ] as Partial<JwtOptions>[])
      expect(await guarded({ secret: undefined, ...options }).shown(confused)).toBe('UNAUTHENTICATED');
    expect(() => jwt({ secret: pem })).toThrow(/secret/);
    for (const algorithms of [['HS256'], ['none'], ['RS256', 'HS256']] as never[])
      expect(() => jwt({ publicKey: pem, algorithms })).toThrow(RangeError);
    expect(() => jwt({ secret, algorithms: ['RS256'] })).toThrow(RangeError);
    expect(() => jwt({ jwks: { keys: [] }, algorithms: ['HS256'] })).toThrow(RangeError);
  });

  it.each<[string, JwtAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }]>([
    ['RSA', 'RS256', rsa],
    ['RSA-PSS', 'PS384', rsa],
    ['EC', 'ES256', ec],
    ['Ed25519', 'EdDSA', generateKeyPairSync('ed25519')],
  ])('verifies with a public %s key in each form', async (_, alg, pair) => {
    const token = `Bearer ${await sign({ exp: nowS + 60 }, { alg, key: pair.privateKey })}`;
    const jwk = (await exportJWK(pair.publicKey as never)) as never;
    const forms = [await exportSPKI(pair.publicKey as never), jwk, pair.publicKey] as never[];
    for (const publicKey of forms)
      expect(await guarded({ secret: undefined, publicKey, algorithms: [alg] }).shown(token)).toBe('ok');
    const named = { ...(jwk as object), alg } as never;
    expect(await guarded({ secret: undefined, publicKey: named }).shown(token)).toBe('ok');
    expect(await guarded({ secret: undefined, jwks: { keys: [jwk] } }).shown(token)).toBe('ok');
    expect(
      await guarded({ secret: undefined, publicKey: forms[0], algorithms: ['RS512'] }).shown(token),
    ).not.toBe('ok');
  });

  it('finds the key of a set by its id, or by trying where there is none', async () => {
    const keys = await Promise.all(
      [rsa, otherRsa].map(async ({ publicKey }, at) => ({
        ...(await exportJWK(publicKey as never)),
        kid: `k${at}`,
      })),
    );
    const { shown } = guarded({ secret: undefined, jwks: { keys: keys as never } });
    const of = async (key: KeyObject, kid?: string) =>
      shown(
        `Bearer ${await sign({ exp: nowS + 60 }, { alg: 'RS256', key, ...(kid === undefined ? {} : { kid }) })}`,
      );
    expect(await of(otherRsa.privateKey, 'k1')).toBe('ok');
    expect(await of(otherRsa.privateKey, 'k0')).toBe('UNAUTHENTICATED');
    expect(await of(otherRsa.privateKey, 'k2')).toBe('UNAUTHENTICATED');
    expect(await of(otherRsa.privateKey)).toBe('ok');
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await of(stranger.privateKey)).toBe('UNAUTHENTICATED');
  });

  it('is at fault itself when its own key cannot be read', async () => {
    const token = `Bearer ${await sign({ exp: nowS + 60 }, { alg: 'RS256', key: rsa.privateKey })}`;
    const { shown } = guarded({ secret: undefined, publicKey: 'no PEM', algorithms: ['RS256'] });
    expect(await shown(token)).toBe('fault: jwt.publicKey cannot be read as a public key for RS256');
    // The key of a stranger's choice does not matter before that.
    expect(await shown(`Bearer ${forged({ alg: 'ES256' }, {})}`)).toBe('UNAUTHENTICATED');
  });

  it('looks at no token that is too long', async () => {
    const token = await good({ filler: 'x'.repeat(8000) });
    expect(await guarded().shown(`Bearer ${token}`)).toBe('UNAUTHENTICATED');
    expect(await guarded({ maxTokenBytes: token.length }).shown(`Bearer ${token}`)).toBe('ok');
    expect(await guarded().shown(`Bearer ${'a'.repeat(1_000_000)}.b.c`)).toBe('UNAUTHENTICATED');
  });

  it('tells its caller how to show who it is, and no more', async () => {
    const { middleware } = guarded();
    const handler = run(middleware, async () => 'ok');
    const refused = async (header?: string) =>
      (await rejection(handler(undefined, inbound(header)))) as GovernanceError;
    expect((await refused()).answer).toEqual({
      text: 'a token is required',
      headers: { 'www-authenticate': 'Bearer' },
    });
    const expired = await refused(`Bearer ${await good({ exp: nowS - 60 })}`);
    expect(expired).toMatchObject({
      code: 'UNAUTHENTICATED',
      side: 'server',
      service: 'orders',
      httpStatus: 401,
      grpcStatus: 16,
    });
    expect(expired.answer?.headers).toEqual({
      'www-authenticate': 'Bearer error="invalid_token", error_description="the token has expired"',
    });
    const wrong = await refused(`Bearer ${forged({ alg: 'none' }, {})}`);
    expect(wrong.answer?.headers?.['www-authenticate']).toContain('the token is not valid');
    expect(wrong.cause).toMatchObject({ code: 'ERR_JOSE_ALG_NOT_ALLOWED' });
  });

  it('lets calls without a token pass if that is allowed, but none with a bad one', async () => {
    const { shown } = guarded({ optional: true });
    expect(await shown()).toBe('ok');
    expect(await shown('Basic dTpw')).toBe('ok');
    expect(await shown('Bearer x')).toBe('UNAUTHENTICATED');
    expect(await shown(`Bearer ${forged({ alg: 'none' }, {})}`)).toBe('UNAUTHENTICATED');
  });

  it.each<[string, JwtOptions['authorize'], string]>([
    ['true', (claims) => claims.sub === 'ada', 'ok'],
    ['false', (claims) => claims.sub === 'bob', 'PERMISSION_DENIED'],
    ['something true', (() => 'yes') as never, 'PERMISSION_DENIED'],
    ['true later', async ({ sub }, call) => sub === 'ada' && call.service === 'orders', 'ok'],
    ['false later', async () => false, 'PERMISSION_DENIED'],
    [
      'an error',
      () => {
        throw new Error('authorize');
      },
      'fault: authorize',
    ],
    ['an error later', () => Promise.reject(new Error('authorize')), 'fault: authorize'],
  ])('asks whether a good token will do: %s', async (_, authorize, expected) => {
    const { shown } = guarded({ authorize });
    const token = `Bearer ${await good()}`;
    // Also when the token is known already.
    expect([await shown(token), await shown(token)]).toEqual([expected, expected]);
  });

  describe('remembers tokens', () => {
    // How often one was verified is seen at the keys.
    it('for a while, and never beyond their end', async () => {
      const find = vi.fn(async () => rsa.publicKey);
      const { clock, shown } = guarded({
        secret: undefined,
        jwks: { fixed: false, find },
        cacheMs: 30_000,
        clockToleranceMs: 0,
      });
      const token = `Bearer ${await sign({ exp: nowS + 50 }, { alg: 'RS256', key: rsa.privateKey })}`;
      for (const [advance, expected, verified] of [
        [0, 'ok', 1],
        [29_999, 'ok', 1],
        [1, 'ok', 2],
        [19_999, 'ok', 2],
        [1, 'UNAUTHENTICATED', 3],
      ] as const) {
        clock.advanceSync(advance);
        expect([await shown(token), find.mock.calls.length]).toEqual([expected, verified]);
      }
    });

    it.each([
      [{ maxCached: 0 }, 8],
      [{ cacheMs: 0 }, 8],
      [{ maxCached: 1 }, 8],
      [{ maxCached: 4 }, 4],
    ])('as many as %o allows', async (options, verified) => {
      const find = vi.fn(async () => rsa.publicKey);
      const { shown } = guarded({ secret: undefined, jwks: { fixed: false, find }, ...options });
      const tokens = await Promise.all(
        [1, 2, 3, 4].map((n) => sign({ n, exp: nowS + 60 }, { alg: 'RS256', key: rsa.privateKey })),
      );
      for (const token of [...tokens, ...tokens]) expect(await shown(`Bearer ${token}`)).toBe('ok');
      expect(find).toHaveBeenCalledTimes(verified);
    });

    it('but not bad ones, which would drive out the good', async () => {
      const find = vi.fn(async () => rsa.publicKey);
      const { shown } = guarded({ secret: undefined, jwks: { fixed: false, find } });
      const bad = `Bearer ${forged({ alg: 'RS256' }, { exp: nowS + 60 })}`;
      for (let i = 0; i < 3; i++) expect(await shown(bad)).toBe('UNAUTHENTICATED');
      expect(find).toHaveBeenCalledTimes(3);
    });
  });

  it.each<[Partial<JwtOptions>]>([
    [{}],
    [{ secret, jwks: { keys: [] } }],
    [{ secret, publicKey: pem }],
    [{ publicKey: pem }],
    [{ publicKey: 5 as never, algorithms: ['RS256'] }],
    [{ secret: 'too short' }],
    [{ secret, algorithms: ['HS384'] }],
    [{ secret: 5 as never }],
    [{ secret, algorithms: [] }],
    [{ secret, algorithms: 'HS256' as never }],
    [{ secret, issuer: '' }],
    [{ secret, audience: [] }],
    [{ secret, audience: [''] }],
    [{ secret, requiredClaims: 'exp' as never }],
    [{ secret, clockToleranceMs: -1 }],
    [{ secret, cacheMs: -1 }],
    [{ secret, maxCached: 0.5 }],
    [{ secret, authorize: true as never }],
    [{ secret, optional: 1 as never }],
    [{ secret, leeway: 5 } as never],
    [{ jwks: 'ftp://a/b' }],
    [{ jwks: 'no url' }],
    [{ jwks: {} as never }],
    [{ jwks: { keys: [5] } as never }],
    [{ jwks: 5 as never }],
  ])('refuses %o', (options) => {
    expect(() => jwt(options)).toThrow(/jwt|remoteJwks|Invalid URL/);
  });
});

describe('jwtSigner', () => {
  it('signs what jwt verifies', async () => {
    const clock = manualClock(0, wallMs);
    const pkcs8 = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const signer = jwtSigner({
      privateKey: pkcs8,
      algorithm: 'ES256',
      keyId: 'k1',
      issuer: 'orders',
      subject: 'job',
      audience: ['users', 'stock'],
      claims: { tenant: 't' },
      lifetimeMs: 10_500,
      clock,
    });
    const { token, expiresInMs } = await signer();
    expect(expiresInMs).toBe(10_000);
    const jwk = { ...(await exportJWK(ec.publicKey as never)), kid: 'k1' } as never;
    const middleware = jwt({
      jwks: { keys: [jwk] },
      issuer: 'orders',
      audience: 'users',
      clock,
    });
    const call = inbound(`Bearer ${token}`);
    await run(middleware, async () => 'ok')(undefined, call);
    expect(claimsOf(call)).toEqual({
      iss: 'orders',
      sub: 'job',
      aud: ['users', 'stock'],
      tenant: 't',
      iat: nowS,
      exp: nowS + 10,
    });
  });

  it('signs with a secret, or with a key as JSON', async () => {
    const clock = manualClock(0, wallMs);
    const bySecret = await jwtSigner({ secret, clock })();
    expect(await outcomeOf(jwt({ secret, clock }))(`Bearer ${bySecret.token}`)).toBe('ok');
    const jwk = { ...(await exportJWK(rsa.privateKey as never)), alg: 'PS256' } as never;
    const byKey = await jwtSigner({ privateKey: jwk, clock })();
    expect(
      await outcomeOf(jwt({ publicKey: pem, algorithms: ['PS256'], clock }))(`Bearer ${byKey.token}`),
    ).toBe('ok');
  });

  it('rejects when its key cannot be read', async () => {
    await expect(jwtSigner({ privateKey: 'no PEM', algorithm: 'ES256' })()).rejects.toThrow(
      /jwtSigner.privateKey/,
    );
  });

  it.each([
    [{}],
    [{ secret, privateKey: 'x' }],
    [{ secret: 'short' }],
    [{ privateKey: 'x' }],
    [{ secret, algorithm: 'none' }],
    [{ secret, algorithm: 'RS256' }],
    [{ privateKey: 'x', algorithm: 'HS256' }],
    [{ secret, lifetimeMs: 999 }],
    [{ secret, claims: { exp: 5 } }],
    [{ secret, claims: 5 }],
    [{ secret, ttl: 5 }],
  ])('refuses %o', (options) => {
    expect(() => jwtSigner(options as never)).toThrow(/jwtSigner/);
  });
});
