import { type Bounds, resolveOptions } from '../core/options.js';

/** Bounds of what a registry keeps and reads. Everything beyond one is refused with a sentence that names it. */
export interface RegistryLimitOptions {
  /**
   * Registered instances in all; a whole number, 1 or more. A larger value admits a larger fleet and takes memory: an
   * instance with full metadata is about 30 KB, a usual one 1 KB.
   *
   * @defaultValue `20_000`
   */
  readonly instances?: number | undefined;
  /**
   * Instances of one app in one env; a whole number, 1 or more. A larger value makes that app's lists, and each push of
   * them, larger.
   *
   * @defaultValue `5_000`
   */
  readonly instancesPerApp?: number | undefined;
  /**
   * Apps that lost their last instance and are remembered for an hour, so that whoever missed the change still learns
   * of it; a whole number, 1 or more. The oldest is forgotten first.
   *
   * @defaultValue `1_000`
   */
  readonly emptyApps?: number | undefined;
  /**
   * Cancelled instances that a node with peers remembers for an hour and some minutes, so that no copy that a peer kept
   * brings them back; a whole number, 1 or more. The oldest is forgotten first.
   *
   * @defaultValue `20_000`
   */
  readonly cancelled?: number | undefined;
  /**
   * Writes that wait for one peer; a whole number, 1 or more. Of several about one instance only the newest is kept. The
   * oldest is dropped first, and made good by the next comparison.
   *
   * @defaultValue `20_000`
   */
  readonly peerQueue?: number | undefined;
  /**
   * Nodes that are followed as peers; a whole number, 1 or more.
   *
   * @defaultValue `32`
   */
  readonly peers?: number | undefined;
  /**
   * Polls that wait at once; a whole number, 1 or more. Further ones are refused with -509, upon which clients pause
   * for a second; an early -304 would make them ask again at once.
   *
   * @defaultValue `10_000`
   */
  readonly parkedPolls?: number | undefined;
  /**
   * Apps that waiting polls watch, summed over polls; a whole number, 1 or more.
   *
   * @defaultValue `200_000`
   */
  readonly watches?: number | undefined;
  /**
   * Apps named by one request; a whole number, 1 or more.
   *
   * @defaultValue `500`
   */
  readonly appsPerRequest?: number | undefined;
  /**
   * Open connections; a whole number, 1 or more. Further ones are closed unanswered.
   *
   * @defaultValue `16_000`
   */
  readonly connections?: number | undefined;
  /**
   * Requests that one client may send per second, with one second's worth at once after a rest; above 0. A client is
   * an IPv4 address or an IPv6 network of 64 bits, so one that stands for many, as behind a proxy, needs a larger value.
   * Further ones are refused with -509. Peers count as well: nodes of the original send one for each renewal.
   *
   * @defaultValue `Infinity`
   */
  readonly requestsPerSecond?: number | undefined;
  /**
   * Bytes of a request's body; a whole number, 1 or more.
   *
   * @defaultValue `262_144`
   */
  readonly bodyBytes?: number | undefined;
  /**
   * Bytes of a request's path and query; a whole number, 1024 or more. Polls carry every app they watch in it.
   *
   * @defaultValue `65_536`
   */
  readonly urlBytes?: number | undefined;
  /**
   * Characters of a name: region, zone, env, appid, hostname, version; a whole number, 1 or more.
   *
   * @defaultValue `255`
   */
  readonly nameLength?: number | undefined;
  /**
   * Addresses of one instance; a whole number, 1 or more.
   *
   * @defaultValue `16`
   */
  readonly addrs?: number | undefined;
  /**
   * Characters of one address; a whole number, 1 or more.
   *
   * @defaultValue `512`
   */
  readonly addrLength?: number | undefined;
  /**
   * Metadata entries of one instance; a whole number, 0 or more.
   *
   * @defaultValue `64`
   */
  readonly metadataEntries?: number | undefined;
  /**
   * Bytes of one instance's metadata, keys and values together; a whole number, 0 or more.
   *
   * @defaultValue `8_192`
   */
  readonly metadataBytes?: number | undefined;
}

/** Defaults of {@link RegistryLimitOptions}. */
export const registryLimitDefaults = {
  instances: 20_000,
  instancesPerApp: 5_000,
  emptyApps: 1_000,
  cancelled: 20_000,
  peerQueue: 20_000,
  peers: 32,
  parkedPolls: 10_000,
  watches: 200_000,
  appsPerRequest: 500,
  connections: 16_000,
  requestsPerSecond: Number.POSITIVE_INFINITY,
  bodyBytes: 262_144,
  urlBytes: 65_536,
  nameLength: 255,
  addrs: 16,
  addrLength: 512,
  metadataEntries: 64,
  metadataBytes: 8_192,
};

/** {@link RegistryLimitOptions} with every bound known. */
export type RegistryLimits = Readonly<typeof registryLimitDefaults>;

const count = { min: 1, integer: true };
const bounds: Bounds<RegistryLimits> = {
  instances: count,
  instancesPerApp: count,
  emptyApps: count,
  cancelled: count,
  peerQueue: count,
  peers: count,
  parkedPolls: count,
  watches: count,
  appsPerRequest: count,
  connections: count,
  requestsPerSecond: { above: 0, infinite: true },
  bodyBytes: count,
  urlBytes: { min: 1024, integer: true },
  nameLength: count,
  addrs: count,
  addrLength: count,
  metadataEntries: { min: 0, integer: true },
  metadataBytes: { min: 0, integer: true },
};

/**
 * Lays given bounds over the defaults.
 *
 * @throws TypeError for an unknown bound or no number, RangeError for one out of range
 */
export function resolveLimits(given: RegistryLimitOptions | undefined): RegistryLimits {
  return resolveOptions('createRegistry.limits', registryLimitDefaults, given, bounds);
}
