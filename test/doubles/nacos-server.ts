import type { Clock, Timer } from 'keelson/core';
import { type Answer, type Asked, HttpDouble } from './http-double.js';

// A Nacos server. Behaviours, each from the source of alibaba/nacos at 486e198 (3.1) and its tag 2.4.3:
//
// - v1 (Nacos 1 and 2, and 3 unless it is switched off): POST, DELETE /v1/ns/instance answer `ok`; PUT .../beat answers
//   {code: 10200 | 20404, clientBeatInterval, lightBeatEnabled}, and without `beat` says 20404 of what it does not know;
//   GET .../list answers {hosts: […]}; the name has to be `group@@name` (naming/controllers/InstanceController)
// - v3 (from Nacos 3): POST /v3/client/ns/instance registers, with heartBeat=true renews, 21003 for what is not there;
//   GET .../list answers {code: 0, data: […]}; DELETE of what is not there is success (controllers/v3/InstanceOpenApiController)
// - v1 on a Nacos 3 that has it switched off: 410 (core/controller/compatibility/ApiCompatibilityFilter)
// - a missing parameter, a weight out of 0 to 10000: 400 (InstanceForm, NamingUtils)
// - an instance that is not renewed is unhealthy after 15 s and gone after 30 s (api/common/Constants); lists leave out
//   those that are not enabled, and have those that are not healthy (InstanceOperatorClientImpl.listInstance); all are
//   healthy when fewer than the protection threshold are (utils/ServiceUtil)
// - forms are read from the query, and from the body of POST
// - login: POST /v1/auth/login or /v3/auth/user/login with username and password, {accessToken, tokenTtl in s}; the token
//   comes back as `Authorization: Bearer` or accessToken; without one, or with one that is unknown or too old: 403
//   (plugin-default-impl/nacos-default-auth-plugin)

interface Host {
  readonly service: string;
  readonly ip: string;
  readonly port: number;
  readonly weight: number;
  readonly enabled: boolean;
  readonly clusterName: string;
  readonly metadata: Record<string, string>;
  healthy: boolean;
  timer: Timer | undefined;
}

/** What the servers of one cluster know together. */
export class NacosCluster {
  readonly hosts = new Map<string, Host>();
  protectThreshold = 0;

  constructor(readonly clock: Clock) {}

  /** A restart of all: instances are in memory only. */
  forget(): void {
    for (const { timer } of this.hosts.values()) timer?.cancel();
    this.hosts.clear();
  }

  beat(key: string): boolean {
    const host = this.hosts.get(key);
    if (!host) return false;
    host.healthy = true;
    host.timer?.cancel();
    host.timer = this.clock.after(15_000, () => {
      host.healthy = false;
      host.timer = this.clock.after(15_000, () => void this.hosts.delete(key));
    });
    return true;
  }
}

export class NacosServerDouble extends HttpDouble {
  /** Undefined without authentication. */
  users: Record<string, string> | undefined;
  tokenTtlMs = 18_000_000;
  /** Whether Nacos 3 still takes v1. */
  compatible = true;
  private readonly tokens = new Map<string, number>();
  private made = 0;

  constructor(
    readonly cluster: NacosCluster,
    readonly version: 2 | 3,
  ) {
    super();
  }

  /** A secret that was changed: no token counts any more. */
  revoke(): void {
    this.tokens.clear();
  }

  protected override answer(asked: Asked): Answer {
    const [, root, api, ...rest] = asked.path.split('/');
    const form = new URLSearchParams(asked.query);
    if (asked.method === 'POST')
      for (const [name, value] of new URLSearchParams(asked.body)) form.set(name, value);
    if (root !== 'nacos') return { status: 404, body: 'Not Found' };
    const path = rest.join('/');
    if (
      api === (this.version === 3 ? 'v3' : 'v1') &&
      path === (api === 'v3' ? 'auth/user/login' : 'auth/login')
    )
      return this.login(form);
    if (api === 'v3' && this.version === 3 && path.startsWith('client/'))
      return this.guarded(asked, () => this.v3(asked.method, path.slice('client'.length), form));
    if (api === 'v1' && path.startsWith('ns/')) {
      if (this.version === 3 && !this.compatible)
        return { status: 410, body: 'Current API will be deprecated' };
      return this.guarded(asked, () => this.v1(asked.method, `/${path}`, form));
    }
    return { status: 404, body: '{"status":404,"error":"Not Found"}' };
  }

