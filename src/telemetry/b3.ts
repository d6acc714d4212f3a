import type { SpanContext } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { denied, idsOf, type ReceivedSpan } from './received-span.js';
import { sampledFlag } from './trace-parent.js';

/** Names of the several headers; in lower case, as carriers have them. */
const several = {
  traceId: 'x-b3-traceid',
  spanId: 'x-b3-spanid',
  sampled: 'x-b3-sampled',
  flags: 'x-b3-flags',
} as const;

/** Trace, span, state, parent: the longest is 32 + 16 + 1 + 16 and three dashes. */
const longest = 68;

function spanOf(
  trace: string | undefined,
  span: string | undefined,
  state: string,
): ReceivedSpan | undefined {
  const ids = idsOf(trace, span);
  if (ids === undefined) return undefined;
  const debug = state === 'd';
  const traceFlags = debug || state === '1' ? sampledFlag : 0;
  return { ...ids, traceFlags, isRemote: true, ...(debug && { debug }) };
}

function readSingle(header: string, headers: Carrier): ReceivedSpan | undefined {
  const text = header.trim();
  if (text === '0') return denied(headers);
  if (text.length > longest) return undefined;
  const [trace, span, state = '', parent, ...rest] = text.split('-');
  if (!/^[01d]?$/.test(state) || rest.length > 0) return undefined;
  if (parent !== undefined && !/^[\da-f]{16}$/i.test(parent)) return undefined;
  return spanOf(trace, span, state);
}

/** Reads `X-B3-TraceId` and those that go with it. */
export function readB3Multi(headers: Carrier): ReceivedSpan | undefined {
  const trace = headers.get(several.traceId);
  const sampled = headers.get(several.sampled)?.toLowerCase();
  if (trace === undefined) return sampled === '0' || sampled === 'false' ? denied(headers) : undefined;
  const debug = headers.get(several.flags) === '1';
  const state = debug ? 'd' : sampled === '1' || sampled === 'true' ? '1' : '0';
  return spanOf(trace, headers.get(several.spanId), state);
}

/**
 * Reads B3 in either form; of a peer that sends both, `b3` counts.
 *
 * A decision alone that says no (`b3: 0`) is kept: nothing below is recorded. One that says yes without naming a trace is
 * as if it were not there, since a parent that nobody recorded would be missed. Ids without a decision count as not
 * recorded, which is how OpenTelemetry reads them.
 *
 * Source: openzipkin/b3-propagation.
 */
export function readB3(headers: Carrier): ReceivedSpan | undefined {
  const single = headers.get('b3');
  return single === undefined ? readB3Multi(headers) : readSingle(single, headers);
}

function stateOf(span: SpanContext, debug: boolean): string {
  if (debug) return 'd';
  return span.traceFlags & sampledFlag ? '1' : '0';
}

/** Writes the one header of B3. */
export function writeB3(span: SpanContext, headers: Carrier, debug: boolean): void {
  headers.set('b3', `${span.traceId}-${span.spanId}-${stateOf(span, debug)}`);
}

/** Writes the several headers of B3. A debug trace says so instead of its decision, which it implies. */
export function writeB3Multi(span: SpanContext, headers: Carrier, debug: boolean): void {
  headers.set(several.traceId, span.traceId);
  headers.set(several.spanId, span.spanId);
  if (debug) headers.set(several.flags, '1');
  else headers.set(several.sampled, stateOf(span, false));
}
