import { context, diag } from '@opentelemetry/api';
import { type Clock, systemClock, type Timer } from '../core/clock.js';
import { type Surroundings, surroundings } from '../core/current.js';
import { resolveOptions } from '../core/options.js';
import type { EndedSpan } from './ended-span.js';
import { inTime } from './in-time.js';
import type { SpanSink } from './span-sink.js';
import { lookAfter } from './stray-promise.js';
import { silence } from './suppression.js';

/** A `SpanExporter` of the OpenTelemetry SDK, by its shape. */
export interface SpanExporterShape {
  /** Sends a batch, and calls `done` once: code 0 for sent, anything else for lost. */
  export(spans: never, done: (result: { readonly code: number; readonly error?: Error }) => void): void;
  /** Sends what the exporter itself holds back. */
  forceFlush?(): Promise<void>;
  /** Ends it; nothing is exported afterwards. */
  shutdown(): Promise<void>;
}

/** Why spans were lost. */
export type ExporterLoss = 'queue_full' | 'export_failed' | 'timeout' | 'shutdown';

/** Options of {@link exporterSink}. */
export interface ExporterSinkOptions {
  /**
   * Most spans that wait; further ones are lost, and told as `queue_full`.
   *
   * @defaultValue `2048`
   */
  readonly maxQueue?: number | undefined;
  /**
   * Spans in one export. So many are sent at once, whatever the time.
   *
   * @defaultValue `512`
   */
  readonly batch?: number | undefined;
  /**
   * How long a span waits for others, milliseconds.
   *
   * @defaultValue `1000`
   */
  readonly delayMs?: number | undefined;
  /**
   * How long an export may take, milliseconds; then its spans count as lost and the next one begins.
   *
   * @defaultValue `30_000`
   */
  readonly exportTimeoutMs?: number | undefined;
  /**
   * Hears of lost spans.
   *
   * @defaultValue none
   */
  readonly onLost?: ((reason: ExporterLoss, count: number) => void) | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

interface Settings {
  readonly maxQueue: number;
  readonly batch: number;
  readonly delayMs: number;
  readonly exportTimeoutMs: number;
  readonly onLost: ((reason: ExporterLoss, count: number) => void) | undefined;
  readonly clock: Clock;
}

/** Defaults of {@link ExporterSinkOptions}. */
export const exporterSinkDefaults = {
  maxQueue: 2048,
  batch: 512,
  delayMs: 1000,
  exportTimeoutMs: 30_000,
  onLost: undefined,
  clock: systemClock,
} as const;

class ExporterSink implements SpanSink {
  private queue: EndedSpan[] = [];
  /** Spans that were ever put into the queue, and that left it for good. */
  private accepted = 0;
  private settled = 0;
  /** A timer or a connection that belonged to the call that is here first would keep all that the call keeps. */
  private readonly home: Surroundings = surroundings();
  private timer: Timer | undefined = undefined;
  private running: Promise<void> | undefined = undefined;
  /** Ends the export that is on its way, for a reason or for none. */
  private finish: ((loss: ExporterLoss | undefined) => void) | undefined = undefined;
  /** Nothing is sent any more. */
  private over = false;
  private closing: Promise<void> | undefined = undefined;

  constructor(
    private readonly exporter: SpanExporterShape,
    private readonly settings: Settings,
  ) {}

  accept(span: EndedSpan): void {
    if (this.closing !== undefined) {
      this.lose('shutdown', 1);
      return;
    }
    if (this.queue.length >= this.settings.maxQueue) {
      this.lose('queue_full', 1);
      return;
    }
    this.queue.push(span);
    this.accepted++;
    if (this.queue.length >= this.settings.batch) void this.begin();
    else this.wait();
  }

  flush(timeoutMs: number): Promise<void> {
    if (this.closing !== undefined) return this.closing;
    const { clock } = this.settings;
    return inTime(clock, timeoutMs, () => this.drain());
  }

  close(timeoutMs: number): Promise<void> {
    this.closing ??= this.end(timeoutMs);
    return this.closing;
  }

  salvage(): void {
    this.closing ??= Promise.resolve();
    this.giveUp();
  }

