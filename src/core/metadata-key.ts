/** How a value is written as text, and read from it. */
export interface MetadataCodec<T> {
  /** Reads what a peer sent. `undefined`, and what it throws, count as absent. */
  parse(text: string): T | undefined;
  /** Writes a value: printable ASCII without blanks at the ends. */
  format(value: T): string;
}

/** Names one piece of metadata and says what it holds. */
export interface MetadataKey<T> extends MetadataCodec<T> {
  /** Name of the header, over HTTP and gRPC alike. */
  readonly name: string;
}

/** What both wires can carry as it is. */
const printable = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;

/** Whether a text arrives as it was sent, over HTTP and gRPC alike. */
export function isPortable(text: string): boolean {
  return printable.test(text);
}

/** Beyond `x-` headers have a meaning for somebody else; `-bin` is for bytes in gRPC. */
const ownName = /^x-(?!keelson-)[a-z0-9._-]*[a-z0-9]$/;

/**
 * Checks a name of metadata.
 *
 * @throws TypeError for one that cannot be used
 */
export function checkMetadataName(field: string, name: unknown): string {
  if (typeof name === 'string' && ownName.test(name) && !name.endsWith('-bin')) return name;
  throw new TypeError(
    `${field} must be lower case, begin with "x-", not with "x-keelson-", and not end with "-bin", got ${JSON.stringify(name)}`,
  );
}

/**
 * Checks a value of metadata before it goes out.
 *
 * @throws TypeError for one that would not arrive as it is
 */
export function checkMetadataText(field: string, text: unknown): string {
  if (typeof text === 'string' && isPortable(text)) return text;
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 50)) : String(text);
  throw new TypeError(
    `${field} must be printable ASCII without blanks at its ends, got ${shown}; for other text use metadataKey(name, percentEncoded)`,
  );
}

/** A codec for text of any script: percent-encoded UTF-8, as `encodeURIComponent` writes it. */
export const percentEncoded: MetadataCodec<string> = {
  parse: decodeURIComponent,
  format: encodeURIComponent,
};

const asItIs: MetadataCodec<string> = { parse: (text) => text, format: (text) => text };

/**
 * Names one piece of metadata, to be read and set by `metadataOf`. Names that begin with `x-md-global-` travel through the
 * whole chain of calls, those with `x-md-local-` only to the next service.
 *
 * Values are printable ASCII unless a codec makes it of them; nothing is encoded behind your back, for the peers may not be
 * ours. Not for secrets: whoever is in the chain reads it, and so do logs.
 *
 * @param name - as on the wire, in lower case: `x-md-global-color`
 * @throws TypeError for a name that cannot be used
 * @example
 * ```ts
 * const color = metadataKey('x-md-global-color');
 * ```
 */
export function metadataKey(name: string): MetadataKey<string>;
/**
 * Names one piece of metadata that is no text, or text of another script.
 *
 * @param name - as on the wire, in lower case: `x-md-global-depth`
 * @param codec - reads and writes it
 * @throws TypeError for a name that cannot be used
 * @example
 * ```ts
 * const depth = metadataKey('x-md-global-depth', { parse: Number, format: String });
 * ```
 */
export function metadataKey<T>(name: string, codec: MetadataCodec<T>): MetadataKey<T>;
export function metadataKey(name: string, codec: MetadataCodec<string> = asItIs): MetadataKey<string> {
  if (typeof codec?.parse !== 'function' || typeof codec.format !== 'function')
    throw new TypeError('metadataKey: a codec has the functions parse and format');
  return {
    name: checkMetadataName('metadataKey: name', name),
    parse: (text) => codec.parse(text),
    format: (value) => codec.format(value),
  };
}
