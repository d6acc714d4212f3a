import type { Carrier } from './carrier.js';
import { currentCall } from './current.js';
import type { Middleware } from './handler.js';
import { resolveOptions } from './options.js';
import { trustedPeer } from './trust.js';

/** Options of {@link forwardMetadata}. */
export interface ForwardMetadataOptions {
  /**
   * Names that begin with this are forwarded; lower case. A shorter prefix forwards more, also what was meant for one
   * hop only.
   *
   * @defaultValue `'x-md-global-'`
   */
  readonly prefix?: string | undefined;
  /**
   * Most entries that are forwarded; a whole number, 0 or more. Those above it are left out. A larger value lets a
   * caller make every call of the chain behind it heavier.
   *
   * @defaultValue `32`
   */
  readonly maxEntries?: number | undefined;
  /**
   * Most characters that are forwarded, names and values together; a whole number, 0 or more. An entry that does not fit
   * is left out. Above 8192 servers begin to refuse requests for their headers.
   *
   * @defaultValue `4096`
   */
  readonly maxBytes?: number | undefined;
}

/** Defaults of {@link ForwardMetadataOptions}. */
export const forwardMetadataDefaults = { prefix: 'x-md-global-', maxEntries: 32, maxBytes: 4096 } as const;

type Settings = { readonly prefix: string; readonly maxEntries: number; readonly maxBytes: number };

/** What this call says itself stays: a caller may override what it was given. */
function forward(from: Carrier, to: Carrier, settings: Settings): void {
  let entries = 0;
  let bytes = 0;
  for (const name of from.keys()) {
    if (!name.startsWith(settings.prefix) || entries >= settings.maxEntries) continue;
    const value = from.get(name);
    if (value === undefined) continue;
    const size = name.length + value.length;
    if (bytes + size > settings.maxBytes || to.get(name) !== undefined) continue;
    entries++;
    bytes += size;
    to.set(name, value);
  }
}

/**
 * Sends the metadata of the inbound call along with every outgoing one, so that a colour or a tenant reaches the whole
 * chain. Only what a trusted peer sent; see `trust` of the server.
 *
 * For clients, outside of retries: the copies of a call then share it. A name that the call already has is not replaced.
 *
 * @throws TypeError or RangeError for options that are out of range
 *
 * Source: go-kratos/kratos `middleware/metadata` (prefix `x-md-global-`). It appends, so that a repeated name grows at
 * each hop, and has no bounds.
 */
export function forwardMetadata<Req, Res>(options: ForwardMetadataOptions = {}): Middleware<Req, Res> {
  const settings = resolveOptions<Settings>('forwardMetadata', forwardMetadataDefaults, options, {
    maxEntries: { min: 0, integer: true },
    maxBytes: { min: 0, integer: true },
  });
  if (typeof settings.prefix !== 'string') throw new TypeError('forwardMetadata.prefix must be a string');
  return (next) => (request, call) => {
    const inbound = currentCall();
    if (inbound?.values.get(trustedPeer)) forward(inbound.headers, call.headers, settings);
    return next(request, call);
  };
}
