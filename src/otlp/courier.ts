import type { Clock } from '../core/clock.js';
import type { Surroundings } from '../core/current.js';
import type { Random } from '../core/random.js';
import { Alarm } from './alarm.js';
import { Cargo } from './cargo.js';
import { Exchange } from './exchange.js';
import type { Losses, LossReason } from './losses.js';
import { Outage } from './outage.js';
import { backoffMs, Pace, type RetryPace } from './pace.js';
import type { Parcel } from './parcel.js';
import { partsOf } from './parcel-parts.js';
import type { Answer, Sender } from './sender.js';
import type { Spool } from './spool.js';
import { WaitingLine } from './waiting-line.js';

/** What {@link Courier} needs. */
export interface CourierInit {
  readonly sender: Sender;
  readonly losses: Losses;
  readonly spool: Spool | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Where timers and requests belong to, whoever happens to end a span at that moment. */
  readonly home: Surroundings;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly retry: RetryPace;
  /** A batch is tried for so long; milliseconds. */
  readonly giveUpMs: number;
  /** What may be in memory; bytes. */
  readonly memoryBytes: number;
  readonly replayBytesPerSecond: number;
  /** Takes a line. */
  readonly warn: (message: string) => void;
  readonly warnIntervalMs: number;
}

/** What is left of the time to close for writing to the disk; milliseconds. */
const spoolingMs = 1_000;
/** What is left of that for what is as good as written, which gets its name, and for what was taken from the disk; milliseconds. */
const namingMs = 100;
/** Share of the memory that batches may wait in when there is a disk; the rest is for what is on its way there. */
const waitingShare = 0.5;

type Later = Extract<Answer, { kind: 'later' }>;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Gets batches to the collector: several at a time, again when they did not arrive, one at a time while the collector is
 * away, and to the disk when too many wait.
 */
export class Courier {
  private readonly pace: Pace;
  private readonly exchange: Exchange;
  private readonly outage: Outage;
  private readonly cargo = new Cargo();
  private readonly waiting = new WaitingLine();
  private inflight = 0;
  private fetching = false;
  private replayAt = Number.NEGATIVE_INFINITY;
  private readonly alarm: Alarm;
  private compressing: Promise<void> = Promise.resolve();
  private closing = false;
  private over = false;
  /** All is counted: what still comes back changes nothing. */
  private sealed = false;
  private sentSpans = 0;
  private retries = 0;

  constructor(private readonly init: CourierInit) {
    const { clock, warn, warnIntervalMs: intervalMs } = init;
    this.pace = new Pace(init.retry, init.random);
    this.exchange = new Exchange(init);
    this.outage = new Outage({ clock, warn, intervalMs });
    this.alarm = new Alarm(init, () => this.pump());
    // What an earlier process left on the disk need not wait for the first span.
    if (init.spool !== undefined) this.alarm.set(0);
  }

  /** Bytes in memory, whatever is being done with them. */
  get bytes(): number {
    return this.cargo.bytes;
  }

  /** Whether batches come faster than they go: larger ones, later, are better then. */
  get pressed(): boolean {
    const { pace, inflight, init } = this;
    return pace.failing || inflight >= init.concurrency || pace.waitMs(init.clock.now()) > 0;
  }

  /** Plain numbers of what is there, and of what was done. */
  get stats() {
    const { cargo, inflight, sentSpans, retries } = this;
    return {
      queuedSpans: cargo.spans,
      queuedBytes: cargo.bytes,
      inflight,
      sentSpans,
      retries,
      ...this.exchange.stats,
    };
  }

  /** Takes a batch over. It is counted as lost or as sent in the end; never throws. */
  take(parcel: Parcel): void {
    this.cargo.hold(parcel);
    this.prepare(parcel);
  }

  /** Resolves when all that was taken so far has left, for the collector or for the disk, or when that time is over. */
  allLeft(timeoutMs: number): Promise<void> {
    return this.cargo.allLeft(this.init.clock, timeoutMs);
  }

  /** Sends what there is, for no longer than that; the rest goes to the disk, or is lost. All is counted when it resolves. */
  async close(timeoutMs: number): Promise<void> {
    const { spool, sender } = this.init;
    this.closing = true;
    this.pace.hurry();
    this.alarm.set(0);
    const forDisk = spool === undefined ? 0 : Math.min(spoolingMs, timeoutMs / 2);
    const forNames = Math.min(namingMs, forDisk / 2);
    await this.allLeft(timeoutMs - forDisk);
    this.over = true;
    this.exchange.abort();
    this.clear();
    // What was under way comes back now, and goes the same way.
    await this.allLeft(forDisk - forNames);
    if (!this.sealed) this.seal(spool?.stop());
    await this.allLeft(forNames);
    // A disk that hangs has the rest, or has it not.
    this.seal(undefined);
    sender.close();
    if ((spool?.stats.spans ?? 0) > 0) this.outage.tell(spool?.stats.spans ?? 0);
  }

