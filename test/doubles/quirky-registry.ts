import type { Clock } from 'keelson/core';
import { stringifyLossless } from 'keelson/discovery';

/** What the double answers with; `undefined` for the body means that it never answers. */
export interface QuirkyReply {
  readonly status: number;
  readonly body: string;
}

interface Stored {
  region: string;
  zone: string;
  env: string;
  appid: string;
  hostname: string;
  addrs: string[];
  version: string;
  metadata: Record<string, string>;
  status: number;
  reg_timestamp: bigint;
  up_timestamp: bigint;
  renew_timestamp: bigint;
  dirty_timestamp: bigint;
  latest_timestamp: bigint;
}
interface App {
  latest: bigint;
  readonly zones: Map<string, Map<string, Stored>>;
}
/** A Go channel of capacity 5. */
interface Channel {
  readonly queue: unknown[];
  receiver: ((value: unknown) => void) | undefined;
}
interface Conn {
  readonly channel: Channel;
  count: number;
}

const parkMs = 30_000;

/**
 * One node that behaves as bilibili/discovery at 1e12d5c does, errors included: it does not notice that a poll was given up, it
 * keys parked polls by the client's host name and lets two polls of one name share a channel, it wakes nobody when the last
 * instance of a service leaves, `/set` moves no timestamp, replicated addresses are joined by commas, timestamps count
 * nanoseconds and are different on every node.
 */
export class QuirkyRegistry {
  /** Everything that was asked: `POST /discovery/register`. */
  readonly log: { at: number; request: string; params: URLSearchParams }[] = [];
  /** In protect mode reads answer -500, by HTTP status 200. */
  protect = false;
  /** What `/discovery/nodes` says. */
  nodes: { addr: string; status: number; zone: string }[] = [];
  /** Replaces the answer to a path, for garbage. */
  readonly garbled = new Map<string, QuirkyReply>();
  private readonly apps = new Map<string, App>();
  private readonly conns = new Map<string, Map<string, Conn>>();
  private peers: QuirkyRegistry[] = [];
  private ticks = 0n;

  constructor(
    private readonly clock: Clock,
    /** How far its clock is off. */
    public skewNs = 0n,
  ) {}

  join(...peers: QuirkyRegistry[]): void {
    this.peers = peers;
  }
  /** Forgets everything, as a restart does. Parked polls are whoever holds the connections' business. */
  restart(): void {
    this.apps.clear();
    this.conns.clear();
  }
  count(request: string): number {
    return this.log.filter((entry) => entry.request === request).length;
  }
  /** Parked host names of a service. */
  parked(env: string, appid: string): string[] {
    return [...(this.conns.get(`${env}.${appid}`)?.keys() ?? [])];
  }
  stored(env: string, appid: string): Stored[] {
    const app = this.apps.get(`${appid}-${env}`);
    return [...(app?.zones.values() ?? [])].flatMap((zone) => [...zone.values()]);
  }

  /** @param timeoutMs - what the client says that it will wait, by the header `x1-bmspy-timeout` */
  async handle(
    method: string,
    path: string,
    params: URLSearchParams,
    timeoutMs?: number,
  ): Promise<QuirkyReply> {
    const request = `${method} ${path}`;
    this.log.push({ at: this.clock.now(), request, params });
    const garbled = this.garbled.get(path);
    if (garbled) return garbled;
    switch (request) {
      case 'POST /discovery/register':
        return this.register(params);
      case 'POST /discovery/renew':
        return this.renew(params);
      case 'POST /discovery/cancel':
        return this.cancel(params);
      case 'POST /discovery/set':
        return this.set(params);
      case 'GET /discovery/fetchs':
        return this.fetchs(params);
      case 'GET /discovery/polls':
        return this.polls(params, Math.min(parkMs, (timeoutMs || 40_000) - 20));
      case 'GET /discovery/nodes':
        return this.protect ? coded(-500) : coded(0, this.nodes);
      default:
        return { status: 404, body: '404 page not found' };
    }
  }

