import { stringify } from '../discovery/lossless-json.js';
import { type Instant, maxNs } from './instant.js';

/** 1: takes traffic. 2: registered, waiting. Also the bits of a status filter. */
export type InstanceStatus = 1 | 2;

/** What tells instances apart. */
export interface InstanceId {
  /** Deployment environment. */
  readonly env: string;
  /** Name of the service. */
  readonly appid: string;
  /** Failure domain. */
  readonly zone: string;
  /** Unique within env, appid and zone. */
  readonly hostname: string;
}

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
  /** Never expires: the registry itself. */
  readonly permanent?: boolean | undefined;
}

/** A registered instance, as the store hands it out. */
export interface StoredInstance extends InstanceId {
  /** Whether it takes traffic. */
  readonly status: InstanceStatus;
  /** Labels. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Version of its description; nanoseconds. */
  readonly dirtyNs: bigint;
  /** When it registered or last renewed; monotonic milliseconds. */
  readonly renewedMs: number;
  /** Never expires. */
  readonly permanent: boolean;
  /** Its JSON, as the protocol has it. */
  encode(): string;
}

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** One registered instance and its five timestamps. */
export class InstanceRecord implements StoredInstance {
  readonly env: string;
  readonly appid: string;
  readonly zone: string;
  readonly hostname: string;
  readonly permanent: boolean;
  status: InstanceStatus;
  metadata: ReadonlyMap<string, string>;
  dirtyNs: bigint;
  renewedMs: number;
  private readonly registeredNs: bigint;
  private upNs: bigint;
  private renewedNs: bigint;
  private latestNs: bigint;
  private text: string | undefined;

  /** @param before - the record it takes the place of: it keeps that one's time of coming up */
  constructor(
    private readonly given: InstanceRegistration,
    at: Instant,
    before: InstanceRecord | undefined,
  ) {
    this.env = given.env;
    this.appid = given.appid;
    this.zone = given.zone;
    this.hostname = given.hostname;
    this.permanent = given.permanent === true;
    this.status = given.status;
    this.metadata = given.metadata;
    // A newcomer that names no version of its own is newer by definition, also after the wall clock was set back.
    const newer = before === undefined ? at.ns : larger(at.ns, before.dirtyNs + 1n);
    this.dirtyNs = given.dirty ?? (newer > maxNs ? maxNs : newer);
    this.renewedMs = at.ms;
    this.registeredNs = at.ns;
    this.upNs = before?.upNs ?? at.ns;
    this.renewedNs = at.ns;
    this.latestNs = at.ns;
  }

  renew(at: Instant): void {
    this.renewedMs = at.ms;
    this.renewedNs = at.ns;
    this.text = undefined;
  }

  /** @param stampNs - when the change was made, as its sender says */
  change(status: InstanceStatus | undefined, metadata: ReadonlyMap<string, string>, stampNs: bigint): void {
    if (status !== undefined) this.status = status;
    if (status === 1) this.upNs = stampNs;
    this.metadata = metadata;
    this.latestNs = stampNs;
    this.dirtyNs = larger(stampNs, this.dirtyNs);
    this.text = undefined;
  }

  /** Its JSON, made once per state of it. */
  encode(): string {
    this.text ??= stringify({
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
      renew_timestamp: this.renewedNs,
      dirty_timestamp: this.dirtyNs,
      latest_timestamp: this.latestNs,
    });
    return this.text;
  }
}

/** What the original answers instead of an instance that is unknown within an app that is known. */
export const blankInstance =
  '{"region":"","zone":"","env":"","appid":"","hostname":"","addrs":null,"version":"","metadata":null,"status":0,' +
  '"reg_timestamp":0,"up_timestamp":0,"renew_timestamp":0,"dirty_timestamp":0,"latest_timestamp":0}';
