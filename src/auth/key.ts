import { checkAlgorithms, type JwtAlgorithm, keyAlgorithms } from './algorithm.js';
import { type Jose, loadJose } from './jose.js';

/** A key in the form of JSON (RFC 7517). */
export interface Jwk {
  /** Kind of key: `RSA`, `EC`, `OKP`. Never absent, though `jose` declares it so. */
  readonly kty?: string | undefined;
  /** What it is called in the headers of tokens. */
  readonly kid?: string | undefined;
  /** The algorithm that it is for. */
  readonly alg?: string | undefined;
  /** The numbers of the key. */
  readonly [parameter: string]: unknown;
}

/** Keys as issuers publish them. */
export interface JwkSet {
  /** Each is found by its `kid`. */
  readonly keys: readonly Jwk[];
}

/** A `CryptoKey` of the platform, or a `KeyObject` of Node. */
export interface KeyLike {
  /** What kind it is. */
  readonly type: 'public' | 'private' | 'secret';
}

/** A key in PEM form (SPKI or PKCS 8), as JSON, or as the platform has it. */
export type KeyInput = string | Jwk | KeyLike;

/** What tokens are verified and signed with: bytes are a secret. */
export type VerifyingKey = KeyLike | Uint8Array;

const isJwk = (key: KeyInput): key is Jwk => typeof key === 'object' && 'kty' in key;

/**
 * The algorithms of one key: those that are given, else the one that the key itself names.
 *
 * @throws TypeError or RangeError that names the field
 */
export function algorithmsOf(
  owner: string,
  field: string,
  { key, given }: { readonly key: KeyInput; readonly given: readonly JwtAlgorithm[] | undefined },
): readonly JwtAlgorithm[] {
  if (typeof key !== 'string' && !isJwk(key) && typeof (key as KeyLike | null)?.type !== 'string')
    throw new TypeError(`${owner} must be a key in PEM form, a JWK, a CryptoKey or a KeyObject`);
  const own = typeof key !== 'string' && isJwk(key) ? key.alg : undefined;
  const algorithms = given ?? (own === undefined ? undefined : [own as JwtAlgorithm]);
  if (algorithms === undefined) throw new TypeError(`${field} must be given: ${owner} does not tell`);
  return checkAlgorithms(field, algorithms, keyAlgorithms);
}

/**
 * Reads a key for one algorithm.
 *
 * @param form - whether it verifies or signs
 * @throws (as a rejection) Error that names the field
 */
export async function importKey(
  owner: string,
  key: KeyInput,
  { form, algorithm }: { readonly form: 'public' | 'private'; readonly algorithm: JwtAlgorithm },
): Promise<VerifyingKey> {
  const jose = await loadJose();
  try {
    if (typeof key !== 'string')
      return isJwk(key)
        ? await jose.importJWK(key as Parameters<Jose['importJWK']>[0], algorithm)
        : (key as VerifyingKey);
    return form === 'public' ? await jose.importSPKI(key, algorithm) : await jose.importPKCS8(key, algorithm);
  } catch (cause) {
    throw new Error(`${owner} cannot be read as a ${form} key for ${algorithm}`, { cause });
  }
}
