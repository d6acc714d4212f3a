import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { type SpanExporter, type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { type SamplingOptions, type Tracers, tracers } from 'keelson/tracer';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../doubles/http-double.js';
import { type Scripted, ScriptedCollector, type SeenRequest } from '../../doubles/scripted-collector.js';

const closers: (() => unknown)[] = [];
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-accounting-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

type Random = () => number;
const upTo = (random: Random, most: number): number => Math.floor(random() * most);
const oneOf = <T>(random: Random, list: readonly T[]): T => list[upTo(random, list.length)] as T;
const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** What a collector may do, the usual more often than the rest. */
const answers: readonly Scripted[] = [
  ...(['ok', 'ok', 'ok', 'ok', 'ok', 'close', 'garbage', 'hang'] as const),
  { taken: 'hang' },
  { taken: 'close' },
  { partial: 2, message: 'too old' },
  { status: 400 },
  { status: 500 },
  { status: 413 },
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 503 },
  { status: 503 },
];

const samplings: readonly SamplingOptions[] = [
  { mode: 'always' },
  { mode: 'tail', perSecond: 20, outcomesPerSecond: 40, ringMs: 2_000, ringBytes: 4_000 },
  { mode: 'ratio', ratio: 0.7 },
];

/** What the collector never takes, however small the request. */
const tooLarge = 'POST /images';
const routes = [...Array.from({ length: 20 }, (_, at) => `GET /${at % 4}`), tooLarge];

/** One request of a service, with calls of which some are alike, some fail, and some are never ended. */
function serve(tracer: ReturnType<Tracers['getTracer']>, random: Random): void {
  const first = tracer.startSpan(oneOf(random, routes), { kind: SpanKind.SERVER });
  const within = trace.setSpan(ROOT_CONTEXT, first);
  const text = Array.from({ length: 24 }, () => upTo(random, 2 ** 32).toString(36)).join('');
  for (let calls = upTo(random, 14); calls > 0; calls--) {
    const call = tracer.startSpan(oneOf(random, ['get', 'get', 'put']), { kind: SpanKind.CLIENT }, within);
    if (random() < 0.3) call.setAttribute('text', text);
    if (random() < 0.1) call.setStatus({ code: SpanStatusCode.ERROR });
    if (random() > 0.03) call.end();
  }
  first.setAttribute('text', text);
  if (random() > 0.03) first.end();
}

const isTooLarge = ({ tree }: Pick<SeenRequest, 'tree'>): boolean =>
  JSON.stringify(tree).includes(JSON.stringify(tooLarge));

interface Parts {
  readonly clock: ManualClock;
  readonly exporter: SpanExporter;
  readonly collector: ScriptedCollector;
}

/**
 * Lets what is under way on real sockets come to its end, but for what hangs: time that goes by meanwhile would be taken for a
 * collector that does not answer. Both ends are in this process, so it is over when some turns bring nothing new.
 */
async function settled(exporter: SpanExporter, collector: ScriptedCollector): Promise<void> {
  let calm = 0;
  await until(() => {
    calm = exporter.stats().inflight === collector.hanging ? calm + 1 : 0;
    return calm > 8;
  });
}

/**
 * Closes within a time. What is answered at its very end would be known to the collector alone, so that time goes by in steps
 * whose last moment comes when nothing is under way.
 */
async function finish(
  { clock, exporter, collector }: Parts,
  close: (timeoutMs: number) => Promise<void>,
): Promise<void> {
  const stepMs = 50;
  const momentMs = 2 ** -10;
  let over = false;
  const closed = close(60 * stepMs).then(() => {
    over = true;
  });
  for (let step = 0; step < 80 && !over; step++) {
    await clock.advance(stepMs - momentMs);
    for (let begun = Number.NaN; begun !== exporter.stats().requests; ) {
      begun = exporter.stats().requests;
      await settled(exporter, collector);
      await clock.advance(0);
    }
    await clock.advance(momentMs);
    await settled(exporter, collector);
  }
  await closed;
}

/** Spans that were given to an exporter, and what it says became of them. */
function balanceOf(exporter: SpanExporter): readonly [given: number, known: number] {
  const { acceptedSpans, sentSpans, lost, queuedSpans, spool } = exporter.stats();
  return [acceptedSpans, sentSpans + sumOf(lost) + queuedSpans + (spool?.spans ?? 0)];
}

