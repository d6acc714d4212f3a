import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from 'keelson/core';
import type { RegistryReply } from 'keelson/discovery';
import {
  createRegistry,
  type RegistryEvent,
  type RegistryOptions,
  type RegistryStats,
} from 'keelson/registry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { type TcpProxy, tcpProxy } from '../doubles/tcp-proxy.js';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const agent = new http.Agent({ keepAlive: true });

/** HTTP over real sockets, to wherever the test leads it. */
function request(url: string, method: string, body?: string, signal?: AbortSignal): Promise<RegistryReply> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
    const sent = http.request(url, { method, agent, headers, ...(signal && { signal }) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('close', () => reject(new Error('cut')));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Thirty seconds are one: an instance renews each second, or three times as often where a busy machine may be late. */
const fast = {
  expiryMs: 3_000,
  sweepIntervalMs: 300,
  compareIntervalMs: 300,
  peerTimeoutMs: 1_000,
  syncTimeoutMs: 2_000,
  closeTimeoutMs: 100,
} as const;
const renewMs = 333;

const program = fileURLToPath(new URL('fixtures/registry-node.mjs', import.meta.url));

/** A registry in a process of its own, of what `npm run build` made. */
class Node {
  private readonly process: ChildProcess;
  readonly ready: Promise<unknown>;

  constructor(setup: object) {
    const env = { ...process.env, NODE: JSON.stringify(setup) };
    this.process = fork(program, [], { env, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.ready = once(this.process, 'message');
    open.push(() => this.kill());
  }
  async stats(): Promise<RegistryStats> {
    const answer = once(this.process, 'message');
    this.process.send('stats');
    return ((await answer)[0] as { stats: RegistryStats }).stats;
  }
  /** Leaves as a registry does that is told to stop. */
  async close(): Promise<void> {
    const gone = once(this.process, 'exit');
    this.process.send('close');
    await gone;
  }
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }
}

async function three() {
  const ports = [await freePort(), await freePort(), await freePort()];
  const proxies = new Map<string, TcpProxy>();
  for (const from of [0, 1, 2])
    for (const to of [0, 1, 2]) {
      if (from === to) continue;
      const proxy = await tcpProxy(() => ports[to] as number);
      open.push(proxy.close);
      proxies.set(`${from}-${to}`, proxy);
    }
  const peers = ports.map((port) => `127.0.0.1:${port}`);
  const nodes = [0, 1, 2].map((at) => {
    const ways = Object.fromEntries(ports.map((port, to) => [port, proxies.get(`${at}-${to}`)?.port]));
    return new Node({ options: { ...fast, listen: peers[at], peers }, ways });
  });
  await Promise.all(nodes.map(({ ready }) => ready));
  const call = async (at: number, method: string, path: string, values: Record<string, string>) => {
    const form = new URLSearchParams(values);
    const url = `http://127.0.0.1:${ports[at]}/discovery/${path}`;
    const reply = await request(
      method === 'GET' ? `${url}?${form}` : url,
      method,
      method === 'GET' ? undefined : String(form),
    );
    return JSON.parse(reply.body);
  };
  const listed = async (at: number): Promise<string[]> => {
    const { data } = await call(at, 'GET', 'fetch', { env: 'e', appid: 'a', status: '3' });
    const all = Object.values(
      (data?.instances ?? {}) as Record<string, { hostname: string; version: string }[]>,
    ).flat();
    return all.map(({ hostname, version }) => `${hostname}@${version}`).sort();
  };
  const part = (alone: number, how: 'refuse' | 'swallow') => {
    for (const [name, proxy] of proxies) if (name.includes(String(alone))) proxy.cut(how);
  };
  const mend = () => {
    for (const proxy of proxies.values()) proxy.mend();
  };
  return { nodes, call, listed, part, mend };
}

type Cluster = Awaited<ReturnType<typeof three>>;

/** A process that registers and renews at one node. */
function client({ call }: Cluster, home: number, hostname: string, version: string) {
  const id = { env: 'e', appid: 'a', zone: 'z', hostname };
  const register = () =>
    call(home, 'POST', 'register', { ...id, status: '1', addrs: `http://${hostname}:1`, version });
  const timer = setInterval(async () => {
    try {
      if ((await call(home, 'POST', 'renew', id)).code === -404 && !over) await register();
    } catch {
      // The next one will do.
    }
  }, renewMs);
  let over = false;
  const crash = async () => {
    over = true;
    clearInterval(timer);
  };
  open.push(crash);
  return { ready: register(), crash, cancel: () => crash().then(() => call(home, 'POST', 'cancel', id)) };
}

describe('three nodes in processes of their own', () => {
  it.each(['refuse', 'swallow'] as const)(
    'part (%s), take writes on both sides, and are of one mind soon after: none lost, none resurrected',
    async (how) => {
      const cluster = await three();
      const { nodes, listed, part, mend } = cluster;
      await vi.waitFor(async () => {
        for (const node of nodes) expect((await node.stats()).synced).toBe(true);
      }, 10_000);
      const early = [0, 1, 2].map((home) => client(cluster, home, `early${home}`, '1'));
      const leaves = client(cluster, 1, 'leaves', '1');
      const moves = client(cluster, 0, 'moves', '1');
      const dies = client(cluster, 0, 'dies', '1');
      await Promise.all([...early, leaves, moves, dies].map(({ ready }) => ready));
      const before = ['dies@1', 'early0@1', 'early1@1', 'early2@1', 'leaves@1', 'moves@1'];
      await vi.waitFor(async () => {
        for (const at of [0, 1, 2]) expect(await listed(at)).toEqual(before);
      }, 10_000);

      part(0, how);
      // On the one side; writes are answered although peers hang.
      const alone = client(cluster, 0, 'alone', '1');
      await alone.ready;
      await moves.crash();
      await dies.crash();
      // On the other.
      await client(cluster, 1, 'others', '1').ready;
      await client(cluster, 2, 'moves', '2').ready;
      await leaves.cancel();
      await vi.waitFor(async () => {
        expect(await listed(1)).toEqual(await listed(2));
        expect(await listed(1)).toEqual(
          expect.arrayContaining(['early1@1', 'early2@1', 'moves@2', 'others@1']),
        );
        expect(await listed(1)).not.toContain('leaves@1');
        expect(await listed(0)).toEqual(expect.arrayContaining(['alone@1', 'early0@1']));
        expect((await nodes[0]?.stats())?.peers.map(({ status }) => status)).toEqual(['lost', 'lost']);
      }, 15_000);

      mend();
      const after = ['alone@1', 'early0@1', 'early1@1', 'early2@1', 'moves@2', 'others@1'];
      await vi.waitFor(async () => {
        for (const at of [0, 1, 2]) expect(await listed(at)).toEqual(after);
      }, 15_000);
      // And stay: nothing old comes back from anywhere.
      const until = systemClock.now() + fast.expiryMs + 2 * fast.sweepIntervalMs;
      await vi.waitFor(
        async () => {
          for (const at of [0, 1, 2]) expect(await listed(at)).toEqual(after);
          expect(systemClock.now()).toBeGreaterThan(until);
        },
        { timeout: 15_000, interval: 100 },
      );
    },
    60_000,
  );

  it('list each other as nodes, also under other envs, and take one that leaves out', async () => {
    const { nodes, call } = await three();
    await vi.waitFor(async () => {
      const { data } = await call(0, 'GET', 'nodes', {});
      expect(data.map(({ status }: { status: number }) => status)).toEqual([0, 0, 0]);
      const found = await call(1, 'GET', 'fetch', { env: 'whatever', appid: 'infra.discovery', status: '1' });
      expect(found.data.instances.default).toHaveLength(3);
    }, 10_000);
    await nodes[2]?.close();
    await vi.waitFor(async () => {
      const found = await call(1, 'GET', 'fetch', { env: 'e', appid: 'infra.discovery', status: '1' });
      expect(found.data.instances.default).toHaveLength(2);
    }, 10_000);
  });
});

describe('a snapshot', () => {
  const folder = () => {
    const made = mkdtempSync(join(tmpdir(), 'keelson-registry-'));
    open.push(async () => rmSync(made, { recursive: true }));
    return made;
  };
  const start = async (options: RegistryOptions) => {
    const events: RegistryEvent[] = [];
    const node = createRegistry({
      listen: '127.0.0.1:0',
      onEvent: (event) => events.push(event),
      ...options,
    });
    open.push(() => node.close());
    await node.listen();
    const ask = async (method: 'GET' | 'POST', path: string, values: Record<string, string>) =>
      JSON.parse((await node.ask(method, `/discovery/${path}`, new URLSearchParams(values))).body);
    return { node, events, ask };
  };
  const id = { env: 'e', appid: 'a', zone: 'z', hostname: 'h' };
  const instance = { ...id, status: '1', addrs: 'http://h:1', metadata: '{"__proto__":"x","weight":"7"}' };
  const query = { env: 'e', appid: 'a', status: '1' };

  it('serves the last list at once after a restart, until nobody renews', async () => {
    const snapshot = join(folder(), 'list.json');
    const first = await start({ snapshot });
    await first.ask('POST', 'register', instance);
    const before = await first.ask('GET', 'fetch', query);
    await first.node.close();
    const second = await start({ snapshot });
    expect(second.node.stats()).toMatchObject({ instances: 1, stale: 1 });
    expect(second.events.map(({ name }) => name)).toContain('restored');
    const after = await second.ask('GET', 'fetch', query);
    expect(after.data.instances.z[0]).toMatchObject({ hostname: 'h', addrs: ['http://h:1'] });
    expect(after.data.instances.z[0].dirty_timestamp).toBe(before.data.instances.z[0].dirty_timestamp);
    expect(after.data.latest_timestamp).toBeGreaterThanOrEqual(before.data.latest_timestamp);
    expect((await second.ask('POST', 'renew', id)).code).toBe(0);
    expect(second.node.stats().stale).toBe(0);
    await second.node.close();
    const third = await start({ ...fast, snapshot });
    await vi.waitFor(() => expect(third.node.stats().instances).toBe(0), 5_000);
  });

  it.each([
    ['torn', '{"kind":"keelson registry","version":1,"saved_ns":1,"floor_ns":0,"records":[{"region":"'],
    ['of something else', '{"services":{}}'],
    ['of another version', '{"kind":"keelson registry","version":2,"saved_ns":1,"floor_ns":0,"records":[]}'],
    ['empty', ''],
  ])('that is %s is ignored with a sentence, and set aside', async (_, text) => {
    const path = folder();
    const snapshot = join(path, 'list.json');
    writeFileSync(snapshot, text);
    const { node, events, ask } = await start({ snapshot });
    const told = events.find(({ name }) => name === 'snapshot');
    expect(told?.fields).toMatchObject({
      path: snapshot,
      reason: expect.stringContaining('it was ignored: '),
    });
    expect(node.stats().instances).toBe(0);
    await ask('POST', 'register', instance);
    await node.close();
    expect(readFileSync(`${snapshot}.refused`, 'utf8')).toBe(text);
    expect(readdirSync(path).sort()).toEqual(['list.json', 'list.json.refused']);
    expect((await start({ snapshot })).node.stats().instances).toBe(1);
  });

  it('that cannot be written is told, and nothing else happens', async () => {
    const snapshot = join(folder(), 'missing', 'list.json');
    const { node, events, ask } = await start({ snapshot });
    expect((await ask('POST', 'register', instance)).code).toBe(0);
    await node.close();
    expect(events.find(({ name }) => name === 'snapshot')?.fields).toMatchObject({
      reason: expect.stringContaining('it was not written: '),
    });
  });

  it('gives way to what peers know, and is told to none of them', async () => {
    const snapshot = join(folder(), 'list.json');
    const [here, there] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const before = await start({ snapshot });
    await before.ask('POST', 'register', instance);
    await before.node.close();
    const peer = await start({ listen: there, peers: [here], ...fast });
    // By then whoever lives has been heard of, and it can say who is gone.
    await vi.waitFor(
      async () => expect((await peer.ask('GET', 'peer/digest', {})).data.complete).toBe(true),
      10_000,
    );
    await peer.ask('POST', 'register', { ...instance, hostname: 'now' });
    const renewing = setInterval(() => peer.ask('POST', 'renew', { ...id, hostname: 'now' }), renewMs);
    open.push(async () => clearInterval(renewing));
    const again = await start({ listen: here, peers: [there], snapshot, ...fast, expiryMs: 90_000 });
    await vi.waitFor(() => expect(again.node.stats().synced).toBe(true), 5_000);
    const hostnames = async ({ ask }: typeof peer) =>
      (await ask('GET', 'fetch', query)).data.instances.z.map(
        ({ hostname }: { hostname: string }) => hostname,
      );
    expect(await hostnames(again)).toEqual(['now']);
    expect(await hostnames(peer)).toEqual(['now']);
  });

  it('of a whole cluster is told to people who ask for all, and to no peer', async () => {
    const snapshot = join(folder(), 'list.json');
    const [here, there] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const before = await start({ snapshot });
    await before.ask('POST', 'register', instance);
    await before.node.close();
    await start({ listen: there, peers: [here], ...fast, expiryMs: 90_000 });
    const again = await start({ listen: here, peers: [there], snapshot, ...fast, expiryMs: 90_000 });
    await vi.waitFor(() => expect(again.node.stats().synced).toBe(true), 5_000);
    const apps = async (form: Record<string, string>) =>
      Object.keys((await again.ask('GET', 'fetch/all', form)).data).filter(
        (app) => app !== 'infra.discovery',
      );
    expect(await apps({ stale: 'true' })).toEqual([instance.appid]);
    expect(await apps({})).toEqual([]);
  });
});
