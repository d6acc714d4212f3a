import type { Carrier } from '../core/carrier.js';
import { idsOf, type ReceivedSpan } from './received-span.js';
import { sampledFlag } from './trace-parent.js';

/** Metadata of gRPC's own tracing. */
const header = 'grpc-trace-bin';

/** Lengths of the fields by their number: trace id, span id, flags. */
const lengths = [16, 8, 1] as const;

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(globalThis.atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function hex(bytes: Uint8Array | undefined): string {
  return Array.from(bytes ?? [], (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The fields by their numbers. What follows one that nobody knows cannot be read, since its length is not known. */
function fieldsOf(bytes: Uint8Array): (Uint8Array | undefined)[] {
  const fields: (Uint8Array | undefined)[] = [];
  for (let at = 1; at < bytes.length; ) {
    const field = bytes[at] as number;
    const length = lengths[field];
    if (length === undefined || at + 1 + length > bytes.length) break;
    fields[field] = bytes.subarray(at + 1, at + 1 + length);
    at += 1 + length;
  }
  return fields;
}

/**
 * Reads `grpc-trace-bin`, in base64 as it stands on the wire. It is never written: whoever reads it reads W3C too by now.
 *
 * Source: OpenCensus, "Binary Encoding": version 0, then field 0 with 16 bytes, field 1 with 8, field 2 with 1.
 */
export function readGrpcTraceBin(headers: Carrier): ReceivedSpan | undefined {
  const text = headers.get(header);
  if (text === undefined || text.length > 128) return undefined;
  const bytes = bytesOf(text.trim());
  if (bytes === undefined || bytes[0] !== 0) return undefined;
  const [trace, span, flags] = fieldsOf(bytes);
  const ids = idsOf(hex(trace), hex(span));
  return ids && { ...ids, traceFlags: (flags?.[0] ?? 0) & sampledFlag, isRemote: true };
}
