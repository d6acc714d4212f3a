/**
 * Finding services and being found by Consul.
 *
 * @module
 */
import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';
import { ConsulAgent, ConsulTenure, type ConsulToken } from './consul-agent.js';
import { ConsulFollow, type ConsulReads } from './consul-follow.js';
import { checkIdOf, consulBody } from './consul-layout.js';
import type { Publish } from './followed-service.js';
import { HttpNodes, nodeUrls } from './http-nodes.js';
import type { ServiceInstance } from './instance.js';
import type { Tenure } from './kept-registration.js';
import type { Registry } from './registrar.js';
import { type RegistryBackend, RegistryClient } from './registry-client.js';
import {
  type RegistryClientOptions,
  registryClientBounds,
  registryClientDefaults,
} from './registry-client-options.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';

export type { ConsulToken } from './consul-agent.js';
export type { ConsulReads } from './consul-follow.js';
export type { DiscoveryEvent } from './discovery-event.js';
export type { RegistryClientOptions } from './registry-client-options.js';
export type { TlsOptions } from './tls-options.js';

/** Options of {@link consul}. */
export interface ConsulOptions extends RegistryClientOptions {
  /**
   * The agent to ask: the one on this host, or a server. Only one, since a service belongs to the agent at which it was
   * registered.
   *
   * @defaultValue `undefined`: the environment variable `CONSUL_HTTP_ADDR`, else `http://127.0.0.1:8500`
   */
  readonly agent?: string | undefined;
  /**
   * ACL token, or a function that gives the one of the moment, for tokens that change. It is asked for each request.
   *
   * @defaultValue `undefined`: the environment variable `CONSUL_HTTP_TOKEN`, else none
   */
  readonly token?: ConsulToken | undefined;
  /**
   * Where services are looked for. For several datacenters, `merge` as many. Without effect on registering.
   *
   * @defaultValue `undefined`: the datacenter of the agent
   */
  readonly datacenter?: string | undefined;
  /**
   * How lists are read: `default` by the leader; `stale` by any server, also while there is no leader, at the price of
   * old lists; `consistent` after the leader has made sure that it is one; `cached` from the agent, which then watches
   * each service once for all its clients.
   *
   * @defaultValue `'default'`
   */
  readonly reads?: ConsulReads | undefined;
  /**
   * Tags of what is registered, besides `version=…`.
   *
   * @defaultValue `[]`
   */
  readonly tags?: readonly string[] | undefined;
  /**
   * Longest time between renewals, in milliseconds; after twice that without one the instance is out of service. A
   * larger value costs less, and the dead are called for longer.
   *
   * @defaultValue `10_000`
   */
  readonly renewMs?: number | undefined;
  /**
   * How long an instance stays registered, out of service, when it is no longer renewed; in milliseconds, at least a
   * minute. A larger value leaves more time to look at what is left of it.
   *
   * @defaultValue `600_000`
   */
  readonly deregisterAfterMs?: number | undefined;
  /**
   * How long the agent is asked to hold a query when nothing changes, in milliseconds. Lower it below the idle limit of
   * whatever stands between. A larger value means fewer empty answers.
   *
   * @defaultValue `55_000`
   */
  readonly pollMs?: number | undefined;
  /**
   * Time between two queries of one service when they are answered faster than that, in milliseconds; two may always
   * follow each other at once. A larger value gathers more changes into one, and spares an agent whose answers do not
   * wait.
   *
   * @defaultValue `1_000`
   */
  readonly pollGapMs?: number | undefined;
  /**
   * For an `https` agent: whom to trust, and a certificate to show.
   *
   * @defaultValue `undefined`: what the platform trusts, and none
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Largest answer that is read, in bytes; a larger one counts as a failure of the agent. One instance takes about
   * 1 500.
   *
   * @defaultValue `16_777_216`
   */
  readonly maxReplyBytes?: number | undefined;
}

/** Defaults of {@link consul}. */
export const consulDefaults = {
  ...registryClientDefaults,
  agent: undefined as string | undefined,
  token: undefined as ConsulToken | undefined,
  datacenter: undefined as string | undefined,
  reads: 'default' as ConsulReads,
  tags: [] as readonly string[],
  renewMs: 10_000,
  deregisterAfterMs: 600_000,
  pollMs: 55_000,
  pollGapMs: 1_000,
  tls: undefined as TlsOptions | undefined,
  maxReplyBytes: 16_777_216,
};

