import { lookup } from 'node:dns/promises';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createRegistry,
  type RegistryEvent,
  type RegistryOptions,
  type RegistryServer,
} from 'keelson/registry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';

const running: (RegistryServer | http.Server | net.Server)[] = [];
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-faults-'));
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    if (one instanceof http.Server) one.closeAllConnections();
    await one.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

function make(options: RegistryOptions = {}) {
  const events: RegistryEvent[] = [];
  const registry = createRegistry({
    listen: '127.0.0.1:0',
    onEvent: (event) => events.push(event),
    ...options,
  });
  running.push(registry);
  const told = (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields);
  return { registry, events, told };
}

async function start(options: RegistryOptions = {}) {
  const made = make(options);
  return { ...made, ...(await made.registry.listen()) };
}

const instance = (hostname: string, more: Record<string, string> = {}) => ({
  ...{ zone: 'z', env: 'e', appid: 'a', hostname, status: '1', addrs: `http://${hostname}:1` },
  ...more,
});

async function post(url: string, path: string, values: Record<string, string>, headers = {}) {
  const body = new URLSearchParams(values);
  const response = await fetch(`${url}/discovery/${path}`, { method: 'POST', body, headers });
  return { status: response.status, json: (await response.json()) as { code: number } };
}
const ask = (registry: RegistryServer, path: string, values: Record<string, string>) =>
  registry.ask('POST', `/discovery/${path}`, new URLSearchParams(values));

/** Something that answers every request alike, and keeps them. */
async function listener(answer: (path: string) => readonly [number, string]) {
  const asked: { path: string; authorization: string | undefined; body: string }[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const [path = ''] = (request.url ?? '').split('?');
      asked.push({ path, authorization: request.headers.authorization, body });
      const [status, text] = answer(path);
      response.writeHead(status).end(text);
    });
  });
  running.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { asked, address: `127.0.0.1:${(server.address() as net.AddressInfo).port}` };
}

describe('who may be a node', () => {
  const tokens = { cluster: 'cluster-secret-0123456789', payments: 'payments-secret-0123456' };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const node = (address: string) =>
    instance('x', { appid: 'infra.discovery', addrs: `http://${address}`, replication: 'true' });

  it('is, with tokens, who shows the first one; others are refused, and that is told', async () => {
    const { url, told, registry } = await start({ peers: [], token: tokens });
    const other = bearer(tokens.payments);
    expect(await post(url, 'register', node('127.0.0.1:1'), other)).toMatchObject({ status: 403 });
    expect(await post(url, 'cancel', node('127.0.0.1:1'), other)).toMatchObject({ status: 403 });
    const merge = { node: 'x', entries: '{"cancelled":[]}' };
    expect(await post(url, 'peer/merge', merge, other)).toMatchObject({ status: 403 });
    for (const path of ['peer/digest', 'peer/entries?bucket=1'])
      expect((await fetch(`${url}/discovery/${path}`, { headers: other })).status).toBe(403);
    expect(told('refused').map(({ write, token }) => [write, token])).toEqual([
      ['register', 'payments'],
      ['cancel', 'payments'],
      ['merge', 'payments'],
    ]);
    // Of whatever app: nodes are believed when that was, and that others know.
    for (const flag of ['replication', 'from_zone'])
      for (const path of ['register', 'renew', 'cancel', 'set'])
        expect(await post(url, path, instance('h', { [flag]: 'true' }), other)).toMatchObject({
          status: 403,
        });
    expect(registry.stats().instances).toBe(0);
    expect((await post(url, 'register', instance('h'), other)).json.code).toBe(0);
    const replicated = instance('h2', { replication: 'true' });
    expect((await post(url, 'register', replicated, bearer(tokens.cluster))).json.code).toBe(0);
    expect((await post(url, 'peer/merge', merge, bearer(tokens.cluster))).json.code).toBe(0);
    expect(registry.stats().peers).toEqual([]);
  });

  it('is kept alive by nodes alone', async () => {
    const { url } = await start({ peers: [] });
    expect((await post(url, 'register', node('127.0.0.1:1'))).json.code).toBe(0);
    const renewal = instance('x', { appid: 'infra.discovery' });
    expect((await post(url, 'renew', renewal)).json.code).toBe(-400);
    expect((await post(url, 'renew', { ...renewal, replication: 'true' })).json.code).toBe(-409);
  });

  it('is shown the token only if it was given', async () => {
    const stranger = await listener(() => [404, '404']);
    const given = await listener(() => [404, '404']);
    const { url, registry } = await start({
      ...{ peers: [given.address], token: tokens, compareIntervalMs: 100 },
    });
    const cluster = bearer(tokens.cluster);
    expect((await post(url, 'register', node(stranger.address), cluster)).json.code).toBe(0);
    await post(url, 'register', instance('h'), cluster);
    await vi.waitFor(() => expect(given.asked.length).toBeGreaterThan(3), 5_000);
    for (const { authorization } of given.asked) expect(authorization).toBe(cluster.authorization);
    expect(stranger.asked).toEqual([]);
    expect(registry.stats().peers.map(({ address }) => address)).toEqual([given.address]);
  });

  it.each([
    ['404 whatever it is asked', () => [404, '404'] as const],
    ['a page', () => [200, '<html>'] as const],
    ['an error of another protocol', () => [200, '{"error":"what?"}'] as const],
  ])('is not who answers %s: it is told nothing of what is registered', async (_, answer) => {
    const stranger = await listener(answer);
    const { url } = await start({ peers: [], compareIntervalMs: 100 });
    await post(url, 'register', node(stranger.address));
    await post(url, 'register', instance('secret'));
    await vi.waitFor(() => expect(stranger.asked.length).toBeGreaterThan(3), 5_000);
    expect(stranger.asked.filter(({ body }) => body !== '')).toEqual([]);
  });
});

