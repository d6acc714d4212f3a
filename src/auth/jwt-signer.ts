import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import { checkAlgorithms, type JwtAlgorithm, secretAlgorithms, secretOf } from './algorithm.js';
import { loadJose } from './jose.js';
import { algorithmsOf, importKey, type KeyInput, type VerifyingKey } from './key.js';
import type { IssuedToken } from './token-keeper.js';

/** Options of {@link jwtSigner}. One of `secret` and `privateKey` must be given. */
export interface JwtSignerOptions {
  /**
   * What this service shares with those it calls; as many bytes as the hash of the algorithm has, or more.
   *
   * @defaultValue none
   */
  readonly secret?: string | Uint8Array | undefined;
  /**
   * The key of this service: PKCS 8 in PEM form, a JWK, or as the platform has it.
   *
   * @defaultValue none
   */
  readonly privateKey?: KeyInput | undefined;
  /**
   * How to sign.
   *
   * @defaultValue of a secret HS256; of a private key the one that its JWK names, else this must be given
   */
  readonly algorithm?: JwtAlgorithm | undefined;
  /**
   * What the key is called, for those who look it up.
   *
   * @defaultValue `undefined`
   */
  readonly keyId?: string | undefined;
  /**
   * Who issues: the name of this service.
   *
   * @defaultValue `undefined`
   */
  readonly issuer?: string | undefined;
  /**
   * Whom the tokens are about.
   *
   * @defaultValue `undefined`
   */
  readonly subject?: string | undefined;
  /**
   * Whom they are for. Name it: a token without an audience can be used elsewhere by whoever receives it.
   *
   * @defaultValue `undefined`
   */
  readonly audience?: string | readonly string[] | undefined;
  /**
   * What else to say. Times are not said here.
   *
   * @defaultValue `{}`
   */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /**
   * How long a token is valid, in milliseconds; 1000 or more, in whole seconds. A larger value signs less often, and gives
   * who steals a token more time.
   *
   * @defaultValue `300_000`
   */
  readonly lifetimeMs?: number | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link JwtSignerOptions}. */
export const jwtSignerDefaults = {
  secret: undefined,
  privateKey: undefined,
  algorithm: undefined,
  keyId: undefined,
  issuer: undefined,
  subject: undefined,
  audience: undefined,
  claims: {},
  lifetimeMs: 300_000,
  clock: systemClock,
} as const;

type Settings = { readonly [Field in keyof JwtSignerOptions]-?: JwtSignerOptions[Field] } & {
  readonly clock: Clock;
  readonly lifetimeMs: number;
};

interface SigningKey {
  readonly algorithm: JwtAlgorithm;
  readonly read: () => Promise<VerifyingKey>;
}

function signingKey({ secret, privateKey, algorithm: given }: Settings): SigningKey {
  const field = 'jwtSigner.algorithm';
  if ((secret === undefined) === (privateKey === undefined))
    throw new TypeError('jwtSigner: one of secret and privateKey must be given, and only one');
  if (secret !== undefined) {
    const algorithms = checkAlgorithms(field, [given ?? 'HS256'], secretAlgorithms);
    const bytes = secretOf('jwtSigner.secret', secret, algorithms);
    return { algorithm: algorithms[0] as JwtAlgorithm, read: () => Promise.resolve(bytes) };
  }
  const key = privateKey as KeyInput;
  const owner = 'jwtSigner.privateKey';
  const [algorithm] = algorithmsOf(owner, field, { key, given: given && [given] }) as [JwtAlgorithm];
  let reading: Promise<VerifyingKey> | undefined;
  return {
    algorithm,
    read: () => {
      reading ??= importKey(owner, key, { form: 'private', algorithm });
      return reading;
    },
  };
}

const times = ['exp', 'iat', 'nbf'] as const;

/**
 * Issues tokens of this service's own, for `bearer`, which keeps each until shortly before its end.
 *
 * Use it between services that have no issuer of tokens. Prefer a private key: with a secret all who verify can also sign.
 *
 * @returns a source of tokens; each call signs one
 * @throws TypeError or RangeError for options that cannot work. The source rejects when the key cannot be read
 * @example
 * ```ts
 * const token = jwtSigner({ privateKey: pem, algorithm: 'ES256', issuer: 'orders', audience: 'users' });
 * const users = app.fetch('users', { useAttempt: [bearer({ token, protocol: httpProtocol })] });
 * ```
 *
 * Source: RFC 7519; go-kratos/kratos `middleware/auth/jwt`, client part, which signs for each request.
 */
export function jwtSigner(options: JwtSignerOptions): () => Promise<IssuedToken> {
  const settings = resolveOptions<Settings>('jwtSigner', jwtSignerDefaults as Settings, options, {
    lifetimeMs: { min: 1000 },
  });
  const { claims = {}, clock, lifetimeMs, keyId, issuer, subject, audience } = settings;
  if (typeof claims !== 'object' || claims === null)
    throw new TypeError('jwtSigner.claims must be an object');
  for (const name of times) {
    if (Object.hasOwn(claims, name))
      throw new TypeError(`jwtSigner.claims.${name} is set here; see lifetimeMs`);
  }
  const { algorithm, read } = signingKey(settings);
  const fixed = Object.entries({ iss: issuer, sub: subject, aud: audience }).filter(
    ([, value]) => value !== undefined,
  );
  const payload = { ...claims, ...Object.fromEntries(fixed) };
  const header = { alg: algorithm, ...(keyId === undefined ? undefined : { kid: keyId }) };
  return async () => {
    const { SignJWT } = await loadJose();
    const key = await read();
    const issuedAt = Math.floor(clock.wallMs() / 1000);
    const seconds = Math.floor(lifetimeMs / 1000);
    const token = await new SignJWT({ ...payload, iat: issuedAt, exp: issuedAt + seconds })
      .setProtectedHeader(header)
      .sign(key);
    return { token, expiresInMs: seconds * 1000 };
  };
}
