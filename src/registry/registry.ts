import type { Server } from 'node:http';
import { hostname as machineName } from 'node:os';
import type { Timer } from '../core/clock.js';
import {
  advertised,
  formatAddress,
  type ListenAddress,
  localAddress,
  parseListenAddress,
} from './address.js';
import { ownAppid } from './app-key.js';
import type { Engine, RegistryEvent } from './engine.js';
import { httpFront } from './http-front.js';
import { type InstanceStore, instanceStore } from './instance-store.js';
import { instantOf } from './instant.js';
import { type Lifecycle, lifecycle } from './lifecycle.js';
import { resolveLimits } from './limits.js';
import {
  type RegistryOptions,
  type ResolvedRegistryOptions,
  resolveRegistryOptions,
} from './registry-options.js';
import { type WaitingRoom, waitingRoom } from './waiting-room.js';

/** Where a registry is to be found. */
export interface RegistryAddress extends ListenAddress {
  /** `http://host:port` for programs on this machine. */
  readonly url: string;
  /** `http://host:port` as clients are told it. */
  readonly advertisedUrl: string;
}

/** What a registry holds at the moment. */
export interface RegistryStats {
  /** Instances, the registry itself not counted. */
  readonly instances: number;
  /** Apps that have instances, the registry itself counted. */
  readonly apps: number;
  /** Apps remembered although their last instance left. */
  readonly emptyApps: number;
  /** Polls that wait. */
  readonly parkedPolls: number;
  /** Apps that waiting polls watch, summed over polls. */
  readonly watches: number;
  /** Lists encoded so far: one per change and form, however many are sent it. */
  readonly encodings: number;
  /** Renewals expected per sweep interval. */
  readonly expectedRenewals: number;
  /** Renewals seen in the last full one. */
  readonly seenRenewals: number;
  /** Whether instances that stopped renewing are kept. */
  readonly protecting: boolean;
}

/** A registry in this process. */
export interface RegistryServer {
  /** Listens. Rejects with the system's error when it cannot; may then be called again. */
  listen(): Promise<RegistryAddress>;
  /** Answers every parked poll, closes, cuts what has not gone by then. May be called again. */
  close(): Promise<void>;
  /** What it holds. */
  stats(): RegistryStats;
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
  private readonly engine: Engine;
  private readonly server: Server;
  private sweeping: Timer | undefined;
  private closed: Promise<void> | undefined;

  constructor(private readonly options: ResolvedRegistryOptions) {
    const { clock, limits: given, zone } = options;
    const limits = resolveLimits(given);
    this.listenAt = parseListenAddress(options.listen);
    // Only to be refused now rather than once it listens.
    advertised(options.advertise, this.listenAt);
    this.store = instanceStore({ limits: given, onChange: (key) => this.room.wake(key) });
    this.lifecycle = lifecycleOf(this.store, options);
    this.engine = {
      store: this.store,
      lifecycle: this.lifecycle,
      room: this.room,
      limits,
      clock,
      now: () => instantOf(clock),
      pollParkMs: options.pollParkMs,
      emptyListGapMs: options.emptyListGapMs,
      emptyLists: new WeakMap(),
      self: { address: options.listen, zone },
      tell: (name, fields) => this.tell(name, fields),
      closing: false,
    };
    this.server = httpFront(this.engine, options.requestTimeoutMs);
  }

  async listen(): Promise<RegistryAddress> {
    if (this.engine.closing) throw new Error('this registry is closed');
    if (this.server.listening) throw new Error('this registry listens already');
    await this.bind(this.listenAt);
    this.server.on('error', (error) => this.tell('fault', { error: String(error) }));
    const bound = this.server.address();
    const { host, port } = this.listenAt;
    return this.begin({ host, port: typeof bound === 'object' && bound !== null ? bound.port : port });
  }

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  stats(): RegistryStats {
    const { store, room } = this;
    const { expected, seen, protecting } = this.lifecycle.guard;
    return {
      instances: store.instances,
      apps: store.apps,
      emptyApps: store.emptyApps,
      parkedPolls: room.size,
      watches: room.watches,
      encodings: store.encodings,
      expectedRenewals: expected,
      seenRenewals: seen,
      protecting,
    };
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
    this.engine.self.address = address;
    this.store.register(
      {
        env,
        appid: ownAppid,
        zone,
        region,
        hostname: `${machineName()}-${bound.port}`,
        addrs: [`http://${address}`],
        version: '',
        status: 1,
        metadata: new Map(),
        permanent: true,
      },
      this.engine.now(),
    );
    this.scheduleSweep();
    this.tell('listening', { address: formatAddress(bound.host, bound.port), region, zone, env });
    return { ...bound, url: `http://${localAddress(bound)}`, advertisedUrl: `http://${address}` };
  }

  private scheduleSweep(): void {
    this.sweeping = this.options.clock.after(this.options.sweepIntervalMs, () => {
      this.sweep();
      this.scheduleSweep();
    });
  }

  private sweep(): void {
    const before = this.lifecycle.guard.protecting;
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
    this.tell('closing', { parkedPolls: this.room.size });
    this.room.clear();
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

  private tell(name: RegistryEvent['name'], fields: RegistryEvent['fields']): void {
    try {
      this.options.onEvent?.({ name, fields });
    } catch {
      // A log that fails must not fail a registration.
    }
  }
}

/**
 * Makes a registry that speaks the HTTP protocol of bilibili/discovery: in memory, one node, for development, tests and
 * small fleets.
 *
 * Not for where the registry itself must survive the loss of its machine: there is no replication. Clients keep their
 * last list while it is away and register again within 30 s of its return.
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
