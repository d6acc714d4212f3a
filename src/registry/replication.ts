import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { reasonOf } from '../discovery/discovery-event.js';
import type { RegistryTransport } from '../discovery/transport.js';
import { allTold } from './all-told.js';
import { AntiEntropy } from './anti-entropy.js';
import { instanceKey, ownAppid } from './app-key.js';
import { ClientWrites } from './client-writes.js';
import { ClusterTime } from './cluster-time.js';
import { freshVersion } from './conflict.js';
import { Defence, type Said } from './defence.js';
import { type Entries, type ReadContext, toldIdleMs } from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceRegistration } from './instance-record.js';
import type { InstanceStore } from './instance-store.js';
import { clusterNsOf, type Instant, instantOf } from './instant.js';
import type { Lifecycle } from './lifecycle.js';
import type { RegistryLimits } from './limits.js';
import { type Member, peersOf, registeredMembers } from './membership.js';
import { type Merged, merge } from './merge.js';
import { type Asked, Opening } from './opening.js';
import { OwnAddresses } from './own-addresses.js';
import { withoutOwnClaims } from './own-claims.js';
import { PeerLink } from './peer-link.js';
import type { Told } from './peer-queue.js';
import { linksWithin, type Reach } from './reach.js';
import type { Tell } from './registry-event.js';
import { toldInstances } from './told-names.js';

/** What a node that has peers needs. */
export interface ReplicationInit {
  readonly store: InstanceStore;
  readonly lifecycle: Lifecycle;
  readonly limits: RegistryLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: RegistryTransport;
  readonly zone: string;
  readonly peers: readonly Member[];
  /** Whether nodes that only registered are not followed: they would have to be shown the token. */
  readonly givenOnly: boolean;
  readonly expiryMs: number;
  readonly renewMs: number;
  readonly compareIntervalMs: number;
  readonly replyWaitMs: number;
  readonly syncTimeoutMs: number;
  readonly peerTimeoutMs: number;
  readonly tell: Tell;
}

/** A node as `/discovery/nodes` and the statistics tell of it. */
export interface PeerState {
  /** `host:port`. */
  readonly address: string;
  /** Its zone; empty for the own one. */
  readonly zone: string;
  /** Whether it answered lately; unknown before it was first asked. */
  readonly status: 'unknown' | 'up' | 'lost';
  /** Instances of which it is still to be told. */
  readonly queued: number;
  /** Of which it was not told, because there were too many. */
  readonly dropped: number;
}

interface Peer {
  readonly link: PeerLink;
  readonly compare: AntiEntropy;
  comparing: boolean;
}

/** Of the bytes of a body that this node reads, those that a batch may fill: the rest is for what is around its entries. */
const batchShare = 0.75;
const batchBytes = 192 * 1024;
/** How long a leaving node waits for its peers to be told. */
const farewellMs = 1_000;

/** Keeps the nodes of a cluster of one mind. The rules are those of {@link Claim}; here is who is told what, and when. */
export class Replication {
  /** Names this node to its peers, and lets it know itself. */
  readonly node = randomUUID();
  readonly time = new ClusterTime();
  private own: InstanceRegistration | undefined;
  private readonly peers = new Map<string, Peer>();
  private readonly ownAddresses = new OwnAddresses();
  private readonly timers = new Set<Timer>();
  private over = false;
  private readonly defence: Defence;
  private readonly opening: Opening;
  private readonly writes: ClientWrites;

  constructor(private readonly init: ReplicationInit) {
    const { clock, tell, store, lifecycle, expiryMs, syncTimeoutMs, limits } = init;
    const later = (ms: number, run: () => void) => this.later(ms, run);
    this.defence = new Defence({ clock, tell, later, correct: (outdoneNs) => this.correct(outdoneNs) });
    this.writes = new ClientWrites(store, limits.peerQueue);
    this.opening = new Opening({
      ...{ store, lifecycle, clock, expiryMs, syncTimeoutMs, later, tell },
      now: () => this.now(),
      addresses: () => [...this.peers.keys()],
      ask: (address) => this.compare(address, true),
      onOpen: () => this.onOpen(),
      isOver: () => this.over,
    });
  }

  /** Until it is, it is not to be read. */
  get synced(): boolean {
    return this.opening.synced;
  }
  /** Whether who is not listed here is not registered. */
  get complete(): boolean {
    return this.opening.complete;
  }

  now(): Instant {
    return instantOf(this.init.clock, this.time.aheadMs);
  }

