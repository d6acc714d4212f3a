import { resolveOptions } from '../core/options.js';
import { AppEntry, type Snapshot } from './app-entry.js';
import { appKey, instanceKey } from './app-key.js';
import { compareClaims, freshVersion } from './conflict.js';
import { type Cancelled, Graves } from './graves.js';
import type { InstanceId } from './instance-id.js';
import {
  contentOf,
  InstanceRecord,
  type InstanceRegistration,
  type InstanceStatus,
  type StoredInstance,
} from './instance-record.js';
import { clusterNsOf, type Instant, maxNs } from './instant.js';
import { type RegistryLimitOptions, resolveLimits } from './limits.js';
import { checkMetadata } from './metadata.js';
import { badRequest, limitExceeded } from './refused.js';

/** How far ahead of the own clock a timestamp from outside may be: one from the far future would spoil the counters for good. */
const aheadNs = 60_000_000_000n;

/** New status or further labels of some instances of one app and zone. */
export interface InstanceChange {
  /** Deployment environment. */
  readonly env: string;
  /** Name of the service. */
  readonly appid: string;
  /** Failure domain. */
  readonly zone: string;
  /** What changes, host by host. */
  readonly hosts: readonly {
    /** Which instance. */
    readonly hostname: string;
    /** New status; absent: as it was. */
    readonly status?: InstanceStatus | undefined;
    /** Labels laid over those there are. */
    readonly metadata?: ReadonlyMap<string, string> | undefined;
  }[];
  /** When the change was made, in nanoseconds; absent: now. */
  readonly stamp?: bigint | undefined;
}

/** Who is to go. */
export interface InstanceCancellation extends InstanceId {
  /** Version of the cancellation, as a peer knows it; nanoseconds. Absent: newer than whatever is stored. */
  readonly dirty?: bigint | undefined;
  /** Time since it was cancelled; milliseconds. Absent: it is being cancelled now. */
  readonly idleMs?: number | undefined;
}

/**
 * What became of a registration. `same`: nothing new but that it lives. `kept`: the stored description is newer, and
 * nothing new but that it lives either. `buried`: it was cancelled, and that is newer.
 */
export type Registered = 'added' | 'replaced' | 'same' | 'kept' | 'buried';

/** Which list is asked for. */
export interface ListQuery {
  /** Deployment environment. */
  readonly env: string;
  /** Name of the service. */
  readonly appid: string;
  /** One zone; empty for all. */
  readonly zone: string;
  /** Bits of the statuses wanted: 1 up, 2 waiting. */
  readonly status: number;
}

/** Everything that is registered. Told the time, knows no network. */
export interface InstanceStore {
  /** Instances that can expire. */
  readonly instances: number;
  /** Apps that have instances. */
  readonly apps: number;
  /** Apps that are remembered although their last instance left. */
  readonly emptyApps: number;
  /** Cancelled instances that are remembered. */
  readonly cancelled: number;
  /** Highest change counter of a forgotten app; nanoseconds. */
  readonly floorNs: bigint;
  /** Lists encoded so far. */
  readonly encodings: number;
  /** Bytes of encoded lists that are kept. */
  readonly listBytes: number;
  /**
   * Adds an instance or takes the place of the one with its identity.
   *
   * @throws Refused when the registry or the app is full
   */
  register(registration: InstanceRegistration, at: Instant): Registered;
  /** Marks as alive. Changes nothing that anybody waits for. */
  renew(id: InstanceId, at: Instant): StoredInstance | undefined;
  /** Takes one out. @returns whether it was there, and not newer than that */
  cancel(cancellation: InstanceCancellation, at: Instant, stamp?: bigint): boolean;
  /** One instance. */
  find(id: InstanceId): StoredInstance | undefined;
  /** One that was cancelled, as long as that is remembered. */
  findCancelled(id: InstanceId): Cancelled | undefined;
  /**
   * An instance lives although it was cancelled: whoever tells of it is believed, in whatever version, and it gets one
   * above the cancellation, so that nodes that still remember that believe it as well.
   */
  lift(id: InstanceId): void;
  /** All that were cancelled, as long as that is remembered. @param nowMs - monotonic milliseconds */
  cancellations(nowMs: number): Iterable<Cancelled>;
  /** Whether a cancellation of that age still counts; one that does not says nothing, whoever tells it. */
  remembers(sinceCancelledMs: number): boolean;
  /** Forgets cancellations whose time is over. */
  expireCancelled(nowMs: number): void;
  /** Takes out several; each app concerned changes once. */
  evict(records: Iterable<StoredInstance>, at: Instant): void;
  /**
   * Changes some instances, all or none.
   *
   * @throws Refused when one of them is unknown or would have too much metadata
   */
  set(change: InstanceChange, at: Instant): void;
  /** Whether an app has instances, of any zone and status. */
  has(env: string, appid: string): boolean;
  /** A list; `undefined` when the app has no instances at all. */
  list(query: ListQuery): Snapshot | undefined;
  /**
   * A list, if it changed since.
   *
   * @param since - the app's change counter as the asker knows it; 0 or less: knows nothing
   * @returns `missing` when there is nothing, and was nothing the asker could have known
   */
  listSince(query: ListQuery, since: bigint): Snapshot | 'unchanged' | 'missing';
  /** A list whatever the asker knows, an empty one included; `undefined` when the app is unknown or forgotten. */
  current(query: ListQuery): Snapshot | undefined;
  /** Every instance there is. */
  records(): Iterable<StoredInstance>;
  /** Change counters of apps to come begin above it: what an earlier process had reached. Nanoseconds. */
  raiseFloor(floorNs: bigint): void;
  /** Forgets apps that have been empty since before then; monotonic milliseconds. */
  forgetEmptied(beforeMs: number): void;
  /** Says how clients are to spread their calls over zones: JSON by identity of the app. Apps left out: nothing is said. */
  schedule(schedulers: ReadonlyMap<string, string>, at: Instant): void;
}

