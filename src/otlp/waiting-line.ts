import type { Parcel } from './parcel.js';

/** Parcels that wait in memory to be sent, in the order in which they came; some not before a time. */
export class WaitingLine {
  private parcels: Parcel[] = [];
  private heldBytes = 0;

  get bytes(): number {
    return this.heldBytes;
  }

  add(parcel: Parcel): void {
    this.parcels.push(parcel);
    this.heldBytes += parcel.body.length;
  }

  /** Takes the first whose time has come. @param now - on the clock's scale; Infinity for whichever is first */
  next(now: number): Parcel | undefined {
    const index = this.parcels.findIndex(({ dueAt }) => dueAt <= now);
    const [parcel] = index < 0 ? [] : this.parcels.splice(index, 1);
    if (parcel !== undefined) this.heldBytes -= parcel.body.length;
    return parcel;
  }

  /** When the time of the next one comes; Infinity for none. */
  get dueAt(): number {
    return this.parcels.reduce((least, { dueAt }) => Math.min(least, dueAt), Number.POSITIVE_INFINITY);
  }

  /** Takes all. */
  clear(): readonly Parcel[] {
    const { parcels } = this;
    this.parcels = [];
    this.heldBytes = 0;
    return parcels;
  }
}
