interface Entry<T> {
  readonly key: string;
  readonly value: T;
  used: boolean;
}

/** So many old entries are looked at to make room for one. */
const looks = 8;

/**
 * One value per key, bounded. To make room an old one that was not used since the last look goes: nearly the least
 * recently used, without moving an entry at each call. The entries stand in a circle, and a hand goes round; the order
 * of a Map would do too, but finding its first after many were deleted costs more the larger it is.
 *
 * Source: the clock algorithm of page replacement (Corbató, "A Paging Experiment with the Multics System", 1968).
 */
export class KeyBook<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private readonly circle: Entry<T>[] = [];
  private hand = 0;

  constructor(
    private readonly maxKeys: number,
    private readonly make: (key: string) => T,
  ) {}

  get size(): number {
    return this.circle.length;
  }

  /** The value of a key, made if there is none. */
  of(key: string): T {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { key, value: this.make(key), used: false };
      if (this.circle.length < this.maxKeys) this.circle.push(entry);
      else this.replaceOne(entry);
      this.entries.set(key, entry);
    } else entry.used = true;
    return entry.value;
  }

  /** The value of a key if there is one. */
  peek(key: string): T | undefined {
    return this.entries.get(key)?.value;
  }

  /** All of them. */
  values(): T[] {
    return this.circle.map(({ value }) => value);
  }

  private replaceOne(by: Entry<T>): void {
    const { circle } = this;
    for (let looked = 0; ; looked++) {
      const at = this.hand;
      const old = circle[at] as Entry<T>;
      this.hand = (at + 1) % circle.length;
      if (!old.used || looked === looks) {
        this.entries.delete(old.key);
        circle[at] = by;
        return;
      }
      old.used = false;
    }
  }
}
