import type { Timer } from '../core/clock.js';
import type { RegistryReply } from '../discovery/transport.js';
import {
  advertised,
  formatAddress,
  isLoopback,
  type ListenAddress,
  localAddress,
  parseListenAddress,
} from './address.js';
import type { Engine } from './engine.js';
import { toldIdleMs } from './entries.js';
import { hostNames } from './host-names.js';
import { type FrontServer, httpFront } from './http-front.js';
import { type InstanceStore, instanceStore } from './instance-store.js';
import { instantOf } from './instant.js';
import { type Lifecycle, lifecycle } from './lifecycle.js';
import { resolveLimits } from './limits.js';
import { metricsText } from './metrics-text.js';
import { ownRegistration } from './own-registration.js';
import type { Tell } from './registry-event.js';
import {
  type RegistryOptions,
  type ResolvedRegistryOptions,
  resolveRegistryOptions,
} from './registry-options.js';
import type { RegistryAddress, RegistryStats } from './registry-stats.js';
import type { Replication } from './replication.js';
import { replicationOf } from './replication-of.js';
import { runLocally } from './run-route.js';
import { SchedulerFolder } from './scheduler-folder.js';
import { Security } from './security.js';
import { decodeSnapshot, encodeSnapshot, type Restored } from './snapshot.js';
import { SnapshotKeeper } from './snapshot-keeper.js';
import { Traffic } from './traffic.js';
import { type WaitingRoom, waitingRoom } from './waiting-room.js';

/** A registry in this process. */
export interface RegistryServer {
  /** Listens. Rejects with the system's error when it cannot; may then be called again. */
  listen(): Promise<RegistryAddress>;
  /** Answers every parked poll, closes, cuts what has not gone by then. May be called again. */
  close(): Promise<void>;
  /** What it holds. */
  stats(): RegistryStats;
  /**
   * Answers one request of the protocol without a socket: for tests, simulations, and programs that embed it.
   *
   * @param path - `/discovery/fetch`
   * @param form - its parameters, of a query or a body
   */
  ask(method: 'GET' | 'POST', path: string, form: URLSearchParams): Promise<RegistryReply>;
}

function lifecycleOf(store: InstanceStore, options: ResolvedRegistryOptions): Lifecycle {
  const { expiryMs, maxExpiryMs, sweepIntervalMs, recountIntervalMs, keepRatio, random } = options;
  const { protectRatio, protectMinInstances } = options;
  const guard = { protectRatio, protectMinInstances };
  return lifecycle(
    store,
    { expiryMs, maxExpiryMs, sweepIntervalMs, recountIntervalMs, keepRatio, random, ...guard },
    options.clock.now(),
  );
}

class EmbeddedRegistry implements RegistryServer {
  private readonly listenAt: ListenAddress;
  private readonly room: WaitingRoom = waitingRoom();
  private readonly store: InstanceStore;
  private readonly lifecycle: Lifecycle;
  private readonly replication: Replication | undefined;
  private readonly snapshot: SnapshotKeeper | undefined;
  private readonly engine: Engine;
  private readonly security: Security;
  private readonly schedulers: SchedulerFolder | undefined;
  private readonly server: FrontServer;
  private sweeping: Timer | undefined;
  private prepared: Promise<void> | undefined;
  private closed: Promise<void> | undefined;

  constructor(private readonly options: ResolvedRegistryOptions) {
    const { clock, limits: given, zone, peers, maxExpiryMs, sweepIntervalMs } = options;
    this.listenAt = parseListenAddress(options.listen);
    // Only to be refused now rather than once it listens.
    advertised(options.advertise, this.listenAt);
    const tell: Tell = (name, fields) => this.tell(name, fields);
    this.store = instanceStore({
      limits: given,
      onChange: (key) => this.changed(key),
      // Two sweeps longer than any node may list an instance that does not renew.
      cancelledMs: peers === undefined ? 0 : maxExpiryMs + 2 * sweepIntervalMs,
    });
    this.lifecycle = lifecycleOf(this.store, options);
    this.security = new Security(options, tell);
    const { transport } = this.security;
    this.replication = replicationOf({
      options,
      store: this.store,
      lifecycle: this.lifecycle,
      transport,
      tell,
    });
    this.schedulers = this.schedulersOf(options.schedulers, tell);
    this.snapshot = this.keeperOf(options.snapshot, tell);
    this.engine = {
      store: this.store,
      lifecycle: this.lifecycle,
      room: this.room,
      limits: resolveLimits(given),
      clock,
      now: () => this.replication?.now() ?? instantOf(clock),
      pollParkMs: options.pollParkMs,
      emptyListGapMs: options.emptyListGapMs,
      emptyLists: new WeakMap(),
      self: { address: options.listen, zone },
      names: isLoopback(this.listenAt.host) ? hostNames(options.advertise) : undefined,
      replication: this.replication,
      tell,
      access: this.security.access,
      traffic: new Traffic(),
      metrics: () => this.metrics(),
      closing: false,
    };
    const { requestTimeoutMs } = options;
    this.server = httpFront(this.engine, { requestTimeoutMs, tls: this.security.tls?.settings });
  }

