import { checkNumber, wrongKind } from '../core/options.js';
import { parseAddress } from './address.js';
import { Feed } from './feed.js';
import type { ServiceInstance } from './instance.js';
import type { Resolver } from './resolver.js';

/** An address with what a registry would know of it. */
export interface StaticEndpoint {
  /** `http://10.0.0.7:8080` */
  readonly url: string;
  /** Relative share of the traffic; above 0. @defaultValue `100` */
  readonly weight?: number | undefined;
  /** Failure domain. @defaultValue `''` */
  readonly zone?: string | undefined;
  /** Version of the service that runs there. @defaultValue `''` */
  readonly version?: string | undefined;
  /** Labels. @defaultValue `{}` */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

function instanceOf(service: string, given: string | StaticEndpoint): ServiceInstance {
  const {
    url,
    weight = 100,
    zone = '',
    version = '',
    metadata = {},
  } = typeof given === 'string' ? { url: given } : given;
  const address = typeof url === 'string' ? parseAddress(url) : 'is not a string';
  if (typeof address === 'string') {
    throw new TypeError(`staticEndpoints.${service}: ${JSON.stringify(url)} ${address}`);
  }
  checkNumber(`staticEndpoints.${service}.weight`, weight, { above: 0 });
  return {
    id: address.url,
    service,
    hostname: new URL(address.url).hostname,
    addresses: [address.url],
    version,
    zone,
    env: '',
    region: '',
    weight,
    status: 'up',
    metadata: { ...metadata },
  };
}

/**
 * A resolver that knows a fixed set of addresses.
 *
 * Use it for development, for tests and for clusters whose addresses never change or stand behind a proxy. Where they
 * move, use {@link discovery} or `dns`. A service that is not listed resolves to no instance, and says so.
 *
 * @param services - for each service its addresses, `scheme://host:port` without a path
 * @throws TypeError for an address that cannot be connected to, RangeError for a weight out of range
 * @example
 * ```ts
 * const resolver = staticEndpoints({ users: ['http://localhost:3001', { url: 'http://localhost:3002', weight: 10 }] });
 * ```
 */
export function staticEndpoints(
  services: Readonly<Record<string, readonly (string | StaticEndpoint)[]>>,
): Resolver {
  if (typeof services !== 'object' || services === null)
    throw wrongKind('staticEndpoints: the first argument', 'an object of addresses by service', services);
  const feeds = new Map<string, Feed>();
  for (const [service, given] of Object.entries(services)) {
    if (!Array.isArray(given))
      throw new TypeError(`staticEndpoints.${service} must be an array of addresses`);
    const instances = given.map((endpoint) => instanceOf(service, endpoint));
    const feed = new Feed();
    feed.publish({ instances, stale: false });
    feeds.set(service, feed);
  }
  return {
    watch(service, onChange) {
      const feed = feeds.get(service);
      if (feed) return feed.subscribe(onChange);
      const unknown = new Feed();
      unknown.publish({ instances: [], stale: false, reason: `no addresses were given for ${service}` });
      return unknown.subscribe(onChange);
    },
  };
}
