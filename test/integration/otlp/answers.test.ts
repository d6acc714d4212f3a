import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { context } from '@opentelemetry/api';
import { type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { endedSpan, serverSpan } from '../../doubles/ended-spans.js';
import { pass, until } from '../../doubles/http-double.js';
import { type Scripted, ScriptedCollector } from '../../doubles/scripted-collector.js';
import { tracingSdk } from '../../doubles/tracing-sdk.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The most that a wait can be: what is asserted is a bound. */
const longest = () => 0.999_999;

const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

async function setUp(script: Scripted[] = [], options: SpanExporterOptions = {}) {
  const collector = await new ScriptedCollector().start();
  collector.script = script;
  const clock = manualClock();
  const warnings: string[] = [];
  const exporter = spanExporter({
    endpoint: collector.url,
    clock,
    random: longest,
    warn: (line) => warnings.push(line),
    ...options,
  });
  closers.push(
    () => collector.stop(),
    async () => {
      const closed = exporter.close(100);
      await pass(clock, 200);
      await closed;
    },
  );
  /** Lets a batch be closed, and waits until something holds; on a busy machine for longer, in which little time goes by. */
  const settle = async (holds: () => unknown, ms = 2_000): Promise<void> => {
    await pass(clock, ms, holds);
    for (let turns = 0; turns < 1_000 && !holds(); turns++) {
      await clock.advance(1);
      await turn();
    }
  };
  return { collector, clock, exporter, warnings, settle };
}

describe('spans over HTTP', () => {
  it.each([
    ['http/protobuf', 'gzip', 'protobuf', true],
    ['http/protobuf', 'none', 'protobuf', false],
    ['http/json', 'gzip', 'json', true],
    ['http/json', 'none', 'json', false],
  ] as const)('arrive by %s with %s', async (protocol, compression, via, gzipped) => {
    const { collector, exporter, settle } = await setUp([], {
      protocol,
      compression,
      headers: { 'X-Api-Key': 'secret' },
    });
    const spans = Array.from({ length: 20 }, () => serverSpan());
    for (const span of spans) exporter.accept(span);
    expect(exporter.stats()).toMatchObject({ queuedSpans: 20, acceptedSpans: 20, sentSpans: 0 });
    await settle(() => exporter.stats().sentSpans === 20);
    const [request] = collector.requests;
    expect(request).toMatchObject({ via, path: '/v1/traces', gzipped, spans: 20 });
    expect(request?.headers['x-api-key']).toBe('secret');
    expect(collector.spanIds).toEqual(spans.map((span) => span.spanContext().spanId));
    expect(collector.spans[0]?.resource).toMatchObject({ 'service.name': 'orders' });
    expect(exporter.stats()).toMatchObject({
      queuedSpans: 0,
      queuedBytes: 0,
      requests: 1,
      failedRequests: 0,
    });
    expect(exporter.stats().requestBytes).toBe(request?.wireBytes);
  });

  it('leave when there are enough of them, enough bytes, or after a while', async () => {
    const { collector, exporter, settle, clock } = await setUp([], { batchSpans: 10, batchBytes: 20_000 });
    for (let count = 0; count < 25; count++) exporter.accept(endedSpan());
    await pass(clock, 10, () => collector.spans.length === 20);
    expect(collector.requests.map(({ spans }) => spans)).toEqual([10, 10]);
    await settle(() => collector.spans.length === 25);
    for (let count = 0; count < 4; count++)
      exporter.accept(endedSpan({ pairs: ['text', 'x'.repeat(8_000)] }));
    await pass(clock, 10, () => collector.spans.length === 28);
    expect(collector.requests.at(-1)?.spans).toBe(3);
    await settle(() => collector.spans.length === 29);
    expect(collector.spans.length).toBe(29);
  });

  it.each([
    ['429 with seconds', { status: 429, headers: { 'retry-after': '7' } }, 7_000, 7_000],
    [
      '503 with a date',
      {
        status: 503,
        headers: {
          'retry-after': 'Sun, 22 Nov 2026 12:00:09 GMT',
          date: 'Sun, 22 Nov 2026 12:00:00 GMT',
        },
      },
      9_000,
      9_000,
    ],
    ['502', { status: 502 }, 499, 501],
    ['504', { status: 504 }, 499, 501],
    ['a broken connection', 'close', 499, 501],
    ['what is no HTTP', 'garbage', 499, 501],
  ] as const)('are sent again after %s, when it is time', async (_, answer, least, most) => {
    const { collector, exporter, clock, settle } = await setUp([answer as Scripted]);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().retries === 1);
    expect(collector.requests.length).toBe(1);
    await pass(clock, least - 10);
    expect(collector.requests.length).toBe(1);
    await pass(clock, most - least + 30, () => exporter.stats().sentSpans === 1);
    await until(() => exporter.stats().sentSpans === 1);
    expect(collector.requests.length).toBe(2);
    expect(exporter.stats()).toMatchObject({ failedRequests: 1, requests: 2, queuedSpans: 0 });
  });

  it.each([
    [400, 'rejected'],
    [401, 'export_failed'],
    [404, 'export_failed'],
    [500, 'export_failed'],
    [307, 'export_failed'],
  ] as const)('are not sent again after %d, but counted as %s and told', async (status, reason) => {
    const { collector, exporter, settle, warnings } = await setUp([{ status, message: 'because so' }]);
    for (let count = 0; count < 3; count++) exporter.accept(endedSpan());
    await settle(() => exporter.stats().lost[reason] === 3);
    await settle(() => warnings.length > 0);
    expect(warnings).toEqual([`keelson: 3 spans lost (${reason} 3); last: HTTP ${status} because so`]);
    expect(collector.requests.length).toBe(1);
    expect(exporter.stats()).toMatchObject({ queuedSpans: 0, queuedBytes: 0, sentSpans: 0 });
  });

  it.each([
    [2, 'too old', 2],
    [0, 'please upgrade', 0],
    [99, 'all of them', 5],
  ])('are counted as rejected when the collector says so: %d', async (partial, message, lost) => {
    const { collector, exporter, settle } = await setUp([{ partial, message }]);
    for (let count = 0; count < 5; count++) exporter.accept(endedSpan());
    await settle(() => collector.requests.length === 1 && exporter.stats().queuedSpans === 0);
    expect(exporter.stats().lost.rejected).toBe(lost);
    expect(exporter.stats().sentSpans).toBe(5 - lost);
    expect(collector.requests.length).toBe(1);
  });

  it.each(['', '<html>ok</html>', '\u0000\u0000'])('count as sent whatever a 200 says: %j', async (body) => {
    const { exporter, settle } = await setUp([{ body }]);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().sentSpans === 1);
    expect(exporter.stats()).toMatchObject({ sentSpans: 1, failedRequests: 0 });
  });

  it('are told of once an interval when the collector has something to say, or is none', async () => {
    const { collector, exporter, settle, warnings, clock } = await setUp(
      [{ partial: 0, message: 'please\nupgrade' }, { body: '<html>Welcome!</html>' }],
      { warnIntervalMs: 60_000 },
    );
    const send = async (): Promise<void> => {
      const { sentSpans } = exporter.stats();
      exporter.accept(endedSpan());
      await settle(() => exporter.stats().sentSpans > sentSpans);
    };
    await send();
    expect(warnings).toEqual(['keelson: the collector took spans and said: please upgrade']);
    await send();
    expect(warnings.length).toBe(1);
    await pass(clock, 60_000);
    collector.script = [{ body: '<html>Welcome!</html>' }];
    await send();
    expect(warnings.slice(1)).toEqual([
      'keelson: the collector took spans and said: HTTP 200 with application/x-protobuf that is no answer of OTLP: <html>Welcome!</html>',
    ]);
    await pass(clock, 120_000);
    await send();
    expect(warnings.length).toBe(2);
  });

  it('are refused with an answer that does not end within 4 MiB', async () => {
    const { exporter, settle } = await setUp([{ body: Buffer.alloc(5_000_000) }]);
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().lost.export_failed === 1);
    expect(exporter.stats().lost.export_failed).toBe(1);
  });

  it.each(['http/protobuf', 'http/json'] as const)(
    'are cut in two until they fit, by %s',
    async (protocol) => {
      const { collector, exporter, settle } = await setUp([], { protocol });
      collector.usual = ({ spans }) => (spans > 3 ? { status: 413 } : 'ok');
      const spans = Array.from({ length: 21 }, () => endedSpan());
      for (const span of spans) exporter.accept(span);
      await settle(() => exporter.stats().sentSpans === 21);
      expect([...collector.spanIds].sort()).toEqual(spans.map((span) => span.spanContext().spanId).sort());
      expect(exporter.stats()).toMatchObject({ queuedSpans: 0, queuedBytes: 0 });
    },
  );

  it('are lost as too large when not even one fits', async () => {
    const { exporter, settle } = await setUp([{ status: 413 }, { status: 413 }, { status: 413 }]);
    exporter.accept(endedSpan());
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().lost.too_large === 2);
    expect(exporter.stats()).toMatchObject({ queuedSpans: 0, queuedBytes: 0 });
  });

  it('are sent again when the collector hangs', async () => {
    const { collector, exporter, clock, settle } = await setUp(['hang'], { timeoutMs: 3_000 });
    exporter.accept(endedSpan());
    await settle(() => collector.requests.length === 1);
    await pass(clock, 2_900);
    expect(exporter.stats().inflight).toBe(1);
    await pass(clock, 700, () => exporter.stats().sentSpans === 1);
    await until(() => exporter.stats().sentSpans === 1);
    expect(collector.requests.length).toBe(2);
  });

  it('are sent by several requests at a time, and by one while the collector is away', async () => {
    const { collector, exporter, clock } = await setUp([], { batchSpans: 1, concurrency: 3 });
    collector.usual = 'hang';
    for (let count = 0; count < 6; count++) exporter.accept(endedSpan());
    await pass(clock, 50, () => collector.requests.length === 3);
    expect([collector.requests.length, exporter.stats().inflight]).toEqual([3, 3]);
    await pass(clock, 10_100, () => exporter.stats().retries === 3);
    const before = collector.requests.length;
    await pass(clock, 2_500);
    expect(exporter.stats().inflight).toBe(1);
    expect(collector.requests.length).toBe(before + 1);
    collector.usual = 'ok';
    await pass(clock, 30_000, () => exporter.stats().sentSpans === 6);
    expect(new Set(collector.spanIds).size).toBe(6);
  });

  it('wait for each other in larger batches while the collector is away', async () => {
    const { collector, exporter, clock } = await setUp([], { batchSpans: 10 });
    collector.usual = { status: 503, headers: { 'retry-after': '3600' } };
    exporter.accept(endedSpan());
    await pass(clock, 1_200, () => exporter.stats().retries === 1);
    for (let count = 0; count < 39; count++) exporter.accept(endedSpan());
    await pass(clock, 4_000);
    exporter.accept(endedSpan());
    collector.usual = 'ok';
    await pass(clock, 310_000, () => exporter.stats().sentSpans === 41);
    expect(collector.requests.map(({ spans }) => spans)).toEqual([1, 1, 40]);
  });

  it('do not wait behind one that the collector never takes', async () => {
    const { collector, exporter, clock } = await setUp([], { batchSpans: 1, giveUpMs: 60_000 });
    const poison = endedSpan({ name: 'poison' });
    collector.usual = ({ tree }) =>
      tree.resourceSpans[0].scopeSpans[0].spans[0].name === 'poison' ? { status: 503 } : 'ok';
    exporter.accept(poison);
    for (let count = 0; count < 20; count++) exporter.accept(endedSpan());
    await pass(clock, 30_000, () => exporter.stats().sentSpans === 20);
    expect(exporter.stats()).toMatchObject({ sentSpans: 20, queuedSpans: 1 });
    await pass(clock, 90_000, () => exporter.stats().lost.retry_exhausted === 1);
    expect(exporter.stats()).toMatchObject({ queuedSpans: 0, queuedBytes: 0 });
    expect(exporter.stats().lost.retry_exhausted).toBe(1);
  });

  it('are asked for headers anew each time, and wait while there are none', async () => {
    let asked = 0;
    const headers = async () => {
      if (++asked === 1) throw new Error('no token yet');
      return { authorization: `Bearer ${asked}` };
    };
    const { collector, exporter, settle } = await setUp([], { headers });
    exporter.accept(endedSpan());
    await settle(() => exporter.stats().sentSpans === 1, 5_000);
    expect(collector.requests.map((request) => request.headers['authorization'])).toEqual(['Bearer 2']);
  });

  it('make no spans and carry no trace of their own', async () => {
    const sdk = tracingSdk();
    closers.push(() => sdk.stop());
    const { collector, exporter, settle } = await setUp();
    const seen: unknown[] = [];
    const { trace, propagation } = await import('@opentelemetry/api');
    const tracer = trace.getTracer('user');
    await tracer.startActiveSpan('request', async (span) => {
      exporter.accept(endedSpan());
      const headers = {};
      propagation.inject(context.active(), headers);
      seen.push(headers);
      await settle(() => exporter.stats().sentSpans === 1);
      span.end();
    });
    expect(seen[0]).toHaveProperty('traceparent');
    expect(collector.requests[0]?.headers['traceparent']).toBeUndefined();
    expect(sdk.spans().map(({ name }) => name)).toEqual(['request']);
  });
});