  async listen(): Promise<RegistryAddress> {
    if (this.engine.closing) throw new Error('this registry is closed');
    if (this.server.listening) throw new Error('this registry listens already');
    // Once, although it may have to be called again because the address was in use.
    this.prepared ??= this.prepare();
    await this.prepared;
    this.checkOpen();
    await this.bind(this.listenAt);
    if (this.engine.closing) this.server.close();
    this.checkOpen();
    this.server.on('error', (error) => this.tell('fault', { error: String(error) }));
    const bound = this.server.address();
    const { host, port } = this.listenAt;
    return this.begin({ host, port: typeof bound === 'object' && bound !== null ? bound.port : port });
  }

  private async prepare(): Promise<void> {
    const restored = await this.snapshot?.load();
    if (this.engine.closing) return;
    this.restore(restored);
    this.snapshot?.begin();
    await this.schedulers?.begin();
  }

  private checkOpen(): void {
    if (this.engine.closing) throw new Error('this registry was closed before it listened');
  }

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  stats(): RegistryStats {
    const { store, room } = this;
    const { guard, protecting } = this.lifecycle;
    const { expected, seen } = guard;
    return {
      instances: store.instances,
      apps: store.apps,
      emptyApps: store.emptyApps,
      parkedPolls: room.size,
      watches: room.watches,
      encodings: store.encodings,
      listBytes: store.listBytes,
      expectedRenewals: expected,
      seenRenewals: seen,
      protecting,
      stale: [...store.records()].filter(({ stale }) => stale).length,
      cancelled: store.cancelled,
      synced: this.replication?.synced ?? true,
      clockAheadMs: this.replication?.time.aheadMs ?? 0,
      node: this.replication?.node ?? '',
      peers: this.replication?.states() ?? [],
    };
  }

  ask(method: 'GET' | 'POST', path: string, form: URLSearchParams): Promise<RegistryReply> {
    return runLocally(this.engine, { method, path, form });
  }

  private changed(key: string): void {
    this.room.wake(key);
    this.replication?.changed(key);
    this.snapshot?.changed();
  }

  private metrics(): string {
    return metricsText({
      stats: this.stats(),
      traffic: this.engine.traffic,
      memory: process.memoryUsage(),
    });
  }

  private schedulersOf(path: string | undefined, tell: Tell): SchedulerFolder | undefined {
    if (path === undefined) return undefined;
    const onChange = (schedulers: ReadonlyMap<string, string>): void => {
      this.store.schedule(schedulers, this.engine.now());
      tell('scheduler', { apps: schedulers.size });
    };
    return new SchedulerFolder({ path, clock: this.options.clock, tell, onChange });
  }

  private keeperOf(path: string | undefined, tell: Tell): SnapshotKeeper | undefined {
    if (path === undefined) return undefined;
    const { clock, limits, maxExpiryMs } = this.options;
    const context = () => ({ limits: resolveLimits(limits), at: this.engine.now(), idleMsOf: toldIdleMs });
    return new SnapshotKeeper({
      ...{ path, clock, tell },
      encode: () => encodeSnapshot(this.store, this.engine.now()),
      decode: (text) => decodeSnapshot(text, context(), maxExpiryMs),
    });
  }

