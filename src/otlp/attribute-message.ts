import type { ByteWriter } from './byte-writer.js';

/** Deepest that values lie within each other; what is deeper, or contains itself, is left empty. */
export const deepestValue = 8;

/** What has to be left for the counts of what was left out, and for lengths that grow. */
export const tailBytes = 64;

/** Fields of `AnyValue`. */
const valueTags = { text: 0x0a, flag: 0x10, whole: 0x18, double: 0x21, list: 0x2a, map: 0x32, bytes: 0x3a };
/** Field 1 of `KeyValue`, `ArrayValue` and `KeyValueList`, field 2 of `KeyValue`. */
const first = 0x0a;
const second = 0x12;

/** So many names of attributes are kept as bytes; a service has a few dozen, and who makes them up gains nothing. */
const mostNames = 512;
/** Longer ones are rare, and copying them gains less. */
const longestName = 64;
const nameBytes = new Map<string, Uint8Array>();

/** A name behind its tag and length. The same ones come with every span: copied they cost half of what writing them does. */
function writeName(out: ByteWriter, name: string): void {
  const known = nameBytes.get(name);
  if (known !== undefined) {
    out.few(known);
    return;
  }
  const start = out.at;
  out.byte(first);
  out.text(name);
  if (nameBytes.size < mostNames && name.length <= longestName)
    nameBytes.set(name, Uint8Array.prototype.slice.call(out.bytes, start, out.at));
}

/** The names of an object's own fields; none when it will not tell them. */
export function namesOf(value: object): readonly string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
}

/** Whether a value is one that attributes can have at all. */
export function isValue(value: unknown): boolean {
  return value !== undefined && value !== null && typeof value !== 'function' && typeof value !== 'symbol';
}

/** Whether `int64` holds it; what is larger goes as text, or as a double if it was one. */
export function isWhole(value: number | bigint): boolean {
  return typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
}

function writeNumber(out: ByteWriter, value: number): void {
  if (Number.isSafeInteger(value)) {
    out.byte(valueTags.whole);
    out.int64(value);
  } else {
    out.byte(valueTags.double);
    out.double(value);
  }
}

function writeBig(out: ByteWriter, value: bigint): void {
  if (!isWhole(value)) {
    out.byte(valueTags.text);
    out.text(String(value));
    return;
  }
  out.byte(valueTags.whole);
  let left = BigInt.asUintN(64, value);
  for (; left > 127n; left >>= 7n) out.byte(Number(left & 127n) | 128);
  out.byte(Number(left));
}

function writeMap(out: ByteWriter, entries: Iterable<readonly [unknown, unknown]>, depth: number): void {
  const map = out.open(valueTags.map);
  for (const [name, value] of entries) {
    const entry = out.open(first);
    out.byte(first);
    out.text(String(name));
    writeValue(out, value, depth);
    out.close(entry);
  }
  out.close(map);
}

/** What is no text and no number. */
function writeObject(out: ByteWriter, value: object, depth: number): void {
  if (Array.isArray(value)) {
    const list = out.open(valueTags.list);
    for (const item of value) writeAnyValue(out, first, item, depth);
    out.close(list);
  } else if (value instanceof Uint8Array) {
    out.byte(valueTags.bytes);
    out.blob(value);
  } else if (value instanceof Date) {
    out.byte(valueTags.text);
    out.text(value.toJSON() ?? 'Invalid Date');
  } else if (value instanceof Map) {
    writeMap(out, value, depth);
  } else {
    writeMap(
      out,
      namesOf(value).map((name) => [name, (value as Record<string, unknown>)[name]] as const),
      depth,
    );
  }
}

function writeAnyValue(out: ByteWriter, tag: number, value: unknown, depth: number): void {
  const start = out.open(tag);
  if (typeof value === 'string') {
    out.byte(valueTags.text);
    out.text(value);
  } else if (typeof value === 'number') writeNumber(out, value);
  else if (typeof value === 'boolean') {
    out.byte(valueTags.flag);
    out.byte(value ? 1 : 0);
  } else if (typeof value === 'bigint') writeBig(out, value);
  else if (typeof value === 'object' && value !== null && depth < deepestValue)
    writeObject(out, value, depth + 1);
  out.close(start);
}

function writeValue(out: ByteWriter, value: unknown, depth: number): void {
  writeAnyValue(out, second, value, depth);
}

/**
 * Writes one attribute.
 *
 * @param tag - of the list of attributes in its message
 * @returns `false` for one that cannot be written: too long, or it throws when it is read; nothing is left of it then
 */
export function writeAttribute(out: ByteWriter, tag: number, name: string, value: unknown): boolean {
  const before = out.at;
  try {
    const start = out.open(tag);
    writeName(out, name);
    writeValue(out, value, 0);
    out.close(start);
    if (out.left >= tailBytes) return true;
  } catch {
    // Set back below.
  }
  out.at = before;
  return false;
}

/**
 * Writes attributes.
 *
 * @returns how many could not be written
 */
export function writeAttributes(out: ByteWriter, tag: number, attributes: object): number {
  let dropped = 0;
  for (const name of namesOf(attributes)) {
    let value: unknown;
    try {
      value = (attributes as Record<string, unknown>)[name];
    } catch {
      dropped++;
      continue;
    }
    if (isValue(value) && !writeAttribute(out, tag, name, value)) dropped++;
  }
  return dropped;
}

/** Writes a number behind its tag, unless it is 0, which is what an absent field means. */
export function writeCount(out: ByteWriter, tag: number, value: number): void {
  if (!(value > 0)) return;
  out.byte(tag);
  out.varint(Math.min(value, 0xffff_ffff));
}

/** Writes a text behind its tag, unless it is empty, which is what an absent field means. */
export function writeText(out: ByteWriter, tag: number, value: string | undefined): void {
  if (value === undefined || value === '') return;
  out.byte(tag);
  out.text(value);
}