  /** Joins. @param own - how this node registers itself */
  begin(own: InstanceRegistration, address: string): void {
    this.own = own;
    this.ownAddresses.advertised = address;
    this.init.store.register(own, this.now());
    // What peers tell may be from before they were cut off themselves.
    this.init.lifecycle.shelter(this.now().ms);
    this.follow();
    void this.opening.begin();
    this.repeat(this.init.renewMs, () => void this.push(own, 'renewal', 'everywhere'));
    this.repeat(this.init.compareIntervalMs, () => this.compareAll());
  }

  /** The list of an app changed. */
  changed(key: string): void {
    if (key === ownAppid && this.own && !this.over) this.follow();
  }

  /** Whether that is this node itself. */
  isOwn(id: InstanceId): boolean {
    return this.own !== undefined && instanceKey(this.own) === instanceKey(id);
  }

  /**
   * Tells the nodes of the zone of a write and, unless it came from another zone, one node of each other zone.
   *
   * @returns resolves when they were told, or when it has lasted long enough; absent: there is nothing to wait for
   */
  push(id: InstanceId, told: Told, reach: Reach): Promise<void> | undefined {
    const links = this.links(reach);
    const { replyWaitMs, clock } = this.init;
    const awaited = links.filter(({ status }) => status !== 'lost').length;
    if (told === 'renewal' || replyWaitMs === 0 || awaited === 0) {
      for (const link of links) link.push(id, told);
      return undefined;
    }
    return allTold({ clock, count: awaited, boundMs: replyWaitMs }, (done) => {
      for (const link of links) link.push(id, told, link.status === 'lost' ? undefined : done);
    });
  }

  /** Clients wrote that, and told no version. Unless all tell the time, nobody knows whether theirs is new enough. */
  wrote(ids: readonly InstanceId[]): void {
    if (!this.knowsTime) for (const id of ids) this.writes.note(id, this.now());
  }

  /** Hears a node out. @param relay - whether the others of the zone are to be told what is new */
  hear(entries: Entries, relay = false): Merged {
    const { store, lifecycle } = this.init;
    const allowedMs = this.synced ? lifecycle.allowedMs : lifecycle.longestMs;
    const others = withoutOwnClaims(
      entries,
      (id) => this.isOwn(id),
      (said) => this.hearOfSelf(said),
    );
    const merged = merge(others, { store, lifecycle, at: this.now(), allowedMs });
    if (relay) {
      for (const id of merged.changed) void this.push(id, 'state', 'own zone');
      for (const id of entries.renewals) void this.push(id, 'renewal', 'own zone');
    }
    return merged;
  }

  /** A node asks something: if it was lost, it is back. */
  heardFrom(node: string): void {
    for (const [address, { link, compare }] of this.peers)
      if (link.status === 'lost' && compare.peerNode === node) void this.compare(address, true);
  }

  /** Somebody says of this node what it does not say itself. */
  hearOfSelf(said: Said): void {
    const record = this.own && this.init.store.find(this.own);
    if (!this.over && this.own && record) this.defence.hear(said, record);
  }

  private correct(outdoneNs: bigint): void {
    if (!this.own) return;
    const at = this.now();
    const dirty = freshVersion(clusterNsOf(at), outdoneNs);
    this.init.store.register({ ...this.own, dirty }, at);
    void this.push(this.own, 'state', 'everywhere');
  }

  /** What reading from peers takes. */
  readonly read = (): ReadContext => ({ limits: this.init.limits, at: this.now(), idleMsOf: toldIdleMs });

  states(): readonly PeerState[] {
    return [...this.peers.values()].map(({ link: { address, zone, status, queued, dropped } }) => ({
      ...{ address, zone, status, queued, dropped },
    }));
  }

  /** Says goodbye to the peers, for a second at most. */
  async close(): Promise<void> {
    this.over = true;
    for (const timer of this.timers) timer.cancel();
    if (this.own) {
      this.init.store.cancel(this.own, this.now());
      await this.farewell(this.own);
    }
    for (const { link } of this.peers.values()) link.close();
    this.init.transport.close();
  }

  private farewell(own: InstanceId): Promise<void> {
    const links = this.links('everywhere').filter(({ status }) => status === 'up');
    if (links.length === 0) return Promise.resolve();
    return allTold({ clock: this.init.clock, count: links.length, boundMs: farewellMs }, (done) => {
      for (const link of links) link.push(own, 'state', done);
    });
  }

  private links(reach: Reach): readonly PeerLink[] {
    const all = [...this.peers.values()].map(({ link }) => link);
    return linksWithin(reach, all, this.init.random);
  }