  private restore(restored: Restored | undefined): void {
    if (restored === undefined) return;
    const { records, floorNs, skipped } = restored;
    const { store, engine } = this;
    store.raiseFloor(floorNs);
    // Clients could not renew while it was away: from now on they have as long as always.
    this.lifecycle.shelter(engine.now().ms);
    let taken = 0;
    for (const record of records)
      try {
        store.register({ ...record, stale: true }, engine.now());
        this.lifecycle.guard.added();
        taken++;
      } catch {
        // Smaller bounds than before the restart.
      }
    this.tell('restored', { instances: taken, skipped: skipped + records.length - taken });
  }

  private bind({ host, port }: ListenAddress): Promise<void> {
    const { server } = this;
    return new Promise<void>((resolve, reject) => {
      const onClose = (): void => reject(new Error('this registry was closed before it listened'));
      const settled = (): void => {
        server.off('error', reject).off('error', settled).off('close', onClose);
      };
      server.once('error', reject).once('error', settled).once('close', onClose);
      server.listen(host === '' ? { port } : { host, port }, () => {
        settled();
        resolve();
      });
    });
  }

  private begin(bound: ListenAddress): RegistryAddress {
    const { zone, region, env, advertise } = this.options;
    const { host, port } = advertised(advertise, bound);
    const address = formatAddress(host, port);
    const { scheme } = this.security;
    this.engine.self.address = address;
    const own = ownRegistration(this.options, { address, scheme });
    if (this.replication) this.replication.begin(own, address);
    else this.store.register(own, this.engine.now());
    this.scheduleSweep();
    if ('setSecureContext' in this.server) this.security.follow(this.server);
    this.tell('listening', { address: formatAddress(bound.host, bound.port), region, zone, env });
    return { ...bound, url: `${scheme}://${localAddress(bound)}`, advertisedUrl: `${scheme}://${address}` };
  }

  private scheduleSweep(): void {
    this.sweeping = this.options.clock.after(this.options.sweepIntervalMs, () => {
      this.sweep();
      this.scheduleSweep();
    });
  }

  private sweep(): void {
    const before = this.lifecycle.protecting;
    const { expired, evicted, protecting, late } = this.lifecycle.sweep(this.engine.now());
    for (const { env, appid, zone, hostname } of evicted)
      this.tell('evicted', { env, appid, zone, hostname });
    const { expected, seen } = this.lifecycle.guard;
    if (protecting !== before) this.tell('protecting', { protecting, expected, seen });
    if (late) this.tell('late', { expired });
  }

  private async end(): Promise<void> {
    const { server, engine } = this;
    engine.closing = true;
    this.sweeping?.cancel();
    this.security.close();
    this.schedulers?.close();
    this.tell('closing', { parkedPolls: this.room.size });
    this.room.clear();
    if (this.replication || this.snapshot)
      await Promise.all([this.replication?.close(), this.snapshot?.close()]);
    await new Promise<void>((resolve) => {
      const cut = engine.clock.after(this.options.closeTimeoutMs, () => server.closeAllConnections());
      // Also calls back, with an error, when it never listened: closed is closed.
      server.close(() => {
        cut.cancel();
        resolve();
      });
    });
    this.tell('closed', {});
  }

  private readonly tell: Tell = (name, fields) => {
    try {
      this.options.onEvent?.({ name, fields });
    } catch {
      // A log that fails must not fail a registration.
    }
  };
}

/**
 * Makes a registry that speaks the HTTP protocol of bilibili/discovery: one node alone, or with `peers` a cluster that
 * goes on when nodes fail or cannot reach each other. Nodes of the original can be among them.
 *
 * What is registered is in memory; `snapshot` keeps it over a restart of a node alone. While all nodes are away clients
 * keep their last list, and register again within 30 s of a return. Not a store for anything else: when nodes cannot
 * reach each other each takes writes, and what was written later prevails.
 *
 * @throws TypeError for an unknown option or a wrong type, RangeError for one out of range
 * @example
 * ```ts
 * const registry = createRegistry({ listen: '127.0.0.1:0' });
 * const { url } = await registry.listen();
 * await registry.close();
 * ```
 *
 * Source: `http`, `model`, `registry` of bilibili/discovery. Differs where that one loses changes: the empty list is
 * pushed when the last instance leaves, `/set` wakes those who poll, polls of one host are told apart, `addrs` are taken
 * repeated and joined by commas, the registry is found under every env, small fleets are not self-protected.
 */
export function createRegistry(options: RegistryOptions = {}): RegistryServer {
  return new EmbeddedRegistry(resolveRegistryOptions(options));
}
