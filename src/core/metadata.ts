import { inboundMetadata } from './accept-metadata.js';
import type { Call } from './call.js';
import type { Carrier } from './carrier.js';
import { currentCall } from './current.js';
import { formatted, parsed } from './inbound-metadata.js';
import type { MetadataKey } from './metadata-key.js';

/** The metadata of one call. */
export interface Metadata {
  /** What was set here, else what came in; `undefined` if there is none, or none that can be read. */
  get<T>(key: MetadataKey<T>): T | undefined;
  /**
   * Of an inbound call: goes along with every call that is made on its behalf from now on. Of an outgoing one: goes along
   * with that.
   *
   * @throws TypeError for a value that is not printable ASCII, and without a call
   */
  set<T>(key: MetadataKey<T>, value: T): void;
}

class OutgoingMetadata implements Metadata {
  constructor(private readonly headers: Carrier) {}
  get<T>(key: MetadataKey<T>): T | undefined {
    return parsed(key, this.headers.get(key.name));
  }
  set<T>(key: MetadataKey<T>, value: T): void {
    this.headers.set(key.name, formatted(key, value));
  }
}

const ofNobody: Metadata = {
  get: () => undefined,
  set: (key) => {
    throw new TypeError(`metadata "${key.name}" cannot be set: there is no current call`);
  },
};

/**
 * The metadata of a call, to be read and set by key.
 *
 * In a handler, without an argument, it is that of the inbound call: read what came along, set what goes to the services
 * that this call asks. In a middleware of a client, with its call, it is what that one call sends. One call alone can also
 * be given headers the way its wire has them.
 *
 * @param call - the current inbound call if left out
 * @example
 * ```ts
 * const color = metadataKey('x-md-global-color');
 * const mine = metadataOf().get(color) ?? 'blue';
 * metadataOf().set(color, mine);
 * ```
 */
export function metadataOf(call: Call | undefined = currentCall()): Metadata {
  if (call === undefined) return ofNobody;
  return call.side === 'client' ? new OutgoingMetadata(call.headers) : inboundMetadata(call);
}
