import { type LosslessJson, parse } from '../discovery/lossless-json.js';
import type { RegistryLimits } from './limits.js';
import { badRequest, limitExceeded } from './refused.js';

/** @throws Refused when there is too much of it */
export function checkMetadata(metadata: ReadonlyMap<string, string>, limits: RegistryLimits): void {
  if (metadata.size > limits.metadataEntries)
    throw limitExceeded(`metadata: ${metadata.size} entries, ${limits.metadataEntries} at most`);
  let bytes = 0;
  for (const [key, value] of metadata) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (bytes > limits.metadataBytes)
    throw limitExceeded(`metadata: ${bytes} bytes, ${limits.metadataBytes} at most`);
}

/** The original turns whatever is no string into nothing; a number or a boolean is kept as its text, `{"weight":10}` is what its own manual sends. */
function label(value: LosslessJson): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' ? '' : String(value);
}

/**
 * Reads the JSON object that a `metadata` parameter carries.
 *
 * @throws Refused when it is none, or too large
 */
export function readMetadata(text: string, limits: RegistryLimits): ReadonlyMap<string, string> {
  if (text === '') return new Map();
  let value: LosslessJson;
  try {
    value = parse(text);
  } catch (error) {
    throw badRequest(`metadata: is not JSON (${(error as Error).message})`, error);
  }
  if (value === null) return new Map();
  if (typeof value !== 'object' || Array.isArray(value)) throw badRequest('metadata: is not a JSON object');
  const metadata = new Map(Object.entries(value).map(([key, entry]) => [key, label(entry)]));
  checkMetadata(metadata, limits);
  return metadata;
}
