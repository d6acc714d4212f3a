import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import {
  checkAlgorithms,
  type JwtAlgorithm,
  keyAlgorithms,
  secretAlgorithms,
  secretOf,
} from './algorithm.js';
import type { JwtClaims } from './claims.js';
import { algorithmsOf, type JwkSet, type KeyInput } from './key.js';
import { type KeySource, localJwks, publicKeySource, secretSource } from './key-source.js';
import { remoteJwks } from './remote-jwks.js';

/** Options of {@link jwt}. One of `jwks`, `publicKey` and `secret` must be given. */
export interface JwtOptions {
  /**
   * Keys of the issuer: the URL where they are published, a `remoteJwks` with options of its own, or the keys themselves.
   *
   * @defaultValue none
   */
  readonly jwks?: string | URL | KeySource | JwkSet | undefined;
  /**
   * The one public key of the issuer.
   *
   * @defaultValue none
   */
  readonly publicKey?: KeyInput | undefined;
  /**
   * What this service shares with the issuer; as many bytes as the hash of the algorithm has, 32 for HS256, or more. Whoever
   * can verify can also sign, so not between parties that do not trust each other.
   *
   * @defaultValue none
   */
  readonly secret?: string | Uint8Array | undefined;
  /**
   * How tokens may be signed. `none` never is allowed, and a secret and public keys never are at once.
   *
   * @defaultValue of a secret HS256; of `jwks` all that sign with a private key; of a public key the one that its JWK
   * names, else this must be given
   */
  readonly algorithms?: readonly JwtAlgorithm[] | undefined;
  /**
   * Who must have issued a token, one of these. Leave it out only if the keys serve one issuer alone.
   *
   * @defaultValue anybody with the right key
   */
  readonly issuer?: string | readonly string[] | undefined;
  /**
   * Whom a token must be for, one of these. Without it a token that was issued for another service is good here too.
   *
   * @defaultValue anybody
   */
  readonly audience?: string | readonly string[] | undefined;
  /**
   * Claims that a token must have.
   *
   * @defaultValue `['exp']`: a token that never ends cannot be taken back
   */
  readonly requiredClaims?: readonly string[] | undefined;
  /**
   * How far clocks may differ when times in a token are judged, in milliseconds; 0 to 600 000. A larger value accepts
   * tokens for longer after their end.
   *
   * @defaultValue `5000`
   */
  readonly clockToleranceMs?: number | undefined;
  /**
   * Whether a call with these claims may go on; may return a promise. Whatever is not `true` refuses it. What it throws
   * fails the call.
   *
   * @defaultValue whoever has a good token may
   */
  readonly authorize?: ((claims: JwtClaims, call: Call) => boolean | Promise<boolean>) | undefined;
  /**
   * Whether calls without a token go on, without claims. A bad token is refused all the same.
   *
   * @defaultValue `false`
   */
  readonly optional?: boolean | undefined;
  /**
   * How long a token that was verified is not verified again, in milliseconds; 0 or more, never beyond its end. A larger
   * value saves work, and for as long accepts tokens of a key that was taken back meanwhile.
   *
   * @defaultValue `60_000`
   */
  readonly cacheMs?: number | undefined;
  /**
   * Most tokens that are remembered; a whole number, 0 or more. A larger value costs memory, about two kilobytes each.
   *
   * @defaultValue `1000`
   */
  readonly maxCached?: number | undefined;
  /**
   * Longest token that is looked at, in bytes; a whole number, 1 or more. No effect above what the wire takes for headers.
   *
   * @defaultValue `8192`
   */
  readonly maxTokenBytes?: number | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link JwtOptions}. */
export const jwtDefaults = {
  jwks: undefined,
  publicKey: undefined,
  secret: undefined,
  algorithms: undefined,
  issuer: undefined,
  audience: undefined,
  requiredClaims: ['exp'],
  clockToleranceMs: 5000,
  authorize: undefined,
  optional: false,
  cacheMs: 60_000,
  maxCached: 1000,
  maxTokenBytes: 8192,
  clock: systemClock,
} as const;

type Given = { readonly [Field in keyof JwtOptions]-?: JwtOptions[Field] };

/** What verifies tokens. */
export interface JwtSettings extends Given {
  readonly clock: Clock;
  readonly cacheMs: number;
  readonly maxCached: number;
  readonly maxTokenBytes: number;
  readonly clockToleranceMs: number;
  readonly requiredClaims: readonly string[];
  readonly algorithms: readonly JwtAlgorithm[];
  readonly keys: KeySource;
}

type Verification = Pick<JwtSettings, 'algorithms' | 'keys'>;

function jwksOf(jwks: NonNullable<JwtOptions['jwks']>, clock: Clock): KeySource {
  if (typeof jwks === 'string' || jwks instanceof URL) return remoteJwks(jwks, { clock });
  if (typeof jwks !== 'object' || jwks === null)
    throw new TypeError(`jwt.jwks must be a URL, remoteJwks() or an object with keys, got ${String(jwks)}`);
  if ('find' in jwks) return jwks;
  if (Array.isArray(jwks.keys) && jwks.keys.every((key) => typeof key?.kty === 'string'))
    return localJwks(jwks);
  throw new TypeError('jwt.jwks.keys must be an array of JWKs');
}

function verificationOf(
  { jwks, publicKey, secret, algorithms: given }: JwtOptions,
  clock: Clock,
): Verification {
  const field = 'jwt.algorithms';
  if ([jwks, publicKey, secret].filter((one) => one !== undefined).length !== 1)
    throw new TypeError('jwt: one of jwks, publicKey and secret must be given, and only one');
  if (secret !== undefined) {
    const algorithms = checkAlgorithms(field, given ?? ['HS256'], secretAlgorithms);
    return { algorithms, keys: secretSource(secretOf('jwt.secret', secret, algorithms)) };
  }
  if (jwks !== undefined)
    return {
      algorithms: checkAlgorithms(field, given ?? keyAlgorithms, keyAlgorithms),
      keys: jwksOf(jwks, clock),
    };
  const key = publicKey as KeyInput;
  const algorithms = algorithmsOf('jwt.publicKey', field, { key, given });
  return { algorithms, keys: publicKeySource(key, algorithms) };
}

function checkNames(field: string, names: string | readonly string[] | undefined): void {
  if (names === undefined) return;
  const list: readonly unknown[] = typeof names === 'string' ? [names] : names;
  // An empty name or list would be read as "anybody".
  if (
    !Array.isArray(list) ||
    list.length === 0 ||
    list.some((name) => typeof name !== 'string' || name === '')
  )
    throw new TypeError(`${field} must be a name or several`);
}

/**
 * Checks the options and reads what can be read at once.
 *
 * @throws TypeError or RangeError that names the option
 */
export function jwtSettings(options: JwtOptions): JwtSettings {
  const given = resolveOptions<Given>('jwt', jwtDefaults, options, {
    clockToleranceMs: { min: 0, max: 600_000 },
    cacheMs: { min: 0 },
    maxCached: { min: 0, integer: true },
    maxTokenBytes: { min: 1, integer: true },
  }) as JwtSettings;
  checkNames('jwt.issuer', given.issuer);
  checkNames('jwt.audience', given.audience);
  if (!Array.isArray(given.requiredClaims))
    throw new TypeError('jwt.requiredClaims must be an array of names');
  if (given.authorize !== undefined && typeof given.authorize !== 'function')
    throw new TypeError(`jwt.authorize must be a function, got ${String(given.authorize)}`);
  return { ...given, ...verificationOf(given, given.clock) };
}
