/** What is thrown when more is written than {@link ByteWriter.bound} allows. Made once: nobody reads its stack. */
export const overBound = new RangeError('longer than allowed');

/** Longest text whose characters are written one by one; from about there on, the platform's own writer is faster. */
const shortText = 48;
const longText = 1_024;
/** Largest value that a 64-bit time holds, as milliseconds; far enough before it to leave room for the rest. */
const latestMs = 18_446_744_073_000;

/** Whole seconds of a time in milliseconds; 0 for what is no time. */
export function secondsOf(ms: number): number {
  return ms > 0 && ms < latestMs ? Math.floor(ms / 1000) : 0;
}

/**
 * What is left of a time besides its seconds: nanoseconds, 0 to 1e9, both included: rounding may reach the next second.
 * Computed from the fraction alone: as one number the nanoseconds since 1970 have eight bits too many.
 */
export function nanosOf(ms: number, seconds: number): number {
  if (!(ms > 0 && ms < latestMs)) return 0;
  const whole = Math.floor(ms);
  return (whole - seconds * 1000) * 1e6 + Math.round((ms - whole) * 1e6);
}

const sizeOfVarint = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;

/** The digit that a character code stands for; anything that is none counts as 0. */
const digits = /* @__PURE__ */ Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? 0 : digit;
});

/**
 * Bytes that grow, and the primitives of protobuf to write into them.
 *
 * A message within a message stands behind its length, which is known only when it has been written: a byte is left free for
 * it, and what was written is moved in the rare case that it takes more. So nothing is measured beforehand, and nothing is
 * built that is not a part of the result.
 *
 * Source: protobuf.dev, "Encoding".
 */
export class ByteWriter {
  /** Only what lies before {@link ByteWriter.at} means anything. */
  bytes: Buffer;
  at = 0;
  private limit = Number.POSITIVE_INFINITY;
  /** As far as can be written without a thought: the end of the bytes, or the bound. */
  private room: number;

  constructor(capacity = 4_096) {
    // Not from the platform's pool: a large part of which would be held by whatever else lies there.
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.room = capacity;
  }

  /** What was written; a view. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.at);
  }

  /** From here on no more than that may be written, or {@link overBound} is thrown. `Infinity` takes the bound away. */
  bound(bytes: number): void {
    this.limit = this.at + bytes;
    this.room = Math.min(this.bytes.length, this.limit);
  }

  /** How much the bound leaves. */
  get left(): number {
    return this.limit - this.at;
  }

  byte(value: number): void {
    this.need(1);
    this.bytes[this.at++] = value;
  }

  /** The same as {@link ByteWriter.raw} for a few bytes: the platform's way to copy begins with more work than these are. */
  few(from: Uint8Array): void {
    const { length } = from;
    this.need(length);
    const { bytes, at } = this;
    for (let index = 0; index < length; index++) bytes[at + index] = from[index] as number;
    this.at = at + length;
  }

