import type { Timer } from '../core/clock.js';
import { runWithoutCall, type Surroundings, surroundings } from '../core/current.js';
import type { EndedSpan } from '../tracer/ended-span.js';
import type { SpanSink } from '../tracer/span-sink.js';
import { Courier } from './courier.js';
import type { EncodingName } from './encoding.js';
import { encodings } from './encodings.js';
import { encodingNameOf, senderTo, signalUrl } from './link-options.js';
import { type LossCounts, Losses, type LossReason } from './losses.js';
import { OpenBatch } from './open-batch.js';
import type { Parcel } from './parcel.js';
import { plainText } from './plain-text.js';
import { quietly } from './quietly.js';
import type { Sender } from './sender.js';
import {
  type SpanExporterOptions,
  type SpanExporterSettings,
  spanExporterSettings,
} from './span-exporter-options.js';
import { Spool } from './spool.js';

/** Plain numbers of an exporter; those of done work are counted since it was made. */
export interface SpanExporterStats {
  /** Spans that were accepted and are neither sent nor lost, in memory. */
  readonly queuedSpans: number;
  /** Bytes of memory that they take. */
  readonly queuedBytes: number;
  /** The most that they may take. */
  readonly memoryBytes: number;
  /** Requests under way. */
  readonly inflight: number;
  /** Spans that were given to it, lost ones included. */
  readonly acceptedSpans: number;
  /** Bytes that they were encoded to, before compression. */
  readonly encodedBytes: number;
  /** Spans that a collector has taken, replayed ones included. */
  readonly sentSpans: number;
  /** Requests that were answered or given up. */
  readonly requests: number;
  /** Those of them that were not taken. */
  readonly failedRequests: number;
  /** Bytes of the bodies that were taken, as they were sent; over gRPC before compression, which is not done here. */
  readonly requestBytes: number;
  /** How long all requests took together. */
  readonly requestMs: number;
  /** How often a batch was put back for another try. */
  readonly retries: number;
  /** Spans lost, by reason. */
  readonly lost: LossCounts;
  /** What is on the disk; absent without a spool. */
  readonly spool: SpoolStats | undefined;
}

/** Plain numbers of a spool. */
export interface SpoolStats {
  readonly files: number;
  readonly bytes: number;
  readonly spans: number;
  /** Spans written so far. */
  readonly written: number;
  /** Spans read back and sent so far. */
  readonly replayed: number;
  /** Files that could not be read. */
  readonly torn: number;
}

/** Sends spans to a collector. */
export interface SpanExporter extends SpanSink {
  stats(): SpanExporterStats;
  /** Lets go of what may hold the process; what was on its way is sent again. */
  letGo(): void;
  /**
   * For the `exit` of a process, which nobody can wait for: writes to the spool what is here, or counts it as lost and says so,
   * before it returns. Nothing after a `close`. Never throws.
   */
  salvage(): void;
}

/** While the collector is away or slow, batches may be so many times larger. */
const stretch = 4;
/** Share of the memory that is kept for the open batch, and the most that it may take: it is not compressed yet. */
const openShare = 0.125;
/** A claim on a spool file runs out after so many timeouts of a request, and after a minute at the earliest. */
const claimTimeouts = 3;
const leastClaimMs = 60_000;

