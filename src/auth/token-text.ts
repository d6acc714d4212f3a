/** What can stand in a header as a token (RFC 6750, 2.1, and a little more); 16 KiB are all that servers take. */
export function isToken(token: unknown): token is string {
  return typeof token === 'string' && token.length <= 16_384 && /^[\x21-\x7e]+$/.test(token);
}

/**
 * How long a JWT is good for, by its own word; it is not verified here. `undefined` if it is none or does not say.
 *
 * @param wallMs - milliseconds since 1970
 */
export function lifetimeOf(token: string, wallMs: number): number | undefined {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const text = globalThis.atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
    const { exp } = JSON.parse(text) as { readonly exp?: unknown };
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 - wallMs : undefined;
  } catch {
    return undefined;
  }
}
