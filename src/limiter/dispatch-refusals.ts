import { CallRates } from './call-rates.js';
import type { DispatchQueueOptions } from './dispatch-options.js';

/** Nobody refused for so long, and the overload is over; milliseconds. */
const quietMs = 1000;
/** What is lately; milliseconds. */
const windowMs = 2000;

/** Whom a queue tells of its refusals. */
export type RefusalListener = Pick<DispatchQueueOptions, 'onTransition' | 'onRefuse'>;

/** Keeps account of whom a queue refuses. */
export class Refusals {
  /** From the first refusal until nobody was refused for a second, as of the last look. */
  shedding = false;
  private readonly rates = new CallRates(windowMs);
  private lastAt = 0;
  /** Never changed but replaced: a listener may come or go while they are told. */
  private listeners: readonly RefusalListener[];

  constructor(listener: RefusalListener) {
    this.listeners = [listener];
  }

  /** Tells another one as well, once however often it is asked for. @returns what ends that */
  listen(listener: RefusalListener): () => void {
    if (!this.listeners.includes(listener)) this.listeners = [...this.listeners, listener];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener);
    };
  }

  /** A call came. Before the first refusal too: those that were let in lately are part of the share. */
  came(now: number, priority: number): void {
    this.rates.came(now, priority);
    if (this.shedding) this.look(now);
  }

  /** It was refused. */
  refused(now: number, priority: number): void {
    this.rates.turnedAway(now, priority);
    this.lastAt = now;
    if (!this.shedding) this.become(true, now);
    for (const listener of this.listeners) harmless(() => listener.onRefuse?.(now, priority));
  }

  /** Share of the calls of default priority or less that was let in lately; `undefined` while none is refused. */
  admitRatio(now: number): number | undefined {
    return this.rates.admitRatio(now);
  }

  /** Finds out whether it is over. */
  look(now: number): void {
    if (!this.shedding) return;
    // Set back, or never a time: it counts from now.
    if (!(now >= this.lastAt)) this.lastAt = now;
    if (now - this.lastAt > quietMs) this.become(false, now);
  }

  private become(shedding: boolean, now: number): void {
    this.shedding = shedding;
    for (const listener of this.listeners) harmless(() => listener.onTransition?.(shedding, now));
  }
}

/** A listener is not allowed to cost a call. */
function harmless(tell: () => unknown): void {
  try {
    const result = tell();
    if (result instanceof Promise) result.catch(() => undefined);
  } catch {
    // See above.
  }
}