describe('what a node tells', () => {
  it('leaves lines with who did it and to whom, as many as that takes', async () => {
    const { url, told } = await start({ peers: [] });
    const dirty = BigInt(Date.now() + 60_000) * 1_000_000n;
    const claim = (hostname: string) =>
      `{"zone":"z","env":"e","appid":"a","hostname":"${hostname}","status":1,"addrs":["http://a:1"],"dirty_timestamp":${dirty}}`;
    await post(url, 'register', instance('victim'));
    const entries = `{"records":[${claim('evil')}],"cancelled":[${claim('victim')}]}`;
    await post(url, 'peer/merge', { node: 'n', entries });
    expect(told('merged')).toEqual([
      { from: 'n', changed: 2, instances: 'e/a/z/evil,e/a/z/victim', caller: '127.0.0.1' },
    ]);
    const many = Array.from({ length: 500 }, (_, n) => claim(`host-${n}`));
    await post(url, 'peer/merge', { node: 'n', entries: `{"records":[${many.join(',')}]}` });
    const lines = told('merged').slice(1);
    expect(lines.reduce((sum, { changed }) => sum + Number(changed), 0)).toBe(500);
    const names = lines.map(({ instances }) => String(instances));
    expect(names.join(',').split(',')).toEqual(Array.from({ length: 500 }, (_, n) => `e/a/z/host-${n}`));
    for (const line of names) expect(line.length).toBeLessThanOrEqual(1_024);
    const hosts = new URLSearchParams({ zone: 'z', env: 'e', appid: 'a' });
    for (let n = 0; n < 200; n++) {
      hosts.append('hostname', `host-${n}`);
      hosts.append('status', '2');
    }
    expect(await (await fetch(`${url}/discovery/set`, { method: 'POST', body: hosts })).json()).toMatchObject(
      {
        code: 0,
      },
    );
    const changed = told('changed').map(({ hostname }) => String(hostname));
    expect(changed.join(',').split(',')).toEqual(Array.from({ length: 200 }, (_, n) => `host-${n}`));
  });

  it('is not done when it is refused', async () => {
    const { url, told, registry } = await start({ peers: [] });
    const record =
      '{"zone":"z","env":"e","appid":"a","hostname":"h","status":1,"addrs":["http://a:1"],"dirty_timestamp":1}';
    await post(url, 'peer/merge', { node: 'n\nforged', entries: `{"records":[${record}]}` });
    await post(url, 'peer/merge', { node: 'n', entries: 'torn' });
    expect(registry.stats().instances).toBe(0);
    expect(told('refused')).toMatchObject([
      { write: 'merge', code: -400, caller: '127.0.0.1' },
      { write: 'merge', code: -400 },
    ]);
  });

  it.each(['1e300', '9'.repeat(400), '-1', '"x"'])('may have any age: %s', async (idle) => {
    const { url, told, registry } = await start({ peers: [] });
    await post(url, 'register', instance('h'));
    const dirty = BigInt(Date.now() + 1_000) * 1_000_000n;
    const entries = `{"records":[{"zone":"z","env":"e","appid":"a","hostname":"h","status":1,"addrs":["http://a:1"],"dirty_timestamp":${dirty},"idle_ms":${idle}}]}`;
    expect((await post(url, 'peer/merge', { node: 'n', entries })).json.code).toBe(0);
    const { body } = await registry.ask('GET', '/discovery/fetch/all', new URLSearchParams());
    expect(body.match(/"renew_timestamp":\d{19},/g)).toHaveLength(2);
    expect(told('fault')).toEqual([]);
  });

  it('travels in batches that a peer can read, whatever the script; what never fits holds nothing up', async () => {
    const ports = [await freePort(), await freePort()];
    const peers = ports.map((port) => `127.0.0.1:${port}`);
    const nodes = await Promise.all(
      peers.map((listen, at) =>
        // The second reads less than the first takes it for.
        start({ listen, peers, limits: at === 1 ? { bodyBytes: 60_000 } : {}, replyWaitMs: 0 }),
      ),
    );
    const [first, second] = nodes;
    if (first === undefined || second === undefined) throw new Error('two nodes');
    await vi.waitFor(() => expect(first.registry.stats().peers).toMatchObject([{ status: 'up' }]), 5_000);
    const note = (text: string) => JSON.stringify({ note: text.repeat(2_700) });
    const addrs = Array.from({ length: 15 }, (_, n) => `http://${'中'.repeat(500)}:${n + 1}`).join(',');
    const writes = [ask(first.registry, 'register', instance('huge', { addrs }))];
    for (let n = 0; n < 60; n++)
      writes.push(ask(first.registry, 'register', instance(`h${n}`, { metadata: note('中') })));
    await Promise.all(writes);
    await vi.waitFor(() => expect(second.registry.stats().instances).toBe(61), 8_000);
    // That one it fetched when it compared.
    const [peer] = first.registry.stats().peers;
    expect(peer).toMatchObject({ status: 'up', queued: 0 });
    expect(peer?.dropped).toBeGreaterThan(0);
    expect(first.told('peer').filter(({ status }) => status === 'lost')).toEqual([]);
  }, 15_000);
});

