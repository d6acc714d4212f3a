import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SpanExporter, type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endedSpan, serverSpan } from '../../doubles/ended-spans.js';
import { pass, until } from '../../doubles/http-double.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

const closers: (() => unknown)[] = [];
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-outage-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

async function startCollector(): Promise<ScriptedCollector> {
  const collector = await new ScriptedCollector().start();
  closers.push(() => collector.stop());
  return collector;
}

function startExporter(collector: ScriptedCollector, clock: ManualClock, options: SpanExporterOptions = {}) {
  const warnings: string[] = [];
  const exporter = spanExporter({
    endpoint: collector.url,
    clock,
    random: seededRandom(6),
    warn: (line) => warnings.push(line),
    ...options,
  });
  const close = async (timeoutMs = 1_000): Promise<void> => {
    let over = false;
    const closed = exporter.close(timeoutMs).then(() => {
      over = true;
    });
    // In steps after which the disk has its time.
    for (let step = 0; step < 20 && !over; step++) {
      await clock.advance(timeoutMs / 20);
      for (let turns = 0; turns < 50 && !over; turns++) await turn();
    }
    await pass(clock, timeoutMs, () => over);
    await closed;
  };
  closers.push(() => close(10));
  return { exporter, warnings, close };
}

const spooled = () => readdirSync(folder).length;
/** Longest that a busy machine is waited for; real milliseconds. */
const patienceMs = 60_000;
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

/**
 * Requests, compression and disk are real: they get the time that they would have had, which on the manual clock goes by in
 * no time. Otherwise a busy machine would be taken for a collector that does not answer.
 */
async function work(exporter: SpanExporter): Promise<void> {
  const end = Date.now() + patienceMs;
  const isBusy = (): boolean => {
    const { inflight, queuedBytes, memoryBytes } = exporter.stats();
    // Half of the memory may wait, an eighth is open; the rest is being compressed or written.
    return inflight > 0 || queuedBytes > memoryBytes * 0.7;
  };
  do await turn();
  while (isBusy() && Date.now() < end);
}

/** Lets time go by until something holds that real sockets and files bring about. */
async function eventually(
  clock: ManualClock,
  exporters: readonly SpanExporter[],
  holds: () => boolean,
): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!holds() && Date.now() < end) {
    await clock.advance(20);
    for (const exporter of exporters) await work(exporter);
  }
  expect(holds()).toBe(true);
}

describe('an outage of the collector', () => {
  it.each([
    { seconds: 15, memoryBytes: 16_777_216, how: 'in memory' },
    { seconds: 15, memoryBytes: 262_144, how: 'on the disk' },
    { seconds: 60, memoryBytes: 1_048_576, how: 'on the disk' },
  ])(
    'of $seconds s at 1 000 spans/s loses none, $how',
    async ({ seconds, memoryBytes }) => {
      const collector = await startCollector();
      const clock = manualClock();
      const { exporter, warnings } = startExporter(collector, clock, { memoryBytes, spool: { folder } });
      let most = 0;
      let mostFiles = 0;
      const expected = new Set<string>();
      const second = async (): Promise<void> => {
        for (let part = 0; part < 25; part++) {
          for (let count = 0; count < 40; count++) {
            const span = serverSpan();
            expected.add(span.spanContext().spanId);
            exporter.accept(span);
          }
          most = Math.max(most, exporter.stats().queuedBytes);
          await clock.advance(40);
          await work(exporter);
        }
        mostFiles = Math.max(mostFiles, exporter.stats().spool?.files ?? 0);
      };
      await second();
      collector.usual = { status: 503 };
      for (let at = 0; at < seconds; at++) await second();
      collector.usual = 'ok';
      for (let at = 0; at < 3; at++) await second();
      expect(exporter.stats().lost).toEqual({
        queue_full: 0,
        export_failed: 0,
        retry_exhausted: 0,
        rejected: 0,
        too_large: 0,
        shutdown: 0,
        spool_full: 0,
        spool_torn: 0,
      });
      await eventually(clock, [exporter], () => collector.spanIds.length >= expected.size);
      expect(collector.spanIds.length).toBe(expected.size);
      expect(new Set(collector.spanIds)).toEqual(expected);
      expect(most).toBeLessThanOrEqual(memoryBytes);
      // With little memory the disk was needed, with much it was not.
      expect(mostFiles > 0).toBe(memoryBytes < 16_777_216);
      await until(() => spooled() === 0);
      // Nothing is lost, but what is away for long is told, once.
      expect(warnings).toEqual(
        seconds < 30
          ? []
          : [
              expect.stringMatching(
                /^keelson: no spans have got to the collector for 3\d s, \d+ wait; last: HTTP 503$/,
              ),
            ],
      );
    },
    180_000,
  );
});