  private guarded(asked: Asked, run: () => Answer): Answer {
    if (!this.users) return run();
    const token =
      /^Bearer (.+)$/.exec(asked.headers.authorization ?? '')?.[1] ?? asked.query.get('accessToken') ?? '';
    const until = this.tokens.get(token);
    if (until === undefined) return { status: 403, body: 'user not found!' };
    return this.cluster.clock.now() < until ? run() : { status: 403, body: 'token expired!' };
  }

  private login(form: URLSearchParams): Answer {
    const { users } = this;
    if (users && users[form.get('username') ?? ''] !== form.get('password'))
      return { status: 403, body: 'user not found!' };
    const accessToken = `token-${++this.made}-${this.url}`;
    this.tokens.set(accessToken, this.cluster.clock.now() + this.tokenTtlMs);
    return { body: JSON.stringify({ accessToken, tokenTtl: this.tokenTtlMs / 1_000, globalAdmin: false }) };
  }

  private v1(method: string, path: string, form: URLSearchParams): Answer {
    const name = form.get('serviceName') ?? '';
    if (!name.includes('@@')) return { status: 400, body: 'caused: Param serviceName is illegal' };
    if (method === 'GET' && path === '/ns/instance/list')
      return {
        body: JSON.stringify({ name, groupName: 'g', cacheMillis: 10_000, hosts: this.list(name, form) }),
      };
    const wrong = mistake(form);
    if (wrong) return { status: 400, body: `caused: ${wrong}` };
    const key = keyOf(name, form);
    if (method === 'PUT' && path === '/ns/instance/beat') {
      const code = this.cluster.beat(key) ? 10_200 : 20_404;
      return { body: JSON.stringify({ clientBeatInterval: 5_000, code, lightBeatEnabled: true }) };
    }
    if (path !== '/ns/instance') return { status: 404 };
    this.write(method, key, form);
    return { body: 'ok' };
  }

  private v3(method: string, path: string, form: URLSearchParams): Answer {
    const result = (code: number, message: string, data: unknown) => ({
      body: JSON.stringify({ code, message, data }),
    });
    const name = `${form.get('groupName') || 'DEFAULT_GROUP'}@@${form.get('serviceName') ?? ''}`;
    if (method === 'GET' && path === '/ns/instance/list') return result(0, 'success', this.list(name, form));
    const wrong = mistake(form);
    if (wrong) return { status: 400, ...result(10_000, 'parameter missing', wrong) };
    const key = keyOf(name, form);
    if (path !== '/ns/instance') return { status: 404 };
    if (method === 'POST' && form.get('heartBeat') === 'true')
      return this.cluster.beat(key) ? result(0, 'success', 'ok') : result(21_003, 'instance not found', null);
    this.write(method, key, form);
    return result(0, 'success', 'ok');
  }

  private write(method: string, key: string, form: URLSearchParams): void {
    const { hosts } = this.cluster;
    hosts.get(key)?.timer?.cancel();
    hosts.delete(key);
    if (method !== 'POST') return;
    hosts.set(key, {
      service: key.slice(0, key.lastIndexOf('|')),
      ip: form.get('ip') ?? '',
      port: Number(form.get('port')),
      weight: Number(form.get('weight') ?? 1),
      enabled: form.get('enabled') !== 'false',
      clusterName: form.get('clusterName') || 'DEFAULT',
      metadata: JSON.parse(form.get('metadata') || '{}'),
      healthy: true,
      timer: undefined,
    });
    this.cluster.beat(key);
  }

  private list(name: string, form: URLSearchParams): unknown[] {
    const service = `${form.get('namespaceId') || 'public'}|${name}`;
    const found = [...this.cluster.hosts.values()].filter((host) => host.service === service && host.enabled);
    const well = found.filter(({ healthy }) => healthy).length;
    const all = found.length > 0 && well / found.length <= this.cluster.protectThreshold;
    return found.map(({ timer: _, service: __, ...host }) => ({
      ...host,
      instanceId: `${host.ip}#${host.port}#${host.clusterName}#${name}`,
      serviceName: name,
      healthy: host.healthy || all,
      ephemeral: true,
    }));
  }
}

function keyOf(name: string, form: URLSearchParams): string {
  return `${form.get('namespaceId') || 'public'}|${name}|${form.get('ip')}:${form.get('port')}`;
}

function mistake(form: URLSearchParams): string | undefined {
  for (const field of ['serviceName', 'ip', 'port'])
    if (!form.get(field)) return `Required parameter '${field}' is not present`;
  const weight = Number(form.get('weight') ?? 1);
  return weight >= 0 && weight <= 10_000
    ? undefined
    : 'instance format invalid: The weights range from 0 to 10000';
}
