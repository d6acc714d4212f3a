import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { isPrivateAddress } from '../http/inbound.js';
import { type EnvironmentReader, shown } from './environment-reader.js';

/** Endings that nobody outside can have: RFC 6761, 6762, 8375, 9476, ICANN's `.internal`, and those of Kubernetes and Consul. */
const innerEndings = /\.(local|localhost|internal|svc|consul|lan|home\.arpa|alt)\.?$/i;

const withoutBrackets = (host: string): string =>
  host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;

/** Whether a host belongs to the network of this process. Only such hosts are told who calls; others have no part in it. */
export type IsInner = (host: string) => boolean;

/** As far as the name of a host tells: a name without a dot, one with a private ending, a private address. */
function soundsInner(bare: string): boolean {
  if (isIP(bare) !== 0) return isPrivateAddress(bare);
  return !bare.includes('.') || innerEndings.test(bare);
}

/**
 * Tells which hosts belong to the network of this process.
 *
 * @param named - further hosts that do, as {@link namedHosts} gives them
 */
export function innerHosts(named: readonly string[]): IsInner {
  const names = new Set(named.filter((name) => !name.startsWith('*')));
  const endings = named.flatMap((name) => (name.startsWith('*') ? [name.slice(1)] : []));
  return (host) => {
    const bare = withoutBrackets(host);
    if (soundsInner(bare)) return true;
    const name = bare.toLowerCase().replace(/\.$/, '');
    return names.has(name) || endings.some((ending) => name.endsWith(ending));
  };
}

/** What stands in no name, and would have the rest of it taken for something else. */
const foreign = /[\s/\\?#@%:*]/;
const letters = /^[\w-]+(\.[\w-]+)*$/;

/** A name as a host has it that is asked; `undefined` for what is none. */
function hostOf(entry: string): string | undefined {
  const address = withoutBrackets(entry);
  if (isIP(address) !== 0) return address;
  const star = entry.startsWith('*.') ? '*.' : '';
  const name = entry.slice(star.length).replace(/\.$/, '');
  const ascii = foreign.test(name) ? '' : domainToASCII(name);
  if (ascii.length > 253 || !letters.test(ascii) || isIP(ascii) !== 0) return undefined;
  return /[a-z0-9]/.test(ascii) ? star + ascii : undefined;
}

/** `KEELSON_INNER_HOSTS`: names of hosts, and `*.example.com` for all below one. */
export function namedHosts(from: EnvironmentReader): readonly string[] {
  const entries = (from.list('KEELSON_INNER_HOSTS') ?? []).map((entry) => ({ entry, host: hostOf(entry) }));
  const none = entries.flatMap(({ entry, host }) => (host === undefined ? [entry] : []));
  if (none.length > 0)
    from.note(
      `KEELSON_INNER_HOSTS: ${shown(none.join(','))} is left out; there are names of hosts, without scheme and port, and *.example.com for all below one`,
    );
  return entries.flatMap(({ host }) => host ?? []);
}
