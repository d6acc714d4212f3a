import type { Encoding, EncodingName } from './encoding.js';
import { jsonEncoding } from './json-encoding.js';
import { protobufEncoding } from './protobuf-encoding.js';

/** Both forms of OTLP, by name. */
export const encodings: Readonly<Record<EncodingName, Encoding>> = {
  protobuf: protobufEncoding,
  json: jsonEncoding,
};
