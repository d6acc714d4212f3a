import { type EncodingName, encodings, OpenBatch } from 'keelson/otlp';
import { type EndedSpan, resource } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';
import { endedSpan, serverSpan, someContext, someScope } from '../../doubles/ended-spans.js';
import { decode, type Tree } from '../../doubles/otlp-schema.js';
import { plainAttributes } from '../../doubles/scripted-collector.js';

const names: readonly EncodingName[] = ['protobuf', 'json'];
const maxSpanBytes = 2_048;

const hostile = (): object => {
  const value: Record<string, unknown> = { fine: 1 };
  Object.defineProperty(value, 'thrower', {
    enumerable: true,
    get() {
      throw new Error('no');
    },
  });
  return value;
};
const cyclic = (): object => {
  const value: Record<string, unknown> = { name: 'loop' };
  value['self'] = value;
  return value;
};
const explosive = (): unknown[] => {
  const value: unknown[] = [];
  for (let index = 0; index < 40; index++) value.push(value);
  return value;
};

describe.each(names)('OpenBatch in %s', (name) => {
  const batch = () => new OpenBatch(encodings[name], maxSpanBytes);
  const spansOf = (from: OpenBatch): Tree[] => {
    const body = from.take()?.body ?? Buffer.alloc(0);
    const tree = name === 'json' ? JSON.parse(body.toString()) : decode('ExportTraceServiceRequest', body);
    return tree.resourceSpans.flatMap(({ scopeSpans }: Tree) =>
      scopeSpans.flatMap(({ spans }: Tree) => spans),
    );
  };
  const only = (span: EndedSpan): Tree => {
    const open = batch();
    expect(open.add(span)).toBeUndefined();
    const [read] = spansOf(open);
    return read;
  };

  it('holds bytes, not spans, and begins anew when they are taken', () => {
    const open = batch();
    expect([open.spans, open.bytes, open.take()]).toEqual([0, 0, undefined]);
    open.add(endedSpan());
    const one = open.bytes;
    expect(one).toBeGreaterThan(50);
    open.add(endedSpan());
    expect([open.spans, open.bytes >= 2 * one]).toEqual([2, true]);
    const taken = open.take();
    expect(taken?.spans).toBe(2);
    expect(taken?.body.length).toBeGreaterThanOrEqual(2 * one);
    const before = Buffer.from(taken?.body ?? []);
    expect([open.spans, open.bytes, open.take()]).toEqual([0, 0, undefined]);
    for (let index = 0; index < 50; index++) open.add(endedSpan({ name: 'another' }));
    // What was taken is a copy: the next batch is written where the last one was.
    expect(taken?.body.equals(before)).toBe(true);
    expect(spansOf(open).length).toBe(50);
  });

  it('leaves out what cannot be written, and counts it in the span', () => {
    const read = only(
      endedSpan({
        pairs: ['a', 1, 'cycle', cyclic(), 'bad', hostile(), 'none', null, 'fn', () => 1, 'z', 'last'],
      }),
    );
    const { a, z, cycle, bad, ...rest } = plainAttributes(read.attributes);
    expect([a, z, rest]).toEqual([1n, 'last', {}]);
    expect(bad).toBeUndefined();
    expect(read.droppedAttributesCount).toBe(1);
    let depth = 0;
    for (let at = cycle as Tree; at?.self; at = at.self) depth++;
    expect(depth).toBeLessThan(10);
  });

  it('ends with a value that contains itself many times', () => {
    const read = only(endedSpan({ pairs: ['a', 1, 'boom', explosive()] }));
    expect(plainAttributes(read.attributes)).toEqual({ a: 1n });
    expect(read.droppedAttributesCount).toBe(1);
  });

  it('cuts a span that is too long, and says by how much', () => {
    const pairs = Array.from({ length: 40 }, (_, at) => [`name-${at}`, 'x'.repeat(100)]).flat();
    const events = Array.from({ length: 40 }, () => ({
      name: 'event',
      atMs: 1,
      time: [0, 0] as [number, number],
      attributes: { text: 'y'.repeat(100) },
      droppedAttributesCount: 0,
    }));
    const links = Array.from({ length: 40 }, () => ({
      context: someContext(),
      attributes: {},
      droppedAttributesCount: 0,
    }));
    const read = only(endedSpan({ pairs, events, links }));
    expect((read.attributes ?? []).length + read.droppedAttributesCount).toBe(40);
    expect((read.events ?? []).length + read.droppedEventsCount).toBe(40);
    expect((read.links ?? []).length + read.droppedLinksCount).toBe(40);
    expect(read.droppedAttributesCount).toBeGreaterThan(0);
  });

  it('leaves out ids that are none: a collector would refuse all spans of the request', () => {
    const ids = (traceId: unknown, spanId: unknown) => ({ ...someContext(), traceId, spanId }) as never;
    const link = (traceId: unknown, spanId: unknown) => ({
      context: ids(traceId, spanId),
      attributes: {},
      droppedAttributesCount: 0,
    });
    const good = someContext();
    const read = only(
      endedSpan({
        context: ids('1-5759e988-bd862e3fe1be46a994272793', 'abc'),
        parentSpanContext: ids(good.traceId, '53995c3f42cd8ad853995c3f42cd8ad8'),
        links: [
          link('463ac35c9f6413ad', good.spanId),
          link(good.traceId, good.spanId),
          link(good.traceId, '7'),
          link(good.traceId, 'not hex at all!!'),
          link(undefined, Symbol('id')),
        ],
        droppedLinksCount: 1,
      }),
    );
    expect([read.traceId ?? '', read.spanId ?? '', read.parentSpanId ?? '']).toEqual(['', '', '']);
    expect(read.links.map((its: Tree) => [its.traceId, its.spanId])).toEqual([[good.traceId, good.spanId]]);
    expect(read.droppedLinksCount).toBe(5);
  });

  it('cuts by bytes, whatever the letters', () => {
    const pairs = ['text', '茶'.repeat(maxSpanBytes / 2)];
    const open = batch();
    expect(open.add(endedSpan({ name: 'tea', pairs }))).toBeUndefined();
    expect(open.bytes).toBeLessThanOrEqual(maxSpanBytes);
    const [read] = spansOf(open);
    expect([read.name, read.attributes ?? [], read.droppedAttributesCount]).toEqual(['tea', [], 1]);
    expect(open.add(endedSpan({ name: '茶'.repeat(maxSpanBytes / 2) }))).toBe('too_large');
  });

  it('keeps no more memory than its bodies have bytes, by and large', () => {
    const large = resource({ 'service.name': 'orders', text: 'x'.repeat(3_000) });
    const kept = (body: Buffer): number => body.buffer.byteLength / body.length;
    for (let spans = 40; spans <= 120; spans += 10) {
      const open = new OpenBatch(encodings[name], 65_536);
      for (let count = 0; count < spans; count++) open.add(serverSpan());
      open.add(endedSpan({ resource: large }));
      const body = open.take()?.body ?? Buffer.alloc(0);
      expect(kept(body)).toBeLessThanOrEqual(1.125);
      for (const half of encodings[name].halves(body) ?? [])
        expect(kept(half.body)).toBeLessThanOrEqual(1.125);
    }
  });

  it('refuses a span that is too long without all that, and goes on', () => {
    const open = batch();
    expect(open.add(endedSpan({ name: 'x'.repeat(10_000) }))).toBe('too_large');
    expect([open.spans, open.take()]).toEqual([0, undefined]);
    expect(open.add(endedSpan({ name: 'ok' }))).toBeUndefined();
    expect(open.add(endedSpan({ name: 'x'.repeat(10_000), instrumentationScope: { name: 'other' } }))).toBe(
      'too_large',
    );
    expect(spansOf(open).map((span) => span.name)).toEqual(['ok']);
  });

  it('refuses a span that throws, and goes on', () => {
    const open = batch();
    const broken = {
      ...endedSpan(),
      spanContext: () => {
        throw new Error('gone');
      },
    } as EndedSpan;
    expect(open.add(endedSpan({ name: 'first' }))).toBeUndefined();
    expect(open.add(broken)).toBe('export_failed');
    expect(open.add(endedSpan({ name: 'second' }))).toBeUndefined();
    expect(spansOf(open).map((span) => span.name)).toEqual(['first', 'second']);
  });

  it('puts spans of one scope together, whoever comes between', () => {
    const open = batch();
    const other = { name: 'pg' };
    for (const scope of [someScope, other, someScope, other])
      open.add(endedSpan({ instrumentationScope: scope }));
    const body = open.take()?.body ?? Buffer.alloc(0);
    const tree = name === 'json' ? JSON.parse(body.toString()) : decode('ExportTraceServiceRequest', body);
    const [shelf] = tree.resourceSpans;
    expect(shelf.scopeSpans.map(({ scope, spans }: Tree) => [scope.name, spans.length])).toEqual([
      ['keelson', 2],
      ['pg', 2],
    ]);
  });
});

