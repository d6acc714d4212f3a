/**
 * Finding services and being found through ZooKeeper, in the layout of kratos.
 *
 * @module
 */
import { type Bounds, resolveOptions } from '../core/options.js';
import { parseAddress } from './address.js';
import type { Publish } from './followed-service.js';
import type { ServiceInstance } from './instance.js';
import type { Tenure } from './kept-registration.js';
import { kratosJson } from './kratos-instance.js';
import { localAddressTowards, readableAddress } from './local-address.js';
import type { Registry } from './registrar.js';
import { type RegistryBackend, RegistryClient } from './registry-client.js';
import {
  type RegistryClientOptions,
  registryClientBounds,
  registryClientDefaults,
} from './registry-client-options.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';
import { ZooKeeperFollow } from './zookeeper-follow.js';
import type { ZooKeeperUser } from './zookeeper-protocol.js';
import { ZooKeeperSession } from './zookeeper-session.js';
import { ZooKeeperTenure } from './zookeeper-tenure.js';
import { pathOf, ZooKeeperTree } from './zookeeper-tree.js';

export type { DiscoveryEvent } from './discovery-event.js';
export type { RegistryClientOptions } from './registry-client-options.js';
export type { TlsOptions } from './tls-options.js';
export type { ZooKeeperUser } from './zookeeper-protocol.js';

/** Options of {@link zookeeper}. */
export interface ZookeeperOptions extends RegistryClientOptions {
  /** Servers of the ensemble, as `host:port`, or `host` for port 2181. One is asked until it fails. */
  readonly servers: readonly string[];
  /**
   * Path of the node below which all services are: `<namespace>/<service>/<id>`. Services that are to find each other
   * have the same one.
   *
   * @defaultValue `'/microservices'`
   */
  readonly namespace?: string | undefined;
  /**
   * Path that is put before everything, where an ensemble is shared: `/teams/payments`.
   *
   * @defaultValue `''`
   */
  readonly chroot?: string | undefined;
  /**
   * How long servers keep the session, and with it what is registered, after they last heard of us; in milliseconds.
   * Servers hold it within limits of their own, 2 to 20 ticks. A larger value survives a longer cut, and a process that
   * crashed is called for longer.
   *
   * @defaultValue `15_000`
   */
  readonly sessionTimeoutMs?: number | undefined;
  /**
   * How often it is looked whether what is registered is still there, in milliseconds, up to a fifth earlier at random:
   * a node can be taken out by hand. A larger value costs less, and that is noticed later.
   *
   * @defaultValue `30_000`
   */
  readonly recheckMs?: number | undefined;
  /**
   * User and password. Nodes that are made belong to this user alone then, as with kratos: nobody else reads them.
   *
   * @defaultValue `undefined`: none, and nodes are everybody's
   */
  readonly auth?: ZooKeeperUser | undefined;
  /**
   * Connections by TLS: whom to trust, and a certificate to show; `{}` for what the platform trusts.
   *
   * @defaultValue `undefined`: without TLS
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Largest answer that is read, in bytes; a larger one ends the connection. One instance takes about 500, and a list
   * of names some 40 each.
   *
   * @defaultValue `4_194_304`
   */
  readonly maxReplyBytes?: number | undefined;
}

/** Defaults of {@link zookeeper}. */
export const zookeeperDefaults = {
  ...registryClientDefaults,
  namespace: '/microservices',
  chroot: '',
  sessionTimeoutMs: 15_000,
  recheckMs: 30_000,
  auth: undefined as ZooKeeperUser | undefined,
  tls: undefined as TlsOptions | undefined,
  maxReplyBytes: 4_194_304,
};

const bounds: Bounds<typeof zookeeperDefaults> = {
  ...registryClientBounds,
  sessionTimeoutMs: { min: 1_000, max: 3_600_000, integer: true },
  recheckMs: { min: 1_000 },
  maxReplyBytes: { min: 1_024, integer: true },
};

class ZooKeeperBackend implements RegistryBackend {
  private readonly session: ZooKeeperSession;
  private readonly tree: ZooKeeperTree;
  private readonly root: string;

