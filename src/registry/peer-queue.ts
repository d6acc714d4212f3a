import { instanceKey } from './app-key.js';
import type { InstanceId } from './instance-id.js';

/** What a peer is to be told of an instance: everything, as it is when it is sent, or only that it renewed. */
export type Told = 'state' | 'renewal';

/** One instance about which a peer is to be told. */
export interface Pending {
  readonly key: string;
  readonly id: InstanceId;
  readonly told: Told;
  /** Whether it was tried before, so that the peer may have heard other things meanwhile. */
  readonly late: boolean;
  /** Told when the peer was, or when that failed for the first time. */
  readonly done: readonly (() => void)[];
}

/**
 * What one peer is still to be told. Only which instances: what is sent is how they are then, so that the newest write
 * about an instance takes the place of those before it. Bounded; the oldest goes first.
 */
export class PeerQueue {
  /** Dropped because there were too many. */
  dropped = 0;
  private readonly pending = new Map<string, Pending>();

  constructor(private readonly limit: number) {}

  get size(): number {
    return this.pending.size;
  }

  push(id: InstanceId, told: Told, done?: () => void): void {
    this.add({ key: instanceKey(id), id, told, late: false, done: done ? [done] : [] });
  }

  /**
   * The oldest ones. They are out until they are put or given back.
   *
   * @param fits - asked of each; the first that does not fit ends it
   */
  take(most: number, fits: (pending: Pending) => boolean = () => true): readonly Pending[] {
    const taken: Pending[] = [];
    for (const pending of this.pending.values()) {
      if (taken.length >= most || !fits(pending)) break;
      taken.push(pending);
    }
    for (const { key } of taken) this.pending.delete(key);
    return taken;
  }

  /** These could not be told. A renewal is not worth another try: the next one is soon. */
  putBack(failed: readonly Pending[]): void {
    for (const { done, ...pending } of failed) {
      for (const tell of done) tell();
      if (pending.told === 'state') this.add({ ...pending, late: true, done: [] });
    }
  }

  /** These are to be told in another way. Whoever waits for that goes on waiting. */
  giveBack(untold: readonly Pending[]): void {
    for (const pending of untold) this.add(pending);
  }

  /** Forgets everything. */
  clear(): void {
    for (const { done } of this.take(Number.POSITIVE_INFINITY)) for (const tell of done) tell();
  }

  private add(pending: Pending): void {
    const before = this.pending.get(pending.key);
    this.pending.set(pending.key, {
      ...pending,
      told: before?.told === 'state' ? 'state' : pending.told,
      late: pending.late || before?.late === true,
      done: [...(before?.done ?? []), ...pending.done],
    });
    if (this.pending.size <= this.limit) return;
    const [oldest] = this.take(1);
    this.dropped++;
    for (const tell of oldest?.done ?? []) tell();
  }
}
