import {
  type BaggageEntry,
  baggageEntryMetadataFromString,
  type Context,
  createContextKey,
  isSpanContextValid,
  propagation,
  type SpanContext,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Carrier } from '../core/carrier.js';
import { trustedPeer } from '../core/trust.js';
import { callKey } from '../core/values.js';
import { type BaggageMember, formatBaggage, parseBaggage } from './baggage.js';
import { formatTraceparent, parseTraceparent, randomFlag } from './trace-parent.js';
import { parseTracestate } from './trace-state.js';

/** Written and read here and nowhere else, whatever propagator is registered. */
const ours: ReadonlySet<string> = new Set(['traceparent', 'tracestate', 'baggage']);

/** SDKs forget the random flag of the parent; this remembers of which trace it was. */
const randomKey = createContextKey('keelson random trace id');

/** The span context that a peer sent, by the rules of W3C Trace Context. */
export function receivedSpan(headers: Carrier): SpanContext | undefined {
  const parent = parseTraceparent(headers.get('traceparent'));
  if (parent === undefined) return undefined;
  const traceState = parseTracestate(headers.get('tracestate'));
  const { traceId, spanId, traceFlags } = parent;
  return { traceId, spanId, traceFlags, isRemote: true, ...(traceState && { traceState }) };
}

/** The baggage that came with a call; of a peer that is not trusted, none. */
export function receivedBaggage(call: Call): readonly BaggageMember[] {
  return call.values.get(trustedPeer) ? parseBaggage(call.headers.get('baggage')) : [];
}

const getter: TextMapGetter<Carrier> = {
  keys: (headers) => [...headers.keys()].filter((name) => !ours.has(name)),
  get: (headers, name) => (ours.has(name.toLowerCase()) ? undefined : headers.get(name)),
};
const setter: TextMapSetter<Carrier> = {
  set: (headers, name, value) => {
    if (!ours.has(name.toLowerCase())) headers.set(name, value);
  },
};

/** Whether the registered propagator speaks more than W3C: B3, Jaeger. */
function speaksMore(): boolean {
  return propagation.fields().some((field) => !ours.has(field.toLowerCase()));
}

/** Replaces the baggage of a context by what came with the call. */
export function withReceivedBaggage(within: Context, call: Call): Context {
  const members = receivedBaggage(call);
  if (members.length === 0)
    return propagation.getBaggage(within) === undefined ? within : propagation.deleteBaggage(within);
  const entries = Object.create(null) as Record<string, BaggageEntry>;
  for (const { key, value, properties } of members) {
    entries[key] =
      properties === undefined ? { value } : { value, metadata: baggageEntryMetadataFromString(properties) };
  }
  return propagation.setBaggage(within, propagation.createBaggage(entries));
}

/** Remembers that the ids of the trace are random, if the caller said so. */
export function withRandomFlag(within: Context, span: SpanContext | undefined): Context {
  return span !== undefined && span.traceFlags & randomFlag
    ? within.setValue(randomKey, span.traceId)
    : within;
}

/**
 * The context that an inbound call brings: its span as parent, its baggage if the peer is trusted. A registered
 * propagator is asked for what is not W3C, if W3C says nothing.
 *
 * @param base - what else is in it
 */
export function receivedContext(call: Call, base: Context): Context {
  const bare = trace.deleteSpan(base);
  const span = receivedSpan(call.headers);
  const parent =
    span !== undefined
      ? trace.setSpanContext(bare, span)
      : speaksMore()
        ? propagation.extract(bare, call.headers, getter)
        : bare;
  return withRandomFlag(withReceivedBaggage(parent, call), span);
}

function* members(within: Context): Iterable<BaggageMember> {
  for (const [key, { value, metadata }] of propagation.getBaggage(within)?.getAllEntries() ?? [])
    yield { key, value, properties: metadata?.toString() };
}

/** Writes headers by replacing: a second `traceparent` would make the callee begin a new trace. */
function writeSpan(span: SpanContext, headers: Carrier): void {
  headers.set('traceparent', formatTraceparent(span));
  const state = span.traceState?.serialize() ?? '';
  // A carrier cannot take a header back; a list that belongs to another trace becomes an empty one, which is valid.
  if (state !== '' || headers.get('tracestate') !== undefined) headers.set('tracestate', state);
}

/** Writes the span and the baggage of a context to outgoing headers, and whatever else a registered propagator knows. */
export function sendContext(within: Context, headers: Carrier): void {
  if (speaksMore()) propagation.inject(within, headers, setter);
  const span = trace.getSpanContext(within);
  if (span !== undefined && isSpanContextValid(span)) {
    const random = within.getValue(randomKey) === span.traceId;
    writeSpan(random ? { ...span, traceFlags: span.traceFlags | randomFlag } : span, headers);
  }
  const baggage = formatBaggage(members(within));
  if (baggage !== '') headers.set('baggage', baggage);
}

/** What an inbound call has for those that it makes, ready to be sent. */
interface Forwarded {
  readonly span: SpanContext | undefined;
  readonly baggage: string;
}

const forwardedKey = callKey<Forwarded>('keelson.forwarded');

/** Read once, however many calls the inbound one makes. */
function forwardedBy(inbound: Call): Forwarded {
  const known = inbound.values.get(forwardedKey);
  if (known !== undefined) return known;
  const made = { span: receivedSpan(inbound.headers), baggage: formatBaggage(receivedBaggage(inbound)) };
  inbound.values.set(forwardedKey, made);
  return made;
}

/**
 * Passes trace and baggage of the inbound call on as they came: without an SDK there is no span of our own, and
 * OpenTelemetry's context does nothing.
 */
export function sendReceived(inbound: Call, headers: Carrier): void {
  const { span, baggage } = forwardedBy(inbound);
  if (span !== undefined) writeSpan(span, headers);
  if (baggage !== '') headers.set('baggage', baggage);
}