  constructor(
    nodes: readonly string[],
    private readonly settings: typeof zookeeperDefaults,
  ) {
    const { auth: user, chroot, namespace, tls } = settings;
    this.root = `${chroot}${namespace}`;
    const secure = tls === undefined ? undefined : tlsSettings('zookeeper.tls', tls);
    this.session = new ZooKeeperSession({ ...settings, nodes, user, tls: secure });
    this.tree = new ZooKeeperTree(this.session, user);
  }

  placeOf({ service, id }: ServiceInstance): string {
    return pathOf(this.root, service, id);
  }
  tenure(instance: ServiceInstance, onGone: (reason: string) => void): Tenure {
    const { tree } = this;
    const { clock } = this.settings;
    const path = this.placeOf(instance);
    return new ZooKeeperTenure({ tree, clock, path, value: kratosJson(instance), onGone });
  }
  async follow(service: string, publish: Publish, signal: AbortSignal): Promise<void> {
    const path = pathOf(this.root, service);
    await new ZooKeeperFollow({ tree: this.tree, path, service, publish }).run(signal);
  }
  async localAddress(): Promise<string | undefined> {
    const { localAddress, ring } = this.session;
    return readableAddress(localAddress) ?? (await localAddressTowards(ring.current));
  }
  close(): Promise<void> {
    return this.session.close();
  }
}

const usualPort = 2181;

function nodeOf(server: unknown): string {
  const text = typeof server === 'string' ? server : '';
  const address = parseAddress(`tcp://${text}`);
  const found = address === 'has no port' ? parseAddress(`tcp://${text}:${usualPort}`) : address;
  if (typeof found === 'string' || /[/?]/.test(text))
    throw new TypeError(
      `zookeeper.servers must be texts such as "10.0.0.1:2181", got ${JSON.stringify(server)}`,
    );
  return found.url;
}

function checkRoot(field: string, path: unknown): void {
  if (typeof path !== 'string' || !path.startsWith('/'))
    throw new TypeError(`${field} must begin with a slash`);
  pathOf('', ...path.slice(1).split('/'));
}

function checkAuth(auth: ZooKeeperUser | undefined): void {
  if (auth === undefined) return;
  const { user, password } = auth;
  if (typeof user !== 'string' || user === '' || user.includes(':') || typeof password !== 'string')
    throw new TypeError('zookeeper.auth needs a user, without a colon, and a password');
}

/**
 * A registry in ZooKeeper, in the layout of kratos: its services and ours find each other.
 *
 * Use it where ZooKeeper is run already. Instances are nodes that end with the session; when it expires everything is
 * registered and watched anew in a new one. Nothing it does throws into your calls: while no server answers the last
 * good lists serve, marked stale, and everything is tried again for ever, with jitter. Where there is no registry yet,
 * {@link discovery} needs less to run.
 *
 * Of an instance, kratos has no fields for weight, zone, environment, region, host name and status: they are labels of
 * these names. Instances that name another environment are not seen. Names of services and ids become those of nodes, so
 * they hold no slash.
 *
 * @param options - only `servers` is needed
 * @throws TypeError for servers that are no addresses or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = zookeeper({ servers: ['10.0.0.1:2181', '10.0.0.2:2181'] });
 * const app = createApp({ service: 'users', registry });
 * ```
 *
 * Source: go-kratos/kratos at 668db92, `contrib/registry/zookeeper` (paths, values, rights); Apache ZooKeeper 3.8,
 * `zookeeper.jute` and `ClientCnxn.java`. It speaks the wire protocol itself. Unlike kratos' client this one watches
 * instances as well as their list, so that only what changed is read again, and takes out only what is its own.
 */
export function zookeeper(options: ZookeeperOptions): Registry {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('zookeeper needs options with servers');
  const { servers, ...rest } = options;
  if (!Array.isArray(servers) || servers.length === 0)
    throw new TypeError('zookeeper.servers must list at least one server');
  const settings = resolveOptions('zookeeper', zookeeperDefaults, rest, bounds);
  checkRoot('zookeeper.namespace', settings.namespace);
  if (settings.chroot !== '') checkRoot('zookeeper.chroot', settings.chroot);
  checkAuth(settings.auth);
  const backend = new ZooKeeperBackend(servers.map(nodeOf), settings);
  return new RegistryClient({ backend, settings, renewMs: settings.recheckMs });
}
