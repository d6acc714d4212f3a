import { AppEntry, type Snapshot } from './app-entry.js';
import { appKey } from './app-key.js';
import {
  type InstanceId,
  InstanceRecord,
  type InstanceRegistration,
  type InstanceStatus,
  type StoredInstance,
} from './instance-record.js';
import type { Instant } from './instant.js';
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
  /** Lists encoded so far. */
  readonly encodings: number;
  /**
   * Adds an instance or takes the place of the one with its identity.
   *
   * @returns what became of it; `kept`: the stored description is newer, nothing changed
   * @throws Refused when the registry or the app is full
   */
  register(registration: InstanceRegistration, at: Instant): 'added' | 'replaced' | 'kept';
  /** Marks as alive. Changes nothing that anybody waits for. */
  renew(id: InstanceId, at: Instant): StoredInstance | undefined;
  /** Takes one out. @returns whether it was there */
  cancel(id: InstanceId, at: Instant, stamp?: bigint): boolean;
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
  /** Forgets apps that have been empty since before then; monotonic milliseconds. */
  forgetEmptied(beforeMs: number): void;
}

class Store implements InstanceStore {
  instances = 0;
  encodings = 0;
  private readonly entries = new Map<string, AppEntry>();
  /** A part of `entries`, longest empty first. */
  private readonly emptied = new Map<string, AppEntry>();
  /** Highest counter of a forgotten app: one that returns goes on above it, whatever the wall clock says. */
  private floor = 0n;

  constructor(
    private readonly limits: ReturnType<typeof resolveLimits>,
    private readonly onChange: (key: string) => void,
  ) {}

  get apps(): number {
    return this.entries.size - this.emptied.size;
  }
  get emptyApps(): number {
    return this.emptied.size;
  }

  register(registration: InstanceRegistration, at: Instant): 'added' | 'replaced' | 'kept' {
    const key = appKey(registration.env, registration.appid);
    const known = this.entries.get(key);
    const stored = known?.find(registration.zone, registration.hostname);
    const { dirty, latest } = registration;
    if (stored !== undefined && dirty !== undefined && dirty < stored.dirtyNs) return 'kept';
    if (stored === undefined && registration.permanent !== true) this.checkRoom(known);
    const entry = known ?? this.open(key);
    entry.put(new InstanceRecord(registration, at, stored));
    if (stored === undefined && registration.permanent !== true) this.instances++;
    this.emptied.delete(key);
    this.changed(entry, plausible(latest, at) ?? at.ns);
    return stored === undefined ? 'added' : 'replaced';
  }

  renew(id: InstanceId, at: Instant): InstanceRecord | undefined {
    const entry = this.entries.get(appKey(id.env, id.appid));
    const record = entry?.find(id.zone, id.hostname);
    record?.renew(at);
    entry?.forgetSnapshots();
    return record;
  }

  cancel(id: InstanceId, at: Instant, stamp?: bigint): boolean {
    const entry = this.entries.get(appKey(id.env, id.appid));
    const record = entry?.find(id.zone, id.hostname);
    if (entry === undefined || record === undefined) return false;
    this.remove(entry, record, at);
    this.changed(entry, plausible(stamp, at) ?? 0n);
    return true;
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
    for (const entry of touched) this.changed(entry, at.ns);
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
    const stamp = plausible(change.stamp, at) ?? at.ns;
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

  forgetEmptied(beforeMs: number): void {
    for (const entry of this.emptied.values()) if (entry.emptiedMs < beforeMs) this.forget(entry);
  }

  private open(key: string): AppEntry {
    const entry = new AppEntry(key, this.floor, () => this.encodings++);
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
    this.onChange(entry.key);
  }
}

function plausible(stamp: bigint | undefined, at: Instant): bigint | undefined {
  return stamp !== undefined && stamp > 0n && stamp <= at.ns + aheadNs ? stamp : undefined;
}

/** What an {@link instanceStore} is made of. */
export interface InstanceStoreOptions {
  /** Bounds. */
  readonly limits?: RegistryLimitOptions | undefined;
  /** Told the key of each app whose list or counter changed, once per change, after the fact. */
  readonly onChange?: ((key: string) => void) | undefined;
}

/**
 * Makes an empty store: a pure state machine, told the time.
 *
 * Source: `registry/registry.go`, `model/instance.go` of bilibili/discovery. Differs: an app that lost its last
 * instance is remembered, so that the empty list reaches those who missed the push; `set` is all or nothing and moves
 * the change counter; expiry counts on the monotonic clock; timestamps from outside that lie in the future are not believed.
 *
 * @throws TypeError or RangeError for bounds out of range
 */
export function instanceStore(options: InstanceStoreOptions = {}): InstanceStore {
  return new Store(resolveLimits(options.limits), options.onChange ?? (() => undefined));
}
