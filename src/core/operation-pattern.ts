import type { Call } from './call.js';
import { aboutOption } from './in-name-of.js';

/**
 * Which operations are meant.
 *
 * - A string is the whole name, or with a `*` at its end the beginning of one: `/pkg.Users/Get`, `/pkg.Users/*`,
 *   `GET /users*`, `*`. One that begins with `/` also stands for the path in the name of an HTTP operation, whatever the
 *   method: `/users/:id` is `GET /users/:id` and `DELETE /users/:id`.
 * - A RegExp has to fit the whole name. Its flags `g` and `y` have no effect.
 * - A function is asked for each call; only `true` counts. What it throws fails the call.
 */
export type OperationMatch = string | RegExp | ((call: Call) => boolean);

/** What can be said of an operation by its name alone. */
export type NameTest = (operation: string) => boolean;
/** What has to be asked for each call. */
export type CallTest = (call: Call) => boolean;

/** Criteria of which one is enough, by what they need to know. */
export interface Criteria {
  /** By name: the answer for one operation is always the same. */
  readonly byName: NameTest;
  /** By call, cheapest first as given. */
  readonly byCall: readonly CallTest[];
}

/** The path in `GET /users/:id`. A name that begins with `/` is one itself, also with a blank in it, which a peer may send. */
function pathIn(operation: string): string {
  return operation.startsWith('/') ? operation : operation.slice(operation.indexOf(' ') + 1);
}

function ofString(field: string, pattern: string): NameTest {
  if (pattern === '') throw aboutOption(new TypeError(`${field} must not be empty; "*" is every operation`));
  const star = pattern.indexOf('*');
  if (star >= 0 && star < pattern.length - 1)
    throw aboutOption(
      new TypeError(`${field}: "*" can stand only at the end; use a RegExp for "${pattern}"`),
    );
  const subject = pattern.startsWith('/') ? pathIn : (operation: string) => operation;
  if (star < 0) return (operation) => operation === pattern || subject(operation) === pattern;
  const prefix = pattern.slice(0, -1);
  return (operation) => operation.startsWith(prefix) || subject(operation).startsWith(prefix);
}

/** Lookarounds and not `^` and `$`, which with the flag `m` are the ends of a line. */
function ofRegExp(pattern: RegExp): NameTest {
  const whole = new RegExp(`(?<![^])(?:${pattern.source})(?![^])`, pattern.flags.replace(/[gy]/g, ''));
  return (operation) => whole.test(operation);
}

/**
 * Takes criteria apart once, so that a call only asks.
 *
 * @param field - full name for messages: `selector.match`
 * @throws TypeError for a criterion that can match nothing or cannot be understood
 */
export function criteriaOf(field: string, given: OperationMatch | readonly OperationMatch[]): Criteria {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0)
    throw aboutOption(new TypeError(`${field} must not be empty: it would match nothing`));
  const names: NameTest[] = [];
  const byCall: CallTest[] = [];
  for (const one of list) {
    if (typeof one === 'string') names.push(ofString(field, one));
    else if (one instanceof RegExp) names.push(ofRegExp(one));
    else if (typeof one === 'function') byCall.push(one as CallTest);
    else
      throw aboutOption(
        new TypeError(`${field} must be a string, a RegExp or a function, got ${String(one)}`),
      );
  }
  return { byName: (operation) => names.some((test) => test(operation)), byCall };
}
