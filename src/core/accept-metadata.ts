import type { Call } from './call.js';
import type { Middleware } from './handler.js';
import { aboutOption } from './in-name-of.js';
import { type AcceptedMetadata, InboundMetadata } from './inbound-metadata.js';
import { constantsOf, type MetadataDrop, metadataBounds, toldOnce } from './metadata-limits.js';
import { resolveOptions } from './options.js';
import { handOn } from './receiver.js';
import { callKey } from './values.js';

/** Options of {@link acceptMetadata}. */
export interface AcceptMetadataOptions {
  /**
   * Names that begin with one of these can be read, and travel on with every call that is made on behalf of this one. For
   * chains with services on Kratos v1 add `x-bm-metadata-`. A shorter prefix also sends on what was meant for one hop.
   *
   * @defaultValue `['x-md-global-']`
   */
  readonly globalPrefixes?: readonly string[] | undefined;
  /**
   * Names that begin with one of these can be read, and end here.
   *
   * @defaultValue `['x-md-']`
   */
  readonly localPrefixes?: readonly string[] | undefined;
  /**
   * Metadata that each call has, whatever its peer says and whether or not that is trusted. It counts for no limit.
   *
   * @defaultValue `{}`
   */
  readonly constants?: Readonly<Record<string, string>> | undefined;
  /**
   * Most entries that are taken from a peer; a whole number, 0 or more. Those above it are left out. A larger value lets
   * a caller make every call of the chain behind it heavier.
   *
   * @defaultValue `32`
   */
  readonly maxEntries?: number | undefined;
  /**
   * Most characters that are taken from a peer, names and values together; a whole number, 0 or more. An entry that does
   * not fit is left out. No effect above what the wire takes, 16 KiB in Node.
   *
   * @defaultValue `4096`
   */
  readonly maxBytes?: number | undefined;
  /**
   * Told of the first entry that is left out for each reason. What it throws is dropped.
   *
   * @defaultValue none; an app tells it as `metadata` on its bus
   */
  readonly onDrop?: ((drop: MetadataDrop) => void) | undefined;
}

/** Defaults of {@link AcceptMetadataOptions}. */
export const acceptMetadataDefaults = {
  globalPrefixes: ['x-md-global-'],
  localPrefixes: ['x-md-'],
  constants: {},
  maxEntries: 32,
  maxBytes: 4096,
  /** Nobody is told. */
  onDrop: () => undefined,
} as const;

function checkPrefixes(field: string, prefixes: readonly string[]): void {
  if (!Array.isArray(prefixes)) throw aboutOption(new TypeError(`${field} must be an array of strings`));
  for (const prefix of prefixes) {
    if (typeof prefix !== 'string' || !/^x-[a-z0-9._-]*$/.test(prefix))
      throw aboutOption(
        new TypeError(`${field} must be in lower case and begin with "x-", got ${JSON.stringify(prefix)}`),
      );
  }
}

function settingsOf(options: AcceptMetadataOptions | undefined): AcceptedMetadata {
  type Given = { [Field in keyof AcceptMetadataOptions]-?: NonNullable<AcceptMetadataOptions[Field]> };
  const given = resolveOptions<Given>('acceptMetadata', acceptMetadataDefaults, options, metadataBounds);
  checkPrefixes('acceptMetadata.globalPrefixes', given.globalPrefixes);
  checkPrefixes('acceptMetadata.localPrefixes', given.localPrefixes);
  return {
    ...given,
    constants: constantsOf('acceptMetadata.constants', given.constants),
    onDrop: toldOnce(given.onDrop),
  };
}

const metadataValue = callKey<InboundMetadata>('keelson.metadata');
let usual: AcceptedMetadata | undefined;

/** The metadata of an inbound call; one and the same however often it is asked for. */
export function inboundMetadata(call: Call): InboundMetadata {
  let metadata = call.values.get(metadataValue);
  if (metadata === undefined) {
    usual ??= settingsOf(undefined);
    metadata = new InboundMetadata(call, usual);
    call.values.set(metadataValue, metadata);
  }
  return metadata;
}

/**
 * Says which metadata of inbound calls is taken, and what each call has besides.
 *
 * For servers, outside of whatever reads metadata. Needed only where the defaults do not do: without it metadata is taken
 * by them. Nothing is taken from a peer that is not trusted, see `trust` of the server, except that constants always hold.
 * What is over a limit or not printable ASCII is left out; it never fails a call.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const edge = acceptMetadata({ constants: { 'x-md-global-region': 'eu' }, maxEntries: 8 });
 * ```
 *
 * Source: go-kratos/kratos `middleware/metadata`, server part. There the prefix to send on is an option of each client,
 * nothing is bounded and every peer is believed.
 */
export function acceptMetadata<Req, Res>(options?: AcceptMetadataOptions): Middleware<Req, Res> {
  const settings = settingsOf(options);
  return (next) =>
    handOn(next, (call) => {
      call.values.set(metadataValue, new InboundMetadata(call, settings));
      return call;
    });
}
