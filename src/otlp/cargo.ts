import type { Clock } from '../core/clock.js';
import { within } from '../core/within.js';
import { Departures } from './departures.js';
import { packed, packedNow, unpacked } from './gzip.js';
import type { Parcel } from './parcel.js';

/** All parcels in memory, whatever is being done with them, and what they weigh. */
export class Cargo {
  private readonly departures = new Departures<Parcel>();
  private heldBytes = 0;
  private heldSpans = 0;

  get bytes(): number {
    return this.heldBytes;
  }

  get spans(): number {
    return this.heldSpans;
  }

  /** Those that are nowhere but here. */
  get unsaved(): readonly Parcel[] {
    return [...this.departures].filter(({ claim }) => claim === undefined);
  }

  /** @param of - what it is a part of */
  hold(parcel: Parcel, of?: Parcel): void {
    this.heldBytes += parcel.body.length;
    this.heldSpans += parcel.spans;
    this.departures.add(parcel, of);
  }

  /** It is no longer ours: sent, lost, or on the disk. A second time changes nothing. */
  leave(parcel: Parcel): void {
    if (!this.departures.remove(parcel)) return;
    this.heldBytes -= parcel.body.length;
    this.heldSpans -= parcel.spans;
  }

  /** Whether it has not left: what has is counted, whatever still becomes of it. */
  has(parcel: Parcel): boolean {
    return this.departures.has(parcel);
  }

  /** Resolves when all that is there now has left, or when that time is over. */
  async allLeft(clock: Clock, timeoutMs: number): Promise<void> {
    const { done, cancel } = this.departures.allLeft();
    await within(clock, timeoutMs, done);
    cancel();
  }

  /** Compresses; never rejects. What cannot be stays as it is. */
  async pack(parcel: Parcel): Promise<void> {
    if (parcel.gzipped) return;
    try {
      this.rebody(parcel, await packed(parcel.body), true);
    } catch {
      // Then as it is.
    }
  }

  /** The same, done when it returns. */
  packNow(parcel: Parcel): void {
    if (parcel.gzipped) return;
    try {
      this.rebody(parcel, packedNow(parcel.body), true);
    } catch {
      // Then as it is.
    }
  }

  /** @throws (as a rejection) Error when it cannot be */
  async unpack(parcel: Parcel): Promise<void> {
    if (parcel.gzipped) this.rebody(parcel, await unpacked(parcel.body), false);
  }

  private rebody(parcel: Parcel, body: Buffer, gzipped: boolean): void {
    if (this.has(parcel)) this.heldBytes += body.length - parcel.body.length;
    parcel.body = body;
    parcel.gzipped = gzipped;
  }
}
