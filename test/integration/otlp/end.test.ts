import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Departures, parseSpoolName, type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { type ManualClock, manualClock } from 'keelson/testing';
import { tracers } from 'keelson/tracer';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endedSpan } from '../../doubles/ended-spans.js';
import { freePort } from '../../doubles/free-port.js';
import { pass, until } from '../../doubles/http-double.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

// What becomes of spans when their exporter is closed, or the process ends.

const closers: (() => unknown)[] = [];
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-end-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

async function setUp(options: SpanExporterOptions = {}) {
  const collector = await new ScriptedCollector().start();
  const clock = manualClock();
  const warnings: string[] = [];
  const exporter = spanExporter({
    endpoint: collector.url,
    clock,
    random: () => 0.999_999,
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
  const give = (spans: number): void => {
    for (let count = 0; count < spans; count++) exporter.accept(endedSpan());
  };
  return { collector, clock, exporter, warnings, give };
}
const spansOnDisk = (at = folder): number =>
  readdirSync(at).reduce((sum, file) => sum + (parseSpoolName(file)?.spans ?? 0), 0);
/** Lets time go by without a turn for sockets and disks. */
async function atOnce(clock: ManualClock, ms: number): Promise<void> {
  clock.advanceSync(ms);
  for (let turns = 0; turns < 50; turns++) await Promise.resolve();
}
const lostOf = (lost: object): number =>
  (Object.values(lost) as number[]).reduce((sum, spans) => sum + spans, 0);

describe('a close whose time runs out', () => {
  it('has counted and told everything when it resolves, also for a provider with the same limit', async () => {
    const { collector, clock, exporter, warnings } = await setUp();
    collector.usual = 'hang';
    const provider = tracers({ sink: exporter, sampling: { mode: 'always' }, clock });
    for (let count = 0; count < 30; count++) provider.getTracer('t').startSpan('s').end();
    let counted: unknown;
    const closed = provider.close(3_000).then(() => {
      counted = { lost: exporter.stats().lost.shutdown, lines: warnings.length };
    });
    await pass(clock, 4_000, () => counted !== undefined);
    await closed;
    expect(counted).toEqual({ lost: 30, lines: 1 });
  });

  it('says why they were still there', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const { clock, exporter, warnings, give } = await setUp({ endpoint });
    give(5);
    await pass(clock, 2_000, () => exporter.stats().failedRequests > 0);
    let over = false;
    const closed = exporter.close(2_000).then(() => {
      over = true;
    });
    await pass(clock, 2_100, () => over);
    await closed;
    expect(warnings).toEqual([
      expect.stringMatching(
        /^keelson: 5 spans lost \(shutdown 5\); last: it was still there at the end; .*ECONNREFUSED/,
      ),
    ]);
  });

  it('counts each span once, wherever it was: lost, or on the disk, never both', async () => {
    const { collector, clock, exporter, give } = await setUp({ batchSpans: 7, spool: { folder } });
    collector.usual = 'hang';
    for (let round = 0; round < 20; round++) {
      give(7);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Some batches are on their way then, some being compressed, some written; others wait for that.
    const closed = exporter.close(20);
    await clock.advance(10);
    await atOnce(clock, 10);
    await atOnce(clock, 10);
    await closed;
    const { lost, queuedSpans } = exporter.stats();
    const counted = lost.shutdown;
    await until(() => exporter.stats().queuedSpans === 0);
    expect(queuedSpans).toBeLessThanOrEqual(7);
    expect(counted + spansOnDisk()).toBe(140);
    expect(lostOf(exporter.stats().lost)).toBe(counted);
    await until(() => readdirSync(folder).every((file) => !file.endsWith('.tmp')));
  });

  it('does not count as lost what it was replaying', async () => {
    const first = await setUp({ spool: { folder } });
    first.collector.usual = { status: 503 };
    first.give(11);
    let over = false;
    const done = first.exporter.close(2_000).then(() => {
      over = true;
    });
    await pass(first.clock, 2_000, () => over);
    await done;
    expect(spansOnDisk()).toBe(11);
    const { collector, clock, exporter, warnings } = await setUp({ spool: { folder } });
    collector.usual = 'hang';
    await pass(clock, 2_000, () => exporter.stats().inflight === 1);
    const closed = exporter.close(20);
    await atOnce(clock, 10);
    await atOnce(clock, 10);
    await atOnce(clock, 10);
    await closed;
    expect(lostOf(exporter.stats().lost)).toBe(0);
    await until(() => exporter.stats().queuedSpans === 0);
    expect(readdirSync(folder).map((file) => parseSpoolName(file)?.claimedMs)).toEqual([undefined]);
    expect(spansOnDisk()).toBe(11);
    expect(warnings.filter((line) => line.includes('lost'))).toEqual([]);
  });
});

describe('flushes that time out', () => {
  it('keep nothing behind', async () => {
    const { collector, clock, exporter, give } = await setUp();
    collector.usual = { status: 503, headers: { 'retry-after': '300' } };
    give(1);
    await pass(clock, 1_500, () => exporter.stats().retries === 1);
    const { pending } = clock;
    const waits = vi.spyOn(Departures.prototype, 'allLeft');
    for (let count = 0; count < 50; count++) {
      const flushed = exporter.flush(10);
      await clock.advance(10);
      await flushed;
    }
    expect(clock.pending).toBe(pending);
    expect(exporter.stats().queuedSpans).toBe(1);
    expect(waits).toHaveBeenCalledTimes(50);
    expect((waits.mock.contexts[0] as Departures<object> | undefined)?.watching).toBe(0);
    waits.mockRestore();
  });
});

describe('the exit of a process', () => {
  it('has everything on the disk at once: open, compressed, on its way', async () => {
    const { collector, clock, exporter, warnings, give } = await setUp({ batchSpans: 10, spool: { folder } });
    collector.usual = 'hang';
    give(40);
    await pass(clock, 10, () => exporter.stats().inflight === 4);
    give(25);
    exporter.salvage();
    expect(spansOnDisk()).toBe(65);
    expect(lostOf(exporter.stats().lost)).toBe(0);
    expect(warnings).toEqual([]);
    // What still comes back changes nothing.
    await pass(clock, 100);
    expect([spansOnDisk(), exporter.stats().queuedSpans]).toEqual([65, 0]);
  });

  it.each([
    ['there is no spool', () => undefined],
    [
      'the spool cannot be used',
      () => {
        writeFileSync(join(folder, 'file'), '');
        return { folder: join(folder, 'file') };
      },
    ],
  ])('counts and tells when %s', async (_, spool) => {
    const { exporter, warnings, give } = await setUp({ spool: spool() });
    give(12);
    exporter.salvage();
    expect(exporter.stats().lost.shutdown).toBe(12);
    expect(warnings).toEqual([expect.stringMatching(/^keelson: 12 spans lost \(shutdown 12\)/)]);
    exporter.salvage();
    expect(warnings).toHaveLength(1);
  });
});

describe('a disk that does not take more', () => {
  it('costs nothing while there is memory, all of it', async () => {
    writeFileSync(join(folder, 'file'), '');
    const memoryBytes = 262_144;
    const { collector, clock, exporter, give } = await setUp({
      memoryBytes,
      compression: 'none',
      batchSpans: 50,
      spool: { folder: join(folder, 'file') },
    });
    collector.usual = { status: 503, headers: { 'retry-after': '20' } };
    while (exporter.stats().lost.queue_full + exporter.stats().lost.spool_full === 0) {
      give(50);
      await clock.advance(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(exporter.stats().queuedBytes).toBeGreaterThan(0.8 * memoryBytes);
    expect(exporter.stats().queuedBytes).toBeLessThanOrEqual(memoryBytes);
    collector.usual = 'ok';
    await pass(clock, 30_000, () => exporter.stats().queuedSpans === 0);
    const { acceptedSpans, sentSpans, lost } = exporter.stats();
    expect(sentSpans + lostOf(lost)).toBe(acceptedSpans);
    expect(collector.spans.length).toBe(sentSpans);
  });
});

describe('a collector that nobody reaches', () => {
  it('is told of after half a minute, once, and again when it is away again', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const { clock, exporter, warnings, give } = await setUp({ endpoint });
    give(3);
    await pass(clock, 25_000);
    expect(warnings).toEqual([]);
    await pass(clock, 120_000);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^keelson: no spans have got to the collector for [34]\d s, 3 wait; last: .*ECONNREFUSED/,
      ),
    ]);
    expect(exporter.stats().queuedSpans).toBe(3);
  });

  it('is told of at the end, when what is left waits on the disk', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const { clock, exporter, warnings, give } = await setUp({ endpoint, spool: { folder } });
    give(8);
    await pass(clock, 2_000, () => exporter.stats().failedRequests > 0);
    let over = false;
    const closed = exporter.close(2_000).then(() => {
      over = true;
    });
    await pass(clock, 2_100, () => over);
    await closed;
    expect(spansOnDisk()).toBe(8);
    expect(warnings).toEqual([
      expect.stringMatching(/^keelson: no spans have got to the collector for \d+ s, 8 wait; last: /),
    ]);
  });
});

