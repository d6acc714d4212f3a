import { stringify } from '../discovery/lossless-json.js';
import { instanceKey } from './app-key.js';
import { type Claim, freshVersion } from './conflict.js';
import { type Mark, markOf } from './digest.js';
import type { InstanceId } from './instance-id.js';
import type { Instant } from './instant.js';

/** 1: takes traffic. 2: registered, waiting. Also the bits of a status filter. */
export type InstanceStatus = 1 | 2;

/** What an instance says of itself. */
export interface InstanceRegistration extends InstanceId {
  /** Geographic region; may be empty. */
  readonly region: string;
  /** Where it listens. */
  readonly addrs: readonly string[];
  /** Version of the service; may be empty. */
  readonly version: string;
  /** Whether it takes traffic. */
  readonly status: InstanceStatus;
  /** Labels. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Version of this description, as a replicating peer knows it; nanoseconds. Absent: newer than whatever is stored. */
  readonly dirty?: bigint | undefined;
  /** Timestamp the app should at least get, as a replicating peer knows it; nanoseconds. */
  readonly latest?: bigint | undefined;
  /** Time since the instance was last heard of, by whoever; milliseconds. Absent: it is being heard of now. */
  readonly idleMs?: number | undefined;
  /** Known from before a restart only. Until it is heard of, no peer is told of it. */
  readonly stale?: boolean | undefined;
  /** Never expires: the registry itself. */
  readonly permanent?: boolean | undefined;
}

/** A registered instance, as the store hands it out. */
export interface StoredInstance extends InstanceId, Claim {
  /** Whether it takes traffic. */
  readonly status: InstanceStatus;
  /** Labels. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Where it listens. */
  readonly addrs: readonly string[];
  /** Version of its description; nanoseconds. */
  readonly dirtyNs: bigint;
  /** When it registered or last renewed, anywhere; monotonic milliseconds. */
  readonly renewedMs: number;
  /** Known from before a restart, and not heard of since. */
  readonly stale: boolean;
  /** Never expires. */
  readonly permanent: boolean;
  /** Its part of the digest. */
  readonly mark: Mark;
  /** What it says of itself, as it is now. */
  describe(): InstanceRegistration & { readonly latest: bigint };
  /** Its JSON, as the protocol has it. */
  encode(): string;
}

/** The same text for the same description, whatever order its labels came in. */
export function contentOf(said: Omit<InstanceRegistration, keyof InstanceId>): string {
  const labels = [...said.metadata].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([said.status, said.region, said.version, said.addrs, labels]);
}

function earlierNs({ ns }: Instant, byMs: number): bigint {
  return ns - BigInt(Math.floor(byMs)) * 1_000_000n;
}

/** One registered instance and its five timestamps. */
export class InstanceRecord implements StoredInstance {
  readonly env: string;
  readonly appid: string;
  readonly zone: string;
  readonly hostname: string;
  readonly permanent: boolean;
  readonly cancelled = false;
  status: InstanceStatus;
  metadata: ReadonlyMap<string, string>;
  dirtyNs: bigint;
  renewedMs: number;
  stale: boolean;
  private readonly registeredNs: bigint;
  private upNs: bigint;
  private renewedNs: bigint;
  private latestNs: bigint;
  /** Its JSON before and after the only part that changes all the time, the renewal's timestamp. */
  private texts: readonly [before: string, after: string] | undefined;
  private known: string | undefined;
  private marked: Mark | undefined;

  /** @param before - what it takes the place of: of a record it keeps the time of coming up, and the last renewal if that is later */
  constructor(
    private readonly given: InstanceRegistration,
    at: Instant,
    before: { readonly record?: InstanceRecord | undefined; readonly dirtyNs?: bigint | undefined },
  ) {
    const { idleMs = 0 } = given;
    this.env = given.env;
    this.appid = given.appid;
    this.zone = given.zone;
    this.hostname = given.hostname;
    this.permanent = given.permanent === true;
    this.stale = given.stale === true;
    this.status = given.status;
    this.metadata = given.metadata;
    this.dirtyNs = given.dirty ?? freshVersion(at.clusterNs ?? at.ns, before.record?.dirtyNs, before.dirtyNs);
    const renewedMs = at.ms - idleMs;
    // Who knows the newer description may have heard of the instance longer ago.
    const later = before.record && before.record.renewedMs > renewedMs ? before.record : undefined;
    this.renewedMs = later?.renewedMs ?? renewedMs;
    this.registeredNs = at.ns;
    this.upNs = before.record?.upNs ?? at.ns;
    this.renewedNs = later?.renewedNs ?? earlierNs(at, idleMs);
    this.latestNs = at.ns;
  }

  get addrs(): readonly string[] {
    return this.given.addrs;
  }

  get content(): string {
    this.known ??= contentOf(this.describe());
    return this.known;
  }

  get mark(): Mark {
    this.marked ??= markOf(instanceKey(this), `${this.dirtyNs}${this.content}`);
    return this.marked;
  }

  describe(): InstanceRegistration & { readonly latest: bigint } {
    const { status, metadata, dirtyNs: dirty, latestNs: latest } = this;
    const { env, appid, zone, hostname, region, addrs, version } = this.given;
    return { env, appid, zone, hostname, region, addrs, version, status, metadata, dirty, latest };
  }

  /** @param idleMs - how long ago that was */
  renew(at: Instant, idleMs = 0): void {
    const renewedMs = at.ms - idleMs;
    this.stale = false;
    // Hearsay that is older than what is known says nothing.
    if (idleMs > 0 && renewedMs <= this.renewedMs) return;
    this.renewedMs = renewedMs;
    this.renewedNs = earlierNs(at, idleMs);
  }

  /** @param stampNs - when the change was made, as its sender says */
  change(status: InstanceStatus | undefined, metadata: ReadonlyMap<string, string>, stampNs: bigint): void {
    if (status !== undefined) this.status = status;
    if (status === 1) this.upNs = stampNs;
    this.metadata = metadata;
    this.latestNs = stampNs;
    this.dirtyNs = freshVersion(stampNs, this.dirtyNs);
    this.texts = undefined;
    this.known = undefined;
    this.marked = undefined;
  }

  /** Its JSON. All but the renewal's timestamp is made once per state of it. */
  encode(): string {
    this.texts ??= this.encodeOthers();
    const [before, after] = this.texts;
    return `${before}${this.renewedNs}${after}`;
  }

  private encodeOthers(): readonly [string, string] {
    const before = stringify({
      region: this.given.region,
      zone: this.zone,
      env: this.env,
      appid: this.appid,
      hostname: this.hostname,
      addrs: this.given.addrs,
      version: this.given.version,
      metadata: Object.fromEntries(this.metadata),
      status: this.status,
      reg_timestamp: this.registeredNs,
      up_timestamp: this.upNs,
    });
    const after = stringify({ dirty_timestamp: this.dirtyNs, latest_timestamp: this.latestNs });
    return [`${before.slice(0, -1)},"renew_timestamp":`, `,${after.slice(1)}`];
  }
}

/** What the original answers instead of an instance that is unknown within an app that is known. */
export const blankInstance =
  '{"region":"","zone":"","env":"","appid":"","hostname":"","addrs":null,"version":"","metadata":null,"status":0,' +
  '"reg_timestamp":0,"up_timestamp":0,"renew_timestamp":0,"dirty_timestamp":0,"latest_timestamp":0}';
