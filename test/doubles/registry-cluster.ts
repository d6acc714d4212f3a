import type { Clock, Timer } from 'keelson/core';
import type { RegistryReply, RegistryRequest, RegistryTransport } from 'keelson/discovery';
import { createRegistry, type RegistryOptions, type RegistryServer } from 'keelson/registry';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';

/** How a link between two nodes is. */
export type Link = 'up' | 'cut' | 'hanging' | 'garbage';

/** A network in virtual time between registries of one process: no socket carries anything. */
export class RegistryCluster {
  readonly clock: ManualClock;
  readonly nodes: RegistryServer[] = [];
  readonly addresses: string[] = [];
  requests = 0;
  /** Requests by path. */
  readonly asked = new Map<string, number>();
  private readonly links = new Map<string, Link>();
  private readonly silent = new Set<RegistryServer>();
  private readonly random: () => number;

  constructor(
    private readonly options: {
      readonly seed?: number;
      /** Milliseconds by which each node's wall clock is wrong. */
      readonly skews?: readonly number[];
      readonly latencyMs?: number;
      /** Bytes that a node reads from another at once. */
      readonly bodyBytes?: number;
      readonly registry?: (node: number) => RegistryOptions;
    } = {},
  ) {
    this.random = seededRandom(options.seed ?? 1);
    this.clock = manualClock();
  }

  async start(count: number): Promise<void> {
    // Real ports, that nothing connects to, make addresses; nodes must know those of each other before they begin.
    for (let node = 0; node < count; node++) this.addresses.push(`10.0.0.${node + 1}:7171`);
    for (let node = 0; node < count; node++) await this.startOne(node);
  }

  async startOne(node: number): Promise<void> {
    const registry = createRegistry({
      listen: '127.0.0.1:0',
      advertise: this.addresses[node],
      peers: this.addresses,
      clock: this.clockOf(node),
      random: this.random,
      transport: this.transportOf(node),
      ...this.options.registry?.(node),
    });
    this.nodes[node] = registry;
    await registry.listen();
  }

  /** Sets the link between two nodes, both ways. */
  link(one: number, other: number, state: Link): void {
    this.links.set(`${one}-${other}`, state).set(`${other}-${one}`, state);
  }

  /** Parts some nodes from all others. */
  part(some: readonly number[], state: Link): void {
    for (let one = 0; one < this.addresses.length; one++)
      for (let other = 0; other < one; other++)
        if (some.includes(one) !== some.includes(other)) this.link(one, other, state);
  }

  async close(): Promise<void> {
    const closing = Promise.all(this.nodes.map((node) => node.close()));
    await this.clock.advance(20_000);
    await closing;
  }

  async ask(
    node: number,
    method: 'GET' | 'POST',
    path: string,
    values: Record<string, string | readonly string[]>,
  ) {
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(values))
      for (const item of typeof value === 'string' ? [value] : value) form.append(name, item);
    const reply = this.node(node).ask(method, `/discovery/${path}`, form);
    let done = false;
    void reply.then(() => {
      done = true;
    });
    // Answers wait for peers, and peers for the clock.
    for (let waited = 0; !done && waited < 1_000; waited += 10) await this.clock.advance(10);
    return JSON.parse((await reply).body);
  }

  /** Like `ask`, for who does not wait: the clock moves when the test moves it. */
  async send(node: number, path: string, values: Record<string, string>): Promise<{ code: number }> {
    return JSON.parse(
      (await this.node(node).ask('POST', `/discovery/${path}`, new URLSearchParams(values))).body,
    );
  }

  /** What a node lists: hostname to version, all apps but its own. */
  async listed(node: number): Promise<Record<string, string>> {
    const { code, data } = await this.ask(node, 'GET', 'fetch/all', {});
    if (code !== 0) throw new Error(`node ${node} answers ${code}`);
    const found: Record<string, string> = {};
    for (const [appid, list] of Object.entries(
      data as Record<string, { hostname: string; version: string }[]>,
    ))
      if (appid !== 'infra.discovery')
        for (const { hostname, version } of list) found[`${appid}/${hostname}`] = version;
    return found;
  }

  node(node: number): RegistryServer {
    const found = this.nodes[node];
    if (found === undefined) throw new Error(`there is no node ${node}`);
    return found;
  }

  /** A node's state goes, as when its process is killed. It keeps its address. */
  async restart(node: number): Promise<void> {
    const before = this.node(node);
    this.silent.add(before);
    await this.startOne(node);
    const closing = before.close();
    await this.clock.advance(3_000);
    await closing;
  }

  /** A node leaves properly. */
  async leave(node: number): Promise<void> {
    const closing = this.node(node).close();
    await this.clock.advance(3_000);
    await closing;
  }

  private clockOf(node: number): Clock {
    const { clock } = this;
    return {
      now: () => clock.now(),
      wallMs: () => clock.wallMs() + (this.options.skews?.[node] ?? 0),
      after: (ms, run): Timer => clock.after(ms, run),
    };
  }

  private transportOf(from: number): RegistryTransport {
    let owner: RegistryServer | undefined;
    return {
      send: async (request) => {
        owner ??= this.nodes[from];
        // Killed: nothing leaves it any more, not even its farewell.
        if (owner && this.silent.has(owner)) throw new Error('killed');
        return await this.carry(from, request);
      },
      close: () => undefined,
    };
  }

  private async carry(from: number, { method, url, body }: RegistryRequest): Promise<RegistryReply> {
    this.requests++;
    const { host, pathname, searchParams } = new URL(url);
    this.asked.set(pathname, (this.asked.get(pathname) ?? 0) + 1);
    const to = this.addresses.indexOf(host);
    const state = () => this.links.get(`${from}-${to}`) ?? 'up';
    await this.pass();
    if (state() === 'hanging') return await new Promise(() => undefined);
    if (to < 0 || state() === 'cut') throw new Error('connection reset');
    if (state() === 'garbage')
      return { status: 200, body: '{"code":0,"data":{"digest":12,"records":[{"env":{}}]}}' };
    if (Buffer.byteLength(body ?? '') > (this.options.bodyBytes ?? Number.POSITIVE_INFINITY))
      return { status: 413, body: '' };
    const form = body === undefined ? searchParams : new URLSearchParams(body);
    const reply = await this.node(to).ask(method, pathname, form);
    await this.pass();
    // What was done there is done, whoever hears of it.
    if (state() !== 'up') throw new Error('connection reset within the reply');
    return reply;
  }

  private pass(): Promise<void> {
    const { latencyMs = 2 } = this.options;
    return new Promise((resolve) => void this.clock.after(latencyMs * (0.5 + this.random()), resolve));
  }
}

