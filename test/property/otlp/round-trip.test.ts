import type { SpanContext } from '@opentelemetry/api';
import fc from 'fast-check';
import { type EncodingName, encodings, OpenBatch } from 'keelson/otlp';
import { type EndedSpan, resource } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { endedSpan } from '../../doubles/ended-spans.js';
import { decode, type Tree } from '../../doubles/otlp-schema.js';
import { plainAttributes, plainValue } from '../../doubles/scripted-collector.js';

const names: readonly EncodingName[] = ['protobuf', 'json'];

/** What a decoder makes of a request. */
function readBack(name: EncodingName, body: Buffer, type = 'ExportTraceServiceRequest'): Tree {
  return name === 'json' ? JSON.parse(body.toString()) : decode(type, body);
}

/** Text as UTF-8 has it: lone surrogates are replaced. */
const clean = (text: string): string => Buffer.from(text).toString();

/** What is to be read back of a value that was given. */
function expectedValue(value: unknown): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(expectedValue);
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), expectedValue(item)]));
}

/** Lone surrogates are legal in JSON text, and replaced by whoever reads it. */
function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return clean(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), cleaned(item)]));
}

const expectedNanos = (ms: number): bigint =>
  BigInt(Math.floor(ms)) * 1_000_000n + BigInt(Math.round((ms - Math.floor(ms)) * 1e6));

const hex = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
    .map((digits) => digits.map((digit) => digit.toString(16)).join(''));
