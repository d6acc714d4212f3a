import { isSpanContextValid, type SpanContext } from '@opentelemetry/api';
import type { EndedSpan, SpanEvent, SpanLink } from '../tracer/ended-span.js';
import { type JsonAttribute, type JsonAttributes, jsonAttribute, jsonAttributes } from './attribute-json.js';
import { isValue } from './attribute-message.js';
import { nanosOf, secondsOf } from './byte-writer.js';
import { jsonId, spanDigits, traceDigits } from './ids.js';
import { flagsOf } from './span-message.js';

/** A time in milliseconds since 1970 as nanoseconds in decimal digits. */
export function jsonNanos(ms: number): string {
  const seconds = secondsOf(ms);
  const nanos = nanosOf(ms, seconds);
  const carried = nanos >= 1e9 ? 1 : 0;
  const whole = seconds + carried;
  const rest = nanos - carried * 1e9;
  return whole === 0 ? String(rest) : `${whole}${String(rest).padStart(9, '0')}`;
}

/** 0 is what an absent field means; `JSON.stringify` leaves `undefined` out. */
const orNone = (count: number): number | undefined => (count > 0 ? count : undefined);

function idsOf(context: SpanContext): object {
  return {
    traceId: jsonId(context.traceId, traceDigits),
    spanId: jsonId(context.spanId, spanDigits),
    traceState: context.traceState?.serialize() || undefined,
  };
}

function attributesOf(pairs: EndedSpan['pairs']): JsonAttributes {
  const attributes: JsonAttribute[] = [];
  let dropped = 0;
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const value = pairs[at + 1];
    if (!isValue(value)) continue;
    const attribute = jsonAttribute(pairs[at] as string, value);
    if (attribute === undefined) dropped++;
    else attributes.push(attribute);
  }
  return { attributes, dropped };
}

function eventOf(event: SpanEvent): object {
  const { attributes, dropped } = jsonAttributes(event.attributes);
  return {
    timeUnixNano: jsonNanos(event.atMs),
    name: event.name,
    attributes,
    droppedAttributesCount: orNone(event.droppedAttributesCount + dropped),
  };
}

/** `undefined` for a link to nowhere, which says nothing. */
function linkOf(link: SpanLink): object | undefined {
  if (!isSpanContextValid(link.context)) return undefined;
  const { attributes, dropped } = jsonAttributes(link.attributes);
  return {
    ...idsOf(link.context),
    attributes,
    droppedAttributesCount: orNone(link.droppedAttributesCount + dropped),
    flags: flagsOf(link.context),
  };
}

/** What can be written of a list; the rest is left out. */
function eachOf<T>(list: readonly T[], write: (item: T) => object | undefined): readonly object[] {
  const written: object[] = [];
  for (let index = 0; index < list.length; index++) {
    try {
      const item = write(list[index] as T);
      if (item !== undefined) written.push(item);
    } catch {
      // Counted by what is missing.
    }
  }
  return written;
}

/** What is always there, however long the rest. */
function bareJson(span: EndedSpan): string {
  const { code, message } = span.status;
  return JSON.stringify({
    ...idsOf(span.spanContext()),
    parentSpanId: jsonId(span.parentSpanContext?.spanId, spanDigits),
    flags: span.flags,
    name: span.name,
    kind: span.kind + 1,
    startTimeUnixNano: jsonNanos(span.startedMs),
    endTimeUnixNano: jsonNanos(span.endedMs),
    status: code === 0 ? {} : { code, message: message || undefined },
  });
}

/** The lists of a span, each with how many of it are missing. */
function listsJson(span: EndedSpan): string {
  const { attributes, dropped } = attributesOf(span.pairs);
  const events = eachOf(span.events, eventOf);
  const links = eachOf(span.links, linkOf);
  return JSON.stringify({
    attributes,
    droppedAttributesCount: orNone(span.droppedAttributesCount + dropped),
    events: events.length === 0 ? undefined : events,
    droppedEventsCount: orNone(span.droppedEventsCount + span.events.length - events.length),
    links: links.length === 0 ? undefined : links,
    droppedLinksCount: orNone(span.droppedLinksCount + span.links.length - links.length),
  });
}

/** The same for a span whose lists are too long. */
function countsJson(span: EndedSpan): string {
  return JSON.stringify({
    attributes: [],
    droppedAttributesCount: orNone(span.droppedAttributesCount + span.pairs.length / 2),
    droppedEventsCount: orNone(span.droppedEventsCount + span.events.length),
    droppedLinksCount: orNone(span.droppedLinksCount + span.links.length),
  });
}

/**
 * A span as JSON text: the mapping of OTLP, with hex ids, 64-bit numbers as text and enumerations as numbers.
 *
 * @param most - bytes that it may have in UTF-8; a longer one goes without its attributes, events and links, and says so
 */
export function spanJson(span: EndedSpan, most: number): string {
  const bare = bareJson(span).slice(0, -1);
  const lists = listsJson(span);
  const fits = Buffer.byteLength(bare) + Buffer.byteLength(lists) <= most;
  return `${bare},${(fits ? lists : countsJson(span)).slice(1)}`;
}