/** What happened at all: a way that no run takes is not tested. */
const happened: Record<string, number> = {};
function note(counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) happened[name] = (happened[name] ?? 0) + count;
}

const runs = [1, 2, 3, 4, 5, 6].flatMap((seed) => [
  { seed, how: 'in memory' },
  { seed, how: 'with a spool' },
]);

describe('every span that was recorded is accounted for once', () => {
  it.each(runs)('whatever the collector does: $how, seed $seed', async ({ seed, how }) => {
    const random = seededRandom(seed);
    const clock = manualClock();
    const collector = await new ScriptedCollector().start();
    closers.push(() => collector.stop());
    collector.usual = (request) => (isTooLarge(request) ? { status: 413 } : oneOf(random, answers));
    const options: SpanExporterOptions = {
      endpoint: collector.url,
      clock,
      random,
      warn: () => undefined,
      batchSpans: 40,
      lingerMs: 200,
      pressedLingerMs: 500,
      timeoutMs: 1_500,
      giveUpMs: 6_000,
      retryFirstMs: 100,
      retryMaxMs: 1_000,
      concurrency: 3,
      memoryBytes: 65_536,
      spool: how === 'with a spool' ? { folder, replayBytesPerSecond: 1e9 } : undefined,
    };
    const exporter = spanExporter(options);
    const sampling = samplings[seed % samplings.length];
    const provider = tracers({ sink: exporter, clock, random, sampling, limits: { maxTraceSpans: 12 } });
    const tracer = provider.getTracer('test');

    for (let round = 0; round < 40; round++) {
      // Now and then more than goes.
      for (let left = round % 20 < 4 ? 60 : 6; left > 0; left--) serve(tracer, random);
      await clock.advance(250);
      await settled(exporter, collector);
      if (round % 10 > 0) continue;
      await until(() => balanceOf(exporter)[0] === balanceOf(exporter)[1]);
    }
    await finish({ clock, exporter, collector }, (ms) => provider.close(ms));
    await until(() => balanceOf(exporter)[0] === balanceOf(exporter)[1]);
    const stats = exporter.stats();
    expect(stats).toMatchObject({ queuedSpans: 0, queuedBytes: 0 });
    const { counts } = provider;
    const unseen = counts.lost.trace_memory_full + counts.lost.sink_failed;
    expect(counts.delivered, 'delivered').toBe(stats.acceptedSpans);
    expect(counts.recorded).toBe(counts.delivered + counts.compressed + counts.discarded + unseen);

    // What is on the disk the next process sends.
    collector.usual = 'ok';
    const next = spanExporter(options);
    const nothingLeft = () => readdirSync(folder).length === 0;
    for (let step = 0; step < 2_000 && !nothingLeft(); step++) {
      await clock.advance(100);
      await settled(next, collector);
    }
    await finish({ clock, exporter: next, collector }, (ms) => next.close(ms));
    expect(nothingLeft()).toBe(true);

    const later = next.stats();
    const ids = collector.spanIds;
    expect(ids.length, 'taken').toBe(stats.sentSpans + later.sentSpans);
    // Twice only what was taken without a word, and of that the collector knows.
    expect(new Set(ids).size, 'taken once').toBe(ids.length);
    const lost = sumOf(stats.lost) + sumOf(later.lost) + unseen;
    expect(counts.recorded, 'recorded').toBe(ids.length + lost + counts.discarded + counts.compressed);
    expect(collector.faults).toEqual([]);

    note({ ...stats.lost, arrived: ids.length, unconfirmed: collector.unconfirmed.length });
    note({ discarded: counts.discarded, compressed: counts.compressed, unended: counts.unended });
    note({ trace_limit: counts.lost.trace_limit, trace_memory_full: counts.lost.trace_memory_full });
    note({ written: stats.spool?.written ?? 0, replayed: later.spool?.replayed ?? 0 });
  });

  afterAll(() => {
    const never = Object.keys(happened).filter((name) => happened[name] === 0);
    // Neither the disk nor the sink fails here.
    expect(never.sort()).toEqual(['spool_full', 'spool_torn']);
  });
});
