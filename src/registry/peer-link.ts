import type { Timer } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from '../discovery/backoff.js';
import { reasonOf } from '../discovery/discovery-event.js';
import { type Entries, noEntries, type ReadContext, readEntries, readMissing } from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import { tellOriginal } from './original-peer.js';
import { PeerBatch } from './peer-batch.js';
import { PeerQueue, type Pending, type Told } from './peer-queue.js';
import { askPeer, type PeerAnswer, type PeerWire, peerPaths, TooLarge } from './peer-wire.js';

/** What all links of a node have in common. */
export interface LinkContext extends PeerWire {
  readonly random: Random;
  readonly store: InstanceStore;
  /** Id of this node. */
  readonly node: string;
  readonly queueLimit: number;
  /** Bytes of a batch as a form, at most. */
  readonly batchBytes: number;
  readonly now: () => Instant;
  readonly read: () => ReadContext;
  /** Hears what a peer knows. @returns of which instances this node knows more, and which it should be told of */
  readonly absorb: (entries: Entries, from: PeerLink) => void;
  /** A peer can be reached, or not any more. */
  readonly onStatus: (link: PeerLink) => void;
}

/** What a peer understands: nodes of ours take batches and compare digests, those of the original neither. */
export type Dialect = 'ours' | 'original';

const backoff: Backoff = { firstMs: 500, maxMs: 15_000 };
/** Least time between two tries, whatever the jitter. */
const gapMs = 50;
/** Renewals and repairs are not urgent: those of a moment travel together. */
const gatherMs = 200;
const batchSize = 200;
/** Requests under way at once to a peer that takes no batches. */
const concurrency = 16;

/** The way to one peer: what it is still to be told, one batch at a time. Retries with backoff, never throws. */
export class PeerLink {
  /** Unknown until first asked. */
  status: 'unknown' | 'up' | 'lost' = 'unknown';
  dialect: Dialect | undefined;
  /** Why it is lost. */
  reason = '';
  private readonly queue: PeerQueue;
  /** What it showed to lack. A peer that is never content must not be told without a pause. */
  private readonly repairs: PeerQueue;
  private repairing: Timer | undefined;
  private timer: Timer | undefined;
  private sending = false;
  private failures = 0;
  private over = false;
  /** As many bytes as it takes, as far as is known. */
  private batchBytes: number;
  /** Entries that it never takes. */
  private setAside = 0;

  /**
   * @param address - `host:port`
   * @param zone - empty: the own one
   */
  constructor(
    private readonly context: LinkContext,
    readonly address: string,
    readonly zone: string,
  ) {
    this.queue = new PeerQueue(context.queueLimit);
    this.repairs = new PeerQueue(context.queueLimit);
    this.batchBytes = context.batchBytes;
  }

  get queued(): number {
    return this.queue.size;
  }
  get dropped(): number {
    return this.queue.dropped + this.repairs.dropped + this.setAside;
  }
  get otherZone(): boolean {
    return this.zone !== '';
  }
  /** Whether it leads to no peer any more. */
  get closed(): boolean {
    return this.over;
  }

  /** @param done - told when the peer was, or when that failed for the first time, or at once where it is known to be lost */
  push(id: InstanceId, told: Told, done?: () => void): void {
    const lost = this.over || this.status === 'lost';
    if (lost) done?.();
    if (this.over || (lost && told === 'renewal')) return;
    this.queue.push(id, told, lost ? undefined : done);
    this.wake(told === 'state' ? 0 : gatherMs);
  }

  /** It knows less of that than this node: it is told in a moment. */
  repair(id: InstanceId): void {
    if (this.over) return;
    this.repairs.push(id, 'state');
    this.repairing ??= this.context.clock.after(gatherMs, () => {
      this.repairing = undefined;
      this.queue.giveBack(this.repairs.take(Number.POSITIVE_INFINITY));
      this.wake(0);
    });
  }

  /** A comparison reached it. */
  reached(dialect: Dialect): void {
    this.dialect = dialect;
    this.failures = 0;
    this.become('up', '');
    if (this.queue.size > 0) this.wake(0);
  }

  /** A comparison did not. */
  failed(error: unknown): void {
    this.failures++;
    // It may come back as another program.
    this.batchBytes = this.context.batchBytes;
    this.become('lost', reasonOf(error));
  }

  close(): void {
    this.over = true;
    this.timer?.cancel();
    this.repairing?.cancel();
    this.queue.clear();
  }

