import type { Clock, Timer } from '../core/clock.js';
import type { Compared } from './anti-entropy.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import type { Lifecycle } from './lifecycle.js';
import type { Tell } from './registry-event.js';

/** What came of asking a peer; `refused`: nothing runs there. */
export type Asked = Compared | 'failed' | 'refused';

/** What an {@link Opening} needs. */
export interface OpeningInit {
  readonly store: InstanceStore;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  /** Time in which all who live have renewed. */
  readonly expiryMs: number;
  readonly syncTimeoutMs: number;
  readonly now: () => Instant;
  /** Runs it after that long, unless this node has left by then. */
  readonly later: (ms: number, run: () => void) => Timer;
  readonly addresses: () => readonly string[];
  /** Takes over what a peer has. Never throws. */
  readonly ask: (address: string) => Promise<Asked>;
  readonly onOpen: () => void;
  readonly isOver: () => boolean;
  readonly tell: Tell;
}

/** Between two rounds of asking everybody. */
const gapMs = 500;

/** The start of a node: it asks its peers for what they have, and is not to be read until then. */
export class Opening {
  /** Whether it has what its peers had when it started, or there was nobody to ask. */
  synced = false;
  private completeFromMs = Number.POSITIVE_INFINITY;

  constructor(private readonly init: OpeningInit) {}

  /**
   * Whether who is not listed here is not registered: a peer that is said so about told what it has, or all who live
   * had the time to be heard of. A node that started when nobody knew anything has what it remembers, and that is not
   * what is.
   */
  get complete(): boolean {
    const { clock, store } = this.init;
    if (!this.synced || clock.now() < this.completeFromMs) return false;
    for (const { stale } of store.records()) if (stale) return false;
    return true;
  }

  /** Asks everybody for what they have, until one has told everything, nobody has more, or time is up. */
  async begin(): Promise<void> {
    const { clock, syncTimeoutMs, later, isOver, tell, store } = this.init;
    const until = clock.now() + syncTimeoutMs;
    const bound = later(syncTimeoutMs, () => this.open());
    while (!(this.synced || isOver())) {
      const found = await this.askAll();
      // Who is not running has nothing to tell, and who has just started as little as this one.
      if (found.every((one) => one === 'unsynced' || one === 'self' || one === 'refused')) this.open();
      if (this.synced || clock.now() + gapMs >= until) break;
      await new Promise<void>((resolve) => later(gapMs, resolve));
    }
    if (this.synced) bound.cancel();
    if (!isOver()) tell('synced', { synced: this.synced, instances: store.instances });
  }

  private askAll(): Promise<readonly Asked[]> {
    const { addresses, ask } = this.init;
    return Promise.all(
      addresses().map(async (address) => {
        const asked = await ask(address);
        // The first that knows everything opens: who hangs holds nobody up.
        if (asked === 'synced' || asked === 'complete') this.open();
        if (asked === 'complete') this.believe();
        return asked;
      }),
    );
  }

  private open(): void {
    const { clock, expiryMs, isOver, onOpen } = this.init;
    if (this.synced || isOver()) return;
    this.synced = true;
    this.completeFromMs = clock.now() + expiryMs;
    onOpen();
  }

  /** What is known from before the start only is wrong as soon as a peer told what is now. */
  private believe(): void {
    const { store, lifecycle, clock, now } = this.init;
    this.completeFromMs = clock.now();
    const outdated = [...store.records()].filter(({ stale }) => stale);
    store.evict(outdated, now());
    for (const _ of outdated) lifecycle.guard.removed();
  }
}
