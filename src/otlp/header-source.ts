import { aboutOption } from '../core/in-name-of.js';

/** Headers of each request: fixed ones, or what gives them anew, for tokens that expire. */
export type HeaderSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>);

/** What HTTP and gRPC both take; one that they do not would fail each request. */
export function isSoundHeader(name: string, value: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t\x20-\x7e]*$/.test(value);
}

/** What is no header, in words for the user. */
export const soundHeaders = 'names of headers are made of letters, digits and -, values of ASCII';

/** Of what is not shown: it may be a secret. */
function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Symbol.iterator in value ? 'a list or a map' : 'an object';
}

/** @throws TypeError or RangeError, naming the field */
export function checkHeaders(field: string, headers: unknown): void {
  const kind = kindOf(headers);
  // Of a list or a map a request would see nothing.
  if (kind !== 'an object')
    throw aboutOption(
      new TypeError(`${field} must be an object of headers or a function that gives one, got ${kind}`),
    );
  for (const [name, value] of Object.entries(headers as object)) {
    const owner = `${field}[${JSON.stringify(name)}]`;
    if (typeof value !== 'string')
      throw aboutOption(new TypeError(`${owner} must be a text, got ${kindOf(value)}`));
    if (!isSoundHeader(name, value))
      throw aboutOption(new RangeError(`${owner} is no header: ${soundHeaders}`));
  }
}

/**
 * The same function, checked whenever it is asked: what could not be sent is none of it, and what waits is tried again.
 *
 * @param what - what is sent, in the plural
 * @param warn - takes a line, the first time
 */
export function checkedAtCall(
  source: Extract<HeaderSource, () => unknown>,
  what: string,
  warn: (message: string) => void,
): HeaderSource {
  let told = false;
  return async () => {
    const headers = await source();
    try {
      checkHeaders('headers()', headers);
    } catch (error) {
      if (!told) {
        told = true;
        warn(`keelson: no ${what} are sent with such headers: ${(error as Error).message}`);
      }
      throw error;
    }
    return headers;
  };
}

/** @throws (as a rejection) what the user's function throws */
export async function headersOf(source: HeaderSource): Promise<Readonly<Record<string, string>>> {
  return typeof source === 'function' ? await source() : source;
}
