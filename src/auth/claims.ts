import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { callKey } from '../core/values.js';

/** What a verified token says. Frozen: calls with the same token share it. */
export interface JwtClaims {
  /** Issuer. */
  readonly iss?: string | undefined;
  /** Subject: whom it is about. */
  readonly sub?: string | undefined;
  /** Whom it is for. */
  readonly aud?: string | readonly string[] | undefined;
  /** When it ends; seconds since 1970. */
  readonly exp?: number | undefined;
  /** From when it is valid; seconds since 1970. */
  readonly nbf?: number | undefined;
  /** When it was issued; seconds since 1970. */
  readonly iat?: number | undefined;
  /** Its own id. */
  readonly jti?: string | undefined;
  /** Whatever else the issuer put into it. */
  readonly [claim: string]: unknown;
}

/** Where `jwt` leaves the claims of a call. */
export const verifiedClaims = callKey<JwtClaims>('keelson.claims');

/**
 * The claims of the token that `jwt` verified for a call.
 *
 * @typeParam Claims - what the issuer is known to put into its tokens; nothing checks that
 * @param call - the current inbound call if left out
 * @returns `undefined` when no token was verified
 * @example
 * ```ts
 * const tenant = claimsOf<JwtClaims & { tenant: string }>()?.tenant;
 * ```
 */
export function claimsOf<Claims extends JwtClaims = JwtClaims>(
  call: Call | undefined = currentCall(),
): Claims | undefined {
  return call?.values.get(verifiedClaims) as Claims | undefined;
}

/** Freezes a value of JSON with all that is in it. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}