it('spans belong to nobody once they are full, whoever ended the last one', async () => {
  const { exporter, settle } = await setUp([], { batchSpans: 2 });
  const current = new AsyncLocalStorage<string>();
  const within: (string | undefined)[] = [];
  const hook = createHook({
    init(_, type) {
      if (type === 'ZLIB') within.push(current.getStore());
    },
  }).enable();
  closers.push(() => hook.disable());
  current.run('a request', () => {
    exporter.accept(endedSpan());
    exporter.accept(endedSpan());
  });
  await settle(() => exporter.stats().sentSpans === 2);
  expect(within[0]).toBeUndefined();
  expect(within.length).toBeGreaterThan(0);
});

describe('headers that are asked for', () => {
  it.each(['http/protobuf', 'grpc'] as const)(
    'make no spans by %s, however they are got',
    async (protocol) => {
      const sdk = tracingSdk();
      closers.push(() => sdk.stop());
      const { trace } = await import('@opentelemetry/api');
      const collector = await (await new ScriptedCollector().start()).startGrpc();
      closers.push(() => collector.stop());
      const fetched = async (): Promise<void> => {
        await Promise.resolve();
        trace.getTracer('client').startSpan('GET /token').end();
      };
      const { exporter, settle } = await setUp([], {
        protocol,
        endpoint: protocol === 'grpc' ? collector.grpcUrl : collector.url,
        headers: async () => {
          trace.getTracer('client').startSpan('look').end();
          await fetched();
          return { authorization: 'Bearer 1' };
        },
      });
      exporter.accept(endedSpan());
      await settle(() => exporter.stats().sentSpans === 1);
      expect(collector.requests[0]?.headers['authorization']).toBe('Bearer 1');
      expect(sdk.spans().map(({ name }) => name)).toEqual([]);
    },
  );
});

