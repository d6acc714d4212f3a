import type { SpanContext } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { idsOf, type ReceivedSpan } from './received-span.js';
import { sampledFlag } from './trace-parent.js';

/** Header of Jaeger's own clients. */
export const uberTraceId = 'uber-trace-id';

/** Bit of the flags: this trace whatever sampling says. */
const debugFlag = 2;

/** Leading zeros may be missing, colons may be escaped: clients of several languages differ. */
const shape = /^([\da-f]{1,32}):([\da-f]{1,16}):[\da-f]{1,16}:([\da-f]{1,2})$/i;

/**
 * Reads `uber-trace-id`: trace, span, parent (which means nothing any more), flags.
 *
 * Source: Jaeger, "Client libraries", propagation format.
 */
export function readUber(headers: Carrier): ReceivedSpan | undefined {
  const header = headers.get(uberTraceId);
  if (header === undefined || header.length > 160) return undefined;
  const match = shape.exec(header.replace(/%3a/gi, ':').trim());
  if (match === null) return undefined;
  const ids = idsOf(match[1]?.padStart(32, '0'), match[2]?.padStart(16, '0'));
  if (ids === undefined) return undefined;
  const flags = Number.parseInt(match[3] as string, 16);
  const debug = (flags & debugFlag) !== 0;
  return { ...ids, traceFlags: flags & sampledFlag, isRemote: true, ...(debug && { debug }) };
}

/** Writes `uber-trace-id`. */
export function writeUber(span: SpanContext, headers: Carrier, debug: boolean): void {
  const flags = (span.traceFlags & sampledFlag) | (debug ? debugFlag | sampledFlag : 0);
  headers.set(uberTraceId, `${span.traceId}:${span.spanId}:0:${flags}`);
}