class Store implements InstanceStore {
  instances = 0;
  encodings = 0;
  private readonly entries = new Map<string, AppEntry>();
  /** A part of `entries`, longest empty first. */
  private readonly emptied = new Map<string, AppEntry>();
  /** Highest counter of a forgotten app: one that returns goes on above it, whatever the wall clock says. */
  private floor = 0n;
  private readonly graves: Graves;
  private schedulers: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly limits: ReturnType<typeof resolveLimits>,
    private readonly init: Omit<typeof instanceStoreDefaults, 'limits'>,
  ) {
    this.graves = new Graves(limits.cancelled, init.cancelledMs);
  }

  get apps(): number {
    return this.entries.size - this.emptied.size;
  }
  get emptyApps(): number {
    return this.emptied.size;
  }

  get listBytes(): number {
    let bytes = 0;
    for (const entry of this.entries.values()) bytes += entry.listBytes;
    return bytes;
  }

  get cancelled(): number {
    return this.graves.size;
  }
  get floorNs(): bigint {
    return this.floor;
  }

  register(given: InstanceRegistration, at: Instant): Registered {
    const key = appKey(given.env, given.appid);
    const known = this.entries.get(key);
    const stored = known?.find(given.zone, given.hostname);
    const grave = this.findCancelled(given);
    const registration = grave?.lifted ? above(grave, given) : given;
    const refused = this.refuse(registration, stored, grave);
    if (refused === 'same' || refused === 'kept') {
      // Whoever heard of it, and in whatever version: it lives.
      stored?.renew(at, registration.idleMs);
      known?.forgetSnapshots();
    }
    if (refused !== undefined) return refused;
    if (stored === undefined && registration.permanent !== true) this.checkRoom(known);
    const entry = known ?? this.open(key);
    entry.put(new InstanceRecord(registration, at, { record: stored, dirtyNs: grave?.dirtyNs }));
    if (stored === undefined && registration.permanent !== true) this.instances++;
    this.emptied.delete(key);
    if (grave !== undefined) this.graves.forget(instanceKey(registration));
    this.changed(entry, plausible(registration.latest, at) ?? clusterNsOf(at));
    return stored === undefined ? 'added' : 'replaced';
  }

  private refuse(
    { dirty: dirtyNs, ...said }: InstanceRegistration,
    stored: InstanceRecord | undefined,
    grave: Cancelled | undefined,
  ): 'same' | 'kept' | 'buried' | undefined {
    if (dirtyNs === undefined) return undefined;
    const claim = { dirtyNs, cancelled: false, content: contentOf(said) };
    if (grave && compareClaims(claim, { ...grave, cancelled: true, content: '' }) < 0) return 'buried';
    if (stored === undefined) return undefined;
    const order = compareClaims(claim, stored);
    if (order === 0) return 'same';
    return order < 0 ? 'kept' : undefined;
  }

  renew(id: InstanceId, at: Instant): InstanceRecord | undefined {
    const entry = this.entries.get(appKey(id.env, id.appid));
    const record = entry?.find(id.zone, id.hostname);
    record?.renew(at);
    entry?.forgetSnapshots();
    return record;
  }

  cancel(cancellation: InstanceCancellation, at: Instant, stamp?: bigint): boolean {
    const { env, appid, zone, hostname, idleMs = 0 } = cancellation;
    // Who forgot it would be told of it by who has not, and tell that one in turn: it would never end.
    if (!this.remembers(idleMs)) return false;
    const entry = this.entries.get(appKey(env, appid));
    const record = entry?.find(zone, hostname);
    const before = this.findCancelled(cancellation)?.dirtyNs;
    const dirtyNs = cancellation.dirty ?? freshVersion(clusterNsOf(at), record?.dirtyNs, before);
    if (record && compareClaims({ dirtyNs, cancelled: true, content: '' }, record) < 0) return false;
    if (before === undefined || dirtyNs > before)
      this.graves.put(instanceKey(cancellation), {
        ...{ env, appid, zone, hostname },
        dirtyNs,
        sinceMs: at.ms - idleMs,
      });
    if (entry === undefined || record === undefined) return false;
    this.remove(entry, record, at);
    // The original adds one. Behind the clock of the cluster that is not enough for who comes from another node.
    const clusterNs = clusterNsOf(at);
    this.changed(entry, plausible(stamp, at) ?? (clusterNs > at.ns ? clusterNs : 0n));
    return true;
  }

  find(id: InstanceId): InstanceRecord | undefined {
    return this.entries.get(appKey(id.env, id.appid))?.find(id.zone, id.hostname);
  }

  findCancelled(id: InstanceId): Cancelled | undefined {
    return this.graves.size === 0 ? undefined : this.graves.find(instanceKey(id));
  }

  lift(id: InstanceId): void {
    this.graves.lift(instanceKey(id));
  }

  cancellations(nowMs: number): Iterable<Cancelled> {
    return this.graves.values(nowMs);
  }

  remembers(sinceCancelledMs: number): boolean {
    return this.graves.remembers(sinceCancelledMs);
  }

  expireCancelled(nowMs: number): void {
    this.graves.expire(nowMs);
  }

  evict(records: Iterable<StoredInstance>, at: Instant): void {
    const touched = new Set<AppEntry>();
    for (const record of records) {
      const entry = this.entries.get(appKey(record.env, record.appid));
      const stored = entry?.find(record.zone, record.hostname);
      if (entry === undefined || stored === undefined || stored !== record) continue;
      this.remove(entry, stored, at);
      touched.add(entry);
    }
    for (const entry of touched) this.changed(entry, clusterNsOf(at));
  }

  set(change: InstanceChange, at: Instant): void {
    const entry = this.entries.get(appKey(change.env, change.appid));
    const merged = new Map<InstanceRecord, ReadonlyMap<string, string>>();
    for (const [at, { hostname, metadata }] of change.hosts.entries()) {
      const record = entry?.find(change.zone, hostname);
      if (record === undefined) throw badRequest(`hostname: number ${at + 1} of them is not registered`);
      const labels = new Map([...(merged.get(record) ?? record.metadata), ...(metadata ?? [])]);
      checkMetadata(labels, this.limits);
      merged.set(record, labels);
    }
    if (entry === undefined) throw badRequest('appid: has no instances');
    if (merged.size === 0) return;
    const stamp = plausible(change.stamp, at) ?? clusterNsOf(at);
    for (const { hostname, status } of change.hosts) {
      const record = entry.find(change.zone, hostname);
      record?.change(status, merged.get(record) ?? record.metadata, stamp);
    }
    this.changed(entry, stamp);
  }

  has(env: string, appid: string): boolean {
    return (this.entries.get(appKey(env, appid))?.size ?? 0) > 0;
  }

  list(query: ListQuery): Snapshot | undefined {
    const entry = this.entries.get(appKey(query.env, query.appid));
    return entry && entry.size > 0 ? entry.snapshot(query.zone, query.status) : undefined;
  }

  listSince(query: ListQuery, since: bigint): Snapshot | 'unchanged' | 'missing' {
    const entry = this.entries.get(appKey(query.env, query.appid));
    if (entry === undefined) return 'missing';
    if (since >= entry.latest) return 'unchanged';
    const snapshot = entry.snapshot(query.zone, query.status);
    // Who held a list must learn that it is empty now; who held none is told what the original says: not found.
    return snapshot.known || since > 0n ? snapshot : 'missing';
  }

  current(query: ListQuery): Snapshot | undefined {
    return this.entries.get(appKey(query.env, query.appid))?.snapshot(query.zone, query.status);
  }

  *records(): Iterable<InstanceRecord> {
    for (const entry of this.entries.values()) for (const zone of entry.zones.values()) yield* zone.values();
  }

  raiseFloor(floorNs: bigint): void {
    if (floorNs > this.floor && floorNs <= maxNs) this.floor = floorNs;
  }

  forgetEmptied(beforeMs: number): void {
    for (const entry of this.emptied.values()) if (entry.emptiedMs < beforeMs) this.forget(entry);
  }

  schedule(schedulers: ReadonlyMap<string, string>, at: Instant): void {
    this.schedulers = schedulers;
    for (const [key, entry] of this.entries) {
      const scheduler = schedulers.get(key);
      if (entry.scheduler === scheduler) continue;
      entry.scheduler = scheduler;
      this.changed(entry, clusterNsOf(at));
    }
  }

  private open(key: string): AppEntry {
    const entry = new AppEntry(key, this.floor, () => this.encodings++);
    entry.scheduler = this.schedulers.get(key);
    this.entries.set(key, entry);
    return entry;
  }

  private checkRoom(entry: AppEntry | undefined): void {
    const { instances, instancesPerApp } = this.limits;
    if (this.instances >= instances)
      throw limitExceeded(`this registry takes ${instances} instances at most`);
    if (entry && entry.size >= instancesPerApp)
      throw limitExceeded(`this registry takes ${instancesPerApp} instances of one app at most`);
  }

  private remove(entry: AppEntry, record: InstanceRecord, at: Instant): void {
    entry.remove(record);
    if (!record.permanent) this.instances--;
    if (entry.size > 0) return;
    entry.emptiedMs = at.ms;
    this.emptied.set(entry.key, entry);
    const [oldest] = this.emptied.values();
    if (oldest && this.emptied.size > this.limits.emptyApps) this.forget(oldest);
  }

  private forget(entry: AppEntry): void {
    this.emptied.delete(entry.key);
    this.entries.delete(entry.key);
    if (entry.latest > this.floor) this.floor = entry.latest;
  }

  private changed(entry: AppEntry, stamp: bigint): void {
    entry.bump(stamp);
    this.init.onChange?.(entry.key);
  }
}

