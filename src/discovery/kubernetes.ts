/**
 * Finding services in Kubernetes.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';
import { teller } from './discovery-event.js';
import { FollowedService, type Publish } from './followed-service.js';
import { nodeUrls } from './http-nodes.js';
import { KubernetesAccess } from './kubernetes-access.js';
import { KubernetesFollow } from './kubernetes-follow.js';
import { instancesOf } from './kubernetes-slices.js';
import {
  type RegistryClientOptions,
  registryClientBounds,
  registryClientDefaults,
} from './registry-client-options.js';
import type { Resolution, Resolver, Watch } from './resolver.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';

export type { DiscoveryEvent } from './discovery-event.js';
export type { RegistryClientOptions } from './registry-client-options.js';
export type { TlsOptions } from './tls-options.js';

/** Options of {@link kubernetes}. */
export interface KubernetesOptions extends Omit<RegistryClientOptions, 'zone' | 'env' | 'region'> {
  /**
   * The API server: `https://10.0.0.1:6443`.
   *
   * @defaultValue `undefined`: that of the cluster in which this process runs
   */
  readonly server?: string | undefined;
  /**
   * Namespace of services that are named without one. Those of others are `<service>.<namespace>`.
   *
   * @defaultValue `undefined`: that of the pod, else `default`
   */
  readonly namespace?: string | undefined;
  /**
   * For services whose ports do not tell it: the name of the port that is meant.
   *
   * @defaultValue `{}`
   */
  readonly ports?: Readonly<Record<string, string>> | undefined;
  /**
   * Scheme of a port whose name and `appProtocol` tell none. Without effect where there are several ports, none of them
   * named in `ports`.
   *
   * @defaultValue `'http'`
   */
  readonly scheme?: 'http' | 'https' | 'grpc' | 'grpcs' | undefined;
  /**
   * Which address of pods that have one of each.
   *
   * @defaultValue `'IPv4'`
   */
  readonly family?: 'IPv4' | 'IPv6' | undefined;
  /**
   * Zone of this process, as its node's label `topology.kubernetes.io/zone` has it. Where the control plane has set
   * endpoints apart for zones, only those for this one are taken. Empty to take all.
   *
   * @defaultValue `undefined`: the environment variable `ZONE`, else empty
   */
  readonly zone?: string | undefined;
  /**
   * Folder with `token`, `ca.crt` and `namespace`. They are read anew for each request, since they are renewed.
   *
   * @defaultValue `'/var/run/secrets/kubernetes.io/serviceaccount'`
   */
  readonly credentialsPath?: string | undefined;
  /**
   * Bearer token, or a function that gives the one of the moment.
   *
   * @defaultValue `undefined`: that of the folder
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /**
   * Whom to trust, and a certificate to show.
   *
   * @defaultValue `undefined`: the authority in the folder, and none
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * How long the server is asked to let a watch go on, in milliseconds, half of it or more at random. A larger value
   * means fewer that begin anew.
   *
   * @defaultValue `300_000`
   */
  readonly watchMs?: number | undefined;
  /**
   * Largest answer that is read, and largest object of a watch, in bytes; a larger one counts as a failure of the
   * server. A slice of 100 endpoints takes about 60 000.
   *
   * @defaultValue `67_108_864`
   */
  readonly maxReplyBytes?: number | undefined;
}

const { zone: _zone, env: _env, region: _region, ...clientDefaults } = registryClientDefaults;

/** Defaults of {@link kubernetes}. */
export const kubernetesDefaults = {
  ...clientDefaults,
  server: undefined as string | undefined,
  namespace: undefined as string | undefined,
  ports: {} as Readonly<Record<string, string>>,
  scheme: 'http' as 'http' | 'https' | 'grpc' | 'grpcs',
  family: 'IPv4' as 'IPv4' | 'IPv6',
  zone: undefined as string | undefined,
  credentialsPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  /** That of the folder. */
  token: undefined as string | (() => string | Promise<string>) | undefined,
  tls: undefined as TlsOptions | undefined,
  watchMs: 300_000,
  maxReplyBytes: 67_108_864,
};

const bounds: Bounds<typeof kubernetesDefaults> = {
  ...registryClientBounds,
  watchMs: { min: 2_000, max: 86_400_000 },
  maxReplyBytes: { min: 1_024, integer: true },
};

