/** Names a typed value that travels with a call inside this process. Two keys of one name are the same key. */
export interface CallKey<T> {
  /** Identity, registered process-wide so that two copies of the package agree. */
  readonly symbol: symbol;
  /** Never set; carries the type. */
  readonly type?: T;
}

/**
 * Makes a key.
 *
 * @param name - unique in the application; prefix it with your package's name
 * @example
 * ```ts
 * const tenant = callKey<string>('shop.tenant');
 * call.values.set(tenant, 'acme');
 * ```
 */
export function callKey<T>(name: string): CallKey<T> {
  return { symbol: Symbol.for(`keelson.key.${name}`) };
}

/** What middlewares and handlers leave for each other on one call. Shared by all its attempts; never on the wire. */
export interface CallValues {
  /** The value, or `undefined`. */
  get<T>(key: CallKey<T>): T | undefined;
  /** Sets or replaces it. */
  set<T>(key: CallKey<T>, value: T): void;
}

/** One value of a chain. */
class Entry {
  constructor(
    readonly symbol: symbol,
    public value: unknown,
    readonly before: Entry | undefined,
  ) {}
}

/**
 * The values of one call. Whoever keeps more than these of a call extends it. A chain and no Map: a call carries a handful,
 * and making a Map costs more than looking for all of them.
 */
export class Values implements CallValues {
  private last: Entry | undefined = undefined;
  get<T>(key: CallKey<T>): T | undefined {
    return this.find(key.symbol)?.value as T | undefined;
  }
  set<T>(key: CallKey<T>, value: T): void {
    const known = this.find(key.symbol);
    if (known === undefined) this.last = new Entry(key.symbol, value, this.last);
    else known.value = value;
  }
  private find(symbol: symbol): Entry | undefined {
    let entry = this.last;
    while (entry !== undefined && entry.symbol !== symbol) entry = entry.before;
    return entry;
  }
}

/** Makes an empty set of values. */
export function callValues(): CallValues {
  return new Values();
}
