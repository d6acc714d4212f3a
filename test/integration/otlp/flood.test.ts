import { type SpanExporter, spanExporter } from 'keelson/otlp';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { serverSpan } from '../../doubles/ended-spans.js';
import { until } from '../../doubles/http-double.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const perSecond = 10_000;
const memoryBytes = 4_194_304;
/** Made once: what is measured is who sends them. */
const spans = Array.from({ length: 1_000 }, () => serverSpan());
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
const idle = (exporter: SpanExporter) => until(() => exporter.stats().inflight === 0);

async function setUp() {
  const gone = await new ScriptedCollector().start();
  const { url } = gone;
  await gone.stop();
  const clock = manualClock();
  const warnings: string[] = [];
  const exporter = spanExporter({
    endpoint: url,
    clock,
    random: seededRandom(60),
    memoryBytes,
    warn: (line) => warnings.push(line),
  });
  let most = 0;
  const flood = async (seconds: number): Promise<void> => {
    for (let part = 0; part < seconds * 5; part++) {
      for (let count = 0; count < perSecond / 5; count++) exporter.accept(spans[count % 1_000] as never);
      most = Math.max(most, exporter.stats().queuedBytes);
      await clock.advance(200);
      await turn();
      await idle(exporter);
    }
  };
  const close = async (timeoutMs: number): Promise<number> => {
    const began = clock.now();
    let over = Number.NaN;
    void exporter.close(timeoutMs).then(() => {
      over = clock.now() - began;
    });
    for (let step = 0; step < 100 && Number.isNaN(over); step++) {
      await clock.advance(timeoutMs / 50);
      await turn();
    }
    return over;
  };
  closers.push(() => close(10));
  return { clock, exporter, warnings, flood, close, port: Number(new URL(url).port), most: () => most };
}

const linesOf = (warnings: readonly string[]) => warnings.filter((line) => line.includes('spans lost'));
const told = (warnings: readonly string[]): number =>
  linesOf(warnings).reduce((sum, line) => sum + Number(/(\d+) spans lost/.exec(line)?.[1]), 0);

async function drained(clock: ManualClock, exporter: SpanExporter): Promise<void> {
  for (let step = 0; step < 2_000 && exporter.stats().queuedSpans > 0; step++) {
    await clock.advance(20);
    await turn();
    await idle(exporter);
  }
}

describe('10 000 spans a second for a minute, with nobody at the port', () => {
  it('stay within the memory, and what does not fit is counted, and said once a minute', async () => {
    const { clock, exporter, warnings, flood, port, most } = await setUp();
    await flood(60);
    const { lost, queuedSpans, acceptedSpans, requests } = exporter.stats();
    // The batch that is being filled may be a span too long.
    expect(most()).toBeLessThanOrEqual(memoryBytes + 1_000);
    expect(acceptedSpans).toBe(60 * perSecond);
    expect(queuedSpans + lost.queue_full).toBe(acceptedSpans);
    // A full memory holds compressed batches: far more than it would as they come.
    expect(queuedSpans).toBeGreaterThan((4 * memoryBytes) / 400);
    // One try after each wait, and not one for each batch.
    expect(requests).toBeLessThan(60);
    expect(linesOf(warnings).length).toBeLessThanOrEqual(2);

    const collector = new ScriptedCollector();
    collector.idsOnly = true;
    await collector.start(port);
    closers.push(() => collector.stop());
    await drained(clock, exporter);
    const { sentSpans, lost: all } = exporter.stats();
    expect(collector.spanIds.length).toBe(sentSpans);
    expect(sentSpans + all.queue_full).toBe(acceptedSpans);
    await clock.advance(120_000);
    expect(told(warnings)).toBe(all.queue_full);
  }, 120_000);

  it('do not keep the end waiting', async () => {
    const { exporter, warnings, flood, close } = await setUp();
    await flood(10);
    expect(await close(5_000)).toBeLessThanOrEqual(5_000);
    const { lost, queuedSpans, queuedBytes, acceptedSpans } = exporter.stats();
    expect([queuedSpans, queuedBytes]).toEqual([0, 0]);
    expect(lost.queue_full + lost.shutdown).toBe(acceptedSpans);
    expect(told(warnings)).toBe(acceptedSpans);
  }, 120_000);
});
