import { hostname as machineName } from 'node:os';
import { ownAppid } from './app-key.js';
import type { InstanceRegistration } from './instance-record.js';
import type { ResolvedRegistryOptions } from './registry-options.js';

/**
 * The name of a node among those of its cluster. By the machine's name alone nodes in containers could be namesakes, by
 * the address alone those that were told to advertise loopback.
 */
function nodeName(address: string): string {
  return `${machineName().slice(0, longestMachineName)}-${address}`;
}

/** With an address it makes a name that peers take. */
const longestMachineName = 64;

/** How a node stands in its own list, by which clients and other nodes find it. */
export function ownRegistration(
  { env, zone, region }: ResolvedRegistryOptions,
  { address, scheme }: { readonly address: string; readonly scheme: 'http' | 'https' },
): InstanceRegistration {
  return {
    env,
    appid: ownAppid,
    zone,
    region,
    hostname: nodeName(address),
    addrs: [`${scheme}://${address}`],
    version: '',
    status: 1,
    metadata: new Map(),
    permanent: true,
  };
}
