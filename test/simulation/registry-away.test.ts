import { createCall, type Protocol, type Wire } from 'keelson/core';
import {
  discovery,
  type Registration,
  type Registry,
  type RegistryTransport,
  type ServiceInstance,
} from 'keelson/discovery';
import { createRegistry, type RegistryServer } from 'keelson/registry';
import { type ClientStack, type ClientStackOptions, clientStack } from 'keelson/stack';
import { manualClock, seededRandom } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';

const clients = 200;
const replicas = 20;
/** The calls of all clients are spread over so many turns. */
const turns = 25;
const second = 1_000;

/** How the registry is out of reach. */
type Away = 'refused' | 'hanging' | 'error' | 'garbage' | 'empty';

const hostOf = (n: number): string => `h${n}`;
const hosts = (...numbers: number[]): string[] => numbers.map(hostOf).sort();
const first = Array.from({ length: replicas }, (_, n) => n);
const instance = (n: number): ServiceInstance => ({
  ...{ id: `${hostOf(n)}/1`, service: 'users', hostname: hostOf(n), addresses: [`test://${hostOf(n)}:1`] },
  ...{ version: '1', zone: 'z', env: 'e', region: 'r', weight: 10, status: 'up', metadata: {} },
});

const protocol: Protocol<string, string> = {
  classify: (response) => (response === undefined ? 'failure' : 'success'),
  replay: (request) => request,
};

/** Numbers by name or by second. */
class Tally<K> extends Map<K, number> {
  add(key: K): void {
    this.set(key, (this.get(key) ?? 0) + 1);
  }
  get total(): number {
    return [...this.values()].reduce((sum, one) => sum + one, 0);
  }
  get most(): number {
    return Math.max(0, ...this.values());
  }
}

/** 200 clients that call 20 replicas, one registry between them, in virtual time. */
class World {
  readonly clock = manualClock();
  /** Replicas whose process is gone: they refuse connections, and renew nothing. */
  readonly dead = new Set<string>();
  /** Calls that failed, by what they failed of. */
  readonly failed = new Tally<string>();
  /** Calls that were answered. */
  answered = 0;
  /** Attempts by the replica that they were sent to, whether it lives or not. */
  readonly sent = new Tally<string>();
  /** What came to the registry or should have, by second. */
  readonly asked = { watching: new Tally<number>(), renewing: new Tally<number>() };
  /** Most questions that one of those who watch or renew had under way at a time. */
  underWay = 0;
  /** How the registry is out of reach for one of them, by number. */
  away: (who: number) => Away | undefined = () => undefined;
  registry: RegistryServer | undefined;
  private readonly random = seededRandom(5);
  private readonly known: Registry[] = [];
  private readonly stacks: ClientStack<string, string>[] = [];
  private readonly registrations: Registration[] = [];
  private calling = true;

  /** @param callEveryMs - time from one call of a client to its next one */
  constructor(private readonly callEveryMs = second) {}

  private transport(who: number): RegistryTransport {
    let open = 0;
    return {
      send: async (request) => {
        this.underWay = Math.max(this.underWay, ++open);
        try {
          return await this.exchange(who, request);
        } finally {
          open--;
        }
      },
      close: () => undefined,
    };
  }

  private async exchange(
    who: number,
    { url, method, body, signal }: Parameters<RegistryTransport['send']>[0],
  ): ReturnType<RegistryTransport['send']> {
    const { pathname, searchParams } = new URL(url);
    const gone = new Promise<never>((_, reject) => {
      const leave = (): void => reject(new Error('aborted'));
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
    });
    if (who < 0 && this.dead.has(hostOf(-who - 1))) return await gone;
    const { watching, renewing } = this.asked;
    (method === 'GET' ? watching : renewing).add(Math.floor(this.clock.now() / second));
    const away = this.away(who);
    await Promise.resolve();
    if (away === 'refused' || this.registry === undefined) throw new Error('connect ECONNREFUSED');
    if (away === 'hanging') return await gone;
    if (away === 'error') return { status: 503, body: 'upstream connect error' };
    if (away === 'garbage') return { status: 200, body: '{"code":0,"data":{"users":{"instances":[1' };
    if (away === 'empty') return { status: 200, body: '{"code":-404,"message":"-404"}' };
    const form = body === undefined ? searchParams : new URLSearchParams(body);
    return await Promise.race([this.registry.ask(method, pathname, form), gone]);
  }

