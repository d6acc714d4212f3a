import type { SpanContext } from '@opentelemetry/api';

/** The ids of a trace as they travel; flags as a number. */
export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero: the span of whoever sent it. */
  readonly spanId: string;
  /** Only the bits that level 2 knows: 1 is sampled, 2 is "the trace id is random". */
  readonly traceFlags: number;
}

/** Bit of the flags: the caller records this trace. */
export const sampledFlag = 1;
/** Bit of the flags: the last 7 bytes of the trace id are random. */
export const randomFlag = 2;

const shape = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** Longest header that is looked at: room for what a future version may append. */
const longest = 512;

/** Without the white space that HTTP allows around a value; `trim` would also take what is not allowed there. */
function bare(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}

/** HTTP joins headers of one name by a comma; the same value twice is the same value. */
function single(header: string): string | undefined {
  if (!header.includes(',')) return bare(header);
  const [first, ...others] = header.split(',').map(bare);
  return others.every((other) => other === first) ? first : undefined;
}

/**
 * Reads a `traceparent` header.
 *
 * @param header - as received; several headers joined by a comma
 * @returns `undefined` for none, for one that breaks the grammar, and for several that differ: a new trace begins
 *
 * Source: W3C Trace Context, Level 2, section 3.2. Unlike OpenTelemetry's propagator it keeps the random flag, clears
 * flags that nobody has defined yet, and does not take the first of two headers that contradict each other.
 */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  if (header === undefined || header.length > longest) return undefined;
  const match = shape.exec(single(header) ?? '');
  if (match === null || (match[1] === '00' && match[5] !== undefined)) return undefined;
  // Read by index: taking an array apart costs as much as the expression itself.
  const flags = Number.parseInt(match[4] as string, 16) & (sampledFlag | randomFlag);
  return { traceId: match[2] as string, spanId: match[3] as string, traceFlags: flags };
}

/** Two hex digits, unknown bits cleared. */
export function formatFlags(flags: number): string {
  return `0${flags & (sampledFlag | randomFlag)}`;
}

/**
 * Writes a `traceparent` header, version 00.
 *
 * @param parent - a valid span context; unknown flags are cleared, as level 2 demands
 */
export function formatTraceparent(parent: TraceParent | SpanContext): string {
  return `00-${parent.traceId}-${parent.spanId}-${formatFlags(parent.traceFlags)}`;
}
