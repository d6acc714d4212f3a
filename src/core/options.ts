import { aboutOption } from './in-name-of.js';
import { unknownOption } from './option-names.js';

/** The range of one numeric option. */
export interface Bound {
  /** Smallest value allowed. */
  readonly min?: number;
  /** The value has to be greater than this. */
  readonly above?: number;
  /** Largest value allowed. */
  readonly max?: number;
  /** Only whole numbers. */
  readonly integer?: boolean;
  /** `Infinity` is allowed, and means no limit. */
  readonly infinite?: boolean;
}

/** Ranges for the numeric fields of an options object. */
export type Bounds<Options> = { readonly [Field in keyof Options]?: Bound };

/** A range in words: `a whole number >= 1 and <= 10`. */
export function rangeText(bound: Bound): string {
  const limits: string[] = [];
  if (bound.min !== undefined) limits.push(`>= ${bound.min}`);
  if (bound.above !== undefined) limits.push(`> ${bound.above}`);
  if (bound.max !== undefined) limits.push(`<= ${bound.max}`);
  const parts = [bound.integer ? 'a whole number' : 'a number'];
  if (limits.length > 0) parts.push(limits.join(' and '));
  if (bound.infinite) parts.push('or Infinity');
  return parts.join(' ');
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

/**
 * The error for something that is not of the kind it should be. The commonest mistake is a factory that was not called.
 *
 * @param field - full name for the message: `attempt.gate`
 * @param what - what it should be, with an example: `a gate, such as sre()`
 */
export function wrongKind(field: string, what: string, value: unknown): TypeError {
  const hint = typeof value === 'function' && value.name !== '' ? `; call it: ${value.name}()` : '';
  return aboutOption(new TypeError(`${field} must be ${what}, got ${show(value)}${hint}`));
}

/** Whether a number is in a range; `NaN` is in none. */
export function isInRange(value: number, bound: Bound): boolean {
  if (value === Number.POSITIVE_INFINITY) return bound.infinite === true;
  if (!Number.isFinite(value)) return false;
  if (bound.integer && !Number.isInteger(value)) return false;
  if (bound.min !== undefined && value < bound.min) return false;
  if (bound.above !== undefined && value <= bound.above) return false;
  return bound.max === undefined || value <= bound.max;
}

/**
 * Checks one number.
 *
 * @param field - full name for the message: `sre.k`
 * @throws TypeError when it is no number; RangeError, naming field, bound and value, when it is out of range
 */
export function checkNumber(field: string, value: unknown, bound: Bound): number {
  if (typeof value !== 'number')
    throw aboutOption(new TypeError(`${field} must be ${rangeText(bound)}, got ${show(value)}`));
  if (!isInRange(value, bound))
    throw aboutOption(new RangeError(`${field} must be ${rangeText(bound)}, got ${value}`));
  return value;
}

/**
 * Checks one choice.
 *
 * @throws RangeError that lists what is allowed
 */
export function checkChoice<T extends string>(field: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw aboutOption(
    new RangeError(`${field} must be one of ${choices.map((c) => `"${c}"`).join(', ')}, got ${show(value)}`),
  );
}

/**
 * Lays what was given over the defaults and checks it. `undefined` counts as not given.
 *
 * @param owner - name of the factory, for messages: `sre`
 * @param defaults - one entry for every option that exists, `undefined` where there is no default
 * @param given - the user's options
 * @param bounds - ranges of the numeric ones; a field that is `undefined` after merging is not checked
 * @throws TypeError for an unknown option or a wrong type, RangeError for a value out of range
 */
export function resolveOptions<Defaults extends object>(
  owner: string,
  defaults: Defaults,
  given: { readonly [Field in keyof Defaults]?: Defaults[Field] | undefined } | undefined,
  bounds: Bounds<Defaults> = {},
): Defaults {
  const merged = { ...defaults } as Record<string, unknown>;
  if (given !== undefined) {
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw aboutOption(new TypeError(`${owner}: options must be an object, got ${show(given)}`));
    for (const [field, value] of Object.entries(given)) {
      if (!Object.hasOwn(defaults, field)) throw unknownOption(owner, field, Object.keys(defaults));
      if (value !== undefined) merged[field] = value;
    }
  }
  for (const [field, bound] of Object.entries(bounds) as [string, Bound][]) {
    if (merged[field] !== undefined) checkNumber(`${owner}.${field}`, merged[field], bound);
  }
  for (const [field, value] of Object.entries(defaults)) {
    if (typeof value === 'function' && typeof merged[field] !== 'function') {
      throw aboutOption(new TypeError(`${owner}.${field} must be a function, got ${show(merged[field])}`));
    }
    if (typeof value === 'boolean' && typeof merged[field] !== 'boolean') {
      throw aboutOption(new TypeError(`${owner}.${field} must be a boolean, got ${show(merged[field])}`));
    }
  }
  return merged as Defaults;
}