const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('', 'x'.repeat(127), 'x'.repeat(128), '€'.repeat(600), '\ud800'),
);
const key = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((name) => name !== '__proto__');
const scalar = fc.oneof(
  text,
  fc.boolean(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.array(fc.oneof(scalar, fc.constant(null)), { maxLength: 5 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.dictionary(key, fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(key, scalar))),
);
const attributes = fc.uniqueArray(fc.tuple(key, value), {
  maxLength: 12,
  selector: ([name]) => clean(name),
});
const ms = fc.double({ min: 0, max: 4e12, noNaN: true });
const traceState = fc.constantFrom(undefined, 'ot=th:8', 'a=1,b=2');
const context: fc.Arbitrary<SpanContext> = fc
  .record({ traceId: hex(32), spanId: hex(16), traceFlags: fc.integer({ min: 0, max: 255 }), traceState })
  .chain(({ traceState: header, ...rest }) =>
    fc.constantFrom<Partial<SpanContext>>({}, { isRemote: true }, { isRemote: false }).map((remote) => ({
      ...rest,
      ...remote,
      ...(header !== undefined && {
        traceState: { serialize: () => header } as NonNullable<SpanContext['traceState']>,
      }),
    })),
  );
const count = fc.oneof(fc.constant(0), fc.nat(100_000));
const span: fc.Arbitrary<EndedSpan> = fc
  .record({
    context,
    parentSpanContext: fc.option(context, { nil: undefined }),
    name: text,
    kind: fc.integer({ min: 0, max: 4 }),
    startedMs: ms,
    endedMs: ms,
    status: fc.record({ code: fc.integer({ min: 0, max: 2 }), message: text }),
    pairs: attributes.map((list) => list.flat()),
    events: fc.array(fc.record({ name: text, atMs: ms, attributes, droppedAttributesCount: count }), {
      maxLength: 3,
    }),
    links: fc.array(fc.record({ context, attributes, droppedAttributesCount: count }), { maxLength: 3 }),
    droppedAttributesCount: count,
    droppedEventsCount: count,
    droppedLinksCount: count,
    flags: fc.integer({ min: 0, max: 0x3ff }),
    scope: fc.nat(2),
    resource: fc.nat(1),
  })
  .map(({ events, links, scope, resource: which, ...rest }) =>
    endedSpan({
      ...rest,
      events: events.map((event) => ({
        ...event,
        attributes: Object.fromEntries(event.attributes),
      })) as unknown as EndedSpan['events'],
      links: links.map((link) => ({
        ...link,
        attributes: Object.fromEntries(link.attributes),
      })) as EndedSpan['links'],
      instrumentationScope: scopes[scope] as (typeof scopes)[number],
      resource: resources[which] as (typeof resources)[number],
    }),
  );

const scopes = [
  { name: 'keelson', version: '1.0.0' },
  { name: 'pg', schemaUrl: 'https://opentelemetry.io/schemas/1.44.0' },
  { name: '' },
];
const resources = [
  resource({ 'service.name': 'orders', 'process.pid': 17, tags: ['a', 'b'] }, 'https://schema/1'),
  resource({ 'service.name': 'users' }),
];

const flagsOf = (given: SpanContext): number =>
  given.traceFlags | 0x100 | (given.isRemote === true ? 0x200 : 0);

/** What of a span has to be read back, written down from the definitions of OTLP. */
function expectedSpan(given: EndedSpan): Tree {
  const { traceId, spanId, traceState: state } = given.spanContext();
  const pairs = Array.from({ length: given.pairs.length / 2 }, (_, at) => [
    clean(given.pairs[2 * at] as string),
    expectedValue(given.pairs[2 * at + 1]),
  ]);
  return {
    traceId,
    spanId,
    traceState: state?.serialize() ?? '',
    parentSpanId: given.parentSpanContext?.spanId ?? '',
    flags: given.flags,
    name: clean(given.name),
    kind: given.kind + 1,
    start: expectedNanos(given.startedMs),
    end: expectedNanos(given.endedMs),
    attributes: Object.fromEntries(pairs),
    dropped: [given.droppedAttributesCount, given.droppedEventsCount, given.droppedLinksCount],
    events: given.events.map((event) => ({
      at: expectedNanos(event.atMs),
      name: clean(event.name),
      attributes: expectedValue(event.attributes),
      dropped: event.droppedAttributesCount,
    })),
    links: given.links.map((link) => ({
      traceId: link.context.traceId,
      spanId: link.context.spanId,
      traceState: link.context.traceState?.serialize() ?? '',
      attributes: expectedValue(link.attributes),
      dropped: link.droppedAttributesCount,
      flags: flagsOf(link.context),
    })),
    status:
      given.status.code === 0
        ? { code: 0, message: '' }
        : { ...given.status, message: clean(given.status.message ?? '') },
    scope: given.instrumentationScope.name,
    service: given.resource.attributes['service.name'],
  };
}

/** The same, of what was read. */
function actualSpans(request: Tree): Tree[] {
  return request.resourceSpans.flatMap(({ resource: who, scopeSpans }: Tree) =>
    scopeSpans.flatMap(({ scope, spans }: Tree) =>
      spans.map((read: Tree) =>
        cleaned({
          traceId: read.traceId,
          spanId: read.spanId,
          traceState: read.traceState ?? '',
          parentSpanId: read.parentSpanId ?? '',
          flags: read.flags ?? 0,
          name: read.name ?? '',
          kind: read.kind,
          start: BigInt(read.startTimeUnixNano),
          end: BigInt(read.endTimeUnixNano),
          attributes: plainAttributes(read.attributes),
          dropped: [
            read.droppedAttributesCount ?? 0,
            read.droppedEventsCount ?? 0,
            read.droppedLinksCount ?? 0,
          ],
          events: (read.events ?? []).map((event: Tree) => ({
            at: BigInt(event.timeUnixNano),
            name: event.name ?? '',
            attributes: plainAttributes(event.attributes),
            dropped: event.droppedAttributesCount ?? 0,
          })),
          links: (read.links ?? []).map((link: Tree) => ({
            traceId: link.traceId,
            spanId: link.spanId,
            traceState: link.traceState ?? '',
            attributes: plainAttributes(link.attributes),
            dropped: link.droppedAttributesCount ?? 0,
            flags: link.flags,
          })),
          status: { code: read.status?.code ?? 0, message: read.status?.message ?? '' },
          scope: scope?.name ?? '',
          service: plainAttributes(who.attributes)['service.name'],
        }),
      ),
    ),
  );
}

/** Spans are grouped by who made them. */
const inOrder = (spans: Tree[]): Tree[] =>
  [...spans].sort((a, b) => (a.traceId + a.spanId < b.traceId + b.spanId ? -1 : 1));

function batchOf(name: EncodingName, spans: readonly EndedSpan[]): Buffer {
  const batch = new OpenBatch(encodings[name], Number.MAX_SAFE_INTEGER);
  for (const one of spans) expect(batch.add(one)).toBeUndefined();
  const taken = batch.take();
  expect(taken?.spans).toBe(spans.length);
  return taken?.body ?? Buffer.alloc(0);
}

describe.each(names)('spans in %s', (name) => {
  it('are read back by another decoder as they were given', () => {
    fc.assert(
      fc.property(fc.array(span, { minLength: 1, maxLength: 6 }), (spans) => {
        const request = readBack(name, batchOf(name, spans));
        expect(inOrder(actualSpans(request))).toEqual(inOrder(spans.map(expectedSpan)));
      }),
      { numRuns: 60 },
    );
  });

  it('are the same spans when a request is cut in two, and in two again', () => {
    fc.assert(
      fc.property(fc.array(span, { minLength: 2, maxLength: 9 }), (spans) => {
        const encoding = encodings[name];
        const whole = batchOf(name, spans);
        const pieces = (body: Buffer, count: number): Tree[] => {
          const halves = encoding.halves(body);
          if (halves === undefined) {
            expect(count).toBe(1);
            return actualSpans(readBack(name, body));
          }
          expect(Math.abs(halves[0].spans - halves[1].spans)).toBeLessThanOrEqual(1);
          expect(halves[0].spans + halves[1].spans).toBe(count);
          return halves.flatMap((half) => pieces(half.body, half.spans));
        };
        expect(inOrder(pieces(whole, spans.length))).toEqual(inOrder(spans.map(expectedSpan)));
      }),
      { numRuns: 20 },
    );
  });

  it('keep what is known of resource and scope', () => {
    const [orders] = resources;
    const body = batchOf(name, [
      endedSpan({
        resource: orders as (typeof resources)[number],
        instrumentationScope: scopes[1] as (typeof scopes)[number],
      }),
    ]);
    const [shelf] = readBack(name, body).resourceSpans;
    expect(plainAttributes(shelf.resource.attributes)).toEqual({
      'service.name': 'orders',
      'process.pid': 17n,
      tags: ['a', 'b'],
    });
    expect(shelf.schemaUrl).toBe('https://schema/1');
    expect(shelf.scopeSpans[0].schemaUrl).toBe('https://opentelemetry.io/schemas/1.44.0');
    expect(plainValue({ stringValue: 'x' })).toBe('x');
  });
});
