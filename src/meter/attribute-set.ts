import type { Attributes, AttributeValue } from '@opentelemetry/api';

/** Most attributes of a series; the rest are left out. */
const maxAttributes = 128;
/** Most characters of a value, and elements of a list; the rest is cut off. */
const maxLength = 1024;

/** Attributes as a series keeps them. */
export interface AttributeSet {
  /** Equal for equal attributes, in whatever order they came. */
  readonly key: string;
  /** The valid ones in order of their names, frozen. Made when asked for: only a new series needs them. */
  attributes(): Attributes;
  /**
   * Names and values by turns, as they were given and as often as they were read: once. Left out where a value is no
   * plain one, and must not be remembered.
   */
  readonly path: readonly unknown[] | undefined;
}

function primitive(value: unknown): string | number | boolean | undefined {
  switch (typeof value) {
    case 'string':
      return value.length > maxLength ? value.slice(0, maxLength) : value;
    case 'number':
      // Neither a label nor JSON has a number for it.
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    default:
      return undefined;
  }
}

function accepted(value: unknown): AttributeValue | undefined {
  if (!Array.isArray(value)) return primitive(value);
  const list = value.slice(0, maxLength).map((element) => primitive(element) ?? null);
  return list as AttributeValue;
}

/** Somebody else's getter may throw. */
function readValue(given: object, key: string): unknown {
  try {
    return (given as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

/** A list may be one that throws when it is looked at. */
function acceptedOf(value: unknown): AttributeValue | undefined {
  try {
    return accepted(value);
  } catch {
    return undefined;
  }
}

function keysOf(given: unknown, keeps: ReadonlySet<string> | undefined): string[] {
  const keys: string[] = [];
  if (typeof given !== 'object' || given === null) return keys;
  try {
    // As where series are found again, and there a list of keys would be made at each measurement.
    for (const key in given) if (keeps === undefined || keeps.has(key)) keys.push(key);
  } catch {
    // A proxy that does not say what it has.
  }
  return keys;
}

/**
 * Makes of given attributes what identifies a series. Values that are no attribute values are left out: `undefined`,
 * objects, functions, whatever throws when it is read.
 *
 * @param given - of a user: anything
 * @param keeps - names that count; all when left out
 */
export function attributeSet(given: unknown, keeps: ReadonlySet<string> | undefined): AttributeSet {
  const keys = keysOf(given, keeps);
  const path: unknown[] = [];
  const entries: [string, AttributeValue][] = [];
  let plain = keys.length <= maxAttributes;
  if (!plain) keys.length = maxAttributes;
  for (const key of keys) {
    const value = readValue(given as object, key);
    const kept = acceptedOf(value);
    path.push(key, value);
    if (kept !== value && value !== null) plain = false;
    if (kept !== undefined && key !== '') entries.push([key, kept]);
  }
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    key: JSON.stringify(entries),
    attributes: () => Object.freeze(Object.fromEntries(entries)),
    path: plain ? path : undefined,
  };
}

/** Attributes of a measurement that its series does not have. */
export function leftOut(given: unknown, kept: Attributes): Attributes {
  const keys = new Set(keysOf(given, undefined).filter((key) => !Object.hasOwn(kept, key)));
  return keys.size === 0 ? nothing : attributeSet(given, keys).attributes();
}

const nothing: Attributes = Object.freeze({});
