import { ByteWriter, nanosOf, overBound, secondsOf } from 'keelson/otlp';
import { describe, expect, it } from 'vitest';

/** What a write leaves behind. */
function written(write: (out: ByteWriter) => void, capacity = 1): Buffer {
  const out = new ByteWriter(capacity);
  write(out);
  return Buffer.from(out.written);
}

/** The same number as protobuf's reference says: seven bits at a time, of 64. */
function varintOf(value: bigint): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return [...bytes, Number(left)];
}

const numbers = [
  0,
  1,
  127,
  128,
  300,
  2 ** 14 - 1,
  2 ** 14,
  2 ** 21,
  2 ** 28,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 35 + 77,
  Number.MAX_SAFE_INTEGER,
];

describe('ByteWriter', () => {
  it.each(numbers)('writes %d as a varint', (value) => {
    expect([...written((out) => out.varint(value))]).toEqual(varintOf(BigInt(value)));
  });

  it.each(numbers.flatMap((value) => [value, -value]))('writes %d as int64 and as fixed64', (value) => {
    expect([...written((out) => out.int64(value))]).toEqual(varintOf(BigInt(value)));
    expect(written((out) => out.fixed64(value)).readBigInt64LE()).toBe(BigInt(value));
  });

  it.each([
    [0, 0],
    [-1, 1],
    [1, 2],
    [-2, 3],
    [2_147_483_647, 4_294_967_294],
    [-2_147_483_648, 4_294_967_295],
  ])('writes %d as sint32 %d', (value, zigzag) => {
    expect([...written((out) => out.sint32(value))]).toEqual(varintOf(BigInt(zigzag)));
  });

  it.each([
    ['', 0],
    ['GET', 3],
    ['x'.repeat(48), 48],
    ['x'.repeat(49), 49],
    ['x'.repeat(127), 127],
    ['x'.repeat(128), 128],
    ['ä'.repeat(63), 126],
    ['ä'.repeat(64), 128],
    ['€'.repeat(43), 129],
    ['🚢'.repeat(20_000), 80_000],
    [`${'x'.repeat(2_000)}ä`, 2_002],
  ])('writes a text behind its length in bytes: %#', (text, length) => {
    const bytes = written((out) => out.text(text));
    const head = varintOf(BigInt(length));
    expect([...bytes.subarray(0, head.length)]).toEqual(head);
    expect(bytes.subarray(head.length).toString()).toBe(text);
  });

  it('replaces what is no Unicode', () => {
    expect(
      written((out) => out.text('a\ud800b'))
        .subarray(1)
        .toString(),
    ).toBe('a\ufffdb');
  });

  it.each([0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])('closes a message of %d bytes', (size) => {
    const content = Buffer.alloc(size, 7);
    const bytes = written((out) => {
      out.byte(1);
      const start = out.open(0x0a);
      out.raw(content);
      out.close(start);
      out.byte(9);
    });
    const head = [1, 0x0a, ...varintOf(BigInt(size))];
    expect([...bytes.subarray(0, head.length)]).toEqual(head);
    expect(bytes.subarray(head.length, -1).equals(content)).toBe(true);
    expect(bytes.at(-1)).toBe(9);
  });

  it('closes messages within each other whose lengths grow', () => {
    const bytes = written((out) => {
      const outer = out.open(0x0a);
      const inner = out.open(0x12);
      out.raw(Buffer.alloc(127, 1));
      out.close(inner);
      out.close(outer);
    });
    expect([...bytes.subarray(0, 5)]).toEqual([0x0a, 0x81, 0x01, 0x12, 127]);
    expect(bytes.length).toBe(3 + 2 + 127);
  });

  it('reads hex digits of any case, and odd ones as 0', () => {
    expect(written((out) => out.hex('00ffAb1x')).toString('hex')).toBe('0400ffab10');
  });

  it.each([
    [0, 0n],
    [1, 1_000_000n],
    [0.000_5, 500n],
    [1_700_000_000_000, 1_700_000_000_000_000_000n],
    [1_700_000_000_000.25, 1_700_000_000_000_250_000n],
    [1_700_000_000_999.999_8, 1_700_000_000_999_999_756n],
    [18_446_744_072_999, 18_446_744_072_999_000_000n],
    [Number.NaN, 0n],
    [-1, 0n],
    [Number.POSITIVE_INFINITY, 0n],
    [1e300, 0n],
  ])('writes %d ms as nanoseconds', (ms, nanos) => {
    const bytes = written((out) => out.nanos(ms));
    const value = bytes.readBigUInt64LE();
    // A time of today knows its fraction to a quarter of a microsecond.
    expect(value > nanos ? value - nanos : nanos - value).toBeLessThan(250n);
    const seconds = secondsOf(ms);
    expect(BigInt(seconds) * 1_000_000_000n + BigInt(nanosOf(ms, seconds))).toBe(value);
  });

  it('does not write past its bound, and goes on after it was set back', () => {
    const out = new ByteWriter(16);
    out.byte(1);
    out.bound(20);
    expect(() => out.raw(Buffer.alloc(21))).toThrow(overBound);
    out.at = 1;
    out.raw(Buffer.alloc(20));
    expect(() => out.byte(1)).toThrow(overBound);
    out.bound(Number.POSITIVE_INFINITY);
    out.raw(Buffer.alloc(10_000));
    expect(out.written.length).toBe(10_021);
  });
});
