/** Who waits until all that came before has left. */
interface Watch {
  readonly upTo: number;
  readonly done: () => void;
}

/** A wait that may be given up. */
export interface Leaving {
  readonly done: Promise<void>;
  /** Nobody waits for it any more; nothing of it is kept. */
  cancel(): void;
}

/** What is there and has not left yet. Who waits costs as little for many things as for one. */
export class Departures<T extends object> {
  /** Each thing with its number; what a thing has become has the same. */
  private readonly there = new Map<T, number>();
  /** How many there are of each number, in ascending order. */
  private readonly counts = new Map<number, number>();
  /** In the order in which they came, which is that of `upTo`. */
  private readonly watches = new Set<Watch>();
  private latest = 0;

  get size(): number {
    return this.there.size;
  }

  /** How many wait. */
  get watching(): number {
    return this.watches.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.there.keys();
  }

  /** @param of - what it is a part of: who waits for that one, which must still be there, waits for this one too */
  add(thing: T, of?: T): void {
    const number = (of && this.there.get(of)) ?? ++this.latest;
    this.there.set(thing, number);
    this.counts.set(number, (this.counts.get(number) ?? 0) + 1);
  }

  has(thing: T): boolean {
    return this.there.has(thing);
  }

  /** @returns whether it was there */
  remove(thing: T): boolean {
    const number = this.there.get(thing);
    if (number === undefined) return false;
    this.there.delete(thing);
    const left = (this.counts.get(number) ?? 0) - 1;
    if (left > 0) this.counts.set(number, left);
    else this.counts.delete(number);
    const oldest = this.oldest;
    for (const watch of this.watches) {
      if (watch.upTo >= oldest) break;
      this.watches.delete(watch);
      watch.done();
    }
    return true;
  }

  /** Until all that is there now has left. */
  allLeft(): Leaving {
    if (this.there.size === 0) return { done: Promise.resolve(), cancel: () => undefined };
    let watch: Watch | undefined;
    const done = new Promise<void>((resolve) => {
      watch = { upTo: this.latest, done: resolve };
      this.watches.add(watch);
    });
    return { done, cancel: () => void (watch && this.watches.delete(watch)) };
  }

  private get oldest(): number {
    const [first = Number.POSITIVE_INFINITY] = this.counts.keys();
    return first;
  }
}
