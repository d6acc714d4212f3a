/** How a token may be signed. There is no `none`. */
export type JwtAlgorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'Ed25519';

/** Signatures by a secret that both sides know. */
export const secretAlgorithms: readonly JwtAlgorithm[] = ['HS256', 'HS384', 'HS512'];

/** Signatures by a private key, verified with the public one. */
export const keyAlgorithms: readonly JwtAlgorithm[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/**
 * Checks which algorithms are allowed with one kind of key. A public key is no secret: were both kinds allowed at once,
 * anybody could sign with what everybody knows.
 *
 * @throws TypeError or RangeError that names the field
 *
 * Source: RFC 8725, 3.1 and 3.2.
 */
export function checkAlgorithms(
  field: string,
  given: readonly JwtAlgorithm[],
  allowed: readonly JwtAlgorithm[],
): readonly JwtAlgorithm[] {
  if (!Array.isArray(given) || given.length === 0)
    throw new TypeError(`${field} must be an array of one algorithm or more`);
  for (const one of given) {
    if (!allowed.includes(one))
      throw new RangeError(
        `${field}: with this kind of key there are ${allowed.join(', ')}, got ${JSON.stringify(one)}`,
      );
  }
  return [...given];
}

/** Bits of the hash: a secret shorter than that is easier to guess than the signature. */
function secretBytes(algorithm: string): number {
  return Number(algorithm.slice(2)) / 8;
}

/**
 * A secret as bytes.
 *
 * @throws TypeError when it is none, or a public key; RangeError when it is too short for its algorithms
 *
 * Source: RFC 7518, 3.2: as long as the hash at least.
 */
export function secretOf(
  field: string,
  secret: string | Uint8Array,
  algorithms: readonly JwtAlgorithm[],
): Uint8Array {
  if (typeof secret === 'string' && secret.includes('-----BEGIN'))
    throw new TypeError(
      `${field} must be a secret, got a key in PEM form; a public key is known to everybody`,
    );
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret;
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${field} must be a string or bytes`);
  for (const algorithm of algorithms) {
    const least = secretBytes(algorithm);
    if (bytes.length < least)
      throw new RangeError(`${field} must have ${least} bytes or more for ${algorithm}, got ${bytes.length}`);
  }
  return bytes;
}
