/**
 * Finding services and being found by Nacos.
 *
 * @module
 */
import type { Clock } from '../core/clock.js';
import { type Bounds, resolveOptions } from '../core/options.js';
import type { Random } from '../core/random.js';
import type { Publish } from './followed-service.js';
import { HttpNodes, nodeUrls } from './http-nodes.js';
import type { ServiceInstance } from './instance.js';
import type { Tenure } from './kept-registration.js';
import { joined, listForm, type NacosPlace, readHost, readHosts, usualCluster } from './nacos-layout.js';
import { type NacosApi, NacosSession, type NacosUser } from './nacos-session.js';
import { NacosTenure } from './nacos-tenure.js';
import { rest } from './pause.js';
import type { Registry } from './registrar.js';
import { type RegistryBackend, RegistryClient } from './registry-client.js';
import {
  type RegistryClientOptions,
  registryClientBounds,
  registryClientDefaults,
} from './registry-client-options.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';

export type { DiscoveryEvent } from './discovery-event.js';
export type { NacosApi, NacosUser } from './nacos-session.js';
export type { RegistryClientOptions } from './registry-client-options.js';
export type { TlsOptions } from './tls-options.js';

/** Options of {@link nacos}. */
export interface NacosOptions extends RegistryClientOptions {
  /** Servers: `http://127.0.0.1:8848`. With a path when theirs is not `/nacos`. One is asked until it fails, then the next. */
  readonly nodes: readonly string[];
  /**
   * Id of the namespace.
   *
   * @defaultValue `''`: that of the server, `public`
   */
  readonly namespace?: string | undefined;
  /**
   * Group of the services, as found and as registered.
   *
   * @defaultValue `'DEFAULT_GROUP'`
   */
  readonly group?: string | undefined;
  /**
   * Cluster in which instances are registered. Those of all clusters are found; one that names no zone has its cluster
   * for it.
   *
   * @defaultValue `'DEFAULT'`
   */
  readonly cluster?: string | undefined;
  /**
   * Under which names a service is looked for: kratos and we register each address as `<service>.<scheme>`. With `''`
   * also under its plain name, as others register. Each is a request of its own.
   *
   * @defaultValue `['http', 'grpc']`
   */
  readonly schemes?: readonly string[] | undefined;
  /**
   * Which API the servers speak: `v1` up to Nacos 2, `v3` from Nacos 3.
   *
   * @defaultValue `undefined`: finds out
   */
  readonly api?: NacosApi | undefined;
  /**
   * User and password. Without effect when the servers ask for none.
   *
   * @defaultValue `undefined`: none
   */
  readonly auth?: NacosUser | undefined;
  /**
   * Longest time between renewals, in milliseconds. The server takes an instance out of service 15 s after the last one,
   * and forgets it after 30 s. A larger value costs less, and forgives fewer that are lost.
   *
   * @defaultValue `5_000`
   */
  readonly renewMs?: number | undefined;
  /**
   * Longest time between two looks at a service, in milliseconds, shortened by up to a tenth at random: over HTTP Nacos
   * tells no changes. A larger value costs less, and changes show later.
   *
   * @defaultValue `5_000`
   */
  readonly refreshMs?: number | undefined;
  /**
   * For `https` servers: whom to trust, and a certificate to show.
   *
   * @defaultValue `undefined`: what the platform trusts, and none
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Largest answer that is read, in bytes; a larger one counts as a failure of the server. One instance takes about
   * 500.
   *
   * @defaultValue `16_777_216`
   */
  readonly maxReplyBytes?: number | undefined;
}

/** Defaults of {@link nacos}. */
export const nacosDefaults = {
  ...registryClientDefaults,
  namespace: '',
  group: 'DEFAULT_GROUP',
  cluster: usualCluster,
  schemes: ['http', 'grpc'] as readonly string[],
  api: undefined as NacosApi | undefined,
  auth: undefined as NacosUser | undefined,
  renewMs: 5_000,
  refreshMs: 5_000,
  tls: undefined as TlsOptions | undefined,
  maxReplyBytes: 16_777_216,
};

const bounds: Bounds<typeof nacosDefaults> = {
  ...registryClientBounds,
  renewMs: { min: 100, max: 15_000 },
  refreshMs: { min: 100 },
  maxReplyBytes: { min: 1_024, integer: true },
};

interface NacosFollowInit {
  readonly session: NacosSession;
  readonly place: NacosPlace;
  readonly clock: Clock;
  readonly random: Random;
  readonly schemes: readonly string[];
  readonly refreshMs: number;
  readonly service: string;
  readonly publish: Publish;
}

