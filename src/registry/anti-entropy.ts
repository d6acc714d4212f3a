import { instanceKey } from './app-key.js';
import { compareClaims } from './conflict.js';
import { bucketOf, differing, digestOf, isDigest } from './digest.js';
import {
  boundedIdleMs,
  type Entries,
  isMembers,
  type ReadContext,
  readEntries,
  readEverything,
} from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceStore } from './instance-store.js';
import { claimsOf } from './peer-claims.js';
import type { PeerLink } from './peer-link.js';
import { askPeer, type PeerAnswer, type PeerQuestion, type PeerWire, peerPaths } from './peer-wire.js';

/** What a comparison works with. */
export interface AntiEntropyContext extends PeerWire {
  /** Id of this node. */
  readonly node: string;
  readonly store: InstanceStore;
  /** A peer told its wall clock. */
  readonly heard: (address: string, wallMs: number) => void;
  readonly read: () => ReadContext;
  readonly absorb: (entries: Entries, from: PeerLink) => void;
}

/** Buckets asked for at once: a part of everything that fits into memory anywhere. */
const bucketsAtOnce = 32;
/** A bucket that differed before, and in which nothing came of it, is looked at again after so many comparisons. */
const fruitlessRounds = 4;
/** The original tells all or nothing, so it is asked each so many comparisons only. */
const originalRounds = 4;

/**
 * What came of a comparison: `complete`, it has all that is registered; `synced`, it has all that it could learn;
 * `unsynced`, it has just started; `self`, that peer is this node.
 */
export type Compared = 'complete' | 'synced' | 'unsynced' | 'self' | 'skipped';

/**
 * Compares what this node and one peer hold, and takes over what the peer knows better.
 *
 * Between nodes of ours by a digest of 4 KB and those of 256 buckets in which it differs; both sides do so, hence each
 * takes only. With the original by `/fetch/all`, and what that one has in an older version is sent to it.
 */
export class AntiEntropy {
  /** Id of the peer, once it told. */
  peerNode: string | undefined;
  private round = 0;
  private readonly fruitless = new Map<number, { readonly pair: string; readonly round: number }>();

  constructor(
    private readonly context: AntiEntropyContext,
    private readonly link: PeerLink,
  ) {}

  /**
   * @param thorough - also what is usually skipped
   * @throws Error when the peer did not answer
   */
  async compare(thorough: boolean): Promise<Compared> {
    const { node } = this.context;
    this.round++;
    const form = new URLSearchParams({ node });
    const answer = await this.ask({ method: 'GET', path: peerPaths.digest, form });
    if (answer === 'unknown path' || answer.code !== 0) return await this.compareOriginal(thorough);
    const { data } = answer;
    if (!isMembers(data) || !isDigest(data['digest'])) throw new TypeError('its digest cannot be read');
    if (data['node'] === node) return 'self';
    const { wall_ms: wallMs, synced, complete, digest, node: peerNode } = data;
    this.peerNode = typeof peerNode === 'string' ? peerNode : undefined;
    if (typeof wallMs === 'number') this.context.heard(this.link.address, wallMs);
    this.link.reached('ours');
    await this.takeOver(digest, thorough);
    if (synced !== true) return 'unsynced';
    return complete === true ? 'complete' : 'synced';
  }

  /** What arrives when it is a peer no more is not heard: nobody would forget it again. */
  private async ask(question: PeerQuestion): Promise<PeerAnswer | 'unknown path'> {
    const answer = await askPeer(this.context, this.link.address, question);
    if (this.link.closed) throw new Error('it is no peer any more');
    return answer;
  }

  private async takeOver(theirs: string, thorough: boolean): Promise<void> {
    const wanted = this.worth(theirs, thorough);
    for (let at = 0; at < wanted.length; at += bucketsAtOnce) {
      const buckets = wanted.slice(at, at + bucketsAtOnce);
      const form = new URLSearchParams({ node: this.context.node });
      for (const bucket of buckets) form.append('bucket', String(bucket));
      const answer = await this.ask({ method: 'GET', path: peerPaths.entries, form });
      if (answer === 'unknown path' || answer.code !== 0) throw new Error('it does not tell what it holds');
      this.context.absorb(readEntries(answer.data, this.context.read()).entries, this.link);
    }
    const ours = this.own();
    for (const bucket of wanted)
      if (bucketOf(ours, bucket) === bucketOf(theirs, bucket)) this.fruitless.delete(bucket);
      else this.fruitless.set(bucket, { pair: pairOf(ours, theirs, bucket), round: this.round });
  }

  /** What one node evicted and another still protects differs for as long as that lasts, and need not be sent each time. */
  private worth(theirs: string, thorough: boolean): readonly number[] {
    const ours = this.own();
    return differing(ours, theirs).filter((bucket) => {
      const before = this.fruitless.get(bucket);
      return (
        thorough ||
        before?.pair !== pairOf(ours, theirs, bucket) ||
        this.round - before.round >= fruitlessRounds
      );
    });
  }

  private own(): string {
    return digestOf(claimsOf(this.context.store, this.context.clock.now()));
  }

  private async compareOriginal(thorough: boolean): Promise<Compared> {
    const { context, link } = this;
    const known = link.dialect === 'original' && link.status === 'up';
    if (known && !thorough && this.round % originalRounds !== 0) {
      link.reached('original');
      return 'skipped';
    }
    const form = new URLSearchParams();
    const answer = await this.ask({ method: 'GET', path: '/discovery/fetch/all', form });
    if (answer === 'unknown path') throw new Error('it speaks another protocol');
    if (answer.code !== 0) throw new Error(`code ${answer.code}`);
    const { dateMs } = answer;
    if (dateMs !== undefined) context.heard(link.address, dateMs);
    link.reached('original');
    const read = { ...context.read(), idleMsOf: idleMsBy(dateMs ?? context.clock.wallMs()) };
    const { entries } = readEverything(answer.data, read);
    context.absorb(entries, link);
    this.tellWhatIsOutdated(entries);
    // It does not tell when it started.
    return 'synced';
  }

  /** What it lacks altogether may have been cancelled there, without our hearing of it: that is for renewals to tell. */
  private tellWhatIsOutdated({ records }: Entries): void {
    const { store, clock } = this.context;
    const theirs = new Map(records.map((record) => [instanceKey(record), record.dirty ?? 0n]));
    const tell: InstanceId[] = [];
    for (const record of store.records()) {
      const dirtyNs = theirs.get(instanceKey(record));
      if (!record.stale && dirtyNs !== undefined && dirtyNs < record.dirtyNs) tell.push(record);
    }
    for (const cancelled of store.cancellations(clock.now())) {
      const dirtyNs = theirs.get(instanceKey(cancelled));
      const gone = { ...cancelled, cancelled: true, content: '' };
      if (dirtyNs !== undefined && compareClaims(gone, { dirtyNs, cancelled: false, content: '' }) > 0)
        tell.push(cancelled);
    }
    for (const id of tell) this.link.repair(id);
  }
}

function pairOf(ours: string, theirs: string, bucket: number): string {
  return bucketOf(ours, bucket) + bucketOf(theirs, bucket);
}

/** The age of an instance by the clock of the node that tells of it. */
function idleMsBy(nowMs: number): ReadContext['idleMsOf'] {
  return (members) => {
    const renewed = members['renew_timestamp'];
    const renewedMs = typeof renewed === 'bigint' ? Number(renewed / 1_000_000n) : Number(renewed) / 1e6;
    return boundedIdleMs(nowMs - renewedMs);
  };
}