describe('the memory', () => {
  it('that is full does not make batches smaller', async () => {
    const memoryBytes = 262_144;
    const { collector, exporter, clock, settle } = await setUp([], { memoryBytes, concurrency: 1 });
    const capBytes = memoryBytes / 8;
    const spanBytes = 380;
    collector.usual = { status: 503, headers: { 'retry-after': '30' } };
    /** More spans each turn than go in one. */
    const overload = async (isLong: () => boolean): Promise<void> => {
      for (let turns = 0; turns < 5_000 && !isLong(); turns++) {
        for (let count = 0; count < 500; count++) exporter.accept(serverSpan());
        await clock.advance(1);
        await turn();
      }
    };
    await overload(() => exporter.stats().lost.queue_full > 20_000);
    collector.usual = 'ok';
    await settle(() => exporter.stats().sentSpans > 0, 31_000);
    await overload(() => collector.requests.length > 40);
    const sizes = collector.requests.map(({ spans }) => spans).slice(1, -1);
    expect(sizes.length).toBeGreaterThan(20);
    expect(Math.min(...sizes)).toBeGreaterThan((0.8 * capBytes) / spanBytes);
    expect(exporter.stats().queuedBytes).toBeLessThanOrEqual(memoryBytes);
  });

  it('is bounded: what does not fit is lost, counted, and told once', async () => {
    const memoryBytes = 200_000;
    const { collector, exporter, clock, warnings } = await setUp([], { memoryBytes, compression: 'none' });
    collector.usual = { status: 503, headers: { 'retry-after': '60' } };
    let most = 0;
    for (let count = 0; count < 5_000; count++) {
      exporter.accept(serverSpan());
      most = Math.max(most, exporter.stats().queuedBytes);
      if (count % 500 === 0) await pass(clock, 40);
    }
    const { lost, queuedSpans, acceptedSpans } = exporter.stats();
    expect(most).toBeLessThanOrEqual(memoryBytes + 65_536);
    expect(lost.queue_full).toBeGreaterThan(0);
    expect(queuedSpans + lost.queue_full).toBe(acceptedSpans);
    collector.usual = 'ok';
    await pass(clock, 120_000, () => exporter.stats().queuedSpans === 0);
    expect(exporter.stats().sentSpans + exporter.stats().lost.queue_full).toBe(5_000);
    expect(collector.spans.length).toBe(exporter.stats().sentSpans);
    await pass(clock, 60_000);
    expect(warnings.length).toBeLessThanOrEqual(4);
    expect(warnings[0]).toMatch(/spans lost \(queue_full \d+\)/);
  });
});

