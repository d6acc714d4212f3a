import { isSpanContextValid, type SpanContext, type TraceState } from '@opentelemetry/api';
import type { EndedSpan, SpanEvent, SpanLink } from '../tracer/ended-span.js';
import {
  isValue,
  tailBytes,
  writeAttribute,
  writeAttributes,
  writeCount,
  writeText,
} from './attribute-message.js';
import type { ByteWriter } from './byte-writer.js';
import { type IdField, spanDigits, traceDigits, writeId } from './ids.js';

/** `spans` of `ScopeSpans`. */
const spanTag = 0x12;

/** Field number and wire type of what a `Span` has. */
const tags = {
  traceState: 0x1a,
  name: 0x2a,
  kind: 0x30,
  start: 0x39,
  end: 0x41,
  attributes: 0x4a,
  droppedAttributes: 0x50,
  events: 0x5a,
  droppedEvents: 0x60,
  links: 0x6a,
  droppedLinks: 0x70,
  status: 0x7a,
} as const;
/** `flags`, number 16: the only one whose tag takes two bytes. */
const flagsTag = 0x185;

const eventTags = { time: 0x09, name: 0x12, attributes: 0x1a, dropped: 0x20 } as const;
const linkTags = { attributes: 0x22, dropped: 0x28, flags: 0x35 } as const;
/** Of spans and links alike, as is `traceState`; the last of spans only. */
const ids = {
  trace: { tag: 0x0a, digits: traceDigits },
  span: { tag: 0x12, digits: spanDigits },
  parent: { tag: 0x22, digits: spanDigits },
} as const satisfies Record<string, IdField>;
const statusTags = { message: 0x12, code: 0x18 } as const;

/** What is thrown for a link that is none. Made once: nobody reads its stack. */
const noLink = new TypeError('a link without ids');

/** W3C flags of a context, that it is known whether it is remote, and whether it is; bits 0 to 9 of `flags`. */
export function flagsOf(context: SpanContext): number {
  return (context.traceFlags & 0xff) | 0x100 | (context.isRemote === true ? 0x200 : 0);
}

/** What sampling says is the same for most traces: one trace state, which cannot change. */
let lastState: TraceState | undefined;
let lastText = '';

function textOf(state: TraceState): string {
  if (state !== lastState) {
    lastText = state.serialize();
    lastState = state;
  }
  return lastText;
}

function writeIds(out: ByteWriter, context: SpanContext): void {
  writeId(out, ids.trace, context.traceId);
  writeId(out, ids.span, context.spanId);
  if (context.traceState !== undefined) writeText(out, tags.traceState, textOf(context.traceState));
}

function writePairs(out: ByteWriter, pairs: EndedSpan['pairs']): number {
  let dropped = 0;
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const value = pairs[at + 1];
    if (isValue(value) && !writeAttribute(out, tags.attributes, pairs[at] as string, value)) dropped++;
  }
  return dropped;
}

function writeEvent(out: ByteWriter, event: SpanEvent): void {
  const start = out.open(tags.events);
  out.byte(eventTags.time);
  out.nanos(event.atMs);
  writeText(out, eventTags.name, event.name);
  const dropped = writeAttributes(out, eventTags.attributes, event.attributes);
  writeCount(out, eventTags.dropped, event.droppedAttributesCount + dropped);
  out.close(start);
}

function writeLink(out: ByteWriter, link: SpanLink): void {
  // A link to nowhere says nothing.
  if (!isSpanContextValid(link.context)) throw noLink;
  const start = out.open(tags.links);
  writeIds(out, link.context);
  const dropped = writeAttributes(out, linkTags.attributes, link.attributes);
  writeCount(out, linkTags.dropped, link.droppedAttributesCount + dropped);
  out.byte(linkTags.flags);
  out.fixed32(flagsOf(link.context));
  out.close(start);
}

/** Writes what can be written of a list; one that is too long, or throws, is left out and counted. */
function writeEach<T>(
  out: ByteWriter,
  list: readonly T[],
  write: (out: ByteWriter, item: T) => void,
): number {
  let dropped = 0;
  for (let index = 0; index < list.length; index++) {
    const before = out.at;
    try {
      write(out, list[index] as T);
      if (out.left >= tailBytes) continue;
    } catch {
      // Set back below.
    }
    out.at = before;
    dropped++;
  }
  return dropped;
}

/**
 * Appends a span as one element of `ScopeSpans.spans`: what `opentelemetry.proto.trace.v1.Span` says of it.
 *
 * Attributes, events and links that do not fit into the writer's bound are left out and counted in the span itself.
 *
 * @throws RangeError when not even the rest fits; the writer has to be set back then
 */
export function writeSpan(out: ByteWriter, span: EndedSpan): void {
  const start = out.open(spanTag);
  writeIds(out, span.spanContext());
  if (span.parentSpanContext !== undefined) writeId(out, ids.parent, span.parentSpanContext.spanId);
  writeText(out, tags.name, span.name);
  out.byte(tags.kind);
  // The API counts from 0; in OTLP 0 is "not said".
  out.byte(span.kind + 1);
  out.byte(tags.start);
  out.nanos(span.startedMs);
  out.byte(tags.end);
  out.nanos(span.endedMs);
  writeStatus(out, span.status);
  out.byte(flagsTag & 0xff);
  out.byte(flagsTag >> 8);
  out.fixed32(span.flags);
  writeCount(out, tags.droppedAttributes, span.droppedAttributesCount + writePairs(out, span.pairs));
  writeCount(out, tags.droppedEvents, span.droppedEventsCount + writeEach(out, span.events, writeEvent));
  writeCount(out, tags.droppedLinks, span.droppedLinksCount + writeEach(out, span.links, writeLink));
  out.close(start);
}

function writeStatus(out: ByteWriter, status: EndedSpan['status']): void {
  if (status.code === 0) return;
  const start = out.open(tags.status);
  writeText(out, statusTags.message, status.message);
  out.byte(statusTags.code);
  out.byte(status.code);
  out.close(start);
}
