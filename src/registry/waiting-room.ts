/** Whoever waits for a change of some apps. */
export interface Waiter {
  /** Identities of the apps, each once. */
  readonly keys: readonly string[];
  /** One of them changed. Called once at most, and after the waiter has left the room. Must not throw. */
  wake(key: string): void;
  /** The room is closed. Called once at most, and after the waiter has left. Must not throw. */
  dismiss(): void;
}

/** Who waits for what. Knows nothing of time or connections. */
export interface WaitingRoom {
  /** How many wait. */
  readonly size: number;
  /** Apps watched, summed over those who wait. */
  readonly watches: number;
  /** Lets one in. */
  enter(waiter: Waiter): void;
  /** Lets one out. @returns whether it was in: exactly one of leaving, waking and clearing gets to answer it */
  leave(waiter: Waiter): boolean;
  /** Lets out and wakes all who wait for an app. @returns how many */
  wake(key: string): number;
  /** Lets out and dismisses all. @returns how many */
  clear(): number;
}

class Room implements WaitingRoom {
  watches = 0;
  private readonly waiting = new Set<Waiter>();
  private readonly byKey = new Map<string, Set<Waiter>>();

  get size(): number {
    return this.waiting.size;
  }

  enter(waiter: Waiter): void {
    if (this.waiting.has(waiter)) return;
    this.waiting.add(waiter);
    this.watches += waiter.keys.length;
    for (const key of waiter.keys) {
      const set = this.byKey.get(key);
      if (set === undefined) this.byKey.set(key, new Set([waiter]));
      else set.add(waiter);
    }
  }

  leave(waiter: Waiter): boolean {
    if (!this.waiting.delete(waiter)) return false;
    this.watches -= waiter.keys.length;
    for (const key of waiter.keys) {
      const set = this.byKey.get(key);
      set?.delete(waiter);
      if (set?.size === 0) this.byKey.delete(key);
    }
    return true;
  }

  wake(key: string): number {
    const woken = [...(this.byKey.get(key) ?? [])];
    // All leave before any is woken: one that comes straight back in waits for the next change.
    for (const waiter of woken) this.leave(waiter);
    for (const waiter of woken) waiter.wake(key);
    return woken.length;
  }

  clear(): number {
    const all = [...this.waiting];
    for (const waiter of all) this.leave(waiter);
    for (const waiter of all) waiter.dismiss();
    return all.length;
  }
}

/** Makes an empty waiting room. Each waiter is a connection's own: two polls of one host never share an answer. */
export function waitingRoom(): WaitingRoom {
  return new Room();
}