describe('429 of one request beside 200 of others', () => {
  it('is obeyed: nothing more is sent before the time that it asks for', async () => {
    const { collector, clock, exporter, give } = await setUp({ batchSpans: 1, compression: 'none' });
    collector.script = [{ status: 429, headers: { 'retry-after': '30' } }, 'ok', 'ok', 'ok'];
    give(4);
    await pass(clock, 10, () => exporter.stats().sentSpans === 3 && exporter.stats().retries === 1);
    give(20);
    await pass(clock, 29_000);
    expect(collector.requests.length).toBe(4);
    await pass(clock, 5_000, () => exporter.stats().sentSpans === 24);
    expect(exporter.stats()).toMatchObject({ sentSpans: 24, queuedSpans: 0 });
    expect(new Set(collector.spanIds).size).toBe(24);
  });
});

it('a spool folder that cannot be used is told of at the start; what waits is in memory until it can', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const { collector, clock, exporter, warnings, give } = await setUp({
    spool: { folder: join(file, 'sub') },
  });
  collector.usual = 'hang';
  await until(() => warnings.length > 0);
  expect(warnings).toEqual([
    expect.stringMatching(/^keelson: the spool folder .*sub cannot be used.*: E[A-Z]+: /),
  ]);
  give(3);
  expect(exporter.stats().queuedSpans).toBe(3);
  rmSync(file);
  const closed = exporter.close(2_000);
  await pass(clock, 2_000, () => exporter.stats().queuedSpans === 0);
  await closed;
  expect([spansOnDisk(join(file, 'sub')), lostOf(exporter.stats().lost)]).toEqual([3, 0]);
});