  private readonly wire: Wire<string, string> = {
    protocol,
    schemes: ['test'],
    connect: ({ url }) => {
      const host = new URL(url).hostname;
      return {
        handler: async () => {
          this.sent.add(host);
          if (this.dead.has(host)) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
          return host;
        },
        close: () => undefined,
      };
    },
  };

  private find(who: number): Registry {
    const { clock, random } = this;
    const transport = this.transport(who);
    const found = discovery({
      nodes: ['http://10.0.0.9:7171'],
      clock,
      random,
      transport,
      zone: 'z',
      env: 'e',
    });
    this.known.push(found);
    return found;
  }

  async startRegistry(): Promise<void> {
    const registry = createRegistry({ listen: '127.0.0.1:0', clock: this.clock });
    await registry.listen();
    this.registry = registry;
  }

  /** Its memory is lost. */
  async stopRegistry(): Promise<void> {
    const { registry } = this;
    this.registry = undefined;
    await Promise.all([registry?.close(), this.clock.advance(second)]);
  }

  async begin(policy: Partial<ClientStackOptions<string, string>> = {}): Promise<void> {
    await this.startRegistry();
    for (const n of first) await this.add(n);
    const { clock, random, wire } = this;
    for (let who = 0; who < clients; who++)
      this.stacks.push(
        clientStack({ ...policy, service: 'users', resolver: this.find(who), wire, clock, random }),
      );
    await clock.advance(second);
    this.call(0);
    await clock.advance(5 * second);
    expect(this.lists).toEqual([hosts(...first).join()]);
  }

  private call(turn: number): void {
    if (!this.calling) return;
    for (let who = turn; who < clients; who += turns) {
      const call = createCall({ side: 'client', service: 'users', operation: 'GET', idempotent: true });
      this.stacks[who]?.handler('hi', call).then(
        () => {
          this.answered++;
        },
        (error: unknown) => this.failed.add(String((error as { code?: unknown }).code ?? error)),
      );
    }
    this.clock.after(this.callEveryMs / turns, () => this.call((turn + 1) % turns));
  }

  /** @returns attempts in that time by the replica that they were sent to */
  async sentIn(ms: number): Promise<Tally<string>> {
    this.sent.clear();
    await this.clock.advance(ms);
    return this.sent;
  }

  /** Which replicas clients know, each list once. */
  get lists(): string[] {
    const listOf = (stack: ClientStack<string, string>): string =>
      stack
        .snapshot()
        .map(({ endpoint }) => new URL(endpoint.url).hostname)
        .sort()
        .join();
    return [...new Set(this.stacks.map(listOf))];
  }

  /** From now on requests to the registry are counted anew. */
  recount(): void {
    this.asked.watching.clear();
    this.asked.renewing.clear();
    this.underWay = 0;
  }

  async add(n: number): Promise<void> {
    this.registrations[n] = await this.find(-n - 1).register(instance(n));
  }
  leave(n: number): Promise<void> {
    return this.registrations[n]?.deregister() ?? Promise.resolve();
  }

  async end(): Promise<void> {
    this.calling = false;
    this.away = () => undefined;
    for (const stack of this.stacks) stack.close();
    const closing = Promise.all([...this.known.map((one) => one.close()), this.registry?.close()]);
    await this.clock.advance(60 * second);
    await closing;
  }
}

// Who watches asks once in 0.1 to 15.1 s while the registry is away: 200 / 7.6 = 26 times a second, five standard
// deviations more are 52. An answer brings two more: which nodes there are, and what changed since.
const mostWatching = 3 * 52;
// Of those who renew 20 / 7.6 = 2.6, five standard deviations more are 11; where they are unknown each registers as well.
const mostRenewing = 11;

let world: World;
afterEach(() => world.end());

/** All calls of that time were answered. */
function expectAnswered(ms: number): void {
  expect([...world.failed]).toEqual([]);
  expect(world.answered).toBeGreaterThanOrEqual((clients * (ms - second)) / second);
}

