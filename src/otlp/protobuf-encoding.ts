import type { InstrumentationScope } from '../tracer/ended-span.js';
import type { Resource } from '../tracer/resource.js';
import { writeAttributes, writeText } from './attribute-message.js';
import { ByteWriter } from './byte-writer.js';
import { byScope, type Encoding, type Half, requestBytes } from './encoding.js';
import { fieldOf, fieldsOf } from './message-fields.js';
import { writeMetric } from './metric-message.js';
import { ownBytes } from './own-bytes.js';
import { writeSpan } from './span-message.js';

/**
 * Field 1 of every export request (what one resource made), and within that field 1 (the resource), 2 (what one scope made)
 * and 3 (schema); within a scope field 1 (the scope), 2 (spans or metrics) and 3 (schema).
 */
const first = 0x0a;
const second = 0x12;
const third = 0x1a;

function writeResource(out: ByteWriter, { attributes }: Resource): void {
  const start = out.open(first);
  writeAttributes(out, first, attributes);
  out.close(start);
}

function writeScope(out: ByteWriter, { name, version }: InstrumentationScope): void {
  const start = out.open(first);
  writeText(out, first, name);
  writeText(out, second, version);
  out.close(start);
}

/** A part of a request with its list cut out. */
interface Shelf<Item> {
  /** Everything but the list, which may stand anywhere. */
  readonly rest: readonly Buffer[];
  readonly items: readonly Item[];
}

/** Takes a message apart: the elements of its field 2, and all else. */
function shelfOf<Item>(message: Buffer, itemOf: (value: Buffer, whole: Buffer) => Item): Shelf<Item> {
  const rest: Buffer[] = [];
  const items: Item[] = [];
  for (const { number, value, whole } of fieldsOf(message)) {
    if (number === 2 && typeof value !== 'number') items.push(itemOf(value, whole));
    else rest.push(whole);
  }
  return { rest, items };
}

type ScopeShelf = Shelf<Buffer>;
type ResourceShelf = Shelf<ScopeShelf>;

/** Takes the first so many spans of what `from` has left; what is empty then is left out. */
function half(shelves: readonly ResourceShelf[], from: number, to: number): Half {
  const out = new ByteWriter();
  let at = 0;
  for (const resource of shelves) {
    const kept = resource.items.flatMap((scope) => {
      const begin = at;
      at += scope.items.length;
      const items = scope.items.slice(Math.max(0, from - begin), Math.max(0, to - begin));
      return items.length > 0 ? [{ rest: scope.rest, items }] : [];
    });
    if (kept.length === 0) continue;
    const whole = out.open(first);
    for (const part of resource.rest) out.raw(part);
    for (const { rest, items } of kept) {
      const scope = out.open(second);
      for (const part of [...rest, ...items]) out.raw(part);
      out.close(scope);
    }
    out.close(whole);
  }
  return { body: ownBytes(out.written), spans: to - from };
}

/** OTLP in protobuf, what every collector takes. */
export const protobufEncoding: Encoding = {
  name: 'protobuf',
  contentType: 'application/x-protobuf',
  writeSpan,
  traceRequest(shelves) {
    const out = new ByteWriter(requestBytes(shelves));
    for (const [resource, scopes] of shelves) {
      const whole = out.open(first);
      writeResource(out, resource);
      for (const [scope, spans] of scopes) {
        const start = out.open(second);
        writeScope(out, scope);
        out.raw(spans.written);
        writeText(out, third, scope.schemaUrl);
        out.close(start);
      }
      writeText(out, third, resource.schemaUrl);
      out.close(whole);
    }
    return ownBytes(out.written);
  },
  *metricRequest(resource, metrics) {
    const out = new ByteWriter();
    const whole = out.open(first);
    writeResource(out, resource);
    for (const [scope, list] of byScope(metrics)) {
      const start = out.open(second);
      writeScope(out, scope);
      for (const metric of list) yield* writeMetric(out, metric);
      writeText(out, third, scope.schemaUrl);
      out.close(start);
    }
    writeText(out, third, resource.schemaUrl);
    out.close(whole);
    return ownBytes(out.written);
  },
  reply(body) {
    try {
      const partial = fieldOf(body, 1);
      if (partial === undefined) return { rejected: 0, message: '' };
      if (typeof partial === 'number') return undefined;
      const rejected = fieldOf(partial, 1);
      const message = fieldOf(partial, 2);
      return { rejected: typeof rejected === 'number' ? rejected : 0, message: message?.toString() ?? '' };
    } catch {
      return undefined;
    }
  },
  halves(body) {
    const shelves: ResourceShelf[] = [];
    for (const { value } of fieldsOf(body)) {
      if (typeof value === 'number') continue;
      shelves.push(shelfOf(value, (scope) => shelfOf(scope, (_, span) => span)));
    }
    const spans = shelves.reduce(
      (sum, { items }) => sum + items.reduce((count, scope) => count + scope.items.length, 0),
      0,
    );
    if (spans < 2) return undefined;
    const middle = spans >> 1;
    return [half(shelves, 0, middle), half(shelves, middle, spans)];
  },
};
