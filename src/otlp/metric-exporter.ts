import type { Timer } from '../core/clock.js';
import { runWithoutCall, type Surroundings, surroundings } from '../core/current.js';
import { within } from '../core/within.js';
import type { MetricData, MetricSource } from '../meter/metric-data.js';
import { encodings } from './encodings.js';
import { Exchange } from './exchange.js';
import { packed } from './gzip.js';
import { encodingNameOf, senderTo, signalUrl } from './link-options.js';
import { type LossCounts, Losses } from './losses.js';
import {
  type MetricExporterOptions,
  type MetricExporterSettings,
  metricExporterSettings,
} from './metric-exporter-options.js';
import { backoffMs } from './pace.js';
import { quietly } from './quietly.js';
import { mostAwayMs } from './retry-after.js';
import type { Answer, Consignment, Sender } from './sender.js';

/** Plain numbers of an exporter, counted since it was made. */
export interface MetricExporterStats {
  /** Pushes that were begun. */
  readonly pushes: number;
  /** Points that a collector has taken. */
  readonly sentPoints: number;
  /** Requests that were answered or given up. */
  readonly requests: number;
  /** Those of them that were not taken. */
  readonly failedRequests: number;
  /** Bytes of the bodies that were taken, as they were sent; over gRPC before compression, which is not done here. */
  readonly requestBytes: number;
  /** How long all requests took together. */
  readonly requestMs: number;
  /** Points that did not arrive, by reason. The next push says what they said, unless the process ends before. */
  readonly lost: LossCounts;
}

/** Pushes metrics to a collector from time to time. */
export interface MetricExporter {
  /** Pushes now; resolves when it arrived or was given up, or when that time is over; never rejects. */
  flush(timeoutMs: number): Promise<void>;
  /** The same, and pushes no more; a second call joins the first. */
  close(timeoutMs: number): Promise<void>;
  /** Lets go of what may hold the process; the next push says what was on its way. */
  letGo(): void;
  /** The process ends at this moment: counts what is on its way as lost, and says what was lost, before it returns. */
  salvage(): void;
  stats(): MetricExporterStats;
}

/** Points that go in one request, unless the collector takes less. */
const mostPoints = 2_000;
/** Points that are encoded before others have their turn. */
const slicePoints = 64;
/** How often a push is tried that somebody waits for. */
const triesAwaited = 2;

const pointsOf = (metrics: readonly MetricData[]): number =>
  metrics.reduce((sum, { points }) => sum + points.length, 0);

