import { type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { endedSpan } from '../../doubles/ended-spans.js';
import { until } from '../../doubles/http-double.js';
import { type Scripted, ScriptedCollector } from '../../doubles/scripted-collector.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

async function setUp(script: Scripted[] = [], options: SpanExporterOptions = {}, server: object = {}) {
  const collector = await (await new ScriptedCollector().start()).startGrpc(server);
  collector.script = script;
  const clock = manualClock();
  const exporter = spanExporter({
    protocol: 'grpc',
    endpoint: collector.grpcUrl,
    clock,
    random: () => 0.999_999,
    warn: () => undefined,
    ...options,
  });
  closers.push(
    () => collector.stop(),
    async () => {
      const closed = exporter.close(100);
      for (let step = 0; step < 20; step++) {
        await clock.advance(20);
        await turn();
      }
      await closed;
    },
  );
  /** Closes the batch; then real sockets have their time, and the clock stands still. */
  const settle = async (holds: () => boolean): Promise<void> => {
    await clock.advance(1_000);
    await clock.advance(1);
    await until(() => {
      // What comes next at once, such as the halves of what was too large.
      clock.advanceSync(0);
      return holds();
    });
  };
  return { collector, clock, exporter, settle };
}

describe('spans over gRPC', () => {
  it.each(['gzip', 'none'] as const)('arrive with compression %s', async (compression) => {
    const { collector, exporter, settle } = await setUp([], {
      compression,
      headers: { 'X-Api-Key': 'secret' },
    });
    const spans = Array.from({ length: 20 }, () => endedSpan({ pairs: ['text', 'x'.repeat(100)] }));
    for (const span of spans) exporter.accept(span);
    await settle(() => exporter.stats().sentSpans === 20);
    expect(collector.spanIds).toEqual(spans.map((span) => span.spanContext().spanId));
    expect(collector.requests[0]?.headers['x-api-key']).toBe('secret');
    expect(collector.requests[0]?.headers['traceparent']).toBeUndefined();
    expect(exporter.stats()).toMatchObject({ queuedSpans: 0, queuedBytes: 0 });
  });

  it.each([
    [1, undefined, 500],
    [4, undefined, 500],
    [10, undefined, 500],
    [11, undefined, 500],
    [14, undefined, 500],
    [14, 6.5, 6_500],
    [15, undefined, 500],
    [8, 4, 4_000],
  ])('are sent again after status %d with a delay of %s s', async (status, retrySeconds, waitMs) => {
    const answer = retrySeconds === undefined ? { status } : { status, retrySeconds };
    const { collector, clock, exporter, settle } = await setUp([answer]);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().retries === 1);
    await clock.advance(waitMs - 10);
    await turn();
    expect(collector.requests.length).toBe(1);
    await clock.advance(20);
    await until(() => exporter.stats().sentSpans === 1);
    expect(collector.requests.length).toBe(2);
  });

  it.each([
    [2, 'export_failed'],
    [3, 'rejected'],
    [5, 'export_failed'],
    [7, 'export_failed'],
    [8, 'export_failed'],
    [12, 'export_failed'],
    [13, 'export_failed'],
    [16, 'export_failed'],
  ] as const)('are not sent again after status %d, but counted as %s', async (status, reason) => {
    const { collector, exporter, settle } = await setUp([{ status, message: 'because so' }]);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().lost[reason] === 1);
    expect(collector.requests.length).toBe(1);
  });

  it('are counted as rejected when the collector says so', async () => {
    const { exporter, settle } = await setUp([{ partial: 2, message: 'too old' }]);
    for (let count = 0; count < 5; count++) exporter.accept(endedSpan());
    await settle(() => exporter.stats().sentSpans === 3);
    expect(exporter.stats().lost.rejected).toBe(2);
  });

  it('count as sent when the answer cannot be read', async () => {
    const { exporter, settle } = await setUp(['garbage']);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().sentSpans === 1);
    expect(exporter.stats().sentSpans).toBe(1);
  });

  it.each(['none', 'gzip'] as const)(
    'are cut in two until they fit, with compression %s',
    async (compression) => {
      const { collector, clock, exporter } = await setUp(
        [],
        { compression },
        {
          'grpc.max_receive_message_length': 3_000,
        },
      );
      const spans = Array.from({ length: 20 }, () => endedSpan({ pairs: ['text', 'x'.repeat(300)] }));
      for (const span of spans) exporter.accept(span);
      await clock.advance(1_000);
      for (let step = 0; step < 500 && exporter.stats().sentSpans < 20; step++) {
        await clock.advance(1);
        await turn();
      }
      expect([...collector.spanIds].sort()).toEqual(spans.map((span) => span.spanContext().spanId).sort());
    },
  );

  it.each([
    [8, 'grpc: received message after decompression larger than max 4194304'],
    [8, 'gRPC message exceeds maximum size 4194304: 5000000'],
    [11, 'Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
  ])('are cut in two when status %d says: %s', async (status, message) => {
    const { collector, clock, exporter } = await setUp([{ status, message }]);
    for (let count = 0; count < 4; count++) exporter.accept(endedSpan());
    await clock.advance(1_000);
    for (let step = 0; step < 2_000 && exporter.stats().sentSpans < 4; step++) {
      await clock.advance(1);
      await turn();
    }
    expect(collector.requests.map(({ spans }) => spans)).toEqual([4, 2, 2]);
  });

  it('are sent again when nobody answers, or nobody is there', async () => {
    const { collector, clock, exporter, settle } = await setUp(['hang'], { timeoutMs: 2_000 });
    exporter.accept(endedSpan());
    await settle(() => collector.requests.length === 1);
    await clock.advance(2_000);
    await until(() => exporter.stats().retries === 1);
    await clock.advance(600);
    await until(() => exporter.stats().sentSpans === 1);
    expect(collector.requests.length).toBe(2);
  });
});