/** Looks a service up again and again. */
class NacosFollow {
  constructor(private readonly init: NacosFollowInit) {}

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, schemes, refreshMs, publish } = this.init;
    while (!signal.aborted) {
      const lists = await Promise.all(schemes.map((scheme) => this.list(scheme, signal)));
      const read = lists.flat().filter((host) => host !== undefined);
      const skipped = read.filter((host) => typeof host === 'string').map((why) => `an instance ${why}`);
      publish(joined(read.filter((host) => typeof host !== 'string')), skipped);
      await rest({ clock, signal }, refreshMs * (0.9 + 0.1 * random()));
    }
  }

  private async list(
    scheme: string,
    signal: AbortSignal,
  ): Promise<readonly (ServiceInstance | string | undefined)[]> {
    const { session, place, service } = this.init;
    const name = scheme === '' ? service : `${service}.${scheme}`;
    const form = listForm(name, place, await session.spoken({ signal }));
    const text = await session.ask({ method: 'GET', path: '/ns/instance/list', form, signal });
    return readHosts(text).map((host) => readHost(host, { service, scheme }));
  }
}

class NacosBackend implements RegistryBackend {
  private readonly nodes: HttpNodes;
  private readonly session: NacosSession;

  constructor(
    nodes: readonly string[],
    private readonly settings: typeof nacosDefaults,
  ) {
    const { clock, api, auth } = settings;
    const tls = tlsSettings('nacos.tls', settings.tls);
    this.nodes = new HttpNodes({ ...settings, nodes, tls });
    this.session = new NacosSession({ nodes: this.nodes, clock, api, user: auth });
  }

  placeOf(instance: ServiceInstance): string {
    return `${instance.service} at ${[...instance.addresses].sort().join(' and ')}`;
  }
  tenure(instance: ServiceInstance): Tenure {
    return new NacosTenure(instance, this.session, this.settings);
  }
  follow(service: string, publish: Publish, signal: AbortSignal): Promise<void> {
    const { session, settings } = this;
    return new NacosFollow({ ...settings, session, place: settings, service, publish }).run(signal);
  }
  localAddress(): Promise<string | undefined> {
    return this.nodes.localAddress();
  }
  close(): void {
    this.nodes.close();
  }
}

function checkTexts(settings: typeof nacosDefaults): void {
  const { namespace, group, cluster, schemes, api, auth } = settings;
  for (const [field, value] of Object.entries({ namespace, group, cluster })) {
    if (typeof value !== 'string') throw new TypeError(`nacos.${field} must be a text`);
  }
  if (!Array.isArray(schemes) || schemes.length === 0 || !schemes.every((name) => typeof name === 'string'))
    throw new TypeError('nacos.schemes must be an array of schemes');
  if (api !== undefined && api !== 'v1' && api !== 'v3')
    throw new RangeError('nacos.api must be "v1" or "v3"');
  if (auth !== undefined && (typeof auth?.username !== 'string' || typeof auth.password !== 'string'))
    throw new TypeError('nacos.auth needs a username and a password');
}

/**
 * A registry in Nacos, 1 to 3, in the layout of kratos: its services and ours find each other.
 *
 * Use it where Nacos is run already. Nothing it does throws into your calls: while no server answers the last good lists
 * serve, marked stale, and everything is tried again for ever, with jitter. Nacos keeps instances in memory; the first
 * list after it was away is doubted. An instance that registers is one entry for each of its addresses, which are put
 * together again where they are found by their label `kratos.v2.serviceinstance.id`. Instances that are not healthy or
 * not enabled are not found.
 *
 * Of an instance, kratos has no fields for zone, environment, region and host name: they are labels of these names.
 * Weights of services that kratos and we did not register are taken times 100, since theirs begin at 1.
 *
 * @param options - only `nodes` is needed
 * @throws TypeError for nodes that are no URLs or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = nacos({ nodes: ['http://127.0.0.1:8848'], group: 'shop' });
 * const app = createApp({ service: 'users', registry });
 * ```
 *
 * Source: alibaba/nacos at 486e198 (`InstanceController`, `InstanceOpenApiController`), go-kratos/kratos at 668db92,
 * `contrib/registry/nacos` (names and labels). It speaks the HTTP API: the gRPC one of Nacos' own clients tells changes
 * at once, and is published as code only. v2 of the HTTP API is left out: up to Nacos 2 it has nothing that v1 lacks,
 * from 3 on it is for administrators.
 */
export function nacos(options: NacosOptions): Registry {
  if (typeof options !== 'object' || options === null) throw new TypeError('nacos needs options with nodes');
  const { nodes, ...others } = options;
  const settings = resolveOptions('nacos', nacosDefaults, others, bounds);
  checkTexts(settings);
  const urls = nodeUrls('nacos.nodes', nodes).map((url) =>
    new URL(url).pathname === '/' ? `${url}/nacos` : url,
  );
  const backend = new NacosBackend(urls, settings);
  return new RegistryClient({ backend, settings, renewMs: settings.renewMs, forgetful: true });
}