  /**
   * The process ends at this moment: what is here is on the disk when this returns, or counted. What was on its way may
   * have arrived all the same.
   */
  salvage(): void {
    this.closing = true;
    this.over = true;
    const { spool } = this.init;
    const { unsaved } = this.cargo;
    if (spool !== undefined) for (const parcel of unsaved) this.cargo.packNow(parcel);
    const lost = new Set(spool?.salvage(unsaved) ?? unsaved);
    for (const parcel of unsaved) if (!lost.has(parcel)) this.cargo.leave(parcel);
    this.seal(undefined);
  }

  /** Counts what is left. What is on the disk is not lost; nor is what is being given its name there. */
  private seal(stored: object | undefined): void {
    this.sealed = true;
    this.alarm.cancel();
    for (const parcel of this.cargo.unsaved)
      if (parcel !== stored) this.lose(parcel, 'shutdown', this.lastWords);
  }

  private get lastWords(): string {
    const { why } = this.outage;
    return `it was still there at the end${why && `; ${why}`}`;
  }

  /** One after the other: the pool of threads is the application's too. */
  private prepare(parcel: Parcel): void {
    if (!this.init.sender.wantsGzip || parcel.gzipped) {
      this.place(parcel);
      return;
    }
    this.compressing = this.compressing.then(async () => {
      await this.cargo.pack(parcel);
      this.place(parcel);
    });
  }

  private place(parcel: Parcel, why?: string): void {
    if (this.over || this.waiting.bytes + parcel.body.length > this.roomBytes) {
      this.putAway(parcel, why);
    } else {
      this.waiting.add(parcel);
      this.alarm.set(0);
    }
  }

  /** A disk that has just failed is none. */
  private get disk(): Spool | undefined {
    const { spool, clock } = this.init;
    return spool?.isStuck(clock.now()) === true ? undefined : spool;
  }

  /** What may wait: all of the memory where no disk takes the rest. */
  private get roomBytes(): number {
    const { memoryBytes } = this.init;
    return this.disk === undefined ? memoryBytes : memoryBytes * waitingShare;
  }

  /** To the disk, if there is one; at the end also to one that has failed: there is nothing to lose by it. */
  private putAway(parcel: Parcel, why?: string): void {
    const { spool } = this.init;
    const disk = this.over ? spool : this.disk;
    if (!this.cargo.has(parcel)) return;
    if (disk !== undefined) void this.store(parcel, disk);
    else if (spool !== undefined) this.lose(parcel, 'spool_full', why);
    else if (this.over) this.lose(parcel, 'shutdown', this.lastWords);
    else this.lose(parcel, 'queue_full', why);
  }

  private lose(parcel: Parcel, reason: LossReason, why: string | undefined): void {
    if (!this.cargo.has(parcel)) return;
    this.init.losses.add(reason, parcel.spans, why);
    this.cargo.leave(parcel);
  }

  private async store(parcel: Parcel, disk: Spool): Promise<void> {
    // What lies on a disk is always compressed.
    await this.cargo.pack(parcel);
    try {
      await disk.put(parcel);
      this.cargo.leave(parcel);
      this.alarm.set(0);
    } catch (error) {
      if (this.over) this.lose(parcel, this.sealed ? 'shutdown' : 'spool_full', textOf(error));
      else this.place(parcel, textOf(error));
    }
  }

  /** Everything that waits goes to the disk, or is lost. */
  private clear(): void {
    for (const parcel of this.waiting.clear()) this.putAway(parcel);
  }

  private pump(): void {
    if (this.over) return;
    const { clock, concurrency, spool } = this.init;
    const now = clock.now();
    const wait = this.pace.waitMs(now);
    if (wait > 0) {
      this.alarm.set(wait);
      return;
    }
    const width = this.pace.width(concurrency);
    while (this.inflight < width) {
      const parcel = this.waiting.next(this.closing ? Number.POSITIVE_INFINITY : now);
      if (parcel === undefined) break;
      void this.deliver(parcel);
    }
    let next = this.inflight < width ? this.waiting.dueAt - now : Number.POSITIVE_INFINITY;
    if (spool !== undefined && !this.closing && this.inflight < width) {
      const ready = Math.max(this.replayAt - now, spool.waitMs(now));
      if (ready <= 0) void this.replay(spool);
      else next = Math.min(next, ready);
    }
    if (next < Number.POSITIVE_INFINITY) this.alarm.set(Math.max(next, 1));
  }