  private async end(timeoutMs: number): Promise<void> {
    const { clock } = this.settings;
    const until = clock.now() + timeoutMs;
    await inTime(clock, timeoutMs, () => this.drain());
    this.giveUp();
    await inTime(clock, until - clock.now(), () => this.exporter.shutdown());
  }

  /** Counts what has not left. */
  private giveUp(): void {
    this.over = true;
    this.timer?.cancel();
    const left = this.queue.length;
    this.queue = [];
    this.settled += left;
    if (left > 0) this.lose('shutdown', left);
    // Whether it still arrives nobody will know.
    this.finish?.('shutdown');
  }

  /** Sends what is there now. */
  private async drain(): Promise<void> {
    const last = this.accepted;
    while (this.settled < last) await (this.running ?? this.begin());
    if (!this.over) await this.exporter.forceFlush?.();
  }

  private wait(): void {
    if (this.timer !== undefined) return;
    this.home.runInAsyncScope(() => {
      this.timer = this.settings.clock.after(this.settings.delayMs, () => this.due());
    });
  }

  private due(): void {
    this.timer = undefined;
    void this.begin();
  }

  /** Sends one batch, unless one is on its way: then that one begins the next. */
  private begin(): Promise<void> {
    if (this.running !== undefined) return this.running;
    this.timer?.cancel();
    this.timer = undefined;
    const batch = this.queue.splice(0, this.settings.batch);
    if (batch.length === 0) return Promise.resolve();
    this.running = this.send(batch).then(() => {
      this.running = undefined;
      this.settled += batch.length;
      if (this.queue.length >= this.settings.batch) void this.begin();
      else if (this.queue.length > 0) this.wait();
    });
    return this.running;
  }

  /** Resolves with the export; never rejects. */
  private send(batch: readonly EndedSpan[]): Promise<void> {
    const { clock, exportTimeoutMs } = this.settings;
    return new Promise((resolve) => {
      let over = false;
      const finish = (loss: ExporterLoss | undefined): void => {
        if (over) return;
        over = true;
        this.finish = undefined;
        timer.cancel();
        if (loss !== undefined) this.lose(loss, batch.length);
        resolve();
      };
      const timer = clock.after(exportTimeoutMs, () => finish('timeout'));
      this.finish = finish;
      const failed = (fault: unknown): void => {
        diag.error('keelson: a span exporter threw', fault);
        finish('export_failed');
      };
      const done = ({ code }: { readonly code: number }): void =>
        finish(code === 0 ? undefined : 'export_failed');
      this.home.runInAsyncScope(() => {
        try {
          lookAfter(
            context.with(silence, () => this.exporter.export(batch as never, done)),
            failed,
          );
        } catch (fault) {
          failed(fault);
        }
      });
    });
  }

  private lose(reason: ExporterLoss, count: number): void {
    const failed = (fault: unknown): void => diag.error('keelson: onLost threw', fault);
    try {
      lookAfter(this.settings.onLost?.(reason, count), failed);
    } catch (fault) {
      failed(fault);
    }
  }
}

/**
 * Makes a sink of a span exporter of the OpenTelemetry SDK: batches, one export at a time, and tells of what is lost.
 *
 * Use it to keep an exporter that you have. Our own sends more with less, waits out an outage and loses less.
 *
 * @throws RangeError or TypeError for options that cannot work
 * @example
 * ```ts
 * const sink = exporterSink(new ConsoleSpanExporter(), { onLost: (reason, count) => log.warn({ reason, count }) });
 * ```
 *
 * Source: the SDK's BatchSpanProcessor, which waits 5 s and says nothing of what it loses.
 */
export function exporterSink(exporter: SpanExporterShape, options?: ExporterSinkOptions): SpanSink {
  const settings = resolveOptions<Settings>('exporterSink', exporterSinkDefaults, options, {
    maxQueue: { min: 1, integer: true },
    batch: { min: 1, integer: true },
    delayMs: { min: 0 },
    exportTimeoutMs: { above: 0 },
  });
  return new ExporterSink(exporter, settings);
}
