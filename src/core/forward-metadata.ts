import { inboundMetadata } from './accept-metadata.js';
import type { Carrier } from './carrier.js';
import { currentCall } from './current.js';
import type { Middleware } from './handler.js';
import type { InboundMetadata } from './inbound-metadata.js';
import {
  Allowance,
  constantsOf,
  type MetadataDrop,
  type MetadataLimits,
  metadataBounds,
  toldOnce,
} from './metadata-limits.js';
import { resolveOptions } from './options.js';

/** Options of {@link forwardMetadata}. */
export interface ForwardMetadataOptions {
  /**
   * Metadata that goes along with every call of this client: `{ 'x-md-local-caller': 'orders' }`. Goes before what came
   * in, and after what the handler or the call itself says.
   *
   * @defaultValue `{}`
   */
  readonly constants?: Readonly<Record<string, string>> | undefined;
  /**
   * Most entries that are added to a call; a whole number, 0 or more. Those above it are left out. A larger value lets
   * whoever is in front make every call of the chain heavier.
   *
   * @defaultValue `32`
   */
  readonly maxEntries?: number | undefined;
  /**
   * Most characters that are added to a call, names and values together; a whole number, 0 or more. An entry that does not
   * fit is left out. Above 8192 servers begin to refuse requests for their headers.
   *
   * @defaultValue `4096`
   */
  readonly maxBytes?: number | undefined;
  /**
   * Told of the first entry that is left out for each reason. What it throws is dropped.
   *
   * @defaultValue none; a client stack tells it as `metadata` on its bus
   */
  readonly onDrop?: ((drop: MetadataDrop) => void) | undefined;
}

/** Defaults of {@link ForwardMetadataOptions}. */
export const forwardMetadataDefaults = {
  constants: {},
  maxEntries: 32,
  maxBytes: 4096,
  /** Nobody is told. */
  onDrop: () => undefined,
} as const;

type Entries = Iterable<readonly [string, string]>;

/** Adds metadata to one call. What it says itself stays, and of what is added the first of a name. */
class Adding {
  private readonly allowance: Allowance;

  constructor(
    private readonly to: Carrier,
    private readonly limits: MetadataLimits,
  ) {
    this.allowance = new Allowance(limits);
  }

  add(entries: Entries): void {
    for (const [name, value] of entries) {
      if (this.to.get(name) !== undefined || !this.allowance.take(name, value)) continue;
      try {
        this.to.set(name, value);
      } catch {
        // A wire that takes less than others.
        this.limits.onDrop({ reason: 'value', name });
      }
    }
  }
}

/**
 * Sends metadata along with every outgoing call: what the handler set, the client's constants, and the global metadata of
 * the inbound call, so that a colour or a tenant reaches the whole chain. Of the inbound call only what a trusted peer sent.
 *
 * For clients, outside of retries: the copies of a call then share it. A name that the call already has is not replaced.
 * What is over a limit is left out; it never fails a call.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const client = compose([forwardMetadata({ constants: { 'x-md-local-caller': 'orders' } })], leaf);
 * ```
 *
 * Source: go-kratos/kratos `middleware/metadata`, client part. It appends, so that a repeated name grows at each hop, and
 * has no bounds.
 */
export function forwardMetadata<Req, Res>(options?: ForwardMetadataOptions): Middleware<Req, Res> {
  type Given = { [Field in keyof ForwardMetadataOptions]-?: NonNullable<ForwardMetadataOptions[Field]> };
  const given = resolveOptions<Given>('forwardMetadata', forwardMetadataDefaults, options, metadataBounds);
  const constants = constantsOf('forwardMetadata.constants', given.constants);
  const limits: MetadataLimits = { ...given, onDrop: toldOnce(given.onDrop) };
  const forward = (to: Carrier, inbound: InboundMetadata | undefined): void => {
    const adding = new Adding(to, limits);
    if (inbound?.given !== undefined) adding.add(inbound.given);
    adding.add(constants);
    if (inbound !== undefined) adding.add(inbound.flowing);
  };
  const isNothing = (inbound: InboundMetadata | undefined): boolean =>
    constants.size === 0 &&
    (inbound === undefined || (inbound.given === undefined && inbound.flowing.length === 0));
  return (next) => (request, call) => {
    const current = currentCall();
    const inbound = current && inboundMetadata(current);
    if (!isNothing(inbound)) forward(call.headers, inbound);
    return next(request, call);
  };
}
