import { parse, stringify } from '../discovery/lossless-json.js';
import { ownAppid } from './app-key.js';
import { encodeRecord, isMembers, type ReadContext, readEntries } from './entries.js';
import type { InstanceRegistration } from './instance-record.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';

/** By which a file is known to be a registry's. */
const kind = 'keelson registry';
const version = 1;

/** What an earlier process left. */
export interface Restored {
  /** Every instance not too old, its age told. */
  readonly records: readonly InstanceRegistration[];
  /** Change counters go on above it; nanoseconds. */
  readonly floorNs: bigint;
  /** How many could not be read, or are too old. */
  readonly skipped: number;
}

/** All instances as one text, with their ages and the time. The nodes of the cluster tell of themselves. */
export function encodeSnapshot(store: InstanceStore, at: Instant): string {
  const records: string[] = [];
  for (const record of store.records()) if (record.appid !== ownAppid) records.push(encodeRecord(record, at));
  const head = stringify({ kind, version, saved_ns: at.ns, floor_ns: store.floorNs });
  return `${head.slice(0, -1)},"records":[${records.join(',')}]}\n`;
}

function nanoseconds(value: unknown, name: string): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw new TypeError(`${name} is not a whole number`);
}

/**
 * Reads what {@link encodeSnapshot} wrote.
 *
 * @param maxIdleMs - what was silent for longer is left out, the time since the file was written included
 * @throws Error that says why it cannot be used; then nothing of it is
 */
export function decodeSnapshot(text: string, context: ReadContext, maxIdleMs: number): Restored {
  const file = parse(text);
  if (!isMembers(file) || file['kind'] !== kind) throw new TypeError('it is no snapshot of a registry');
  if (file['version'] !== version) throw new TypeError(`its version is not ${version}`);
  const savedNs = nanoseconds(file['saved_ns'], 'saved_ns');
  const sinceMs = Math.max(0, Number((context.at.ns - savedNs) / 1_000_000n));
  const { entries, skipped } = readEntries(file, context);
  const records = entries.records
    .map((record) => ({ ...record, idleMs: (record.idleMs ?? 0) + sinceMs }))
    .filter(({ appid, idleMs }) => appid !== ownAppid && idleMs <= maxIdleMs);
  const floorNs = nanoseconds(file['floor_ns'], 'floor_ns');
  return {
    records,
    // A wall clock that was set back meanwhile must not take counters back that clients have seen.
    floorNs: savedNs > floorNs ? savedNs : floorNs,
    skipped: skipped + entries.records.length - records.length,
  };
}