  private become(status: 'up' | 'lost', reason: string): void {
    if (this.over) return;
    const before = this.status;
    this.status = status;
    this.reason = reason;
    if (status !== before) this.context.onStatus(this);
  }

  private wake(afterMs: number): void {
    // While it is lost only the timer of the last failure sends: a write must not shorten the backoff.
    if (this.over || this.sending || (this.timer && (afterMs > 0 || this.failures > 0))) return;
    this.timer?.cancel();
    this.timer = undefined;
    if (afterMs > 0) this.timer = this.context.clock.after(afterMs, () => this.drain());
    else this.drain();
  }

  private drain(): void {
    this.timer = undefined;
    if (this.sending || this.over) return;
    this.sending = true;
    void this.sendAll();
  }

  private async sendAll(): Promise<void> {
    let batch: readonly Pending[] = [];
    try {
      if (this.dialect === undefined) await this.greet();
      while (!this.over) {
        const { store, now } = this.context;
        const entries = new PeerBatch(store, now(), this.batchBytes);
        const ours = this.dialect === 'ours';
        batch = ours
          ? this.queue.take(batchSize, (pending) => entries.take(pending))
          : this.queue.take(concurrency);
        if (batch.length === 0) break;
        const told = ours ? await this.sendBatch(batch, entries) : await this.sendOneByOne(batch);
        for (const { done } of told) for (const tell of done) tell();
        batch = [];
        this.failures = 0;
        this.become('up', '');
      }
      this.sending = false;
    } catch (error) {
      this.sending = false;
      this.queue.putBack(batch);
      this.failed(error);
      const delayMs = gapMs + fullJitterMs(this.failures, this.context.random, backoff);
      if (!this.over && this.queue.size > 0)
        this.timer = this.context.clock.after(delayMs, () => this.drain());
    }
  }

  /** Finds out what it understands. */
  private async greet(): Promise<void> {
    const form = new URLSearchParams({ node: this.context.node });
    const answer = await askPeer(this.context, this.address, { method: 'GET', path: peerPaths.digest, form });
    if (answer !== 'unknown path' && answer.code === 0) this.dialect = 'ours';
    else this.dialect = await this.original();
  }

  /** Whoever answers 404 could be anything: what is registered here is told to a registry alone. */
  private async original(): Promise<Dialect> {
    const question = { method: 'GET', path: '/discovery/nodes', form: new URLSearchParams() } as const;
    const answer = await askPeer(this.context, this.address, question);
    if (answer === 'unknown path' || answer.code !== 0) throw new Error('it speaks another protocol');
    return 'original';
  }

  private async sendOneByOne(batch: readonly Pending[]): Promise<readonly Pending[]> {
    const { store, read, absorb } = this.context;
    const peer = {
      ...{ wire: this.context, address: this.address, otherZone: this.otherZone, store, context: read },
      onNewer: (record: Entries['records'][number]) => absorb({ ...noEntries, records: [record] }, this),
    };
    const outcomes = await Promise.allSettled(batch.map((pending) => tellOriginal(peer, pending)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    return batch;
  }

  /** @returns those that need not wait any longer */
  private async sendBatch(batch: readonly Pending[], entries: PeerBatch): Promise<readonly Pending[]> {
    const { node, read, absorb } = this.context;
    const form = new URLSearchParams({ node, relay: String(this.otherZone), entries: entries.encode() });
    let answer: PeerAnswer | 'unknown path';
    try {
      answer = await askPeer(this.context, this.address, { method: 'POST', path: peerPaths.merge, form });
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      return this.shrink(batch);
    }
    if (answer === 'unknown path' || answer.code !== 0) {
      // Another program listens there now, or it takes no batches.
      this.dialect = undefined;
      throw new Error('it does not take what its kind takes');
    }
    absorb(readEntries(answer.data, read()).entries, this);
    // What it renewed without knowing it comes back as something to be told.
    for (const id of readMissing(answer.data, read())) this.repair(id);
    return batch;
  }

  /** It takes less than was thought. One entry that is too much by itself is not tried again, or it would hold up all others. */
  private shrink(batch: readonly Pending[]): readonly Pending[] {
    if (batch.length === 1) {
      this.setAside++;
      return batch;
    }
    this.batchBytes /= 2;
    this.queue.giveBack(batch);
    return [];
  }
}
