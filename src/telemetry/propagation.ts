import {
  type BaggageEntry,
  baggageEntryMetadataFromString,
  type Context,
  createContextKey,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapGetter,
  type TextMapSetter,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Carrier } from '../core/carrier.js';
import { trustedPeer } from '../core/trust.js';
import { callKey } from '../core/values.js';
import { type BaggageMember, formatBaggage, parseBaggage } from './baggage.js';
import { type Propagation, propagationOf } from './propagation-options.js';
import type { ReceivedSpan } from './received-span.js';
import { randomFlag } from './trace-parent.js';
import { readW3c } from './w3c.js';

/** Written and read here and nowhere else, whatever propagator is registered. */
const ours: ReadonlySet<string> = new Set(['traceparent', 'tracestate', 'baggage']);

/** SDKs forget the random flag of the parent; this remembers of which trace it was. */
const randomKey = createContextKey('keelson random trace id');

/** Of which trace a peer asked for whatever sampling says. By the name that OpenTelemetry's B3 propagator has for it. */
const debugKey = createContextKey('OpenTelemetry Context Key B3 Debug Flag');

/** Of which sampled trace it is known that a peer sent it that is not trusted: samplers that have a rate keep to it. */
const strangerKey = createContextKey('keelson stranger');

const getter: TextMapGetter<Carrier> = {
  keys: (headers) => [...headers.keys()].filter((name) => !ours.has(name)),
  get: (headers, name) => (ours.has(name.toLowerCase()) ? undefined : headers.get(name)),
};
const setter: TextMapSetter<Carrier> = {
  set: (headers, name, value) => {
    if (!ours.has(name.toLowerCase())) headers.set(name, value);
  },
};

/** Headers of other tracers that say of a trace no more than `traceparent` does: B3, Jaeger, X-Ray, Cloud Trace. */
const traceHeaders =
  /^(b3|x-b3-(traceid|spanid|parentspanid|sampled|flags)|uber-trace-id|x-amzn-trace-id|x-cloud-trace-context)$/i;

const traceSetter: TextMapSetter<Carrier> = {
  set: (headers, name, value) => {
    if (traceHeaders.test(name)) headers.set(name, value);
  },
};

/** Whether a propagator of somebody else is registered that speaks more than W3C. It is asked unless formats were chosen. */
function foreignSpeaks({ chosen }: Propagation): boolean {
  return !chosen && propagation.fields().some((field) => !ours.has(field.toLowerCase()));
}

/** The span context that came in headers: the first that is understood. */
export function readSpan(headers: Carrier, { readers }: Propagation): ReceivedSpan | undefined {
  for (const read of readers) {
    const span = read(headers);
    if (span !== undefined) return span;
  }
  return undefined;
}

/** The span context that came with an inbound call. */
export function receivedSpan(call: Call): ReceivedSpan | undefined {
  return readSpan(call.headers, propagationOf(call));
}

/** The baggage that came with a call; of a peer that is not trusted, none. */
export function receivedBaggage(call: Call, { readsBaggage }: Propagation): readonly BaggageMember[] {
  return readsBaggage && call.values.get(trustedPeer) ? parseBaggage(call.headers.get('baggage')) : [];
}

/** Replaces the baggage of a context. */
export function withBaggage(within: Context, members: readonly BaggageMember[]): Context {
  if (members.length === 0)
    return propagation.getBaggage(within) === undefined ? within : propagation.deleteBaggage(within);
  const entries = Object.create(null) as Record<string, BaggageEntry>;
  for (const { key, value, properties } of members) {
    entries[key] =
      properties === undefined ? { value } : { value, metadata: baggageEntryMetadataFromString(properties) };
  }
  return propagation.setBaggage(within, propagation.createBaggage(entries));
}

/** Replaces the baggage of a context by what came with the call. */
export function withReceivedBaggage(within: Context, call: Call): Context {
  return withBaggage(within, receivedBaggage(call, propagationOf(call)));
}

/** Remembers what the caller said of its trace that a span context has no place for. */
export function withFlags(within: Context, span: ReceivedSpan | undefined): Context {
  if (span === undefined) return within;
  const random = span.traceFlags & randomFlag ? within.setValue(randomKey, span.traceId) : within;
  return span.debug ? random.setValue(debugKey, 'd') : random;
}

