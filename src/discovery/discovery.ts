import os from 'node:os';
import { type Clock, systemClock } from '../core/clock.js';
import { type Bounds, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { completed, type Where } from './completed-instance.js';
import { type DiscoveryEvent, reasonOf, teller } from './discovery-event.js';
import { DiscoveryTenure } from './discovery-tenure.js';
import { httpTransport } from './http-transport.js';
import type { ServiceInstance } from './instance.js';
import { KeptRegistration } from './kept-registration.js';
import { localAddressTowards, readableAddress } from './local-address.js';
import { NodeRing } from './node-ring.js';
import { Poller } from './poller.js';
import type { Registration, Registry } from './registrar.js';
import type { Resolution, Watch } from './resolver.js';
import { Session } from './session.js';
import type { Snapshot } from './snapshot-file.js';
import { SnapshotKeeper } from './snapshot-keeper.js';
import { type TlsOptions, tlsSettings } from './tls-options.js';
import { checkToken, withToken } from './token-transport.js';
import type { RegistryTransport } from './transport.js';
import { WatchedService } from './watched-service.js';

/** Options of {@link discovery}. */
export interface DiscoveryOptions {
  /**
   * Nodes of the registry to start from: `http://127.0.0.1:7171`. The others of the own zone are learned from them;
   * these stay as the way back when everything learned is gone.
   */
  readonly nodes: readonly string[];
  /**
   * Failure domain of this process: which nodes are learned, and the zone of instances that name none. Instances of
   * all zones are found; preferring one is the balancer's business.
   *
   * @defaultValue `undefined`: the environment variable `ZONE`, else `default`
   */
  readonly zone?: string | undefined;
  /**
   * Deployment environment. Services of different environments do not see each other.
   *
   * @defaultValue `undefined`: the environment variable `DEPLOY_ENV`, else `default`
   */
  readonly env?: string | undefined;
  /**
   * Geographic region of instances that name none; the registry only stores it.
   *
   * @defaultValue `undefined`: the environment variable `REGION`, else empty
   */
  readonly region?: string | undefined;
  /**
   * What this client calls itself in polls. Has to be its own: the original server hands the answers of one name to
   * whoever bears it. Not the `hostname` of instances.
   *
   * @defaultValue `undefined`: host name, process id and a random part
   */
  readonly hostname?: string | undefined;
  /**
   * Longest time between renewals, in milliseconds; shortened by up to a fifth at random. The original server drops
   * an instance 90 s after its last renewal, and doubts itself when it sees less than 1.7 a minute. A larger value
   * costs less, and fewer lost renewals are forgiven.
   *
   * @defaultValue `30_000`
   */
  readonly renewMs?: number | undefined;
  /**
   * How long the registry is asked to hold a poll when nothing changes, in milliseconds; the original server holds
   * none longer than 30 s. Lower it below the idle limit of whatever stands between. A larger value means fewer empty
   * polls.
   *
   * @defaultValue `30_000`
   */
  readonly pollMs?: number | undefined;
  /**
   * Shortest time between the starts of two polls, in milliseconds. A larger value gathers more changes into one, and
   * shows them later.
   *
   * @defaultValue `100`
   */
  readonly pollGapMs?: number | undefined;
  /**
   * How often lists are fetched although no change was announced, in milliseconds, a fifth more or less at random.
   * Needed with the original server, which announces neither the leaving of a last instance nor, to most, a change of
   * status or labels. A larger value costs less, and such changes show later. `Infinity` for never.
   *
   * @defaultValue `60_000`
   */
  readonly recheckMs?: number | undefined;
  /**
   * How long instances stay, with the resolution marked stale, when a list leaves them out that may be wrong: an
   * empty one, or the first after the registry was away, when others have not registered anew yet. In
   * milliseconds. A larger value survives a slower recovery of the registry, and calls what is really gone for
   * longer. 0 believes every list.
   *
   * @defaultValue `60_000`
   */
  readonly removalHoldMs?: number | undefined;
  /**
   * A list that has less than this share of the instances known before is not believed at once: those that it leaves
   * out stay for `removalHoldMs`, with the resolution marked stale. 0 to 1. A larger value forgives more of a registry
   * that is cut off from its instances, and calls more of those that really left together; with 0.3 a change from 20
   * to 8 is believed, from 20 to 5 is doubted. 0 doubts the empty list only.
   *
   * @defaultValue `0.3`
   */
  readonly minListRatio?: number | undefined;
  /**
   * How often another node is asked, for an even spread, in milliseconds, a tenth more or less at random. Without
   * effect with one node. `Infinity` for never.
   *
   * @defaultValue `1_800_000`
   */
  readonly rotateMs?: number | undefined;
  /**
   * How long a node may take to answer anything but a poll, in milliseconds. A larger value forgives a slower node,
   * and notices a dead one later.
   *
   * @defaultValue `5_000`
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How long a connection to a node may take to be made, in milliseconds. Without effect with a `transport` of your
   * own.
   *
   * @defaultValue `3_000`
   */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * What the nodes want to be shown as `authorization: Bearer …`. Learned nodes are shown it as well. Without TLS
   * whoever listens in can read it.
   *
   * @defaultValue `undefined`: nothing
   */
  readonly token?: string | undefined;
  /**
   * Authorities to trust, and a certificate of this client, for nodes at `https:`. Without effect with a `transport`
   * of your own.
   *
   * @defaultValue `undefined`: the platform's authorities, no certificate
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Largest answer that is read, in bytes; a larger one counts as a failure of the node. One instance takes about 500.
   *
   * @defaultValue `16_777_216`
   */
  readonly maxReplyBytes?: number | undefined;
  /**
   * A file that keeps the last good lists, for a process that starts while the registry is away: they serve, marked
   * stale, until it answers. Without effect on what is first watched while it does. Written with every change,
   * atomically. Give each process its own.
   *
   * @defaultValue `undefined`: none
   */
  readonly snapshotFile?: string | undefined;
  /**
   * Told what is worth a line in a log.
   *
   * @defaultValue `undefined`
   */
  readonly onEvent?: ((event: DiscoveryEvent) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * For jitter, and the order of nodes.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
  /**
   * Carries the requests, for tests and odd networks.
   *
   * @defaultValue `undefined`: HTTP/1.1 on connections that never hold the process
   */
  readonly transport?: RegistryTransport | undefined;
}

/** Defaults of {@link discovery}. */
export const discoveryDefaults = {
  zone: undefined as string | undefined,
  env: undefined as string | undefined,
  region: undefined as string | undefined,
  hostname: undefined as string | undefined,
  renewMs: 30_000,
  pollMs: 30_000,
  pollGapMs: 100,
  recheckMs: 60_000,
  removalHoldMs: 60_000,
  minListRatio: 0.3,
  rotateMs: 1_800_000,
  requestTimeoutMs: 5_000,
  connectTimeoutMs: 3_000,
  token: undefined as string | undefined,
  tls: undefined as TlsOptions | undefined,
  maxReplyBytes: 16_777_216,
  snapshotFile: undefined as string | undefined,
  /** Nobody is told. */
  onEvent: undefined as ((event: DiscoveryEvent) => void) | undefined,
  clock: systemClock,
  random: systemRandom,
  transport: undefined as RegistryTransport | undefined,
};

const bounds: Bounds<typeof discoveryDefaults> = {
  renewMs: { min: 100, max: 60_000 },
  pollMs: { min: 100, max: 3_600_000 },
  pollGapMs: { min: 10, max: 60_000 },
  recheckMs: { min: 1_000, infinite: true },
  removalHoldMs: { min: 0 },
  minListRatio: { min: 0, max: 1 },
  rotateMs: { min: 1_000, infinite: true },
  requestTimeoutMs: { min: 10 },
  connectTimeoutMs: { min: 10 },
  maxReplyBytes: { min: 1_024, integer: true },
};

/** How long a list of nodes is good for. */
const relearnMs = 60_000;

class Discovery implements Registry {
  private readonly ring: NodeRing;
  private readonly session: Session;
  private readonly poller: Poller;
  private readonly transport: RegistryTransport;
  private readonly keeper: SnapshotKeeper | undefined;
  private readonly kept = new Map<string, KeptRegistration>();
  private readonly tell: (event: DiscoveryEvent) => void;
  private recalled: Snapshot = new Map();
  private closing: Promise<void> | undefined;

  constructor(
    nodes: readonly string[],
    private readonly where: Where,
    private readonly options: typeof discoveryDefaults,
  ) {
    const { clock, random, connectTimeoutMs, snapshotFile, token, tls } = options;
    const { zone, env } = where;
    this.tell = teller(options.onEvent);
    this.transport = withToken(
      options.transport ?? httpTransport({ clock, connectTimeoutMs, tls: tlsSettings('discovery.tls', tls) }),
      token,
    );
    const ring = new NodeRing(nodes, random);
    this.ring = ring;
    this.session = new Session({ ...options, ring, transport: this.transport, zone, relearnMs });
    const hostname =
      options.hostname ?? `${os.hostname()}-${process.pid}-${random().toString(36).slice(2, 8)}`;
    const { session, tell } = this;
    const onFailure = (): void => this.recall(this.poller.all());
    this.poller = new Poller({ ...options, session, ring, env, hostname, tell, onFailure });
    if (snapshotFile !== undefined) {
      this.keeper = new SnapshotKeeper({
        path: snapshotFile,
        env,
        clock,
        tell: this.tell,
        collect: () => this.collect(),
        onLoad: (snapshot) => {
          this.recalled = snapshot;
          this.recall(this.poller.all());
        },
      });
    }
  }

  watch(service: string, onChange: (resolution: Resolution) => void): Watch {
    if (typeof service !== 'string' || service === '') throw new TypeError('a service to watch needs a name');
    if (this.closing !== undefined) return { close: () => undefined };
    let watched = this.poller.get(service);
    if (!watched) {
      watched = this.follow(service);
      this.poller.add(watched);
    }
    const { view } = watched;
    const watch = view.subscribe(onChange);
    return {
      close: () => {
        watch.close();
        if (view.size === 0) this.poller.remove(watched);
      },
    };
  }

  async register(given: ServiceInstance): Promise<Registration> {
    if (this.closing !== undefined) throw new Error('the registry client is closed');
    // The registry takes neither an empty zone nor an empty environment.
    const instance = completed(given, this.where);
    const key = JSON.stringify([instance.env, instance.service, instance.zone, instance.hostname]);
    if (this.kept.has(key)) {
      throw new Error(
        `${instance.service} on ${instance.hostname} is registered already: the one would replace the other`,
      );
    }
    const { session, tell } = this;
    const tenure = new DiscoveryTenure(instance, session);
    const round = (): number => session.round;
    const kept = new KeptRegistration(instance, { ...this.options, tenure, tell, round });
    this.kept.set(key, kept);
    const forget = (): void => {
      if (this.kept.get(key) === kept) this.kept.delete(key);
    };
    try {
      await kept.start();
    } catch (error) {
      forget();
      throw error;
    }
    return {
      get registered() {
        return kept.registered;
      },
      deregister: () => kept.deregister().finally(forget),
    };
  }

  async localAddress(): Promise<string | undefined> {
    return readableAddress(this.session.localAddress) ?? (await localAddressTowards(this.ring.current));
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    await Promise.all([...this.kept.values()].map((kept) => kept.deregister()));
    await this.poller.close();
    await this.keeper?.close();
    this.transport.close();
  }

  private follow(service: string): WatchedService {
    const { clock, removalHoldMs, minListRatio } = this.options;
    const watched = new WatchedService(service, {
      clock,
      removalHoldMs,
      minListRatio,
      onShow: () => this.keeper?.changed(),
      onTurn: (stale, reason) => this.tell({ type: stale ? 'stale' : 'fresh', service, reason }),
      onFault: (error) => this.tell({ type: 'fault', service, reason: reasonOf(error) }),
    });
    this.recall([watched]);
    return watched;
  }

  private recall(services: Iterable<WatchedService>): void {
    // While the registry answers, its own list is a moment away, and this one may be days old.
    if (this.poller.reached || this.closing !== undefined) return;
    for (const { name, view } of services) view.recall(this.recalled.get(name) ?? [], recallReason);
  }

  private collect(): Snapshot {
    const lists = new Map<string, readonly ServiceInstance[]>();
    for (const { name, view } of this.poller.all()) {
      const instances = view.current?.instances ?? [];
      if (instances.length > 0) lists.set(name, instances);
    }
    return lists;
  }
}

const recallReason = 'from a snapshot: the registry has not answered yet';

function nodeOf(node: unknown): string {
  const url = typeof node === 'string' && URL.canParse(node) ? new URL(node) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) {
    throw new TypeError(
      `discovery.nodes must be URLs such as "http://127.0.0.1:7171", got ${JSON.stringify(node)}`,
    );
  }
  return url.href.replace(/\/+$/, '');
}

/**
 * A client of the discovery protocol that bilibili's registry, kratos and `keelson registry` speak: finds services by
 * long polls, registers and renews, over any number of nodes.
 *
 * Use it when services come and go. Nothing it does throws into your calls: while the registry is away the last good
 * lists serve, marked stale, and everything is tried again for ever, with jitter. For fixed addresses use {@link
 * staticEndpoints}, for names in DNS `dns`, in tests {@link memory}.
 *
 * @param options - only `nodes` is needed
 * @throws TypeError for nodes that are no URLs or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = discovery({ nodes: ['http://127.0.0.1:7171'], zone: 'sh001', env: 'prod' });
 * const watch = registry.watch('users', ({ instances, stale }) => console.log(instances.length, stale));
 * const registration = await registry.register(instance);
 * await registration.deregister();
 * ```
 *
 * Source: bilibili/discovery at 1e12d5c (`http/discovery.go`, `registry/registry.go`, `naming/client.go`). Unlike its
 * clients this one keeps timestamps exact, takes -304 for success, backs off with jitter, keeps the timestamp of an
 * empty list, notices that the last instance left, and ends its renewals before it cancels.
 */
export function discovery(options: DiscoveryOptions): Registry {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('discovery needs options with nodes');
  const { nodes, ...rest } = options;
  if (!Array.isArray(nodes) || nodes.length === 0)
    throw new TypeError('discovery.nodes must list at least one URL');
  const resolved = resolveOptions('discovery', discoveryDefaults, rest, bounds);
  checkToken('discovery.token', resolved.token);
  const { env: variables } = process;
  const where = {
    zone: resolved.zone || variables['ZONE'] || 'default',
    env: resolved.env || variables['DEPLOY_ENV'] || 'default',
    region: resolved.region ?? variables['REGION'] ?? '',
  };
  return new Discovery(nodes.map(nodeOf), where, resolved);
}