describe('the spool', () => {
  it('survives the process: the next one sends what is left, once', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = { status: 503 };
    const first = startExporter(collector, clock, { spool: { folder }, batchSpans: 50 });
    const ids = new Set<string>();
    for (let count = 0; count < 500; count++) {
      const span = endedSpan();
      ids.add(span.spanContext().spanId);
      first.exporter.accept(span);
    }
    await first.close();
    expect(spooled()).toBeGreaterThan(0);
    expect(first.exporter.stats()).toMatchObject({ queuedSpans: 0, spool: { spans: 500, written: 500 } });
    expect(first.exporter.stats().lost.shutdown).toBe(0);

    collector.usual = 'ok';
    const second = startExporter(collector, clock, { spool: { folder } });
    await eventually(clock, [second.exporter], () => collector.spans.length >= 500);
    expect(new Set(collector.spanIds)).toEqual(ids);
    expect(collector.spans.length).toBe(500);
    await until(() => spooled() === 0);
    expect(second.exporter.stats()).toMatchObject({ sentSpans: 500, spool: { replayed: 500, files: 0 } });
  });

  it('is sent once when two processes use it', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = { status: 503 };
    const first = startExporter(collector, clock, { spool: { folder }, batchSpans: 10 });
    for (let count = 0; count < 300; count++) first.exporter.accept(endedSpan());
    await first.close();
    collector.usual = 'ok';
    const both = [1, 2].map(() => startExporter(collector, clock, { spool: { folder } }));
    const exporters = both.map(({ exporter }) => exporter);
    await eventually(clock, exporters, () => collector.spans.length >= 300 && spooled() === 0);
    expect(collector.spans.length).toBe(300);
    expect(new Set(collector.spanIds).size).toBe(300);
    const sent = both.map(({ exporter }) => exporter.stats().sentSpans);
    expect((sent[0] ?? 0) + (sent[1] ?? 0)).toBe(300);
  });

  it('is sent at a bounded rate', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = { status: 503 };
    const first = startExporter(collector, clock, {
      spool: { folder },
      batchSpans: 50,
      compression: 'none',
    });
    for (let count = 0; count < 1_000; count++) first.exporter.accept(serverSpan());
    await first.close();
    // What is sent counts, and not the blocks that it takes on the disk.
    const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
    const perSecond = bytes / 10;
    collector.usual = 'ok';
    const { exporter } = startExporter(collector, clock, {
      spool: { folder, replayBytesPerSecond: perSecond },
    });
    for (let tenth = 0; tenth < 50; tenth++) {
      await clock.advance(100);
      await work(exporter);
    }
    const half = collector.spans.length;
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(700);
    await eventually(clock, [exporter], () => collector.spans.length === 1_000);
    expect(collector.spans.length).toBe(1_000);
  });

  it('keeps what could not be sent, and tries it again when there is nothing else to send', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = { status: 503 };
    const first = startExporter(collector, clock, { spool: { folder } });
    for (let count = 0; count < 5; count++) first.exporter.accept(endedSpan());
    await first.close();
    const second = startExporter(collector, clock, { spool: { folder } });
    await eventually(clock, [second.exporter], () => second.exporter.stats().failedRequests > 2);
    expect(spooled()).toBe(1);
    collector.usual = 'ok';
    await eventually(clock, [second.exporter], () => collector.spans.length === 5);
    expect(collector.spans.length).toBe(5);
    await until(() => spooled() === 0);
  });

  it('takes what hangs at the end', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = 'hang';
    const { exporter, close } = startExporter(collector, clock, { spool: { folder }, batchSpans: 3 });
    for (let count = 0; count < 20; count++) exporter.accept(endedSpan());
    await close(4_000);
    expect(exporter.stats().lost.shutdown).toBe(0);
    expect(exporter.stats().spool?.spans).toBe(20);
  });

  it('drops the oldest beyond its cap, and counts them', async () => {
    const collector = await startCollector();
    const clock = manualClock();
    collector.usual = { status: 503 };
    const { exporter } = startExporter(collector, clock, {
      compression: 'none',
      memoryBytes: 262_144,
      batchSpans: 100,
      spool: { folder, maxBytes: 1_048_576 },
    });
    // Random text compresses to half of it, so that all of them together are more than the cap.
    const random = seededRandom(17);
    const digits = (): string =>
      Array.from({ length: 1_000 }, () => Math.floor(random() * 16).toString(16)).join('');
    for (let count = 0; count < 4_000; count++) {
      exporter.accept(endedSpan({ pairs: ['text', digits()] }));
      if (count % 50 === 49) {
        await clock.advance(100);
        await work(exporter);
      }
    }
    // Nothing is unaccounted for, at any moment; and no more than the cap is on the disk.
    const all = (): number => {
      const { spool, lost, queuedSpans } = exporter.stats();
      return (spool?.spans ?? 0) + lost.spool_full + lost.queue_full + queuedSpans;
    };
    await until(() => all() === 4_000);
    const { spool, lost } = exporter.stats();
    expect(spool?.bytes).toBeLessThanOrEqual(1_048_576);
    expect(lost.spool_full).toBeGreaterThan(0);
    expect(spool?.spans).toBeGreaterThan(500);
  }, 180_000);
});
