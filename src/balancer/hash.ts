/** Spreads every bit of a 32-bit number over all others: the finalizer of MurmurHash3. */
export function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a over UTF-16 code units, then {@link mix}: FNV alone leaves the last characters in the low bits. */
export function hash(text: string, seed: number): number {
  let h = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  return mix(h);
}

/** Two hashes of one text, so that two texts meet in both only once in 2^64. */
export class Fingerprint {
  private readonly high: number;
  private readonly low: number;

  constructor(text: string) {
    this.high = hash(text, 0);
    this.low = hash(text, 0x9e3779b9);
  }

  /** A number in (0, 1) that depends on this and the other text alone, evenly spread, the same on every machine. */
  with(other: Fingerprint): number {
    const high = mix(this.high ^ other.high);
    const low = mix(this.low ^ other.low) >>> 11;
    return (high * 2 ** 21 + low + 0.5) / 2 ** 53;
  }
}
