/** A power of two: few enough to send each time, many enough that one change does not send everything. */
export const bucketCount = 256;
const hexDigits = 16;

/** What one claim adds to a digest. */
export interface Mark {
  /** Where: by the identity alone, so that two claims about one instance meet. */
  readonly bucket: number;
  readonly high: number;
  readonly low: number;
}

/**
 * Two 32-bit hashes of a text. Not cryptographic: nodes of a cluster trust each other, and chance differs in 2^64.
 *
 * Source: the mixing steps of MurmurHash3 (A. Appleby, public domain), one state for each half.
 */
function hash(text: string): readonly [number, number] {
  let high = 0x9e3779b1;
  let low = 0x85ebca77;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 0x85ebca6b);
    low = Math.imul(low ^ code, 0xc2b2ae35);
    high = (high << 13) | (high >>> 19);
    low = (low << 15) | (low >>> 17);
  }
  return [mixed(high ^ text.length), mixed(low ^ high)];
}

function mixed(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** @param claim - all in which two claims may differ */
export function markOf(key: string, claim: string): Mark {
  const [high, low] = hash(`${key}\n${claim}`);
  return { bucket: hash(key)[1] % bucketCount, high, low };
}

/** The digest of a set of claims, in whatever order: 256 buckets as hexadecimal digits. */
export function digestOf(marks: Iterable<Mark>): string {
  const high = new Uint32Array(bucketCount);
  const low = new Uint32Array(bucketCount);
  for (const mark of marks) {
    high[mark.bucket] = (high[mark.bucket] ?? 0) ^ mark.high;
    low[mark.bucket] = (low[mark.bucket] ?? 0) ^ mark.low;
  }
  const digits = (value: number | undefined) => (value ?? 0).toString(16).padStart(hexDigits / 2, '0');
  return Array.from(high, (value, at) => digits(value) + digits(low[at])).join('');
}

/** Whether a text can be a digest. */
export function isDigest(text: unknown): text is string {
  return typeof text === 'string' && text.length === bucketCount * hexDigits && /^[0-9a-f]+$/.test(text);
}

/** One bucket of a digest. */
export function bucketOf(digest: string, bucket: number): string {
  return digest.slice(bucket * hexDigits, (bucket + 1) * hexDigits);
}

/** The buckets in which two digests differ. */
export function differing(one: string, other: string): readonly number[] {
  if (one === other) return [];
  return Array.from({ length: bucketCount }, (_, at) => at).filter(
    (at) => bucketOf(one, at) !== bucketOf(other, at),
  );
}
