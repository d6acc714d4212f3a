/**
 * Finding services and being found through etcd v3, in the layout of kratos.
 *
 * @module
 */
import { type Bounds, resolveOptions } from '../core/options.js';
import { EtcdApi, type EtcdUser } from './etcd-api.js';
import { EtcdFollow } from './etcd-follow.js';
import { keyOf } from './etcd-keys.js';
import { EtcdTenure } from './etcd-tenure.js';
import type { Publish } from './followed-service.js';
import { HttpNodes, nodeUrls } from './http-nodes.js';
import type { ServiceInstance } from './instance.js';
import type { Tenure } from './kept-registration.js';
import { kratosJson } from './kratos-instance.js';
import type { Registry } from './registrar.js';
import { type RegistryBackend, RegistryClient } from './registry-client.js';
import {
  type RegistryClientOptions,
  registryClientBounds,
  registryClientDefaults,
} from './registry-client-options.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';

export type { DiscoveryEvent } from './discovery-event.js';
export type { EtcdUser } from './etcd-api.js';
export type { RegistryClientOptions } from './registry-client-options.js';
export type { TlsOptions } from './tls-options.js';

/** Options of {@link etcd}. */
export interface EtcdOptions extends RegistryClientOptions {
  /** Members of the cluster, by the URL that they serve clients at: `http://127.0.0.1:2379`. One is asked until it fails. */
  readonly endpoints: readonly string[];
  /**
   * What the keys of all services begin with: `<namespace>/<service>/<id>`. Services that are to find each other have
   * the same one.
   *
   * @defaultValue `'/microservices'`
   */
  readonly namespace?: string | undefined;
  /**
   * How long an instance stays after its last renewal, in milliseconds, rounded up to seconds; renewed three times as
   * often. A larger value survives a longer outage of etcd, and a process that crashed is called for longer.
   *
   * @defaultValue `15_000`
   */
  readonly ttlMs?: number | undefined;
  /**
   * How often it is looked whether a watch still hears everything, in milliseconds, a fifth more or less at random. A
   * larger value costs less, and a watch that hangs is noticed later.
   *
   * @defaultValue `30_000`
   */
  readonly recheckMs?: number | undefined;
  /**
   * User and password. Without effect when the server asks for none.
   *
   * @defaultValue `undefined`: none
   */
  readonly auth?: EtcdUser | undefined;
  /**
   * For `https` endpoints: whom to trust, and a certificate to show.
   *
   * @defaultValue `undefined`: what the platform trusts, and none
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Largest answer that is read, in bytes; a larger one counts as a failure of the member. One instance takes about
   * 500.
   *
   * @defaultValue `16_777_216`
   */
  readonly maxReplyBytes?: number | undefined;
}

/** Defaults of {@link etcd}. */
export const etcdDefaults = {
  ...registryClientDefaults,
  namespace: '/microservices',
  ttlMs: 15_000,
  recheckMs: 30_000,
  auth: undefined as EtcdUser | undefined,
  tls: undefined as TlsOptions | undefined,
  maxReplyBytes: 16_777_216,
};

const bounds: Bounds<typeof etcdDefaults> = {
  ...registryClientBounds,
  ttlMs: { min: 1_000, max: 86_400_000 },
  recheckMs: { min: 1_000 },
  maxReplyBytes: { min: 1_024, integer: true },
};

class EtcdBackend implements RegistryBackend {
  private readonly nodes: HttpNodes;
  private readonly api: EtcdApi;

  constructor(
    nodes: readonly string[],
    private readonly settings: typeof etcdDefaults,
  ) {
    const tls = tlsSettings('etcd.tls', settings.tls);
    this.nodes = new HttpNodes({ ...settings, nodes, tls });
    this.api = new EtcdApi(this.nodes, settings.auth);
  }

  placeOf(instance: ServiceInstance): string {
    return keyOf(this.settings.namespace, instance);
  }
  tenure(instance: ServiceInstance): Tenure {
    const key = this.placeOf(instance);
    return new EtcdTenure({ ...this.settings, api: this.api, key, value: kratosJson(instance) });
  }
  follow(service: string, publish: Publish, signal: AbortSignal): Promise<void> {
    return new EtcdFollow({ ...this.settings, api: this.api, service, publish }).run(signal);
  }
  localAddress(): Promise<string | undefined> {
    return this.nodes.localAddress();
  }
  close(): void {
    this.nodes.close();
  }
}

function checkAuth(auth: EtcdUser | undefined): void {
  if (auth === undefined) return;
  const { user, password } = auth;
  if (typeof user !== 'string' || user === '' || typeof password !== 'string')
    throw new TypeError('etcd.auth needs a user and a password');
}

/**
 * A registry in etcd v3, in the layout of kratos: its services and ours find each other.
 *
 * Use it where etcd is run already. Instances are keys on a lease that is kept alive; a lease that is lost is replaced
 * and the key written anew. Nothing it does throws into your calls: while etcd is away the last good lists serve, marked
 * stale, and everything is tried again for ever, with jitter. Where there is no registry yet, {@link discovery} needs
 * less to run.
 *
 * Of an instance, kratos has no fields for weight, zone, environment, region, host name and status: they are labels of
 * these names. Instances that name another environment are not seen.
 *
 * @param options - only `endpoints` is needed
 * @throws TypeError for endpoints that are no URLs or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = etcd({ endpoints: ['http://127.0.0.1:2379'] });
 * const app = createApp({ service: 'users', registry });
 * ```
 *
 * Source: go-kratos/kratos at 668db92, `contrib/registry/etcd` (keys, values, 15 s). It speaks to the JSON gateway that
 * etcd 3.4 and later serve on their client port. Unlike kratos' client this one lists from the watch's revision instead
 * of reading everything anew at each change, never gives up registering, and deregisters by revoking the lease, which
 * leaves the key of a successor alone.
 */
export function etcd(options: EtcdOptions): Registry {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('etcd needs options with endpoints');
  const { endpoints, ...rest } = options;
  const nodes = nodeUrls('etcd.endpoints', endpoints);
  const settings = resolveOptions('etcd', etcdDefaults, rest, bounds);
  if (typeof settings.namespace !== 'string' || /\/$/.test(settings.namespace))
    throw new TypeError('etcd.namespace must be a text without a slash at its end');
  checkAuth(settings.auth);
  const backend = new EtcdBackend(nodes, settings);
  return new RegistryClient({ backend, settings, renewMs: settings.ttlMs / 3 });
}
