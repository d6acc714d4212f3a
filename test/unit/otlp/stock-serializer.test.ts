import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { type EncodingName, encodings, OpenBatch } from 'keelson/otlp';
import { describe, expect, it } from 'vitest';
import { endedSpan, serverSpan, someContext } from '../../doubles/ended-spans.js';
import { decode, type Tree } from '../../doubles/otlp-schema.js';

const spans = [
  ...Array.from({ length: 10 }, () => serverSpan()),
  endedSpan({
    status: { code: 2, message: 'broken' },
    pairs: ['list', ['a', 'b'], 'ratio', 0.5, 'on', true, 'count', 3],
    events: [
      {
        name: 'retry',
        atMs: 1_700_000_000_001.5,
        time: [1_700_000_000, 1_500_000],
        attributes: { n: 1 },
        droppedAttributesCount: 2,
      },
    ],
    links: [{ context: someContext(), attributes: { why: 'batch' }, droppedAttributesCount: 0 }],
  }),
];

const ours = (name: EncodingName): Buffer => {
  const batch = new OpenBatch(encodings[name], 65_536);
  for (const span of spans) batch.add(span);
  return batch.take()?.body ?? Buffer.alloc(0);
};

/** Zeros and empty lists may stand there or not, and mean the same; the SDK has its own times, of seconds and nanoseconds. */
function essence(request: Tree): Tree {
  const kept = (value: Tree): Tree => {
    if (Array.isArray(value)) return value.map(kept);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(
          ([key, item]) =>
            !/UnixNano$/.test(key) && item !== 0 && !(Array.isArray(item) && item.length === 0),
        )
        .map(([key, item]) => [key, key === 'intValue' ? String(item) : kept(item)])
        .filter(([, item]) => !(typeof item === 'object' && item !== null && Object.keys(item).length === 0)),
    );
  };
  return kept(request);
}

describe('beside the serializer of the OpenTelemetry SDK', () => {
  it('says the same in protobuf', () => {
    const theirs = ProtobufTraceSerializer.serializeRequest(spans as never);
    expect(theirs).toBeDefined();
    const type = 'ExportTraceServiceRequest';
    expect(essence(decode(type, ours('protobuf')))).toEqual(essence(decode(type, theirs as Uint8Array)));
  });

  it('says the same in JSON', () => {
    const theirs = Buffer.from(JsonTraceSerializer.serializeRequest(spans as never) as Uint8Array);
    expect(essence(JSON.parse(ours('json').toString()))).toEqual(essence(JSON.parse(theirs.toString())));
  });
});
