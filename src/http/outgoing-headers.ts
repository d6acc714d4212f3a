import { type Carrier, lowerCase } from '../core/carrier.js';

/** What `fetch` takes as headers. */
export type HeaderInput = RequestInit['headers'];

type Pairs = Iterable<readonly [string, string]>;

/** What `fetch` takes as headers, as pairs. Names keep their case. */
export function pairsOf(headers: HeaderInput): Pairs {
  if (headers === undefined || headers === null) return [];
  if (typeof (headers as { [Symbol.iterator]?: unknown })[Symbol.iterator] === 'function') {
    return headers as unknown as Pairs;
  }
  return Object.entries(headers as Record<string, string>);
}

/** The value of one header among those of a caller. */
export function headerOf(headers: HeaderInput, name: string): string | undefined {
  if (headers === undefined || headers === null) return undefined;
  let found: string | undefined;
  for (const [key, value] of pairsOf(headers)) {
    if (key.toLowerCase() === name) found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/**
 * The headers of a call on a client: those that middlewares set, over those that its caller gave. The caller's own are
 * never changed: they may be shared among calls.
 */
export class OutgoingHeaders implements Carrier {
  private constructor(
    private readonly given: HeaderInput,
    /** By name in lower case; what goes out in place of what the caller gave. */
    readonly added: Record<string, string>,
  ) {}

  static over(given: HeaderInput): OutgoingHeaders {
    // No prototype: a header named "constructor" is a header and nothing else.
    return new OutgoingHeaders(given, Object.create(null));
  }
  get(name: string): string | undefined {
    const lower = lowerCase(name);
    return this.added[lower] ?? headerOf(this.given, lower);
  }
  set(name: string, value: string): void {
    this.added[lowerCase(name)] = value;
  }
  keys(): Iterable<string> {
    const names = new Set(Object.keys(this.added));
    for (const [name] of pairsOf(this.given)) names.add(name.toLowerCase());
    return names;
  }
  fork(): Carrier {
    return new OutgoingHeaders(this.given, Object.assign(Object.create(null), this.added));
  }
}

/**
 * What goes out over what the caller gave, by name in lower case. A carrier that a middleware put in place of ours may
 * know more or less than the caller's headers: all of it counts.
 */
export function addedHeaders(carrier: Carrier): Readonly<Record<string, string>> {
  if (carrier instanceof OutgoingHeaders) return carrier.added;
  const added = Object.create(null) as Record<string, string>;
  for (const name of carrier.keys()) {
    const value = carrier.get(name);
    if (value !== undefined) added[name.toLowerCase()] = value;
  }
  return added;
}

/**
 * What goes out: the caller's headers, and over them those of the call. Ours replace, they are never appended: two
 * `traceparent` would be none.
 *
 * @param given - as the caller wrote them
 * @param carrier - of the call
 */
export function mergeHeaders(given: HeaderInput, carrier: Carrier): HeaderInput {
  const added = addedHeaders(carrier);
  const names = Object.keys(added);
  if (names.length === 0) return given;
  if (given === undefined || given === null) return added;
  const merged: [string, string][] = [];
  for (const [name, value] of pairsOf(given)) {
    if (added[name.toLowerCase()] === undefined) merged.push([name, value]);
  }
  for (const name of names) merged.push([name, added[name] as string]);
  return merged;
}