/**
 * The context that an inbound call brings: its span as parent, its baggage if the peer is trusted. A propagator of
 * somebody else that is registered is asked for what is not W3C, if W3C says nothing.
 *
 * @param base - what else is in it
 */
export function receivedContext(call: Call, base: Context): Context {
  // The api would copy it to find that there is nothing to delete.
  const bare = base === ROOT_CONTEXT ? base : trace.deleteSpan(base);
  const how = propagationOf(call);
  const foreign = foreignSpeaks(how);
  const span = foreign ? readW3c(call.headers) : readSpan(call.headers, how);
  const parent =
    span !== undefined
      ? trace.setSpanContext(bare, span)
      : foreign
        ? propagation.extract(bare, call.headers, getter)
        : bare;
  return withFlags(withBaggage(withStranger(parent, call), receivedBaggage(call, how)), span);
}

function withStranger(within: Context, call: Call): Context {
  if (call.values.get(trustedPeer)) return within;
  const span = trace.getSpanContext(within);
  const sampled = span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0;
  return sampled ? within.setValue(strangerKey, span.traceId) : within;
}

/** The baggage of a context. */
export function* baggageOf(within: Context): Iterable<BaggageMember> {
  for (const [key, { value, metadata }] of propagation.getBaggage(within)?.getAllEntries() ?? [])
    yield { key, value, properties: metadata?.toString() };
}

/** The span of a context as it is sent, the random flag of its trace included. */
export function sentSpan(within: Context): SpanContext | undefined {
  const span = trace.getSpanContext(within);
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  const random = within.getValue(randomKey) === span.traceId;
  return random ? { ...span, traceFlags: span.traceFlags | randomFlag } : span;
}

/** Writes the span of a context to outgoing headers, in the words that were chosen, and nothing else. */
function writeSpan(within: Context, headers: Carrier, { writers }: Propagation): void {
  const span = sentSpan(within);
  if (span === undefined) return;
  const debug = within.getValue(debugKey) === 'd';
  for (const write of writers) write(span, headers, debug);
}

/** Writes the span and the baggage of a context to outgoing headers, in the words that were chosen. */
export function writeContext(within: Context, headers: Carrier, how: Propagation): void {
  writeSpan(within, headers, how);
  if (!how.writesBaggage) return;
  const baggage = formatBaggage(baggageOf(within));
  if (baggage !== '') headers.set('baggage', baggage);
}

/** The same, and whatever else a propagator of somebody else that is registered knows. */
export function sendContext(within: Context, headers: Carrier, how: Propagation): void {
  if (foreignSpeaks(how)) propagation.inject(within, headers, setter);
  writeContext(within, headers, how);
}

/**
 * Writes the span of a context to outgoing headers, for those whom all else is no business of: of what a propagator of somebody
 * else knows, only what says no more than the span.
 */
export function sendSpan(within: Context, headers: Carrier, how: Propagation): void {
  if (foreignSpeaks(how)) propagation.inject(within, headers, traceSetter);
  writeSpan(within, headers, how);
}

/** What an inbound call has for those that it makes, ready to be sent. */
interface Forwarded {
  readonly span: ReceivedSpan | undefined;
  readonly baggage: string;
}

const forwardedKey = callKey<Forwarded>('keelson.forwarded');

/** Read once, however many calls the inbound one makes. */
function forwardedBy(inbound: Call): Forwarded {
  const known = inbound.values.get(forwardedKey);
  if (known !== undefined) return known;
  const how = propagationOf(inbound);
  const made = {
    span: readSpan(inbound.headers, how),
    baggage: formatBaggage(receivedBaggage(inbound, how)),
  };
  inbound.values.set(forwardedKey, made);
  return made;
}

/**
 * Passes trace and baggage of the inbound call on as they came: without an SDK there is no span of our own, and
 * OpenTelemetry's context does nothing.
 */
export function sendReceived(inbound: Call, headers: Carrier, { writers, writesBaggage }: Propagation): void {
  const { span, baggage } = forwardedBy(inbound);
  if (span !== undefined) for (const write of writers) write(span, headers, span.debug === true);
  if (writesBaggage && baggage !== '') headers.set('baggage', baggage);
}