describe('a node that reads little', () => {
  it('says so whatever is sent to it: it is told the rest in smaller batches, and never lost', async () => {
    const peers = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const nodes = await Promise.all(
      peers.map((listen, at) =>
        start({ listen, peers, limits: at === 1 ? { bodyBytes: 10_000 } : {}, compareIntervalMs: 3_600_000 }),
      ),
    );
    const [first, second] = nodes;
    if (first === undefined || second === undefined) throw new Error('two nodes');
    await vi.waitFor(() => expect(first.registry.stats().peers).toMatchObject([{ status: 'up' }]), 5_000);
    const metadata = JSON.stringify({ note: 'n'.repeat(1_000) });
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => ask(first.registry, 'register', instance(`h${n}`, { metadata }))),
    );
    // The first itself is one more.
    await vi.waitFor(() => expect(second.registry.stats().instances).toBe(61), 10_000);
    expect(first.registry.stats().peers).toMatchObject([{ status: 'up', queued: 0, dropped: 0 }]);
    expect(first.told('peer').filter(({ status }) => status === 'lost')).toEqual([]);
  }, 20_000);
});

describe('closing', () => {
  const saved = (path: string) => JSON.parse(readFileSync(path, 'utf8')).records.length as number;
  const withOne = async (path: string) => {
    const { registry } = await start({ snapshot: path });
    await ask(registry, 'register', instance('h'));
    await registry.close();
    expect(saved(path)).toBe(1);
  };

  it('before it listened, or while it begins to, leaves the snapshot as it was', async () => {
    const path = join(folder, 's.json');
    await withOne(path);
    await make({ snapshot: path }).registry.close();
    expect(saved(path)).toBe(1);
    const { registry } = make({ snapshot: path });
    const listening = registry.listen();
    await registry.close();
    await expect(listening).rejects.toThrow(/closed before it listened/);
    expect(saved(path)).toBe(1);
  });

  it.each([
    ['a snapshot', () => ({ snapshot: join(folder, 's.json') })],
    ['schedulers', () => ({ schedulers: folder })],
  ])('ends what began to listen: %s', async (_, options) => {
    const { registry, events } = make(options());
    const listening = registry.listen();
    await registry.close();
    await expect(listening).rejects.toThrow(/closed before it listened/);
    expect(events.map(({ name }) => name)).not.toContain('listening');
    await expect(registry.listen()).rejects.toThrow(/is closed/);
  });

  it.each([
    ['is looked up', 'localhost', 'asked'],
    ['is about to be bound', '127.0.0.1', 'asked'],
    ['was just bound', '127.0.0.1', 'bound'],
  ] as const)('while its address %s leaves nobody listening there', async (_, host, moment) => {
    const port = await freePort();
    const { registry, events } = make({ listen: `${host}:${port}` });
    const { listen } = net.Server.prototype;
    let closing: Promise<void> | undefined;
    const close = () => {
      closing = registry.close();
    };
    const spy = vi.spyOn(net.Server.prototype, 'listen').mockImplementationOnce(function (
      this: net.Server,
      ...given: unknown[]
    ) {
      // Before the registry itself hears of it.
      if (moment === 'bound') this.once('listening', close);
      Reflect.apply(listen, this, given);
      if (moment === 'asked') close();
      return this;
    } as typeof listen);
    try {
      await expect(registry.listen()).rejects.toThrow(/closed before it listened/);
    } finally {
      spy.mockRestore();
    }
    expect(closing).toBeInstanceOf(Promise);
    await closing;
    // One lookup ends after the other: that of the registry has.
    await lookup(host);
    const next = net.createServer();
    running.push(next);
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject);
      next.listen(port, host, resolve);
    });
    expect(events.map(({ name }) => name)).not.toContain('listening');
  });

  it('is not needed after a port that was in use: it may listen again, and restores once', async () => {
    const path = join(folder, 's.json');
    const before = await start({ snapshot: path });
    for (let n = 0; n < 5; n++) await ask(before.registry, 'register', instance(`h${n}`));
    await before.registry.close();
    const port = await freePort();
    const block = net.createServer();
    running.push(block);
    await new Promise<void>((resolve) => block.listen(port, '127.0.0.1', resolve));
    const { registry, told } = make({ listen: `127.0.0.1:${port}`, snapshot: path, schedulers: folder });
    await expect(registry.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await new Promise((resolve) => block.close(resolve));
    await registry.listen();
    expect(told('restored')).toHaveLength(1);
    expect(registry.stats()).toMatchObject({ instances: 5, stale: 5, expectedRenewals: 10 });
    expect(existsSync(path)).toBe(true);
  });
});

