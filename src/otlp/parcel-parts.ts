import { encodings } from './encodings.js';
import type { Parcel } from './parcel.js';

/** Cuts a parcel that is not compressed in two; none when it cannot be. */
export function partsOf({ encoding, body, failures, since }: Parcel, now: number): readonly Parcel[] {
  const part = { encoding, failures, since, gzipped: false, dueAt: now, claim: undefined };
  try {
    return (encodings[encoding].halves(body) ?? []).map((half) => ({ ...part, ...half }));
  } catch {
    // What cannot be taken apart cannot be sent either.
    return [];
  }
}