describe('the end', () => {
  it('sends what there is, and takes nothing more', async () => {
    const { collector, exporter, clock } = await setUp();
    for (let count = 0; count < 7; count++) exporter.accept(endedSpan());
    const closed = exporter.close(5_000);
    await pass(clock, 1_000, () => collector.spans.length === 7);
    await closed;
    exporter.accept(endedSpan());
    expect(exporter.stats()).toMatchObject({
      sentSpans: 7,
      queuedSpans: 0,
      queuedBytes: 0,
      acceptedSpans: 8,
    });
    expect(exporter.stats().lost.shutdown).toBe(1);
    await exporter.close(5_000);
  });

  it.each(['hang', { status: 503 }] as const)(
    'comes in time when the collector does %j, and counts',
    async (answer) => {
      const { collector, exporter, clock, warnings } = await setUp([], { batchSpans: 2 });
      collector.usual = answer as Scripted;
      for (let count = 0; count < 9; count++) exporter.accept(endedSpan());
      const began = clock.now();
      const closed = exporter.close(3_000);
      let over = 0;
      void closed.then(() => {
        over = clock.now() - began;
      });
      await pass(clock, 3_100, () => over > 0);
      await closed;
      expect(over).toBeLessThanOrEqual(3_100);
      expect(exporter.stats().lost.shutdown).toBe(9);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('9 spans lost (shutdown 9)');
    },
  );

  it('flushes what was accepted so far, and goes on', async () => {
    const { collector, exporter, clock } = await setUp();
    exporter.accept(endedSpan());
    const flushed = exporter.flush(5_000);
    await pass(clock, 500, () => collector.spans.length === 1);
    await flushed;
    expect(exporter.stats().sentSpans).toBe(1);
    exporter.accept(endedSpan());
    await pass(clock, 2_000, () => exporter.stats().sentSpans === 2);
    collector.usual = 'hang';
    exporter.accept(endedSpan());
    const late = exporter.flush(1_000);
    await pass(clock, 1_100);
    await late;
    expect(exporter.stats().inflight).toBe(1);
  });
});
