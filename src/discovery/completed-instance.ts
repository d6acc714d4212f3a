import { parseAddress } from './address.js';
import type { ServiceInstance } from './instance.js';

/** Where instances are that do not say it themselves. */
export interface Where {
  readonly zone: string;
  readonly env: string;
  readonly region: string;
}

/**
 * An instance as it is to be registered: complete, and able to be found.
 *
 * Copied throughout: it is sent again whenever a registry forgot it, and must not have changed meanwhile.
 *
 * @throws TypeError when nobody could find or call it: registries take, or drop without a word, what is no text
 */
export function completed(given: ServiceInstance, { zone, env, region }: Where): ServiceInstance {
  const instance = {
    ...given,
    addresses: [...given.addresses],
    metadata: { ...given.metadata },
    zone: given.zone || zone,
    env: given.env || env,
    region: given.region || region,
  };
  const { service, hostname, addresses, metadata } = instance;
  if (!service || !hostname) throw new TypeError('an instance needs a service and a hostname');
  if (addresses.length === 0) throw new TypeError(`${service} needs an address to register`);
  for (const address of addresses) {
    const parsed = parseAddress(address);
    if (typeof parsed === 'string') throw new TypeError(`${service}: address ${address} ${parsed}`);
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string')
      throw new TypeError(`${service}: metadata.${name} must be a string, got ${typeof value}`);
  }
  return instance;
}
