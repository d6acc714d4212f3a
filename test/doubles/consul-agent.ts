import type { Clock, Timer } from 'keelson/core';
import { type Answer, type Asked, HttpDouble } from './http-double.js';

// A Consul agent with its catalog. Behaviours, each from the source of hashicorp/consul 1.16.6 or its api-docs:
//
// - register: PUT /v1/agent/service/register, JSON; a TTL check is critical unless `Status` says otherwise
//   (agent/agent_endpoint.go, api-docs/agent/service); `replace-existing-checks`; Meta of at most 64 pairs, names
//   [a-zA-Z0-9_-]{1,128}, values of at most 512 characters, Weights.Passing 1 to 65535, else 400 (agent/structs/structs.go)
// - renew: PUT /v1/agent/check/{pass,warn,fail}/<id>; 404 "Unknown check ID" (agent/acl.go)
// - deregister: 404 "Unknown service ID" (agent/acl.go)
// - a check without a renewal within its TTL is critical; critical for longer than DeregisterCriticalServiceAfter, its
//   service is deregistered (agent/checks/check.go, agent/agent.go)
// - GET /v1/health/service/<name>: `passing` leaves out all that has a check which is not; X-Consul-Index is never 0
//   (agent/http.go, setIndex); with `index` and `wait` it answers when its index is greater than that, or after wait
//   plus up to a sixteenth (agent/consul/rpc.go); "Invalid index", "Invalid wait time" are 400
// - ACL: a token that is not known is 403 "ACL not found"; without the right to read, services are left out and
//   X-Consul-Results-Filtered-By-ACLs is true; without the right to write 403 "Permission denied"
// - an unknown datacenter is 500 "No path to datacenter"

interface Check {
  readonly ttlMs: number;
  readonly reapMs: number;
  status: string;
  timer: Timer | undefined;
}

interface Service {
  readonly body: Record<string, unknown>;
  readonly checks: Map<string, Check>;
}

export class ConsulAgentDouble extends HttpDouble {
  readonly services = new Map<string, Service>();
  index = 10;
  node = 'node-1';
  datacenter = 'dc1';
  /** Undefined without ACLs; else what each token may do. */
  tokens: Record<string, { readonly read: boolean; readonly write: boolean }> | undefined;
  private readonly waiting = new Set<() => void>();

  constructor(private readonly clock: Clock) {
    super();
  }

  /** What an entry looks like in the catalog, for tests that write by hand. */
  put(body: Record<string, unknown>): void {
    this.register(body);
  }

  statusOf(id: string): string | undefined {
    const checks = [...(this.services.get(id)?.checks.values() ?? [])];
    return checks[0]?.status;
  }

  /** Something was written. */
  bump(): void {
    this.index++;
    for (const wake of [...this.waiting]) wake();
  }

  /** The state of servers that were restored from an older snapshot. */
  goBack(index: number): void {
    this.index = index;
    for (const wake of [...this.waiting]) wake();
  }

  protected override answer(asked: Asked): Promise<Answer> | Answer {
    const [, , area, kind, verb, ...rest] = asked.path.split('/');
    const id = decodeURIComponent(rest.join('/'));
    const may = this.tokens === undefined ? { read: true, write: true } : this.tokens[tokenOf(asked)];
    if (!may) return { status: 403, body: 'ACL not found' };
    if (area === 'agent' && asked.method === 'PUT') {
      if (!may.write)
        return { status: 403, body: 'Permission denied: token lacks permission "service:write"' };
      if (kind === 'service' && verb === 'register') return this.register(JSON.parse(asked.body));
      if (kind === 'service' && verb === 'deregister') return this.deregister(id);
      if (kind === 'check' && verb) return this.renew(verb, id);
    }
    if (area === 'health' && kind === 'service' && asked.method === 'GET')
      return this.health(decodeURIComponent(verb ?? ''), asked.query, may.read);
    return { status: 404, body: 'no such thing' };
  }

