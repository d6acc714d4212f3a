import type { AttributeValue } from '@opentelemetry/api';
import { cutText } from './cut-text.js';
import { bytesText, isBytes, sketch } from './object-sketch.js';

type Primitive = string | number | boolean;

/** Of a list of numbers nobody reads more. */
const maxElements = 1000;

/** `NaN` and infinities have no place in JSON; a text says the same to every receiver. */
function cleanPrimitive(value: unknown, maxLength: number): Primitive | undefined {
  switch (typeof value) {
    case 'string':
      return cutText(value, maxLength);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : cutText(String(value), maxLength);
    case 'symbol':
      return cutText(String(value), maxLength);
    default:
      return undefined;
  }
}

function cleanElement(value: unknown, maxLength: number): Primitive | null {
  if (value === null || value === undefined) return null;
  const primitive = cleanPrimitive(value, maxLength);
  if (primitive !== undefined) return primitive;
  return typeof value === 'function' ? null : cleanObject(value as object, maxLength);
}

/** A list has elements of one type; one of several types becomes a list of texts. */
function cleanArray(array: readonly unknown[], maxLength: number): AttributeValue {
  const clean: (Primitive | null)[] = [];
  let left = maxLength;
  let mixed = false;
  let type: string | undefined;
  for (let at = 0; at < array.length && at < maxElements && left > 0; at++) {
    const element = cleanElement(array[at], left);
    clean.push(element);
    if (element === null) continue;
    if (typeof element === 'string') left -= element.length;
    type ??= typeof element;
    mixed ||= typeof element !== type;
  }
  return (
    mixed ? clean.map((element) => (element === null ? null : String(element))) : clean
  ) as AttributeValue;
}

function cleanObject(value: object, maxLength: number): string {
  if (value instanceof Error) return cutText(`${value.name}: ${value.message}`, maxLength);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (isBytes(value)) return bytesText(value);
  return sketch(value, maxLength);
}

/**
 * Makes an attribute of what users set, whatever it is: objects become text, cut where they are too long, circular, or throw.
 *
 * @param maxLength - characters; of a list, those of all its texts
 * @returns `undefined` for what is nothing: `null`, `undefined`, a function
 */
export function cleanValue(value: unknown, maxLength: number): AttributeValue | undefined {
  try {
    if (value === null) return undefined;
    if (typeof value !== 'object') return cleanPrimitive(value, maxLength);
    return Array.isArray(value) ? cleanArray(value, maxLength) : cleanObject(value, maxLength);
  } catch {
    // A proxy that was revoked throws at the very question what it is.
    return '[unreadable]';
  }
}

/** About how many bytes a clean value takes. */
export function sizeOf(value: AttributeValue): number {
  if (typeof value === 'string') return value.length;
  if (!Array.isArray(value)) return 8;
  let size = 0;
  for (const element of value) size += typeof element === 'string' ? element.length + 2 : 8;
  return size;
}
