import type { Carrier } from '../core/carrier.js';

/**
 * The headers of `fetch` as those of a call. A value under a name that ends in `-bin` is base64, as on the wire.
 *
 * Writing what they cannot hold (a value with characters beyond Latin-1, a name with a blank) throws, as they do.
 */
export class HeadersCarrier implements Carrier {
  /** @param headers - written to as they are: whoever shares them with others gives a copy */
  constructor(readonly headers: Headers) {}

  get(name: string): string | undefined {
    return this.headers.get(name) ?? undefined;
  }
  set(name: string, value: string): void {
    this.headers.set(name, value);
  }
  keys(): Iterable<string> {
    return this.headers.keys();
  }
  fork(): Carrier {
    return new HeadersCarrier(new Headers(this.headers));
  }
}

/** The headers behind those of a call; a middleware may have put a carrier of its own in place of ours. */
export function headersOf(carrier: Carrier): Headers {
  if (carrier instanceof HeadersCarrier) return carrier.headers;
  const copy = new Headers();
  for (const name of carrier.keys()) {
    const value = carrier.get(name);
    if (value !== undefined) copy.set(name, value);
  }
  return copy;
}
