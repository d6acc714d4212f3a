import { renewalLifts } from './conflict.js';
import type { Entries, Renewal } from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceRegistration } from './instance-record.js';
import type { InstanceCancellation, InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import type { Lifecycle } from './lifecycle.js';
import { Refused } from './refused.js';

/** What came of hearing another node out. */
export interface Merged {
  /** Instances that are now other than before, or gone. */
  readonly changed: readonly InstanceId[];
  /** Instances of which this node knows more: the other one should be told. */
  readonly newer: readonly InstanceId[];
  /** Instances that the other node renewed, and of which this one should be told everything. */
  readonly missing: readonly InstanceId[];
}

/** What a merge works on. */
export interface MergeInto {
  readonly store: InstanceStore;
  readonly lifecycle: Lifecycle;
  readonly at: Instant;
  /** An unknown instance that was silent for longer is not taken; milliseconds. */
  readonly allowedMs: number;
}

class Merge implements Merged {
  readonly changed: InstanceId[] = [];
  readonly newer: InstanceId[] = [];
  readonly missing: InstanceId[] = [];

  constructor(private readonly into: MergeInto) {}

  record(registration: InstanceRegistration): void {
    const { store, lifecycle, at, allowedMs } = this.into;
    if (store.find(registration) === undefined && (registration.idleMs ?? 0) > allowedMs) return;
    try {
      const outcome = store.register(registration, at);
      if (outcome === 'added') lifecycle.guard.added();
      if (outcome === 'added' || outcome === 'replaced') this.changed.push(registration);
      if (outcome === 'kept' || outcome === 'buried') this.newer.push(registration);
    } catch (error) {
      // Full. The others are still to be heard.
      if (!(error instanceof Refused)) throw error;
    }
  }

  cancel(cancellation: InstanceCancellation): void {
    const { store, lifecycle, at } = this.into;
    // What it tells is over: there is nothing to be told about that either.
    if (!store.remembers(cancellation.idleMs ?? 0)) return;
    if (store.cancel(cancellation, at)) {
      lifecycle.guard.removed();
      this.changed.push(cancellation);
    } else if (store.find(cancellation) !== undefined) this.newer.push(cancellation);
  }

  renew(renewal: Renewal): void {
    const { store, at } = this.into;
    const record = store.renew(renewal, at);
    const cancelled = record ? undefined : store.findCancelled(renewal);
    const isBuried = cancelled !== undefined && renewal.dirty <= cancelled.dirtyNs;
    if (isBuried && !renewalLifts(at.ms - cancelled.sinceMs)) this.newer.push(renewal);
    else if (record === undefined || renewal.dirty > record.dirtyNs) {
      if (isBuried) store.lift(renewal);
      this.missing.push(renewal);
    } else if (renewal.dirty < record.dirtyNs) this.newer.push(renewal);
  }
}

/** Hears another node out, by the rules of {@link Claim}. Told the time. */
export function merge(entries: Entries, into: MergeInto): Merged {
  const merged = new Merge(into);
  for (const record of entries.records) merged.record(record);
  for (const cancelled of entries.cancelled) merged.cancel(cancelled);
  for (const renewal of entries.renewals) merged.renew(renewal);
  return merged;
}