class OtlpSpanExporter implements SpanExporter {
  private readonly encoding: EncodingName;
  private readonly batch: OpenBatch;
  private readonly spool: Spool | undefined;
  private readonly sender: Sender;
  private readonly courier: Courier;
  private readonly home: Surroundings;
  private readonly batchBytes: number;
  private timer: Timer | undefined;
  private openedAt = 0;
  private accepted = 0;
  private encodedBytes = 0;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly settings: SpanExporterSettings,
    private readonly losses: Losses,
  ) {
    const { clock, random, warn, concurrency, timeoutMs, giveUpMs, memoryBytes, protocol } = settings;
    // Whoever's span closes a batch must not be kept by what then begins.
    this.home = runWithoutCall(surroundings);
    this.encoding = encodingNameOf(protocol);
    this.batchBytes = Math.min(settings.batchBytes, memoryBytes * openShare);
    this.batch = new OpenBatch(encodings[this.encoding], settings.maxSpanBytes);
    const url = signalUrl('spanExporter', settings, 'traces');
    const { warnIntervalMs } = settings;
    this.sender = senderTo({ url, signal: 'traces', clock, warn, warnIntervalMs }, settings);
    this.spool =
      settings.spool &&
      new Spool({
        ...settings.spool,
        clock,
        claimMs: Math.max(leastClaimMs, claimTimeouts * timeoutMs),
        carries: (encoding) => this.sender.carries(encoding),
        lost: (reason, spans, why) => this.losses.add(reason, spans, why),
      });
    this.courier = new Courier({
      sender: this.sender,
      losses: this.losses,
      spool: this.spool,
      clock,
      random,
      home: this.home,
      concurrency,
      timeoutMs,
      giveUpMs,
      retry: { firstMs: settings.retryFirstMs, maxMs: settings.retryMaxMs },
      memoryBytes,
      warn,
      warnIntervalMs,
      replayBytesPerSecond: settings.spool?.replayBytesPerSecond ?? Number.POSITIVE_INFINITY,
    });
    this.home.runInAsyncScope(() => quietly(() => void this.tryDisk()));
  }

  accept(span: EndedSpan): void {
    const { batch, settings } = this;
    this.accepted++;
    const refused = this.refusal();
    if (refused !== undefined) {
      this.losses.add(refused, 1);
      return;
    }
    const reason = batch.add(span);
    if (reason !== undefined) {
      this.losses.add(reason, 1, 'a span that could not be encoded');
      return;
    }
    if (batch.spans === 1) this.begin();
    if (batch.spans >= settings.batchSpans || batch.bytes >= this.batchBytes) this.full();
  }

  async flush(timeoutMs: number): Promise<void> {
    this.send();
    await this.courier.allLeft(timeoutMs);
  }

  close(timeoutMs: number): Promise<void> {
    this.closing ??= this.end(timeoutMs);
    return this.closing;
  }

  letGo(): void {
    this.sender.letGo?.();
  }

  salvage(): void {
    this.closing ??= Promise.resolve();
    this.send();
    this.courier.salvage();
    this.losses.tell();
  }

  stats(): SpanExporterStats {
    const { queuedSpans, ...done } = this.courier.stats;
    return {
      ...done,
      queuedSpans: queuedSpans + this.batch.spans,
      queuedBytes: this.bytes,
      memoryBytes: this.settings.memoryBytes,
      acceptedSpans: this.accepted,
      encodedBytes: this.encodedBytes + this.batch.bytes,
      lost: this.losses.counts,
      spool: this.spool?.stats,
    };
  }

  private get bytes(): number {
    return this.courier.bytes + this.batch.bytes;
  }

  /**
   * Why no span is taken at all, not even to be encoded. A batch is begun only where it has room to become as large as it may:
   * sent whenever the memory is full, each would have but the spans for which the one before made room, and at last one alone.
   */
  private refusal(): LossReason | undefined {
    if (this.closing !== undefined) return 'shutdown';
    const { memoryBytes } = this.settings;
    const isFull =
      this.batch.spans === 0 ? this.courier.bytes > memoryBytes * (1 - openShare) : this.bytes >= memoryBytes;
    return isFull ? 'queue_full' : undefined;
  }

  /** Says at the start what else would be known only when it is needed. */
  private async tryDisk(): Promise<void> {
    const { warn, spool } = this.settings;
    const why = await this.spool?.fault();
    if (why === undefined || spool === undefined) return;
    try {
      warn(
        `keelson: the spool folder ${plainText(spool.folder)} cannot be used, and what cannot be sent waits in memory until it can: ${plainText(why)}`,
      );
    } catch {
      // Whoever prints must not break what sends.
    }
  }

  private begin(): void {
    this.openedAt = this.settings.clock.now();
    this.arm(this.settings.lingerMs);
  }

  private arm(ms: number): void {
    const { clock } = this.settings;
    this.home.runInAsyncScope(() => {
      this.timer = clock.after(ms, () => this.due());
    });
  }

  /** As large as it should be; to a collector that cannot keep up fewer and larger ones go. */
  private full(): void {
    const { batch, settings } = this;
    const { batchSpans, batchBytes, memoryBytes } = settings;
    const mostBytes = Math.min(batchBytes * stretch, memoryBytes * openShare);
    const more = batch.spans < batchSpans * stretch && batch.bytes < mostBytes;
    if (!(more && this.courier.pressed)) this.send();
  }

  private due(): void {
    const { clock, pressedLingerMs } = this.settings;
    // A clock that stepped back must not make it longer.
    const leftMs = Math.min(this.openedAt + pressedLingerMs - clock.now(), pressedLingerMs);
    if (this.courier.pressed && leftMs > 0) this.arm(leftMs);
    else this.send();
  }

  private send(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const batch = this.batch.take();
    if (batch === undefined) return;
    this.encodedBytes += batch.body.length;
    const now = this.settings.clock.now();
    const parcel: Parcel = {
      ...batch,
      encoding: this.encoding,
      gzipped: false,
      failures: 0,
      dueAt: now,
      since: now,
      claim: undefined,
    };
    // Not in the trace of whoever's span was the last one.
    this.home.runInAsyncScope(() => quietly(() => this.courier.take(parcel)));
  }

  private async end(timeoutMs: number): Promise<void> {
    this.send();
    await this.courier.close(timeoutMs);
    this.losses.tell();
  }
}

/**
 * Sends spans to a collector of OpenTelemetry, by OTLP.
 *
 * A span becomes bytes the moment it is accepted, and nothing of it is held: no batch has to be encoded at once, and the
 * memory is bounded in bytes. Batches are compressed on the thread pool, sent several at a time, tried again for as long as
 * they may, and wait on the disk if there is a `spool`. What is lost is counted by reason and said once an interval.
 *
 * Delivery is "at least once": a collector that takes a batch and does not live to say so gets it again.
 *
 * @param losses - counts what is lost, where it is to be told together with what is lost elsewhere
 * @throws TypeError or RangeError for options that cannot be
 *
 * @example
 * ```ts
 * const exporter = spanExporter({ endpoint: 'http://collector:4318', spool: { folder: '/var/spool/orders' } });
 * const provider = tracers({ sink: exporter });
 * await provider.close(5_000);
 * ```
 *
 * Source: OpenTelemetry Protocol 1.10, "OTLP/HTTP" and "OTLP/gRPC". The batch processor of the SDK holds spans and encodes
 * them together, has one request under way, and drops a batch after five tries.
 */
export function spanExporter(options?: SpanExporterOptions, losses?: Losses): SpanExporter {
  const settings = spanExporterSettings(options);
  const { clock, warn, warnIntervalMs: intervalMs } = settings;
  return new OtlpSpanExporter(settings, losses ?? new Losses({ what: 'spans', clock, warn, intervalMs }));
}
