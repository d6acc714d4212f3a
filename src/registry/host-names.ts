import { isIP } from 'node:net';

/** By which names a registry is asked that only this machine is to reach. */
export type HostNames = ReadonlySet<string>;

function hostOf(text: string): string {
  const [, six, other = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(text) ?? [];
  return (six ?? other).toLowerCase();
}

/** @param advertise - host, or host and port, that clients were told */
export function hostNames(advertise: string | undefined): HostNames {
  return new Set(['localhost', ...(advertise === undefined ? [] : [hostOf(advertise)])]);
}

/**
 * Whether a request is for this registry. A page of another site can let its own name lead to loopback, and would then
 * be of the same origin; what it cannot do is to send another name than its own.
 *
 * @param host - the header; who sends none is no browser
 */
export function isNamed(names: HostNames, host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = hostOf(host);
  return isIP(name) > 0 || names.has(name);
}
