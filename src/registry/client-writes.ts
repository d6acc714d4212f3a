import { instanceKey } from './app-key.js';
import { type Entries, noEntries } from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceRegistration } from './instance-record.js';
import type { InstanceCancellation, InstanceStore } from './instance-store.js';
import { clusterNsOf, type Instant } from './instant.js';

/** What became of an instance by the last write about it. */
interface Write {
  readonly id: InstanceId;
  /** Absent: it is gone. */
  readonly said: InstanceRegistration | undefined;
  readonly dirtyNs: bigint;
  /** When that was; monotonic milliseconds. */
  readonly ms: number;
}

/** Clocks that are this close are alike, and so are writes. */
const alikeNs = 10_000_000n;

/**
 * What clients wrote to a node that did not know the time of the cluster yet: its versions are too old by as much as the
 * own clock is behind, and would lose against older writes for ever. Once the time is known each write is said again, as
 * of the time at which it was made. Bounded, the oldest is dropped first. Told the time.
 */
export class ClientWrites {
  private readonly writes = new Map<string, Write>();

  /** @param limit - of how many instances */
  constructor(
    private readonly store: Pick<InstanceStore, 'find' | 'findCancelled' | 'remembers'>,
    private readonly limit: number,
  ) {}

  /** A client wrote something about an instance, which is now as it is stored. */
  note(id: InstanceId, at: Instant): void {
    const record = this.store.find(id);
    const dirtyNs = (record ?? this.store.findCancelled(id))?.dirtyNs;
    if (dirtyNs === undefined) return;
    const key = instanceKey(id);
    this.writes.delete(key);
    this.writes.set(key, { id, said: record?.describe(), dirtyNs, ms: at.ms });
    const [oldest] = this.writes.keys();
    if (oldest !== undefined && this.writes.size > this.limit) this.writes.delete(oldest);
  }

  /** Those whose versions are too old, with the versions that they should have. */
  corrected(at: Instant): Entries {
    const records: InstanceRegistration[] = [];
    const cancelled: InstanceCancellation[] = [];
    for (const [key, write] of this.writes) {
      const idleMs = Math.max(0, at.ms - write.ms);
      const dirty = clusterNsOf(at) - BigInt(Math.floor(idleMs)) * 1_000_000n;
      if (dirty - write.dirtyNs <= alikeNs) continue;
      this.writes.set(key, { ...write, dirtyNs: dirty });
      // Its counter goes on with the time of the cluster.
      if (write.said) records.push({ ...write.said, latest: undefined, dirty, idleMs });
      else cancelled.push({ ...write.id, dirty, idleMs });
    }
    return { ...noEntries, records, cancelled };
  }

  /** Forgets those with which nothing competes any more: what others knew before is over. */
  expire(nowMs: number): void {
    for (const [key, { ms }] of this.writes) {
      if (this.store.remembers(nowMs - ms)) return;
      this.writes.delete(key);
    }
  }

  clear(): void {
    this.writes.clear();
  }
}