/** Names of services and namespaces; nothing else may get into a path or a selector. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

interface Target {
  readonly name: string;
  readonly namespace: string;
}

class KubernetesResolver implements Resolver {
  private readonly followed = new Map<string, FollowedService>();
  private closed = false;

  constructor(
    private readonly settings: typeof kubernetesDefaults,
    private readonly namespace: string,
    private readonly access: KubernetesAccess,
  ) {}

  watch(service: string, onChange: (resolution: Resolution) => void): Watch {
    const target = this.targetOf(service);
    if (this.closed) return { close: () => undefined };
    const followed = this.followed.get(service) ?? this.follow(service, target);
    const { view } = followed;
    const watch = view.subscribe(onChange);
    return {
      close: () => {
        watch.close();
        if (view.size > 0 || this.followed.get(service) !== followed) return;
        this.followed.delete(service);
        followed.close();
      },
    };
  }

  close(): void {
    this.closed = true;
    for (const followed of this.followed.values()) followed.close();
    this.followed.clear();
    this.access.close();
  }

  private targetOf(service: unknown): Target {
    const [name = '', namespace = this.namespace, ...more] =
      typeof service === 'string' ? service.split('.') : [];
    if (!label.test(name) || !label.test(namespace) || more.length > 0)
      throw new TypeError(
        `kubernetes: ${JSON.stringify(service)} is neither <service> nor <service>.<namespace>`,
      );
    return { name, namespace };
  }

  private follow(service: string, target: Target): FollowedService {
    const { settings, access } = this;
    const { onEvent, ports, scheme, family } = settings;
    const zone = (settings.zone ?? process.env['ZONE']) || undefined;
    const port = Object.hasOwn(ports, service) ? ports[service] : undefined;
    const choice = { service, port, scheme, family, zone };
    const strain = { fruitless: 0 };
    const follow = (publish: Publish, signal: AbortSignal): Promise<void> => {
      const show = (slices: Iterable<unknown>): void => {
        const { instances, skipped } = instancesOf(slices, choice);
        publish(instances, skipped);
      };
      return new KubernetesFollow({ ...settings, ...target, access, strain, show }).run(signal);
    };
    const followed = new FollowedService({
      ...settings,
      service,
      follow,
      forgetful: false,
      tell: teller(onEvent),
    });
    this.followed.set(service, followed);
    return followed;
  }
}

function inCluster(): string {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!host)
    throw new TypeError(
      'kubernetes.server is needed outside of a cluster: there is no KUBERNETES_SERVICE_HOST',
    );
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function podNamespace(credentialsPath: string): string {
  try {
    return readFileSync(`${credentialsPath}/namespace`, 'utf8').trim() || 'default';
  } catch {
    return 'default';
  }
}

function checkTexts({ ports, token, credentialsPath }: typeof kubernetesDefaults): void {
  if (
    typeof ports !== 'object' ||
    ports === null ||
    Object.values(ports).some((name) => typeof name !== 'string')
  )
    throw new TypeError('kubernetes.ports must be an object with names of ports');
  if (token !== undefined && typeof token !== 'string' && typeof token !== 'function')
    throw new TypeError('kubernetes.token must be a text or a function that gives one');
  if (typeof credentialsPath !== 'string') throw new TypeError('kubernetes.credentialsPath must be a path');
}

/**
 * A resolver that follows the EndpointSlices of Kubernetes.
 *
 * Use it inside a cluster to choose among the pods of a service oneself, rather than to have each connection be sent to
 * one of them: with `p2c` and breakers that matters, with gRPC it decides whether there is any balancing. The service
 * account needs to `get`, `list` and `watch` `endpointslices` of `discovery.k8s.io`. A service is found by the name of
 * its Service object. Pods count by their readiness; when none is ready, those that are ending and still serve. Where
 * that right cannot be had, `dns` with a headless service does, more slowly.
 *
 * There is nothing to register: that is done by the control plane, by the pod's readiness probe. kratos writes labels of
 * its own to its pod instead, which takes the right to change pods, and which no Service would see; to be found by
 * kratos' client, write them into the Deployment.
 *
 * While the API server is away the last good list serves, marked stale, and it is tried again for ever, with jitter.
 *
 * @param options - all optional inside a cluster
 * @throws TypeError for a server that is no URL, outside of a cluster without one, or for an unknown option, RangeError
 * for a value out of range
 * @example
 * ```ts
 * const app = createApp({ service: 'orders', registry: kubernetes() });
 * const users = app.fetch('users');
 * const bills = app.fetch('bills.finance');
 * ```
 *
 * Source: Kubernetes API concepts (list and watch, bookmarks, 410 Gone, list in pieces), EndpointSlice v1, KEP-1669 (the
 * ending that still serve), KEP-2433 (hints). Plain HTTPS: of the official client we would use two requests.
 */
export function kubernetes(options: KubernetesOptions = {}): Resolver {
  const settings = resolveOptions('kubernetes', kubernetesDefaults, options, bounds);
  checkChoice('kubernetes.scheme', settings.scheme, ['http', 'https', 'grpc', 'grpcs']);
  checkChoice('kubernetes.family', settings.family, ['IPv4', 'IPv6']);
  checkTexts(settings);
  const { credentialsPath, token } = settings;
  const [server] = nodeUrls('kubernetes.server', [settings.server ?? inCluster()]);
  const namespace = settings.namespace ?? podNamespace(credentialsPath);
  if (!label.test(namespace))
    throw new TypeError(`kubernetes.namespace must be a name, got ${JSON.stringify(namespace)}`);
  const tls = tlsSettings('kubernetes.tls', settings.tls);
  const access = new KubernetesAccess({
    server: server as string,
    credentialsPath,
    token,
    tls,
    http: settings,
  });
  return new KubernetesResolver(settings, namespace, access);
}