/** Metrics for one request each; a metric with very many series is spread over several. */
function portions(metrics: readonly MetricData[], most: number): readonly (readonly MetricData[])[] {
  const all: MetricData[][] = [];
  let room = 0;
  for (const metric of metrics) {
    for (let from = 0; from < metric.points.length; ) {
      if (room === 0) {
        all.push([]);
        room = most;
      }
      const points = metric.points.slice(from, from + room);
      all.at(-1)?.push({ ...metric, points } as MetricData);
      from += points.length;
      room -= points.length;
    }
  }
  return all;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class OtlpMetricExporter implements MetricExporter {
  private readonly sender: Sender;
  private readonly exchange: Exchange;
  private readonly losses: Losses;
  private readonly home: Surroundings = runWithoutCall(surroundings);
  private timer: Timer | undefined;
  /** The push under way; another one waits for it. */
  private pushing: Promise<void> = Promise.resolve();
  private busy = false;
  private giveUp = (): void => undefined;
  private most = mostPoints;
  /** The collector asked to stay away until then. */
  private awayUntil = Number.NEGATIVE_INFINITY;
  private pushes = 0;
  private sentPoints = 0;
  /** How many wait for what is under way. */
  private awaited = 0;
  /** Points of the push under way that nobody knows anything of yet. */
  private unsettled = 0;
  private over = false;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly source: MetricSource,
    private readonly settings: MetricExporterSettings,
  ) {
    const { clock, warn, timeoutMs, warnIntervalMs } = settings;
    const url = signalUrl('metricExporter', settings, 'metrics');
    this.sender = senderTo({ url, signal: 'metrics', clock, warn, warnIntervalMs }, settings);
    this.exchange = new Exchange({ sender: this.sender, clock, timeoutMs });
    this.losses = new Losses({
      what: 'points',
      clock,
      warn,
      intervalMs: warnIntervalMs,
    });
    this.arm();
  }

  async flush(timeoutMs: number): Promise<void> {
    this.giveUp();
    this.push();
    this.awaited++;
    try {
      await within(this.settings.clock, timeoutMs, this.pushing);
    } finally {
      this.awaited--;
    }
  }

  close(timeoutMs: number): Promise<void> {
    this.closing ??= this.end(timeoutMs);
    return this.closing;
  }

  letGo(): void {
    this.giveUp();
    this.sender.letGo?.();
  }

  salvage(): void {
    this.over = true;
    this.lose(this.unsettled, 'its push was not over at the end');
    this.losses.tell();
  }

  stats(): MetricExporterStats {
    const { pushes, sentPoints } = this;
    return { pushes, sentPoints, ...this.exchange.stats, lost: this.losses.counts };
  }

  private arm(): void {
    const { clock, intervalMs } = this.settings;
    this.home.runInAsyncScope(() => {
      this.timer = clock.after(intervalMs, () => {
        this.arm();
        // What this push would say, the next one will.
        this.giveUp();
        this.push();
      });
    });
  }

  private push(): void {
    if (this.busy) return;
    this.busy = true;
    this.pushing = this.pushing.then(async () => {
      this.busy = false;
      try {
        await quietly(() => this.pushed());
      } catch (error) {
        this.losses.add('export_failed', 1, error instanceof Error ? error.message : String(error));
      }
    });
  }

  private async pushed(): Promise<void> {
    const { protocol, resource, clock } = this.settings;
    const encoding = encodings[encodingNameOf(protocol)];
    let stopped = false;
    this.giveUp = () => {
      stopped = true;
      this.wake();
    };
    await this.pause(this.awayUntil - clock.now());
    // Nothing was measured for it, so nothing is lost.
    if (stopped) return;
    this.pushes++;
    let answers = true;
    const collected = await this.source.collect();
    this.unsettled = pointsOf(collected);
    for (const metrics of portions(collected, this.most)) {
      const count = pointsOf(metrics);
      if (!answers) {
        this.lose(count);
        continue;
      }
      const steps = encoding.metricRequest(resource, metrics);
      let step = steps.next();
      for (let points = 1; step.done !== true; points++) {
        if (points % slicePoints === 0) await turn();
        step = steps.next();
      }
      const gzipped = this.sender.wantsGzip;
      const body = gzipped ? await packed(step.value) : step.value;
      answers = await this.deliver({ body, gzipped, encoding: encoding.name }, count, () => stopped);
    }
  }

  private wake = (): void => undefined;

  /**
   * Tries once, and again until it arrives, is refused, or the next push is due. Once also when that is due already: where a
   * push takes longer than the time to the next, what comes late in it would never be sent.
   *
   * @returns whether the collector answered; the rest need not be tried at one that does not
   */
  private async deliver(consignment: Consignment, points: number, stopped: () => boolean): Promise<boolean> {
    const { clock, random, retryFirstMs, retryMaxMs } = this.settings;
    let why: string | undefined;
    for (let failures = 1; !this.over; failures++) {
      const answer = await this.exchange.send(consignment);
      if (answer.kind !== 'later') {
        this.settle(answer, points);
        return true;
      }
      why = answer.why;
      const now = clock.now();
      // At the end there is no time to stay away any longer.
      if (this.closing === undefined)
        this.awayUntil = Math.max(this.awayUntil, now + Math.min(answer.afterMs ?? 0, mostAwayMs));
      // Whoever waits is a program that ends, mostly, and where nobody listens each would end that much later.
      if (this.awaited > 0 && failures === triesAwaited) break;
      const waitMs = backoffMs(failures, { firstMs: retryFirstMs, maxMs: retryMaxMs }, random);
      if (!stopped() && !this.over) await this.pause(Math.max(waitMs, this.awayUntil - now));
      if (stopped()) break;
    }
    this.lose(points, why);
    return false;
  }

  private lose(points: number, why?: string): void {
    const lost = this.settled(points);
    this.losses.add(this.over ? 'shutdown' : 'retry_exhausted', lost, why);
  }

  /** @returns how many of them are to be counted: what came at the end is counted already */
  private settled(points: number): number {
    const known = Math.min(points, this.unsettled);
    this.unsettled -= known;
    return known;
  }

  /** Counts what became of a request. */
  private settle(answer: Exclude<Answer, { kind: 'later' }>, of: number): void {
    const points = this.settled(of);
    if (answer.kind === 'taken') {
      const rejected = Math.min(Math.max(0, answer.rejected), points);
      this.sentPoints += points - rejected;
      this.losses.add('rejected', rejected, answer.message);
    } else if (answer.kind === 'refused') {
      this.losses.add(answer.reason, points, answer.why);
    } else {
      // The next push fits, or the one after it.
      this.most = Math.max(1, Math.min(this.most, points) >> 1);
      this.losses.add('too_large', points, answer.why);
    }
  }

  /** Waits, unless it is called off. */
  private pause(ms: number): Promise<void> {
    if (!(ms > 0)) return Promise.resolve();
    const { clock } = this.settings;
    return new Promise((resolve) => {
      // A clock that stepped back must not make it longer.
      const timer = clock.after(Math.min(ms, Math.max(mostAwayMs, this.settings.retryMaxMs)), resolve);
      this.wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private async end(timeoutMs: number): Promise<void> {
    this.timer?.cancel();
    this.awayUntil = Number.NEGATIVE_INFINITY;
    await this.flush(timeoutMs);
    this.over = true;
    this.exchange.abort();
    this.giveUp();
    this.sender.close();
    this.salvage();
  }
}

/**
 * Pushes what a meter has measured to a collector of OpenTelemetry, by OTLP, once an interval.
 *
 * All sums are cumulative, so a push that does not arrive loses nothing but its moment: it is tried again until the next
 * one is due, and never kept.
 *
 * @param source - collected at each push
 * @throws TypeError or RangeError for options that cannot be
 *
 * @example
 * ```ts
 * const metrics = metricExporter(meters, { resource, endpoint: 'http://collector:4318', intervalMs: 10_000 });
 * await metrics.close(5_000);
 * ```
 *
 * Source: OpenTelemetry Protocol 1.10; OpenTelemetry, "Metrics SDK", "Periodic exporting MetricReader".
 */
export function metricExporter(source: MetricSource, options: MetricExporterOptions): MetricExporter {
  return new OtlpMetricExporter(source, metricExporterSettings(options));
}