  /** Sends the oldest batch of the disk: no faster than that, since the collector has just come back. */
  private async replay(spool: Spool): Promise<void> {
    if (this.fetching) return;
    this.fetching = true;
    const spooled = await spool.take();
    this.fetching = false;
    const { clock, replayBytesPerSecond } = this.init;
    const now = clock.now();
    if (spooled !== undefined) {
      const { claim, body, failures } = spooled;
      const { encoding, spans, gzipped } = claim.entry;
      const parcel: Parcel = { encoding, spans, body, gzipped, failures, dueAt: now, since: now, claim };
      this.replayAt = Math.max(now, this.replayAt) + (body.length / replayBytesPerSecond) * 1000;
      this.cargo.hold(parcel);
      void this.deliver(parcel);
    }
    this.alarm.set(0);
  }

  private async deliver(parcel: Parcel): Promise<void> {
    const { round } = this.pace;
    this.inflight++;
    const answer = await this.attempt(parcel);
    this.inflight--;
    if (!this.cargo.has(parcel)) return;
    if (answer.kind === 'later') this.missed(parcel, answer, round);
    else this.judge(parcel, answer);
    if (!this.over) this.alarm.set(0);
  }

  private async attempt(parcel: Parcel): Promise<Answer> {
    try {
      if (!this.init.sender.wantsGzip) await this.cargo.unpack(parcel);
      return await this.exchange.send(parcel);
    } catch (error) {
      return { kind: 'refused', reason: 'export_failed', why: textOf(error) };
    }
  }

  /** It did not get there, as far as anybody knows. */
  private missed(parcel: Parcel, { why, afterMs }: Later, round: number): void {
    // At the end it is us who give up.
    if (!this.over) {
      this.pace.failed(this.init.clock.now(), afterMs, round);
      this.outage.failed(why, this.cargo.spans);
    }
    this.keep(parcel, why);
  }

  private judge(parcel: Parcel, answer: Exclude<Answer, Later>): void {
    const { losses } = this.init;
    this.pace.succeeded();
    this.outage.succeeded();
    if (answer.kind === 'too_large') {
      void this.split(parcel, answer.why);
      return;
    }
    if (answer.kind === 'refused') {
      losses.add(answer.reason, parcel.spans, answer.why);
    } else {
      // A collector that rejects more than it was given has rejected it all.
      const rejected = Math.min(Math.max(0, answer.rejected), parcel.spans);
      losses.add('rejected', rejected, answer.message || 'the collector did not say why');
      this.sentSpans += parcel.spans - rejected;
    }
    this.finish(parcel, answer.kind === 'taken');
  }

  /** There is no use in it any more. A file has to be gone before: the next process would send it again. */
  private finish(parcel: Parcel, sent: boolean): void {
    const { claim } = parcel;
    const { spool } = this.init;
    if (claim === undefined || spool === undefined) this.cargo.leave(parcel);
    else void spool.done(claim, sent).then(() => this.cargo.leave(parcel));
  }

  /** For another try. */
  private keep(parcel: Parcel, why: string): void {
    const { clock, retry, random, giveUpMs, spool } = this.init;
    const now = clock.now();
    parcel.failures++;
    parcel.dueAt = now + backoffMs(parcel.failures, retry, random);
    if (parcel.claim !== undefined && spool !== undefined) {
      void spool.putBack(parcel.claim, parcel.dueAt).then(() => this.cargo.leave(parcel));
      return;
    }
    this.retries++;
    if (this.over) {
      this.putAway(parcel);
    } else if (this.closing && this.disk !== undefined) {
      // The collector is away, and there is no time to wait for it.
      this.putAway(parcel);
      this.clear();
    } else if (now - parcel.since < giveUpMs) {
      // Behind the others: one that the collector cannot take must not keep them.
      this.place(parcel);
    } else if (this.disk !== undefined) {
      this.putAway(parcel);
    } else {
      this.lose(parcel, 'retry_exhausted', why);
    }
  }

  private async split(parcel: Parcel, why: string): Promise<void> {
    const isOpen = await this.cargo.unpack(parcel).then(
      () => true,
      () => false,
    );
    const parts = isOpen ? partsOf(parcel, this.init.clock.now()) : [];
    if (!this.cargo.has(parcel)) return;
    if (parts.length === 0) this.init.losses.add('too_large', parcel.spans, why);
    for (const part of parts) this.cargo.hold(part, parcel);
    this.finish(parcel, false);
    for (const part of parts) this.prepare(part);
  }
}