/** A write about an instance. */
interface SimulatedWrite {
  /** Where it was made. */
  readonly node: number;
  /** What is to be listed by it; absent: there was another one in the same moment. */
  readonly content: string | undefined;
  readonly ms: number;
}

/** Writes that are closer have no order. */
const momentMs = 20;

/** A process that registers, renews each 30 s, and registers again where it is not known. */
export class SimulatedInstance {
  alive = false;
  cancelled = false;
  version = 0;
  /** When it renewed or registered last; milliseconds. */
  heardMs = 0;
  /** When it did so with each node. */
  readonly heard = new Map<number, number>();
  /** The last description. */
  written: SimulatedWrite = { node: 0, content: undefined, ms: 0 };
  private generation = 0;

  constructor(
    private readonly network: RegistryCluster,
    readonly hostname: string,
    public home: number,
  ) {}

  /** Comes up, or describes itself anew. */
  register(): void {
    this.alive = true;
    this.cancelled = false;
    this.version++;
    void this.say('register');
    this.keep(++this.generation);
  }

  /** Says goodbye. */
  cancel(): void {
    this.crash();
    this.cancelled = true;
    this.heard.clear();
    void this.say('cancel');
  }

  /** Somebody gives it a label by a node that lists it. @param listed - its version there */
  set(node: number, { listed, label }: { readonly listed: string; readonly label: string }): void {
    // Whoever lists it by that, until it expires.
    this.cancelled = false;
    this.write(node, `${listed}+${label}`);
    const id = { env: 'e', appid: 'a', zone: 'default', hostname: this.hostname };
    void this.network.send(node, 'set', { ...id, metadata: JSON.stringify({ label }) });
  }

  private write(node: number, content: string): void {
    const ms = this.network.clock.now();
    const last = this.written;
    const alone = ms - last.ms >= momentMs || content === last.content;
    this.written = { node, content: alone ? content : undefined, ms };
  }

  crash(): void {
    this.alive = false;
    this.generation++;
  }

  private keep(generation: number): void {
    this.network.clock.after(30_000, () => {
      if (generation !== this.generation) return;
      void this.renew(generation);
      this.keep(generation);
    });
  }

  private async renew(generation: number): Promise<void> {
    const { code } = await this.say('renew');
    if (code === -404 && generation === this.generation) await this.say('register');
  }

  private say(path: 'register' | 'renew' | 'cancel'): Promise<{ code: number }> {
    const { hostname, version } = this;
    if (path !== 'cancel') {
      this.heardMs = this.network.clock.now();
      this.heard.set(this.home, this.heardMs);
    }
    if (path === 'register') this.write(this.home, `${version}`);
    return this.network.send(this.home, path, {
      ...{ env: 'e', appid: 'a', zone: 'default', hostname },
      ...(path === 'register' && { status: '1', addrs: `http://${hostname}:80`, version: String(version) }),
    });
  }
}
