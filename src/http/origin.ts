import type { Endpoint } from '../core/endpoint.js';
import { GovernanceError } from '../core/errors.js';
import type { TlsOptions } from './pool.js';

/** Whether the name in a certificate can be checked. */
export interface OriginContext {
  /** How to speak TLS. */
  readonly tls?: TlsOptions | undefined;
  /** Whoever sends knows itself which names it trusts. */
  readonly anyHost: boolean;
}

const ipAddress = /^(\[.*\]|\d{1,3}(\.\d{1,3}){3})$/;

/**
 * The origin of an address. What cannot be called is refused here, in words, and not by a handshake that fails.
 *
 * @throws GovernanceError `BAD_ENDPOINT` when the endpoint cannot be called as configured
 */
export function originOf({ url }: Endpoint, { tls, anyHost }: OriginContext): string {
  const refuse = (why: string): never => {
    throw new GovernanceError('BAD_ENDPOINT', `cannot call ${url}: ${why}`);
  };
  if (!URL.canParse(url)) return refuse('it is no URL');
  const parsed = new URL(url);
  const { protocol, pathname, search, hash, username, password } = parsed;
  if (protocol !== 'http:' && protocol !== 'https:')
    return refuse(`the scheme ${protocol}// is not for HTTP`);
  if (username || password) return refuse('an address must not hold credentials');
  if (pathname !== '/' || search || hash) return refuse('an address has no path; put it into the requests');
  if (protocol === 'https:' && ipAddress.test(parsed.hostname) && tls?.servername === undefined && !anyHost)
    return refuse('its certificate cannot be checked against an IP address; set tls.servername');
  return parsed.origin;
}
