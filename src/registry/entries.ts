import { type LosslessJson, stringify } from '../discovery/lossless-json.js';
import { believable } from './conflict.js';
import { Fields } from './fields.js';
import type { Cancelled } from './graves.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceRegistration, StoredInstance } from './instance-record.js';
import type { InstanceCancellation } from './instance-store.js';
import { clusterNsOf, type Instant } from './instant.js';
import type { RegistryLimits } from './limits.js';
import { readMetadata } from './metadata.js';
import type { Params } from './params.js';

/** A renewal that some node took. */
export interface Renewal extends InstanceId {
  /** Version of the instance at that node; nanoseconds. */
  readonly dirty: bigint;
}

/** What one node tells another of. */
export interface Entries {
  /** Instances, each with its version and age. */
  readonly records: readonly InstanceRegistration[];
  /** Those that were cancelled, each with version and age. */
  readonly cancelled: readonly InstanceCancellation[];
  /** Renewals that clients sent just now. */
  readonly renewals: readonly Renewal[];
}

/** Nothing to tell. */
export const noEntries: Entries = { records: [], cancelled: [], renewals: [] };

type Members = { readonly [key: string]: LosslessJson };

/** Whether a value is an object with members. */
export function isMembers(value: LosslessJson | undefined): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const whole = (value: number): number => Math.max(0, Math.floor(value));

function named({ env, appid, zone, hostname }: InstanceId): InstanceId {
  return { env, appid, zone, hostname };
}

/** An instance as peers of ours are told it: as the protocol has it, and its age. */
export function encodeRecord(record: StoredInstance, at: Instant): string {
  // One that cannot expire is its node's own, and alive as long as that says so.
  const idleMs = record.permanent ? 0 : whole(at.ms - record.renewedMs);
  return `${record.encode().slice(0, -1)},"idle_ms":${idleMs}}`;
}

/** A cancellation, likewise. */
export function encodeCancelled(cancelled: Cancelled, at: Instant): string {
  const { dirtyNs: dirty_timestamp, sinceMs } = cancelled;
  return stringify({ ...named(cancelled), dirty_timestamp, idle_ms: whole(at.ms - sinceMs) });
}

/** A renewal, likewise. */
export function encodeRenewal(renewal: Renewal): string {
  return stringify({ ...named(renewal), dirty_timestamp: renewal.dirty });
}

/** Parts of JSON, put together. */
export function encodeEntries(
  records: readonly string[],
  cancelled: readonly string[],
  renewals: readonly string[] = [],
): string {
  return `{"records":[${records.join(',')}],"cancelled":[${cancelled.join(',')}],"renewals":[${renewals.join(',')}]}`;
}

function paramsOf(members: Members): Params {
  const params: Params = new Map();
  for (const name of ['env', 'appid', 'zone', 'hostname', 'region', 'version', 'status', 'dirty_timestamp']) {
    const value = members[name];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
      params.set(name, [String(value)]);
  }
  const { addrs, metadata } = members;
  if (Array.isArray(addrs))
    params.set(
      'addrs',
      addrs.filter((addr: LosslessJson): addr is string => typeof addr === 'string'),
    );
  if (isMembers(metadata)) params.set('metadata', [stringify(metadata)]);
  return params;
}

/** How a reader finds out what is wrong with what came from a peer, and how old it is. */
export interface ReadContext {
  readonly limits: RegistryLimits;
  readonly at: Instant;
  /** Milliseconds since an instance was last heard of, from its JSON. */
  readonly idleMsOf: (members: Members) => number;
}

/** Nothing is listed for so long, and a timestamp that lies before 1970 would be none. */
const longestIdleMs = 366 * 86_400_000;

/** An age from outside, as one that can be reckoned with; 0 when it is none. */
export function boundedIdleMs(idleMs: number): number {
  return idleMs > 0 ? Math.min(idleMs, longestIdleMs) : 0;
}

/** The age that peers of ours tell. */
export function toldIdleMs(members: Members): number {
  const idleMs = members['idle_ms'];
  // A whole number beyond 2^53 is read as a bigint.
  return typeof idleMs === 'number' || typeof idleMs === 'bigint' ? boundedIdleMs(Number(idleMs)) : 0;
}

function versionOf(fields: Fields, at: Instant): bigint {
  const dirty = fields.timestamp('dirty_timestamp') ?? 0n;
  if (!believable(dirty, clusterNsOf(at))) throw new RangeError('its version is years ahead');
  return dirty;
}

/**
 * Reads one instance that came from a peer, by the rules that hold for clients.
 *
 * @throws Error that says what is wrong with it
 */
export function readRecord(value: LosslessJson, context: ReadContext): InstanceRegistration {
  if (!isMembers(value)) throw new TypeError('it is not an object');
  const fields = new Fields(paramsOf(value), context.limits);
  return {
    ...fields.id(),
    region: fields.name('region'),
    version: fields.name('version'),
    status: fields.status(),
    addrs: fields.addrs(),
    metadata: readMetadata(fields.raw('metadata'), context.limits),
    dirty: versionOf(fields, context.at),
    idleMs: context.idleMsOf(value),
  };
}

function readClaim(value: LosslessJson, context: ReadContext): Renewal & { readonly idleMs: number } {
  if (!isMembers(value)) throw new TypeError('it is not an object');
  const fields = new Fields(paramsOf(value), context.limits);
  return { ...fields.id(), dirty: versionOf(fields, context.at), idleMs: context.idleMsOf(value) };
}

/** Reads what can be read. @returns also how many could not */
function readAll<T>(
  value: LosslessJson | undefined,
  read: (value: LosslessJson) => T,
): readonly [T[], number] {
  const found: T[] = [];
  let skipped = 0;
  for (const item of Array.isArray(value) ? value : [])
    try {
      found.push(read(item as LosslessJson));
    } catch {
      skipped++;
    }
  return [found, skipped];
}

/** Reads what a peer of ours told. What cannot be read is left out, one by one. */
export function readEntries(
  value: LosslessJson | undefined,
  context: ReadContext,
): { readonly entries: Entries; readonly skipped: number } {
  if (!isMembers(value)) return { entries: noEntries, skipped: 1 };
  const claim = (item: LosslessJson) => readClaim(item, context);
  const [records, badRecords] = readAll(value['records'], (item) => readRecord(item, context));
  const [cancelled, badCancelled] = readAll(value['cancelled'], claim);
  const [renewals, badRenewals] = readAll(value['renewals'], claim);
  return { entries: { records, cancelled, renewals }, skipped: badRecords + badCancelled + badRenewals };
}

/** Reads which of the instances that it was told were renewed a peer does not know. */
export function readMissing(value: LosslessJson | undefined, context: ReadContext): readonly InstanceId[] {
  return readAll(isMembers(value) ? value['missing'] : [], (item) => readClaim(item, context))[0];
}

/** Reads the answer of `/fetch/all`: lists of instances by app. */
export function readEverything(
  value: LosslessJson | undefined,
  context: ReadContext,
): { readonly entries: Entries; readonly skipped: number } {
  const records: InstanceRegistration[] = [];
  let skipped = 0;
  for (const list of Object.values(isMembers(value) ? value : {})) {
    const [found, bad] = readAll(list, (item) => readRecord(item, context));
    for (const record of found) records.push(record);
    skipped += bad;
  }
  return { entries: { ...noEntries, records }, skipped };
}