  private register(body: Record<string, unknown>): Answer {
    const {
      ID: id,
      Meta: meta = {},
      Weights: weights,
      Checks: checks = [],
    } = body as {
      ID: string;
      Meta?: Record<string, string>;
      Weights?: { Passing: number };
      Checks?: { CheckID: string; TTL: string; Status?: string; DeregisterCriticalServiceAfter: string }[];
    };
    const wrong = Object.entries(meta).find(
      ([name, value]) => !/^[a-zA-Z0-9_-]{1,128}$/.test(name) || value.length > 512,
    );
    if (wrong || Object.keys(meta).length > 64)
      return { status: 400, body: `Invalid Service Meta: Couldn't load metadata pair ('${wrong?.[0]}')` };
    if (weights && !(weights.Passing >= 1 && weights.Passing <= 65_535))
      return { status: 400, body: 'Invalid Weights: Passing must be greater than 0' };
    this.drop(id);
    const made = new Map<string, Check>();
    for (const { CheckID, TTL, Status = 'critical', DeregisterCriticalServiceAfter } of checks) {
      const check = { ttlMs: msOf(TTL), reapMs: msOf(DeregisterCriticalServiceAfter), status: Status };
      made.set(CheckID, { ...check, timer: undefined });
    }
    this.services.set(id, { body, checks: made });
    for (const check of made.values()) this.arm(id, check);
    this.bump();
    return {};
  }

  private arm(id: string, check: Check): void {
    check.timer?.cancel();
    check.timer = this.clock.after(check.ttlMs, () => {
      check.status = 'critical';
      this.bump();
      check.timer = this.clock.after(check.reapMs, () => void this.deregister(id));
    });
  }

  private renew(verb: string, id: string): Answer {
    for (const [service, { checks }] of this.services) {
      const check = checks.get(id);
      if (!check) continue;
      const status = { pass: 'passing', warn: 'warning', fail: 'critical' }[verb] ?? 'critical';
      const changed = check.status !== status;
      check.status = status;
      this.arm(service, check);
      if (changed) this.bump();
      return {};
    }
    return {
      status: 404,
      body: `Unknown check ID "${id}". Ensure that the check ID is passed, not the check name.`,
    };
  }

  private deregister(id: string): Answer {
    if (!this.drop(id))
      return { status: 404, body: `Unknown service ID "${id}". Ensure that the service ID is passed.` };
    this.bump();
    return {};
  }

  private drop(id: string): boolean {
    for (const { timer } of this.services.get(id)?.checks.values() ?? []) timer?.cancel();
    return this.services.delete(id);
  }

  private async health(name: string, query: URLSearchParams, mayRead: boolean): Promise<Answer> {
    const dc = query.get('dc');
    if (dc !== null && dc !== this.datacenter) return { status: 500, body: 'No path to datacenter' };
    const after = query.get('index') ?? '0';
    if (!/^\d+$/.test(after)) return { status: 400, body: 'Invalid index' };
    const wait = query.get('wait') ?? '300s';
    if (!/^\d+(ms|s|m)$/.test(wait)) return { status: 400, body: 'Invalid wait time' };
    if (Number(after) > 0 && this.index <= Number(after)) await this.changeWithin(msOf(wait) * (1 + 1 / 16));
    const found = [...this.services.values()].filter(({ body }) => body['Name'] === name);
    const entries = found.filter(
      ({ checks }) =>
        !query.has('passing') || [...checks.values()].every(({ status }) => status === 'passing'),
    );
    return {
      headers: {
        'content-type': 'application/json',
        'x-consul-index': String(Math.max(1, this.index)),
        'x-consul-knownleader': 'true',
        'x-consul-lastcontact': '0',
        ...(mayRead || entries.length === 0 ? {} : { 'x-consul-results-filtered-by-acls': 'true' }),
      },
      body: JSON.stringify(mayRead ? entries.map(({ body }) => this.entry(body)) : []),
    };
  }

  private changeWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.waiting.delete(end);
        resolve();
      };
      const timer = this.clock.after(ms, end);
      this.waiting.add(end);
    });
  }

  private entry({ Name, Checks: _, ...service }: Record<string, unknown>): unknown {
    return {
      Node: { Node: this.node, Address: '10.1.0.1', Datacenter: this.datacenter },
      Service: { Weights: { Passing: 1, Warning: 1 }, ...service, Service: Name },
      Checks: [],
    };
  }
}

function tokenOf({ headers }: Asked): string {
  const token = headers['x-consul-token'];
  return typeof token === 'string' ? token : '';
}

function msOf(text: string): number {
  const [, amount = '0', unit = 's'] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  return Number(amount) * ({ ms: 1, s: 1_000, m: 60_000 }[unit] ?? 1_000);
}
