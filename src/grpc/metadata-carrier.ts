import { Metadata, type MetadataValue } from '@grpc/grpc-js';
import type { Carrier } from '../core/carrier.js';

/** As text; names that end in `-bin` hold bytes, which read as base64, the form that they have on the wire. */
function textOf(value: MetadataValue): string {
  return typeof value === 'string' ? value : value.toString('base64');
}

/**
 * gRPC metadata as headers of a call. A value under a name that ends in `-bin` is bytes, read and written as base64.
 *
 * Writing what metadata cannot hold (a value with characters beyond printable ASCII, a name with a blank) throws, as
 * `Metadata` itself does.
 */
export class MetadataCarrier implements Carrier {
  /** @param metadata - written to as it is: whoever shares it with others gives a clone */
  constructor(readonly metadata: Metadata) {}

  get(name: string): string | undefined {
    const values = this.metadata.get(name);
    if (values.length <= 1) return values[0] === undefined ? undefined : textOf(values[0]);
    return values.map(textOf).join(', ');
  }

  set(name: string, value: string): void {
    if (!name.toLowerCase().endsWith('-bin')) {
      this.metadata.set(name, value);
      return;
    }
    this.metadata.remove(name);
    for (const part of value.split(',')) this.metadata.add(name, Buffer.from(part.trim(), 'base64'));
  }

  keys(): Iterable<string> {
    return Object.keys(this.metadata.toJSON());
  }

  fork(): Carrier {
    return new MetadataCarrier(this.metadata.clone());
  }
}

/** The metadata behind the headers of a call; a middleware may have put a carrier of its own in place of ours. */
export function grpcMetadata(headers: Carrier): Metadata {
  if (headers instanceof MetadataCarrier) return headers.metadata;
  const copy = new MetadataCarrier(new Metadata());
  for (const name of headers.keys()) {
    const value = headers.get(name);
    if (value !== undefined) copy.set(name, value);
  }
  return copy.metadata;
}
