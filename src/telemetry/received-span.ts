import type { SpanContext } from '@opentelemetry/api';

/** The span context that a peer sent, whatever the format. */
export interface ReceivedSpan extends SpanContext {
  /** The peer asks for this trace whatever sampling says: the debug flag of B3 and Jaeger. */
  readonly debug?: boolean | undefined;
}

const traceDigits = /^(?!0+$)(?:[\da-f]{16}|[\da-f]{32})$/;
const spanDigits = /^(?!0{16}$)[\da-f]{16}$/;

/** Ids of other formats in those of W3C: of 8 bytes, or with their leading zeros left out. */
export interface Ids {
  readonly traceId: string;
  readonly spanId: string;
}

/**
 * Brings the ids of another format into the form of W3C.
 *
 * @returns `undefined` for what is no id in any format, and for zero
 */
export function idsOf(trace: string | undefined, span: string | undefined): Ids | undefined {
  const traceId = trace?.toLowerCase();
  const spanId = span?.toLowerCase();
  if (traceId === undefined || !traceDigits.test(traceId)) return undefined;
  if (spanId === undefined || !spanDigits.test(spanId)) return undefined;
  return { traceId: traceId.padStart(32, '0'), spanId };
}

function randomHex(bytes: number): string {
  const random = globalThis.crypto.getRandomValues(new Uint8Array(bytes));
  // Neither all zero, which is no id.
  random[0] = (random[0] as number) | 1;
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const denials = new WeakMap<object, ReceivedSpan>();

/**
 * Stands for a caller that wants nothing to be recorded and names no trace, which W3C has no words for: the parent is one
 * that nobody recorded, so nobody will miss it. The same one each time that the same headers are looked at.
 */
export function denied(headers: object): ReceivedSpan {
  let span = denials.get(headers);
  if (span === undefined) {
    span = { traceId: randomHex(16), spanId: randomHex(8), traceFlags: 0, isRemote: true };
    denials.set(headers, span);
  }
  return span;
}
