import type { InstanceId } from './instance-id.js';

/** An instance that was cancelled, remembered so that no old copy brings it back. */
export interface Cancelled extends InstanceId {
  /** Version of the cancellation; nanoseconds. */
  readonly dirtyNs: bigint;
  /** When it was cancelled; monotonic milliseconds. */
  readonly sinceMs: number;
  /** Whether it was renewed long after: whoever tells of it is believed. */
  readonly lifted?: boolean | undefined;
}

/** Where one stands among the others. */
interface Place {
  readonly key: string;
  readonly sinceMs: number;
}

function isBefore(one: Place, other: Place): boolean {
  return one.sinceMs === other.sinceMs ? one.key < other.key : one.sinceMs < other.sinceMs;
}

/** The cancelled by key, bounded in number and time. Told the time. */
export class Graves {
  private readonly byKey = new Map<string, Cancelled>();
  /**
   * The same, longest ago first. Beyond the limit those go that were cancelled first, whenever this node heard of it:
   * were it by that, each node would keep others, and fetch from its peers what it had just forgotten, for ever.
   */
  private readonly byAge: Place[] = [];

  /**
   * @param limit - beyond it the one that was cancelled longest ago is forgotten
   * @param keepMs - how long each is remembered; 0: not at all
   */
  constructor(
    private readonly limit: number,
    private readonly keepMs: number,
  ) {}

  get size(): number {
    return this.byKey.size;
  }

  find(key: string): Cancelled | undefined {
    return this.byKey.get(key);
  }

  /** Whether one that was cancelled so long ago still counts: from a peer it may come when its time is over. */
  remembers(sinceCancelledMs: number): boolean {
    return sinceCancelledMs <= this.keepMs;
  }

  put(key: string, cancelled: Cancelled): void {
    if (!(this.keepMs > 0)) return;
    this.forget(key);
    const { sinceMs } = cancelled;
    this.byKey.set(key, cancelled);
    this.byAge.splice(this.rank({ key, sinceMs }), 0, { key, sinceMs });
    const [oldest] = this.byAge;
    if (oldest !== undefined && this.size > this.limit) this.forget(oldest.key);
  }

  forget(key: string): void {
    const known = this.byKey.get(key);
    if (known === undefined) return;
    this.byKey.delete(key);
    this.byAge.splice(this.rank({ key, sinceMs: known.sinceMs }), 1);
  }

  lift(key: string): void {
    const known = this.byKey.get(key);
    if (known !== undefined) this.byKey.set(key, { ...known, lifted: true });
  }

  /** Forgets those whose time is over. */
  expire(nowMs: number): void {
    let over = 0;
    for (const { key, sinceMs } of this.byAge) {
      if (this.remembers(nowMs - sinceMs)) break;
      this.byKey.delete(key);
      over++;
    }
    this.byAge.splice(0, over);
  }

  /** Those whose time is not over, expired already or not. */
  *values(nowMs: number): Iterable<Cancelled> {
    for (const cancelled of this.byKey.values())
      if (this.remembers(nowMs - cancelled.sinceMs)) yield cancelled;
  }

  /** How many were cancelled before it. */
  private rank(place: Place): number {
    let low = 0;
    let high = this.byAge.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.byAge[middle];
      if (other !== undefined && isBefore(other, place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
