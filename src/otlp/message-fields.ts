/** One field of a message: a number for a varint, bytes for all else. */
export type FieldValue = number | Buffer;

/** Bytes that are no message of protobuf. */
class Malformed extends Error {}

function varintAt(bytes: Buffer, start: number): readonly [value: number, end: number] {
  let value = 0;
  let at = start;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    // Not by `<<`, which has 32 bits.
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
  throw new Malformed('a varint that does not end');
}

/** One field as it was found. */
export interface Field {
  readonly number: number;
  readonly value: FieldValue;
  /** The whole field, its tag included. */
  readonly whole: Buffer;
}

/** How long the fields of fixed length are, by wire type. */
const fixedLengths: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/**
 * Walks through the fields of a message, each as it stands there.
 *
 * @throws Error where the bytes are no message
 */
export function* fieldsOf(bytes: Buffer): Generator<Field, void, undefined> {
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const [tag, afterTag] = varintAt(bytes, at);
    const number = Math.floor(tag / 8);
    let value: FieldValue;
    if ((tag & 7) === 0) {
      [value, at] = varintAt(bytes, afterTag);
    } else {
      const fixed = fixedLengths[tag & 7];
      const [length, from] =
        fixed !== undefined
          ? [fixed, afterTag]
          : (tag & 7) === 2
            ? varintAt(bytes, afterTag)
            : [Number.POSITIVE_INFINITY, afterTag];
      at = from + length;
      if (at > bytes.length) throw new Malformed('a field that does not end');
      value = bytes.subarray(from, at);
    }
    yield { number, value, whole: bytes.subarray(start, at) };
  }
}

/**
 * The last field of that number, as a message has it that holds each at most once.
 *
 * @throws Error where the bytes are no message
 */
export function fieldOf(bytes: Buffer, number: number): FieldValue | undefined {
  let found: FieldValue | undefined;
  for (const field of fieldsOf(bytes)) if (field.number === number) found = field.value;
  return found;
}
