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

/** The values of one call. Whoever keeps more than these of a call extends it. */
export class Values implements CallValues {
  // Most calls carry none, so the map is made at the first write.
  private map: Map<symbol, unknown> | undefined = undefined;
  get<T>(key: CallKey<T>): T | undefined {
    return this.map?.get(key.symbol) as T | undefined;
  }
  set<T>(key: CallKey<T>, value: T): void {
    this.map ??= new Map();
    this.map.set(key.symbol, value);
  }
}

/** Makes an empty set of values. */
export function callValues(): CallValues {
  return new Values();
}
