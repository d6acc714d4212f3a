import { networkInterfaces } from 'node:os';

/** What may decide the host under which others reach this process; the first that is given wins. */
export interface AdvertiseSources {
  /** The user's option. */
  readonly option: string | undefined;
  /** `KEELSON_ADVERTISE_HOST`. */
  readonly env: string | undefined;
  /** The address that the server is bound to; a wildcard is passed over. */
  readonly bound: string | undefined;
  /** Local address of the socket to the registry. */
  readonly toRegistry: string | undefined;
}

const wildcards = new Set(['', '0.0.0.0', '::', '*', '::0', '0:0:0:0:0:0:0:0']);

function usable(host: string | undefined): host is string {
  return host !== undefined && !wildcards.has(host);
}

/** First address of this machine that is not its own loopback; IPv4 before IPv6. */
function firstInterface(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outward = all.filter((address) => !address.internal);
  return (outward.find((address) => address.family === 'IPv4') ?? outward[0])?.address;
}

/**
 * The host to register: the option, `KEELSON_ADVERTISE_HOST`, the bound address, the local address of the socket to
 * the registry, an interface of this machine. Never a wildcard: nobody can connect to one.
 *
 * @throws RangeError when the option or the variable is a wildcard
 */
export function advertisedHost(sources: AdvertiseSources): string {
  for (const [name, host] of [
    ['advertiseHost', sources.option],
    ['KEELSON_ADVERTISE_HOST', sources.env],
  ] as const) {
    if (host === undefined || host === '') continue;
    if (!usable(host))
      throw new RangeError(`${name} must be an address that others can connect to, got "${host}"`);
    return host;
  }
  return [sources.bound, sources.toRegistry, firstInterface()].find(usable) ?? '127.0.0.1';
}

/** `scheme://host:port`, with brackets around an IPv6 address. */
export function addressOf(scheme: string, host: string, port: number): string {
  const bare = host.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host;
  return `${scheme}://${bare.includes(':') && !bare.startsWith('[') ? `[${bare}]` : bare}:${port}`;
}