const bounds: Bounds<typeof consulDefaults> = {
  ...registryClientBounds,
  renewMs: { min: 1_000, max: 3_600_000 },
  deregisterAfterMs: { min: 60_000 },
  pollMs: { min: 1_000, max: 600_000 },
  pollGapMs: { min: 10 },
  maxReplyBytes: { min: 1_024, integer: true },
};

class ConsulBackend implements RegistryBackend {
  private readonly nodes: HttpNodes;
  private readonly agent: ConsulAgent;

  constructor(
    node: string,
    private readonly settings: typeof consulDefaults,
  ) {
    const tls = tlsSettings('consul.tls', settings.tls);
    this.nodes = new HttpNodes({ ...settings, nodes: [node], tls });
    this.agent = new ConsulAgent(this.nodes, settings.token ?? process.env['CONSUL_HTTP_TOKEN']);
  }

  placeOf(instance: ServiceInstance): string {
    return instance.id;
  }
  tenure(instance: ServiceInstance): Tenure {
    const body = consulBody(instance, { ...this.settings, ttlMs: 2 * this.settings.renewMs });
    const state = instance.status === 'up' ? 'pass' : 'warn';
    return new ConsulTenure({
      agent: this.agent,
      id: instance.id,
      checkId: checkIdOf(instance),
      body,
      state,
    });
  }
  follow(service: string, publish: Publish, signal: AbortSignal): Promise<void> {
    return new ConsulFollow({ ...this.settings, agent: this.agent, service, publish }).run(signal);
  }
  localAddress(): Promise<string | undefined> {
    return this.nodes.localAddress();
  }
  close(): void {
    this.nodes.close();
  }
}

/** Consul's own tools leave the scheme out. */
function agentUrl(given: string): string {
  const [url] = nodeUrls('consul.agent', [given.includes('://') ? given : `http://${given}`]);
  return url as string;
}

/**
 * A registry in Consul, in the layout of kratos: its services and ours find each other.
 *
 * Use it where Consul is run already. Instances are services of an agent with a check that is renewed; those whose
 * checks all pass are found, by blocking queries. Nothing it does throws into your calls: while the agent is away the
 * last good lists serve, marked stale, and everything is tried again for ever, with jitter. Labels have to be such as
 * Consul takes: 64 at most, names of letters, digits, `-` and `_`, values of 512 characters; it refuses the others.
 *
 * Of an instance, kratos has no fields for weight, zone, environment, region, host name and status: they are labels of
 * these names. Where a service of somebody else has no label `zone`, its locality or datacenter is its zone.
 *
 * @param options - all optional
 * @throws TypeError for an agent that is no URL or an unknown option, RangeError for a value out of range
 * @example
 * ```ts
 * const registry = consul({ agent: 'http://127.0.0.1:8500' });
 * const app = createApp({ service: 'users', registry });
 * ```
 *
 * Source: go-kratos/kratos at 668db92, `contrib/registry/consul` (layout, 10 s, 600 s, 55 s); Consul's documentation of
 * blocking queries (index that goes back, index 0, limit of the loop). Plain HTTP, since that is all the API there is.
 * Unlike kratos' client this one waits for the agent's answer before it decides that a query failed (kratos ends each
 * after 10 s, so that none ever blocks for 55), also believes an empty list in the end, and adds no TCP checks.
 */
export function consul(options: ConsulOptions = {}): Registry {
  const settings = resolveOptions('consul', consulDefaults, options, bounds);
  checkChoice('consul.reads', settings.reads, ['default', 'stale', 'consistent', 'cached']);
  const { agent, token, tags } = settings;
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string'))
    throw new TypeError('consul.tags must be an array of texts');
  if (token !== undefined && typeof token !== 'string' && typeof token !== 'function')
    throw new TypeError('consul.token must be a text or a function that gives one');
  const url = agentUrl(String(agent ?? (process.env['CONSUL_HTTP_ADDR'] || 'http://127.0.0.1:8500')));
  const backend = new ConsulBackend(url, settings);
  return new RegistryClient({ backend, settings, renewMs: settings.renewMs });
}
