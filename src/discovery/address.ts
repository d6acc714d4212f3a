/** An address that can be connected to. */
export interface Address {
  /** Lower case: `http`, `grpcs`. */
  readonly scheme: string;
  /** Normal form: `http://10.0.0.7:8080`, `grpc://[::1]:9000`; no path, no default port. */
  readonly url: string;
}

// No blank and no backslash in the authority: URL would drop the one and take the other for a slash.
const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/\\?#\s]*)\/?(\?[^#]*)?$/i;
const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };
/** Listening there is possible, being reached is not. */
const wildcards = new Set(['0.0.0.0', '[::]']);
/** Before kratos had `https` and `grpcs` it wrote `http://10.0.0.7:8000?isSecure=true`. */
const secured: Readonly<Record<string, string>> = { http: 'https', grpc: 'grpcs' };

function hostOf(authority: string): string | undefined {
  try {
    // As http whatever the scheme: only for its own schemes does URL check and normalise a host.
    return new URL(`http://${authority}`).hostname;
  } catch {
    return undefined;
  }
}

/**
 * Reads `scheme://host[:port]`.
 *
 * @returns the address, or in a few words why it is none
 */
export function parseAddress(text: string): Address | string {
  const [, written, authority = '', query] = parts.exec(text) ?? [];
  if (written === undefined) return 'is not scheme://host:port';
  if (authority.includes('@')) return 'holds credentials';
  const host = hostOf(authority);
  if (host === undefined) return 'has a host or port that cannot be read';
  if (wildcards.has(host)) return 'is a wildcard, which cannot be connected to';
  const lower = written.toLowerCase();
  const scheme = query?.toLowerCase() === '?issecure=true' ? (secured[lower] ?? lower) : lower;
  const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? defaultPorts[scheme] ?? Number.NaN);
  if (Number.isNaN(port)) return 'has no port';
  if (port === 0) return 'has port 0';
  return { scheme, url: `${scheme}://${host}${port === defaultPorts[scheme] ? '' : `:${port}`}` };
}
