/** Where {@link rate} keeps its one number per key. */
export interface RateLedger {
  /** How many keys it knows. */
  readonly size: number;
  /** The number of a key; `-Infinity`, which means that nothing is owed, for one it does not know. */
  get(key: string): number;
  /** Writes it. `now` is on the scale of the numbers: what is not above it holds no information. */
  set(key: string, value: number, now: number): void;
}

/** For one limit that all share: a field instead of a map. */
export class SharedLedger implements RateLedger {
  readonly size = 1;
  private value = Number.NEGATIVE_INFINITY;
  get(): number {
    return this.value;
  }
  set(_key: string, value: number): void {
    this.value = value;
  }
}

/** How many old keys a new key pays to look at: with two, what expires leaves faster than new ones come. */
const looks = 2;

/**
 * One number per key, bounded. A number that is not above `now` says the same as no number, so most keys are forgotten
 * without losing anything. Only when there is no room for another key in use is one forgiven its debt.
 */
export class KeyedLedger implements RateLedger {
  private readonly values = new Map<string, number>();
  constructor(private readonly maxKeys: number) {}

  get size(): number {
    return this.values.size;
  }
  get(key: string): number {
    return this.values.get(key) ?? Number.NEGATIVE_INFINITY;
  }
  set(key: string, value: number, now: number): void {
    if (!this.values.has(key)) this.makeRoom(now);
    this.values.set(key, value);
  }

  private makeRoom(now: number): void {
    let looked = 0;
    for (const [key, value] of this.values) {
      this.values.delete(key);
      // One that still owes goes to the end, so that the next look meets another.
      if (value > now) this.values.set(key, value);
      if (++looked === looks) break;
    }
    if (this.values.size < this.maxKeys) return;
    for (const oldest of this.values.keys()) {
      this.values.delete(oldest);
      return;
    }
  }
}