  private follow(): void {
    const { store, zone, peers, limits, givenOnly } = this.init;
    const among = { limit: limits.peers, not: this.ownAddresses, givenOnly };
    const wanted = peersOf(registeredMembers(store, zone), peers, among);
    const byAddress = new Map(wanted.map((member) => [member.address, member]));
    for (const [address, { link }] of this.peers)
      if (byAddress.get(address)?.zone !== link.zone) this.drop(address);
    for (const member of wanted) {
      const peer = this.peers.get(member.address);
      if (peer === undefined) this.add(member);
      // It may be that one that registered just now.
      else if (peer.link.status === 'lost') void this.compare(member.address, true);
    }
  }

  private add({ address, zone }: Member): void {
    const { store, limits, clock, random, transport, peerTimeoutMs: timeoutMs } = this.init;
    const { node, read } = this;
    const absorb = (entries: Entries, from: PeerLink): void => {
      if (from.closed) return;
      const merged = this.hear(entries);
      for (const id of merged.newer) from.repair(id);
      for (const { count, names } of toldInstances(merged.changed))
        this.init.tell('merged', { from: from.address, changed: count, instances: names });
    };
    const common = { transport, clock, timeoutMs, node, store, read, absorb };
    const link = new PeerLink(
      {
        ...common,
        random,
        queueLimit: limits.peerQueue,
        batchBytes: Math.min(batchBytes, limits.bodyBytes * batchShare),
        now: () => this.now(),
        onStatus: (changed) => this.onStatus(changed),
      },
      address,
      zone,
    );
    const heard = (from: string, wallMs: number): void => this.hearTime(from, wallMs);
    const compare = new AntiEntropy({ ...common, heard }, link);
    this.peers.set(address, { link, compare, comparing: false });
    // One that joined: what it has to tell should not wait for the next round.
    if (this.synced) void this.compare(address, true);
  }

  private drop(address: string): void {
    this.peers.get(address)?.link.close();
    this.peers.delete(address);
    this.time.left(address, this.init.clock.now());
  }

  private get knowsTime(): boolean {
    return this.peers.size > 0 && [...this.peers.keys()].every((address) => this.time.knows(address));
  }

  private hearTime(from: string, wallMs: number): void {
    const before = this.time.aheadMs;
    this.time.heard(from, wallMs, this.init.clock.wallMs());
    if (this.time.aheadMs > before) {
      const { changed } = this.hear(this.writes.corrected(this.now()));
      for (const id of changed) void this.push(id, 'state', 'everywhere');
    }
    if (this.knowsTime) this.writes.clear();
  }

  private onStatus({ address, status, reason }: PeerLink): void {
    if (this.over || !this.peers.has(address)) return;
    this.init.tell('peer', { address, status, ...(reason !== '' && { reason }) });
    if (status === 'up') void this.compare(address, true);
  }

  /** @returns `failed` when it did not answer; never throws */
  private async compare(address: string, thorough: boolean): Promise<Asked> {
    const peer = this.peers.get(address);
    if (peer === undefined || peer.comparing || this.over) return 'skipped';
    peer.comparing = true;
    try {
      const compared = await peer.compare.compare(thorough);
      if (compared === 'self') {
        this.ownAddresses.meet(address, this.init.clock.now());
        this.drop(address);
      }
      return compared;
    } catch (error) {
      peer.link.failed(error);
      return /ECONNREFUSED/.test(`${reasonOf(error)} ${(error as NodeJS.ErrnoException).code}`)
        ? 'refused'
        : 'failed';
    } finally {
      peer.comparing = false;
    }
  }

  private compareAll(): void {
    const nowMs = this.init.clock.now();
    this.time.expire(nowMs);
    this.writes.expire(nowMs);
    if (this.ownAddresses.expire(nowMs)) this.follow();
    for (const { address } of this.links('everywhere')) void this.compare(address, false);
  }

  private onOpen(): void {
    // Until now nobody was told: who joins late learns everything by comparing.
    if (this.own) void this.push(this.own, 'state', 'everywhere');
  }

  private repeat(everyMs: number, run: () => void): void {
    // Nodes that were started together do not stay in step.
    this.later(everyMs * (0.8 + 0.2 * this.init.random()), () => {
      run();
      this.repeat(everyMs, run);
    });
  }

  private later(ms: number, run: () => void): Timer {
    const timer = this.init.clock.after(ms, () => {
      this.timers.delete(timer);
      if (!this.over) run();
    });
    this.timers.add(timer);
    return timer;
  }
}