function plausible(stamp: bigint | undefined, at: Instant): bigint | undefined {
  return stamp !== undefined && stamp > 0n && stamp <= clusterNsOf(at) + aheadNs ? stamp : undefined;
}

/** What is told of one that lives although it was cancelled. */
function above({ dirtyNs }: Cancelled, given: InstanceRegistration): InstanceRegistration {
  return given.dirty === undefined ? given : { ...given, dirty: freshVersion(given.dirty, dirtyNs) };
}

/** What an {@link instanceStore} is made of. */
export interface InstanceStoreOptions {
  /**
   * Bounds.
   *
   * @defaultValue `undefined`: those of {@link registryLimitDefaults}
   */
  readonly limits?: RegistryLimitOptions | undefined;
  /**
   * Told the key of each app whose list or counter changed, once per change, after the fact.
   *
   * @defaultValue `undefined`: nobody is told
   */
  readonly onChange?: ((key: string) => void) | undefined;
  /**
   * How long cancelled instances are remembered; milliseconds, 0 or more. Only who has peers needs it.
   *
   * @defaultValue `0`
   */
  readonly cancelledMs?: number | undefined;
}

/** Defaults of {@link InstanceStoreOptions}. */
export const instanceStoreDefaults = {
  limits: undefined as RegistryLimitOptions | undefined,
  /** Nobody is told. */
  onChange: undefined as ((key: string) => void) | undefined,
  cancelledMs: 0,
};

/**
 * Makes an empty store: a pure state machine, told the time.
 *
 * Conflicts are decided by the rules of {@link Claim}.
 *
 * Source: `registry/registry.go`, `model/instance.go` of bilibili/discovery. Differs: an app that lost its last
 * instance is remembered, so that the empty list reaches those who missed the push; `set` is all or nothing and moves
 * the change counter; expiry counts on the monotonic clock; timestamps from outside that lie in the future are not believed.
 *
 * @throws TypeError or RangeError for bounds out of range
 */
export function instanceStore(options: InstanceStoreOptions = {}): InstanceStore {
  const { limits, ...init } = resolveOptions('instanceStore', instanceStoreDefaults, options, {
    cancelledMs: { min: 0 },
  });
  return new Store(resolveLimits(limits), init);
}
