/** Headers of a message, whatever the wire: HTTP headers, gRPC metadata. Names are case-insensitive, lower case in `keys`. */
export interface Carrier {
  /** The value; several are joined by `, ` as HTTP does. */
  get(name: string): string | undefined;
  /** Replaces every value of that name. */
  set(name: string, value: string): void;
  /** Names that are present, in lower case. */
  keys(): Iterable<string>;
  /** A copy for the next attempt, so that attempts in parallel do not see each other's headers. */
  fork?(): Carrier;
}

/** Enough for all names that a program writes; names that come from elsewhere must not fill the memory. */
const mostKnown = 500;
const known = new Map<string, string>();

/** A header name in lower case. The same few come with every call, and looking one up is a tenth of lowering it. */
export function lowerCase(name: string): string {
  let lower = known.get(name);
  if (lower === undefined) {
    lower = name.toLowerCase();
    if (known.size < mostKnown) known.set(name, lower);
  }
  return lower;
}

class MapCarrier implements Carrier {
  /** @param values - made at the first write: many calls carry no header of ours */
  constructor(private values: Map<string, string> | undefined) {}
  get(name: string): string | undefined {
    return this.values?.get(lowerCase(name));
  }
  set(name: string, value: string): void {
    this.values ??= new Map();
    this.values.set(lowerCase(name), value);
  }
  keys(): Iterable<string> {
    return [...(this.values?.keys() ?? [])];
  }
  fork(): Carrier {
    return new MapCarrier(this.values && new Map(this.values));
  }
}

/**
 * A carrier over a plain record, for calls that have no message yet and for tests.
 *
 * @param headers - copied, names lower-cased
 */
export function carrier(headers?: Readonly<Record<string, string>>): Carrier {
  const made = new MapCarrier(undefined);
  if (headers) for (const name of Object.keys(headers)) made.set(name, headers[name] as string);
  return made;
}
