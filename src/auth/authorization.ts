import type { Call } from '../core/call.js';
import { type RejectionCode, refusal } from '../core/errors.js';

/** What a call shows in its `authorization` header, as far as it is a token. */
export type Shown =
  /** Nothing, or something for another scheme. */
  | { readonly kind: 'none' }
  /** Something that can be no token. */
  | { readonly kind: 'malformed' }
  /** A token, not yet verified. */
  | { readonly kind: 'token'; readonly token: string };

const none: Shown = { kind: 'none' };
const malformed: Shown = { kind: 'malformed' };
/** Three parts in base64url, two dots between them. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const scheme = 'bearer';

/**
 * Reads the header. The scheme is the same in any case. Several values, which gRPC allows, are none that can be
 * understood.
 *
 * @param maxBytes - a longer token is not looked at
 *
 * Source: RFC 6750, 2.1; RFC 9110, 11.1.
 */
export function tokenIn(header: string | undefined, maxBytes: number): Shown {
  if (header === undefined) return none;
  const named = header.slice(0, scheme.length).toLowerCase() === scheme;
  if (!named || (header.length > scheme.length && header.charCodeAt(scheme.length) !== 0x20)) return none;
  const token = header.slice(scheme.length).trim();
  return token.length <= maxBytes && compact.test(token) ? { kind: 'token', token } : malformed;
}

/** Why a call is refused, for its sender; a fixed set of words, for they go into a header. */
export type Complaint = 'the token is not valid' | 'the token has expired' | 'a token is required';

/** The refusal of a call that has not shown who it is from. */
export function unauthenticated({ service }: Call, complaint: Complaint, cause?: unknown): Error {
  // RFC 6750, 3.1: to who did not try, no error is told.
  const challenge =
    complaint === 'a token is required'
      ? 'Bearer'
      : `Bearer error="invalid_token", error_description="${complaint}"`;
  return refused('UNAUTHENTICATED', { service, text: complaint, challenge, cause });
}

/** The refusal of a call whose sender is known. */
export function forbidden({ service }: Call): Error {
  return refused('PERMISSION_DENIED', { service, text: 'not allowed' });
}

interface Refused {
  readonly service: string;
  readonly text: string;
  readonly challenge?: string;
  readonly cause?: unknown;
}

function refused(code: RejectionCode, { service, text, challenge, cause }: Refused): Error {
  const headers = challenge === undefined ? undefined : { 'www-authenticate': challenge };
  return refusal(code, text, { side: 'server', service, cause, answer: { text, headers } });
}