describe('a registry that is out of reach for five minutes', () => {
  it('costs 200 clients under load no call, and is not run down when it is back', async () => {
    world = new World();
    await world.begin();
    // A quarter of them each.
    const ways = ['refused', 'hanging', 'error', 'garbage'] as const;
    world.away = (who) => ways[Math.abs(who) % ways.length];
    // Until the last poll has ended that waits.
    await world.clock.advance(60 * second);
    world.recount();
    await world.clock.advance(240 * second);
    expect(world.lists).toEqual([hosts(...first).join()]);
    expect(world.registry?.stats().protecting).toBe(true);
    // One question, and on the side the one for nodes.
    expect(world.underWay).toBeLessThanOrEqual(2);
    expect(world.asked.watching.most).toBeLessThan(mostWatching);

    world.away = () => undefined;
    world.recount();
    await world.clock.advance(120 * second);
    expect(world.underWay).toBeLessThanOrEqual(2);
    expect(world.asked.watching.most).toBeLessThan(mostWatching);
    expect(world.asked.renewing.most).toBeLessThan(mostRenewing);
    // All watch again: each poll is held for 30 s.
    expect(world.registry?.stats()).toMatchObject({ instances: replicas, protecting: false });
    expect(world.asked.watching.total).toBeGreaterThan(clients * 4);
    expect(world.lists).toEqual([hosts(...first).join()]);
    expectAnswered(425 * second);
  }, 60_000);

  it('costs none either in one way after the other, and when it says at last that there is nobody', async () => {
    world = new World();
    await world.begin();
    for (const away of ['refused', 'hanging', 'error', 'garbage', 'empty'] as const) {
      world.away = () => away;
      await world.clock.advance(60 * second);
      expect(world.lists).toEqual([hosts(...first).join()]);
    }
    world.away = () => undefined;
    // Every replica had renewals fail for five minutes: they are listed again before anybody could miss them.
    await world.clock.advance(120 * second);
    expect(world.lists).toEqual([hosts(...first).join()]);
    expectAnswered(425 * second);
  }, 60_000);

  it('costs none while replicas die and come back behind its back, and what changed is known soon after', async () => {
    world = new World(500);
    // One call may meet both of those that are dead at a time, and who calls so seldom saves up few tries: that is no
    // matter of discovery.
    await world.begin({ retry: { attempts: 3 }, retryBudget: { minPerSecond: 10 } });
    world.away = () => 'refused';
    await world.clock.advance(30 * second);
    // One in ten dies; nobody can be told.
    for (const host of hosts(3, 7)) world.dead.add(host);
    await world.clock.advance(120 * second);
    world.dead.delete('h3');
    await world.clock.advance(60 * second);
    const sent = await world.sentIn(90 * second);
    const fair = sent.total / replicas;
    // What comes back at its old address is found without a registry; what does not is tried once a minute by each.
    expect(sent.get('h3')).toBeGreaterThan(fair / 2);
    expect(sent.get('h7')).toBeLessThanOrEqual(2 * clients);
    world.away = () => undefined;
    await Promise.all([world.add(20), world.leave(11), world.clock.advance(30 * second)]);
    expect((await world.sentIn(30 * second)).get('h20')).toBeGreaterThan(fair / 6);
    // A registry that heard nobody for minutes evicts who does not renew only when it has heard of nearly all.
    await world.clock.advance(180 * second);
    const now = [...first, 20].filter((n) => n !== 7 && n !== 11);
    expect(world.lists).toEqual([hosts(...now).join()]);
    expect([...world.failed]).toEqual([]);
  }, 60_000);

  it('and comes back empty costs none either, and is not run down', async () => {
    world = new World();
    await world.begin();
    await world.stopRegistry();
    await world.clock.advance(299 * second);
    await world.startRegistry();
    world.recount();
    await world.clock.advance(60 * second);
    expect(world.underWay).toBeLessThanOrEqual(2);
    // Each of 20 registrations wakes all who wait by then.
    expect(world.asked.watching.most).toBeLessThan(mostWatching + clients * mostRenewing);
    expect(world.asked.watching.total).toBeLessThan(clients * (3 + replicas + 3));
    expect(world.asked.renewing.most).toBeLessThan(2 * mostRenewing);
    await world.clock.advance(60 * second);
    expect(world.lists).toEqual([hosts(...first).join()]);
    expectAnswered(425 * second);
  }, 60_000);
});
