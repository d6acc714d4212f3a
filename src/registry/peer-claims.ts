import { instanceKey } from './app-key.js';
import { type Mark, markOf } from './digest.js';
import { encodeCancelled, encodeRecord } from './entries.js';
import type { Cancelled } from './graves.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';

function markOfCancelled(cancelled: Cancelled): Mark {
  return markOf(instanceKey(cancelled), `${cancelled.dirtyNs}-`);
}

/** All that a node answers for, for its digest. What it only knows from before a restart is not among it. */
export function* claimsOf(store: InstanceStore, nowMs: number): Iterable<Mark> {
  for (const record of store.records()) if (!record.stale) yield record.mark;
  for (const cancelled of store.cancellations(nowMs)) yield markOfCancelled(cancelled);
}

/** What is in some buckets, as JSON. */
export function encodeBuckets(
  store: InstanceStore,
  buckets: ReadonlySet<number>,
  at: Instant,
): { readonly records: readonly string[]; readonly cancelled: readonly string[] } {
  const records: string[] = [];
  for (const record of store.records())
    if (!record.stale && buckets.has(record.mark.bucket)) records.push(encodeRecord(record, at));
  const cancelled: string[] = [];
  for (const grave of store.cancellations(at.ms))
    if (buckets.has(markOfCancelled(grave).bucket)) cancelled.push(encodeCancelled(grave, at));
  return { records, cancelled };
}
