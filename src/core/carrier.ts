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

class RecordCarrier implements Carrier {
  constructor(private readonly record: Record<string, string>) {}
  get(name: string): string | undefined {
    return this.record[name] ?? this.record[name.toLowerCase()];
  }
  set(name: string, value: string): void {
    this.record[name.toLowerCase()] = value;
  }
  keys(): Iterable<string> {
    return Object.keys(this.record);
  }
  fork(): Carrier {
    return new RecordCarrier(Object.assign(Object.create(null), this.record));
  }
}

/**
 * A carrier over a plain record, for calls that have no message yet and for tests.
 *
 * @param headers - copied, names lower-cased
 */
export function carrier(headers?: Readonly<Record<string, string>>): Carrier {
  // No prototype: a header named "constructor" or "__proto__" is a header and nothing else.
  const record = Object.create(null) as Record<string, string>;
  if (headers) for (const name of Object.keys(headers)) record[name.toLowerCase()] = headers[name] as string;
  return new RecordCarrier(record);
}