  raw(bytes: Uint8Array): void {
    this.need(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** A whole number, 0 to 2^53. */
  varint(value: number): void {
    this.need(10);
    this.put(value);
  }

  /** A whole number of 64 bits as `int64` has it, whose negative ones take ten bytes. */
  int64(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    this.need(10);
    let low = value >>> 0;
    let high = Math.floor(value / 0x1_0000_0000) >>> 0;
    for (let count = 0; count < 9; count++) {
      this.bytes[this.at++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.bytes[this.at++] = low;
  }

  /** A whole number as `sint32` has it: small ones are short, whatever their sign. */
  sint32(value: number): void {
    this.varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  fixed32(value: number): void {
    this.need(4);
    this.at = this.bytes.writeUInt32LE(value >>> 0, this.at);
  }

  /** A whole number of 64 bits, negative ones as two's complement. */
  fixed64(value: number): void {
    this.fixed32(value >>> 0);
    this.fixed32(Math.floor(value / 0x1_0000_0000) >>> 0);
  }

  double(value: number): void {
    this.need(8);
    this.at = this.bytes.writeDoubleLE(value, this.at);
  }

  /** A time in milliseconds since 1970 as nanoseconds of 64 bits, exact to what the number itself knows. */
  nanos(ms: number): void {
    const seconds = secondsOf(ms);
    // By 16 bits of the seconds at a time every product stays a whole number that a double holds.
    const low = (seconds & 0xffff) * 1e9 + nanosOf(ms, seconds);
    const high = Math.floor(seconds / 0x1_0000) * 1e9;
    const upper = Math.floor(high / 0x1_0000);
    const lower = (high - upper * 0x1_0000) * 0x1_0000 + low;
    const carried = Math.floor(lower / 0x1_0000_0000);
    this.fixed32(lower - carried * 0x1_0000_0000);
    this.fixed32(upper + carried);
  }

  /** A text behind its length. What is no valid Unicode is replaced, as protobuf wants. */
  text(value: string): void {
    const { length } = value;
    this.needText(value, 5);
    if (length > shortText || !this.ascii(value)) this.unicode(value);
  }

  /** A text alone. */
  utf8(value: string): void {
    this.needText(value, 0);
    this.at += this.bytes.write(value, this.at, 'utf8');
  }

  /** Bytes behind their length. */
  blob(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  /** An id behind its length, given as hex digits. */
  hex(value: string): void {
    const length = value.length >> 1;
    this.varint(length);
    this.need(length);
    const { bytes } = this;
    for (let at = 0; at < length; at++) {
      const high = digits[value.charCodeAt(2 * at)] ?? 0;
      const low = digits[value.charCodeAt(2 * at + 1)] ?? 0;
      bytes[this.at++] = (high << 4) | low;
    }
  }

  /**
   * Begins a message within a message.
   *
   * @param tag - field number and wire type, below 128
   * @returns what {@link ByteWriter.close} wants
   */
  open(tag: number): number {
    this.need(2);
    this.bytes[this.at++] = tag;
    return ++this.at;
  }

  /** Ends a message, and writes its length before it. */
  close(start: number): void {
    const length = this.at - start;
    if (length < 0x80) {
      this.bytes[start - 1] = length;
      return;
    }
    const size = sizeOfVarint(length);
    this.need(size - 1);
    this.bytes.copyWithin(start + size - 1, start, this.at);
    const end = this.at + size - 1;
    this.at = start - 1;
    this.put(length);
    this.at = end;
  }

  private ascii(value: string): boolean {
    const { bytes, at } = this;
    const { length } = value;
    bytes[at] = length;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code > 127) return false;
      bytes[at + 1 + index] = code;
    }
    this.at = at + 1 + length;
    return true;
  }

  private unicode(value: string): void {
    const start = this.at;
    const guess = sizeOfVarint(value.length);
    const written = this.bytes.write(value, start + guess, 'utf8');
    const size = sizeOfVarint(written);
    if (size !== guess) this.bytes.copyWithin(start + size, start + guess, start + guess + written);
    this.put(written);
    this.at = start + size + written;
  }

  /** A varint for which there is room: to make some would lose what was written ahead. */
  private put(value: number): void {
    let left = value;
    while (left > 0x7fff_ffff) {
      this.bytes[this.at++] = (left % 128) | 128;
      left = Math.floor(left / 128);
    }
    while (left > 127) {
      this.bytes[this.at++] = (left & 127) | 128;
      left >>>= 7;
    }
    this.bytes[this.at++] = left;
  }

  /** One character takes three bytes at most; they are counted where that is a lot too much, or does not fit. */
  private needText(value: string, more: number): void {
    const { length } = value;
    if (length > longText || this.at + more + length * 3 > this.room)
      this.need(more + Buffer.byteLength(value));
  }

  private need(bytes: number): void {
    if (this.at + bytes > this.room) this.grow(bytes);
  }

  private grow(bytes: number): void {
    const wanted = this.at + bytes;
    if (wanted > this.limit) throw overBound;
    if (wanted > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, this.at));
      this.bytes = larger;
    }
    this.room = Math.min(this.bytes.length, this.limit);
  }
}
