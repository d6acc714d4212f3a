import { encodeCancelled, encodeEntries, encodeRecord, encodeRenewal } from './entries.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import type { Pending } from './peer-queue.js';

/** What a peer of ours is told at once: how instances are now, as many as it reads. */
export class PeerBatch {
  private readonly records: string[] = [];
  private readonly cancelled: string[] = [];
  private readonly renewals: string[] = [];
  private bytes = 0;
  private taken = 0;

  /** @param maxBytes - as a form */
  constructor(
    private readonly store: InstanceStore,
    private readonly at: Instant,
    private readonly maxBytes: number,
  ) {}

  /** @returns whether it fits in; the first does in any case: whether it is too much is the peer's to say */
  take({ id, told }: Pending): boolean {
    const { store, at } = this;
    const record = store.find(id);
    const grave = record ? undefined : store.findCancelled(id);
    const into = record ? (told === 'state' ? this.records : this.renewals) : this.cancelled;
    let entry = '';
    if (record && told === 'state') entry = encodeRecord(record, at);
    else if (record) entry = encodeRenewal({ ...id, dirty: record.dirtyNs });
    else if (grave) entry = encodeCancelled(grave, at);
    const bytes = this.bytes + formBytes(entry);
    if (this.taken > 0 && bytes > this.maxBytes) return false;
    this.bytes = bytes;
    this.taken++;
    if (entry !== '') into.push(entry);
    return true;
  }

  encode(): string {
    return encodeEntries(this.records, this.cancelled, this.renewals);
  }
}

/** A form takes three bytes for one where it escapes, and text beyond ASCII has two to four bytes a character. */
function formBytes(text: string): number {
  return new URLSearchParams({ '': text }).toString().length;
}