describe('encodings', () => {
  it.each([
    ['protobuf', Buffer.alloc(0), { rejected: 0, message: '' }],
    ['protobuf', Buffer.from('0a0408071200', 'hex'), { rejected: 7, message: '' }],
    ['protobuf', Buffer.from('0a050803120161', 'hex'), { rejected: 3, message: 'a' }],
    ['protobuf', Buffer.from('<html>'), undefined],
    ['protobuf', Buffer.from([0x0a, 0xff]), undefined],
    ['json', Buffer.from('{}'), { rejected: 0, message: '' }],
    ['json', Buffer.from('{"partialSuccess":{"rejectedSpans":"9"}}'), { rejected: 9, message: '' }],
    [
      'json',
      Buffer.from('{"partialSuccess":{"rejectedDataPoints":2,"errorMessage":"no"}}'),
      { rejected: 2, message: 'no' },
    ],
    [
      'json',
      Buffer.from('{"partialSuccess":{"rejectedSpans":"x","errorMessage":1}}'),
      { rejected: 0, message: '' },
    ],
    ['json', Buffer.from('null'), undefined],
    ['json', Buffer.from('<html>'), undefined],
  ] as const)('%s reads an answer: %#', (name, body, expected) => {
    expect(encodings[name].reply(body)).toEqual(expected);
  });
});
