import type { Lane } from './bottleneck-lane.js';

/** The right to make one call under the quota. */
export interface Place {
  /** The call is over; a second one does nothing. @param used - whether anything was sent */
  leave(used: boolean): void;
}

/** A place where nobody counts: the store is away, and calls pass. */
export const openPlace: Place = { leave: () => undefined };

/** Who counts the places that are held. */
export interface PlaceCounter {
  /** One of them is free again. */
  placeLeft(): void;
}

/** One place of a lane, held until the call is over. */
export class HeldPlace implements Place {
  readonly over: Promise<void>;
  private done: (() => void) | undefined;

  constructor(
    private readonly counter: PlaceCounter,
    private readonly lane: Lane,
    private readonly weight: number,
  ) {
    this.over = new Promise((resolve) => {
      this.done = resolve;
    });
  }

  leave(used: boolean): void {
    if (this.done === undefined) return;
    this.done();
    this.done = undefined;
    this.counter.placeLeft();
    if (!used) this.lane.giveBack(this.weight);
  }
}
