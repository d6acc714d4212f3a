import { isIP } from 'node:net';
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

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:(?=\d+\.)/i, '');

/** Whether a bound address means all addresses of the machine. */
export function isWildcard(host: string): boolean {
  return wildcards.has(bare(host));
}

function usable(host: string | undefined): host is string {
  return host !== undefined && !isWildcard(host);
}

/**
 * Checks a host that somebody wrote down.
 *
 * @throws RangeError for a wildcard and for what is no host: with a scheme, a port, a path
 */
export function checkAdvertised(field: string, host: unknown): string {
  const good = typeof host === 'string' && (isIP(bare(host)) !== 0 || /^[a-z\d]([\w.-]*\w)?$/i.test(host));
  if (!good || !usable(host))
    throw new RangeError(
      `${field} must be a host name or IP address that others can connect to, got ${JSON.stringify(host)}`,
    );
  return host;
}

/** First address of this machine that others may reach; IPv4 before IPv6. */
function firstInterface(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  // A link-local IPv6 address means nothing without the name of an interface of whoever connects.
  const outward = all.filter(({ internal, address }) => !internal && !/^fe[89ab].:/i.test(address));
  return (outward.find(({ family }) => family === 'IPv4') ?? outward[0])?.address;
}

/**
 * The host to register: the option, `KEELSON_ADVERTISE_HOST`, the bound address, the local address of the socket to
 * the registry, an interface of this machine. Never a wildcard: nobody can connect to one.
 *
 * @throws RangeError when the option or the variable is no host that others can connect to
 */
export function advertisedHost({ option, env, bound, toRegistry }: AdvertiseSources): string {
  if (option !== undefined) return checkAdvertised('advertiseHost', option);
  if (env !== undefined && env !== '') return checkAdvertised('KEELSON_ADVERTISE_HOST', env);
  return [bound, toRegistry, firstInterface()].find(usable) ?? '127.0.0.1';
}

/** `scheme://host:port`, with brackets around an IPv6 address. */
export function addressOf(scheme: string, host: string, port: number): string {
  const name = bare(host);
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
