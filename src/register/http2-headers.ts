import { type Carrier, lowerCase } from '../core/carrier.js';
import type { Http2Headers } from './grpc-status.js';

/** The headers of a stream of HTTP/2, whose names are in lower case. */
class StreamHeaders implements Carrier {
  constructor(private readonly headers: Record<string, unknown>) {}
  get(name: string): string | undefined {
    const value = this.headers[lowerCase(name)];
    if (Array.isArray(value)) return value.join(', ');
    return value === undefined ? undefined : String(value);
  }
  set(name: string, value: string): void {
    this.headers[lowerCase(name)] = value;
  }
  keys(): Iterable<string> {
    return Object.keys(this.headers);
  }
}

/** Headers that may be written to: names in lower case, since of two that differ in their case alone Node refuses the second. */
export function writableHeaders(given: Http2Headers): Record<string, unknown> & Http2Headers {
  // Names that must not be put into a table of the peer's are marked so by a symbol, which is copied too.
  const headers: Record<string, unknown> & Http2Headers = { ...given };
  for (const name of Object.keys(headers)) {
    const lower = lowerCase(name);
    if (lower === name) continue;
    headers[lower] = headers[name];
    delete headers[name];
  }
  return headers;
}

/** The headers of a stream as a carrier. What is set is set on the record itself. */
export function streamHeaders(headers: Http2Headers): Carrier {
  return new StreamHeaders(headers as Record<string, unknown>);
}
