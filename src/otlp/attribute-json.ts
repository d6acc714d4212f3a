import { deepestValue, isValue, isWhole, namesOf } from './attribute-message.js';

/** `AnyValue` in the JSON of OTLP; with no field at all it is empty. */
export type JsonValue = Readonly<Record<string, unknown>>;

/** `KeyValue` in the JSON of OTLP. */
export interface JsonAttribute {
  readonly key: string;
  readonly value: JsonValue;
}

/** Most values within one attribute: one that contains itself several times would never end. */
const mostValues = 10_000;

/** How many values may still be written. */
export interface JsonBudget {
  left: number;
}

/** A double: what JSON has no number for, protobuf's mapping writes as text. */
export function jsonDouble(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function mapOf(entries: Iterable<readonly [unknown, unknown]>, depth: number, budget: JsonBudget): JsonValue {
  const values: JsonAttribute[] = [];
  for (const [name, item] of entries)
    values.push({ key: String(name), value: jsonValue(item, depth, budget) });
  return { kvlistValue: { values } };
}

function objectOf(value: object, depth: number, budget: JsonBudget): JsonValue {
  if (Array.isArray(value))
    return { arrayValue: { values: value.map((item) => jsonValue(item, depth, budget)) } };
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') };
  if (value instanceof Date) return { stringValue: value.toJSON() ?? 'Invalid Date' };
  if (value instanceof Map) return mapOf(value, depth, budget);
  const fields = value as Record<string, unknown>;
  return mapOf(
    namesOf(value).map((name) => [name, fields[name]] as const),
    depth,
    budget,
  );
}

function jsonValue(value: unknown, depth: number, budget: JsonBudget): JsonValue {
  if (--budget.left < 0) throw new RangeError('too many values');
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'number':
      return isWhole(value) ? { intValue: String(value || 0) } : { doubleValue: jsonDouble(value) };
    case 'boolean':
      return { boolValue: value };
    case 'bigint':
      return { [isWhole(value) ? 'intValue' : 'stringValue']: String(value) };
    case 'object':
      return value === null || depth >= deepestValue ? {} : objectOf(value, depth + 1, budget);
    default:
      return {};
  }
}

/** One attribute; `undefined` for one that cannot be written. */
export function jsonAttribute(name: string, value: unknown): JsonAttribute | undefined {
  // Nearly all are texts, and there is nothing in them to count.
  if (typeof value === 'string') return { key: name, value: { stringValue: value } };
  try {
    return { key: name, value: jsonValue(value, 0, { left: mostValues }) };
  } catch {
    return undefined;
  }
}

/** Attributes, and how many of them could not be written. */
export interface JsonAttributes {
  readonly attributes: readonly JsonAttribute[];
  readonly dropped: number;
}

/** All attributes of an object. */
export function jsonAttributes(given: object): JsonAttributes {
  const attributes: JsonAttribute[] = [];
  let dropped = 0;
  for (const name of namesOf(given)) {
    try {
      const value = (given as Record<string, unknown>)[name];
      if (!isValue(value)) continue;
      const attribute = jsonAttribute(name, value);
      if (attribute === undefined) dropped++;
      else attributes.push(attribute);
    } catch {
      dropped++;
    }
  }
  return { attributes, dropped };
}