describe('two nodes with one port on two addresses', () => {
  it('do not take each other for themselves', async () => {
    const port = await freePort();
    const peers = [`127.0.0.1:${port}`, `127.0.0.2:${port}`];
    const nodes = await Promise.all(peers.map((listen) => start({ listen, peers, compareIntervalMs: 100 })));
    for (const { registry, told } of nodes) {
      await vi.waitFor(async () => {
        const { body } = await registry.ask('GET', '/discovery/fetch/all', new URLSearchParams());
        expect(JSON.parse(body).data['infra.discovery']).toHaveLength(2);
      }, 5_000);
      expect(told('namesake')).toEqual([]);
    }
  });
});

describe('a node whose name another one has', () => {
  it('sets that right once a second at most, and tells of it once', async () => {
    const { url, registry, told } = await start({ peers: [] });
    const own = async () => {
      const { body } = await registry.ask('GET', '/discovery/fetch/all', new URLSearchParams());
      const [found] = JSON.parse(body).data['infra.discovery'] as { [name: string]: string }[];
      return { found, version: BigInt(/"dirty_timestamp":(\d+)/.exec(body)?.[1] ?? 0) };
    };
    const { found } = await own();
    let version = 0n;
    let corrections = 0;
    for (let round = 0; round < 20; round++) {
      const now = await own();
      if (now.version > version) corrections++;
      version = now.version;
      const { zone = '', env = '', hostname = '' } = found ?? {};
      const dirty = version + 10n ** 9n;
      const entries = `{"records":[{"zone":"${zone}","env":"${env}","appid":"infra.discovery","hostname":"${hostname}","status":1,"addrs":["http://10.0.0.9:1"],"dirty_timestamp":${dirty}}]}`;
      await post(url, 'peer/merge', { node: 'n', entries });
    }
    // As it was, after the first, and one a second: twenty rounds take far less than three.
    expect(corrections).toBeLessThan(6);
    expect(told('namesake')).toEqual([{ hostname: found?.['hostname'], addrs: 'http://10.0.0.9:1' }]);
    await vi.waitFor(async () => expect((await own()).version).toBeGreaterThan(version), 3_000);
    expect((await own()).found?.['addrs']).toEqual([url]);
  });
});

describe('on loopback', () => {
  it('it is asked by its own names alone', async () => {
    const { port } = await start();
    const status = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { port, host: '127.0.0.1', path: '/discovery/fetch/all', headers: { host } };
        http.get(options, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
    expect(await status(`evil.example:${port}`)).toBe(403);
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status(`127.0.0.1:${port}`)).toBe(200);
  });
});
