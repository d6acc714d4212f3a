import { networkInterfaces } from 'node:os';

/** Where to listen. */
export interface ListenAddress {
  /** A name or an address, IPv6 without brackets; empty for every interface. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

/**
 * Reads `host:port`, `[v6]:port` or `:port`.
 *
 * @param name - what to call it in the message
 * @throws RangeError that says what is wrong with it
 */
export function parseListenAddress(text: string, name = 'listen'): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.%\w-]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new RangeError(
      `${name} must be host:port, [ipv6]:port or :port with a port up to 65535, got ${JSON.stringify(text)}`,
    );
  return { host: match[1] ?? match[2] ?? '', port };
}

/** `host:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const isWildcard = (host: string): boolean => host === '' || host === '0.0.0.0' || host === '::';

/** Whether nobody but this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d+){3}$/.test(host);
}

/** Where programs on this machine connect to. */
export function localAddress({ host, port }: ListenAddress): string {
  return formatAddress(isWildcard(host) ? '127.0.0.1' : host, port);
}

/** A host that others can connect to: a wildcard is replaced by the first address of this machine that is not loopback. */
function reachableHost(host: string): string {
  if (!isWildcard(host)) return host;
  for (const addresses of Object.values(networkInterfaces()))
    for (const { family, internal, address } of addresses ?? [])
      if (family === 'IPv4' && !internal) return address;
  return '127.0.0.1';
}

/**
 * What clients are told to connect to.
 *
 * @param advertise - `host` or `host:port`; absent: where it is bound
 * @throws RangeError when that is neither
 */
export function advertised(advertise: string | undefined, bound: ListenAddress): ListenAddress {
  if (advertise === undefined) return { host: reachableHost(bound.host), port: bound.port };
  const hasPort = /(^[^:]*|\]):\d+$/.test(advertise);
  const { host, port } = parseListenAddress(hasPort ? advertise : `${advertise}:${bound.port}`, 'advertise');
  if (isWildcard(host))
    throw new RangeError(
      `advertise must be a host or host:port to connect to, got ${JSON.stringify(advertise)}`,
    );
  return { host, port };
}