  private nowNs(): bigint {
    // Odd on purpose: nearly no such number is a double.
    return (
      BigInt(Math.round(this.clock.wallMs())) * 1_000_000n + this.skewNs + (this.ticks++ % 500_000n) * 2n + 1n
    );
  }

  private register(params: URLSearchParams): QuirkyReply {
    const text = (name: string): string => params.get(name) ?? '';
    const status = Number(text('status'));
    for (const name of ['zone', 'env', 'appid', 'hostname']) if (text(name) === '') return coded(-400);
    if (!(status > 0) || params.getAll('addrs').filter(Boolean).length === 0) return coded(-400);
    if (status > 2) return { status: 200, body: '' };
    const metadata: Record<string, string> = {};
    try {
      for (const [key, value] of Object.entries(JSON.parse(text('metadata') || '{}'))) {
        metadata[key] = typeof value === 'string' ? value : '';
      }
    } catch {
      return coded(-400);
    }
    const now = this.nowNs();
    const stored: Stored = {
      region: text('region'),
      zone: text('zone'),
      env: text('env'),
      appid: text('appid'),
      hostname: text('hostname'),
      addrs: params.getAll('addrs').filter(Boolean),
      version: text('version'),
      metadata,
      status,
      reg_timestamp: now,
      up_timestamp: now,
      renew_timestamp: now,
      dirty_timestamp: BigInt(text('dirty_timestamp') || now),
      latest_timestamp: now,
    };
    const key = `${stored.appid}-${stored.env}`;
    let app = this.apps.get(key);
    if (!app) {
      app = { latest: 0n, zones: new Map() };
      this.apps.set(key, app);
    }
    app.latest = now > app.latest ? now : app.latest + 1n;
    let zone = app.zones.get(stored.zone);
    if (!zone) {
      zone = new Map();
      app.zones.set(stored.zone, zone);
    }
    const old = zone.get(stored.hostname);
    if (!old || old.dirty_timestamp <= stored.dirty_timestamp) zone.set(stored.hostname, stored);
    this.broadcast(stored.env, stored.appid);
    if (params.get('replication') !== 'true') this.replicate('/discovery/register', params, stored);
    return coded(0);
  }

  private replicate(path: string, params: URLSearchParams, stored: Stored): void {
    const form = new URLSearchParams(params);
    form.set('addrs', stored.addrs.join(','));
    form.set('dirty_timestamp', String(stored.dirty_timestamp));
    form.set('replication', 'true');
    for (const peer of this.peers) void peer.handle('POST', path, form);
  }

  private find(params: URLSearchParams): { app: App; zone: Map<string, Stored>; stored: Stored } | undefined {
    const app = this.apps.get(`${params.get('appid')}-${params.get('env')}`);
    const zone = app?.zones.get(params.get('zone') ?? '');
    const stored = zone?.get(params.get('hostname') ?? '');
    return app && zone && stored ? { app, zone, stored } : undefined;
  }

  private renew(params: URLSearchParams): QuirkyReply {
    const found = this.find(params);
    if (!found) return coded(-404, null);
    found.stored.renew_timestamp = this.nowNs();
    if (params.get('replication') !== 'true') this.replicate('/discovery/renew', params, found.stored);
    return coded(0, found.stored);
  }

  private cancel(params: URLSearchParams): QuirkyReply {
    const found = this.find(params);
    if (!found) return coded(-404);
    const { app, zone, stored } = found;
    zone.delete(stored.hostname);
    app.latest += 1n;
    if (zone.size === 0) app.zones.delete(stored.zone);
    if (app.zones.size === 0) this.apps.delete(`${stored.appid}-${stored.env}`);
    this.broadcast(stored.env, stored.appid);
    if (params.get('replication') !== 'true') this.replicate('/discovery/cancel', params, stored);
    return coded(0);
  }

  private set(params: URLSearchParams): QuirkyReply {
    const found = this.find(params);
    if (!found) return coded(-400);
    const status = params.get('status');
    if (status) found.stored.status = Number(status);
    Object.assign(found.stored.metadata, JSON.parse(params.get('metadata') ?? '{}'));
    this.broadcast(found.stored.env, found.stored.appid);
    return coded(0);
  }

