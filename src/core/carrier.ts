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

/** One header of a chain. */
class Entry {
  constructor(
    readonly name: string,
    public value: string,
    readonly before: Entry | undefined,
  ) {}
}

/** A chain and no Map: a call carries two or three headers of ours, and most of what a Map costs is making it. */
class ChainCarrier implements Carrier {
  private last: Entry | undefined = undefined;

  get(name: string): string | undefined {
    return this.find(lowerCase(name))?.value;
  }
  set(name: string, value: string): void {
    const lower = lowerCase(name);
    const known = this.find(lower);
    if (known === undefined) this.last = new Entry(lower, value, this.last);
    else known.value = value;
  }
  keys(): Iterable<string> {
    const names: string[] = [];
    for (let entry = this.last; entry !== undefined; entry = entry.before) names.unshift(entry.name);
    return names;
  }
  fork(): Carrier {
    const copy = new ChainCarrier();
    for (const name of this.keys()) copy.set(name, this.get(name) as string);
    return copy;
  }
  private find(lower: string): Entry | undefined {
    let entry = this.last;
    while (entry !== undefined && entry.name !== lower) entry = entry.before;
    return entry;
  }
}

/**
 * A carrier over a plain record, for calls that have no message yet and for tests.
 *
 * @param headers - copied, names lower-cased
 */
export function carrier(headers?: Readonly<Record<string, string>>): Carrier {
  const made = new ChainCarrier();
  if (headers) for (const name of Object.keys(headers)) made.set(name, headers[name] as string);
  return made;
}
