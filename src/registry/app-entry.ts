import type { InstanceRecord } from './instance-record.js';

/** A list of instances as it goes over the wire. */
export interface Snapshot {
  /** `{"instances":{zone:[…]},"latest_timestamp":…}`; shared by all who are sent it, never to be written to. */
  readonly json: Buffer;
  /** How many instances it lists. */
  readonly instances: number;
  /** Whether the zone that was asked for has any instance, of whatever status. */
  readonly known: boolean;
}

/** The instances of one app in one env, by zone, and the counter that says when they last changed. */
export class AppEntry {
  readonly zones = new Map<string, Map<string, InstanceRecord>>();
  size = 0;
  /** When the last instance left; monotonic milliseconds. */
  emptiedMs = 0;
  /** How clients are to spread their calls over zones, as JSON; absent: nobody said. */
  scheduler: string | undefined;
  private readonly snapshots = new Map<string, Snapshot>();

  /**
   * @param key - identity of the app
   * @param latest - change counter in nanoseconds; only ever rises
   * @param onEncode - told of each list that is encoded
   */
  constructor(
    readonly key: string,
    public latest: bigint,
    private readonly onEncode: () => void,
  ) {}

  find(zone: string, hostname: string): InstanceRecord | undefined {
    return this.zones.get(zone)?.get(hostname);
  }

  put(record: InstanceRecord): void {
    let zone = this.zones.get(record.zone);
    if (zone === undefined) {
      zone = new Map();
      this.zones.set(record.zone, zone);
    }
    if (!zone.has(record.hostname)) this.size++;
    zone.set(record.hostname, record);
  }

  remove(record: InstanceRecord): void {
    const zone = this.zones.get(record.zone);
    if (!zone?.delete(record.hostname)) return;
    this.size--;
    if (zone.size === 0) this.zones.delete(record.zone);
  }

  /** @param given - the least it should become; it rises by one at least */
  bump(given: bigint): void {
    const next = this.latest + 1n;
    this.latest = given > next ? given : next;
    this.forgetSnapshots();
  }

  /** The lists hold something that is out of date, although nobody has to be told. */
  forgetSnapshots(): void {
    this.snapshots.clear();
  }

  /** Bytes of the lists that are kept. */
  get listBytes(): number {
    let bytes = 0;
    for (const { json } of this.snapshots.values()) bytes += json.length;
    return bytes;
  }

  /**
   * @param zone - one zone; empty for all
   * @param status - bits of the statuses wanted
   */
  snapshot(zone: string, status: number): Snapshot {
    // Any number of unknown zones can be asked for; none of them is worth keeping.
    if (zone !== '' && !this.zones.has(zone)) return this.encode([], status);
    const key = `${status & 3}${zone}`;
    let snapshot = this.snapshots.get(key);
    if (snapshot === undefined) {
      snapshot = this.encode(zone === '' ? [...this.zones.keys()] : [zone], status);
      this.snapshots.set(key, snapshot);
    }
    return snapshot;
  }

  private encode(names: readonly string[], status: number): Snapshot {
    this.onEncode();
    let instances = 0;
    const zones = names.map((name) => {
      const listed: string[] = [];
      for (const record of this.zones.get(name)?.values() ?? [])
        if ((record.status & status) !== 0) listed.push(record.encode());
      instances += listed.length;
      return `${JSON.stringify(name)}:[${listed.join(',')}]`;
    });
    const scheduler = this.scheduler === undefined ? '' : `"scheduler":${this.scheduler},`;
    const json = `{"instances":{${zones.join(',')}},${scheduler}"latest_timestamp":${this.latest}}`;
    return { json: Buffer.from(json), instances, known: names.length > 0 };
  }
}