  private info(env: string, appid: string): unknown {
    const app = this.apps.get(`${appid}-${env}`);
    if (!app) return undefined;
    const zones = [...app.zones].map(([zone, instances]) => [
      zone,
      [...instances.values()].filter(({ status }) => status === 1).map((stored) => ({ ...stored })),
    ]);
    return { instances: Object.fromEntries(zones), latest_timestamp: app.latest };
  }

  private fetchs(params: URLSearchParams): QuirkyReply {
    if (this.protect) return coded(-500);
    const env = params.get('env') ?? '';
    const apps = params.getAll('appid').map((appid) => [appid, this.info(env, appid)] as const);
    return coded(0, Object.fromEntries(apps.filter(([, info]) => info !== undefined)));
  }

  private async polls(params: URLSearchParams, waitMs: number): Promise<QuirkyReply> {
    if (this.protect) return coded(-500);
    const env = params.get('env') ?? '';
    const hostname = params.get('hostname') ?? '';
    const appids = params.getAll('appid');
    const seen = params.getAll('latest_timestamp');
    if (env === '' || hostname === '' || appids.length === 0 || seen.length !== appids.length)
      return coded(-400);
    const changed: [string, unknown][] = [];
    const missing: string[] = [];
    appids.forEach((appid, at) => {
      const app = this.apps.get(`${appid}-${env}`);
      if (!app) missing.push(appid);
      else if (BigInt(seen[at] ?? '0') < app.latest) changed.push([appid, this.info(env, appid)]);
    });
    if (changed.length > 0) return told(Object.fromEntries(changed), missing);
    let channel: Channel | undefined;
    for (const appid of appids) {
      const key = `${env}.${appid}`;
      const hosts = this.conns.get(key) ?? new Map<string, Conn>();
      this.conns.set(key, hosts);
      const conn = hosts.get(hostname);
      if (conn) {
        conn.count++;
        channel ??= conn.channel;
      } else {
        channel ??= { queue: [], receiver: undefined };
        hosts.set(hostname, { channel, count: 1 });
      }
    }
    const answer = await this.receive(channel as Channel, waitMs);
    for (const appid of appids) {
      const hosts = this.conns.get(`${env}.${appid}`);
      const conn = hosts?.get(hostname);
      if (conn && conn.count > 1) conn.count--;
      else hosts?.delete(hostname);
    }
    return answer === undefined ? coded(-304) : told(answer, missing);
  }

  private receive(channel: Channel, waitMs: number): Promise<unknown> {
    if (channel.queue.length > 0) return Promise.resolve(channel.queue.shift());
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, () => {
        if (channel.receiver === receiver) channel.receiver = undefined;
        resolve(undefined);
      });
      const receiver = (value: unknown): void => {
        timer.cancel();
        channel.receiver = undefined;
        resolve(value);
      };
      // Of two that receive on one channel the older one is first in line, and keeps it.
      channel.receiver ??= receiver;
    });
  }

  private broadcast(env: string, appid: string): void {
    const hosts = this.conns.get(`${env}.${appid}`);
    this.conns.delete(`${env}.${appid}`);
    const info = this.info(env, appid);
    // The last instance left: there is nothing to fetch, and nobody is told.
    if (!hosts || info === undefined) return;
    for (const { channel, count } of hosts.values()) {
      for (let push = 0; push < count; push++) {
        if (channel.receiver) channel.receiver({ [appid]: info });
        else if (channel.queue.length < 5) channel.queue.push({ [appid]: info });
      }
    }
  }
}

function coded(code: number, data?: unknown): QuirkyReply {
  return { status: 200, body: stringifyLossless({ code, message: String(code), ttl: 1, data }) };
}

function told(data: unknown, missing: string[]): QuirkyReply {
  const error = { '-404': missing.length > 0 ? missing : null };
  return { status: 200, body: stringifyLossless({ code: 0, message: '0', data, error }) };
}
