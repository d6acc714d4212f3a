import { type LosslessJson, parse, stringify } from '../discovery/lossless-json.js';
import { callerFields } from './caller.js';
import { bucketCount, digestOf } from './digest.js';
import type { Engine, Exchange } from './engine.js';
import { encodeCancelled, encodeEntries, encodeRecord, readEntries } from './entries.js';
import type { Fields } from './fields.js';
import type { InstanceId } from './instance-id.js';
import { claimsOf, encodeBuckets } from './peer-claims.js';
import { badRequest, codes } from './refused.js';
import type { Replication } from './replication.js';
import { type Reply, withData } from './reply.js';
import { toldInstances } from './told-names.js';

/** A node alone answers like the original, so that who asks talks to it like that. */
function replicationOf({ replication }: Engine): Replication {
  if (replication === undefined) throw badRequest('this registry has no peers');
  return replication;
}

/** What this node holds, in short. */
export function digest(engine: Engine, fields: Fields): Reply {
  const replication = replicationOf(engine);
  const { node, synced, complete } = replication;
  replication.heardFrom(fields.raw('node'));
  const { clock, store, self } = engine;
  return withData(
    codes.ok,
    stringify({
      node,
      zone: self.zone,
      synced,
      complete,
      wall_ms: Math.floor(clock.wallMs()),
      digest: digestOf(claimsOf(store, clock.now())),
    }),
  );
}

/** Some buckets of it, in full. */
export function entries(engine: Engine, fields: Fields): Reply {
  replicationOf(engine);
  const buckets = fields.all('bucket').map(Number);
  if (buckets.length === 0 || buckets.length > bucketCount)
    throw badRequest(`bucket: 1 to ${bucketCount} of them`);
  const { records, cancelled } = encodeBuckets(engine.store, new Set(buckets), engine.now());
  return withData(codes.ok, encodeEntries(records, cancelled));
}

/** What another node has to tell; the answer is what this one knows better, and what it was not told enough of. */
export function mergeEntries(engine: Engine, fields: Fields, { caller }: Exchange): Reply {
  const replication = replicationOf(engine);
  // Before anything is changed: what is refused must not have been done.
  const from = fields.name('node');
  replication.heardFrom(from);
  let told: LosslessJson;
  try {
    told = parse(fields.raw('entries'));
  } catch (error) {
    throw badRequest(`entries: is not JSON (${(error as Error).message})`, error);
  }
  const { changed, newer, missing } = replication.hear(
    readEntries(told, replication.read()).entries,
    fields.flag('relay'),
  );
  for (const { count, names } of toldInstances(changed))
    engine.tell('merged', { from, changed: count, instances: names, ...callerFields(caller) });
  return withData(codes.ok, answer(engine, newer, missing));
}

function answer(
  { store, now }: Engine,
  newer: readonly InstanceId[],
  missing: readonly InstanceId[],
): string {
  const at = now();
  const records: string[] = [];
  const cancelled: string[] = [];
  for (const id of newer) {
    const record = store.find(id);
    const grave = record ? undefined : store.findCancelled(id);
    if (record) records.push(encodeRecord(record, at));
    else if (grave) cancelled.push(encodeCancelled(grave, at));
  }
  const ids = missing.map(({ env, appid, zone, hostname }) => stringify({ env, appid, zone, hostname }));
  return `{"records":[${records.join(',')}],"cancelled":[${cancelled.join(',')}],"missing":[${ids.join(',')}]}`;
}
