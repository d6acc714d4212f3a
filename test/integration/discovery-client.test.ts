import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import {
  type DiscoveryEvent,
  type DiscoveryOptions,
  discovery,
  type Registry,
  type Resolution,
  type ServiceInstance,
} from 'keelson/discovery';
import { createRegistry } from 'keelson/registry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { type QuirkyServer, quirkyServer } from '../doubles/quirky-server.js';

const patience = { timeout: 20_000, interval: 10 };
const ending: (() => unknown)[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-discovery-'));
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
});

async function server(port?: number): Promise<QuirkyServer> {
  const started = await quirkyServer(port ?? (await freePort()));
  ending.push(() => started.kill());
  return started;
}

/** A proxy that does as it likes before it passes a request on. @returns its URL */
async function front(
  behind: QuirkyServer,
  decide: (request: http.IncomingMessage, onward: () => void) => void,
): Promise<string> {
  const { port } = new URL(behind.url);
  const proxy = http.createServer((request, response) => {
    const { url: path, method, headers } = request;
    decide(request, () => {
      const onward = http.request({ port, path, method, headers }, (reply) => {
        response.writeHead(reply.statusCode ?? 500);
        reply.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  ending.push(() => proxy.close());
  ending.push(() => proxy.closeAllConnections());
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

function slowFront(behind: QuirkyServer, ms: number): Promise<string> {
  return front(behind, (_, onward) => setTimeout(onward, ms));
}

function client(nodes: readonly string[], options: Partial<DiscoveryOptions> = {}) {
  const events: DiscoveryEvent[] = [];
  const registry = discovery({
    nodes,
    zone: 'sh001',
    env: 'prod',
    requestTimeoutMs: 1_000,
    onEvent: (event) => events.push(event),
    ...options,
  });
  ending.push(() => registry.close());
  return { registry, events };
}

function instance(hostname: string): ServiceInstance {
  return {
    id: `${hostname}/1`,
    service: 'users',
    hostname,
    addresses: [`http://${hostname}:8080`],
    version: '1',
    zone: 'sh001',
    env: 'prod',
    region: '',
    weight: 100,
    status: 'up',
    metadata: {},
  };
}

function follow(registry: Registry) {
  const pushed: Resolution[] = [];
  registry.watch('users', (resolution) => pushed.push(resolution));
  return {
    pushed,
    get hosts() {
      return pushed.at(-1)?.instances.map(({ hostname }) => hostname);
    },
    get stale() {
      return pushed.at(-1)?.stale;
    },
  };
}

describe('the discovery client over sockets', () => {
  it('finds, follows, survives the death of the registry and its return without memory', async () => {
    const first = await server();
    const provider = client([first.url], { renewMs: 200 });
    await provider.registry.register(instance('h1'));
    const users = follow(client([first.url]).registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
    await client([first.url]).registry.register(instance('h2'));
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1', 'h2']), patience);

    await first.kill();
    await vi.waitFor(() => expect(users.stale).toBe(true), patience);
    expect(users.hosts).toEqual(['h1', 'h2']);

    const second = await server(Number(new URL(first.url).port));
    await vi.waitFor(() => expect(second.registry.stored('prod', 'users')).not.toEqual([]), patience);
    await vi.waitFor(
      () => expect(second.registry.count('GET /discovery/polls')).toBeGreaterThan(0),
      patience,
    );
    expect(users.hosts).toEqual(['h1', 'h2']);
  });

  it('keeps its connections', async () => {
    const double = await server();
    const { registry } = client([double.url], { renewMs: 100 });
    await registry.register(instance('h1'));
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
    await vi.waitFor(
      () => expect(double.registry.count('POST /discovery/renew')).toBeGreaterThan(10),
      patience,
    );
    expect(double.connections).toBeLessThanOrEqual(4);
  });

  it('limits only the making of a connection by the connect timeout', async () => {
    const double = await server();
    const { registry } = client([await slowFront(double, 300)], { connectTimeoutMs: 100 });
    const registration = await registry.register(instance('h1'));
    expect(registration.registered).toBe(true);
    expect(double.registry.count('POST /discovery/register')).toBe(1);
  });

  it('does not take an idle connection that the server closed for a failure', async () => {
    const double = await server();
    const { registry, events } = client([double.url], { renewMs: 100 });
    await registry.register(instance('h1'));
    for (let round = 0; round < 10; round++) {
      const renewed = double.registry.count('POST /discovery/renew');
      double.cutIdle();
      await vi.waitFor(
        () => expect(double.registry.count('POST /discovery/renew')).toBeGreaterThan(renewed),
        patience,
      );
    }
    expect(events.map(({ type }) => type)).toEqual(['registered']);
  });

  it('repeats at once what was written to a kept connection that was being closed', async () => {
    const double = await server();
    const served = new WeakSet<net.Socket>();
    const url = await front(double, (request, onward) => {
      // As if an idle limit ran out just when the second request was on its way.
      if (served.has(request.socket)) return void request.socket.resetAndDestroy();
      served.add(request.socket);
      onward();
    });
    double.registry.garbled.set('/discovery/polls', { status: 200, body: '{"code":-304}' });
    follow(client([url], { pollGapMs: 10 }).registry);
    await vi.waitFor(
      () => expect(double.registry.count('GET /discovery/polls')).toBeGreaterThan(4),
      patience,
    );
    // A poll that failed would have been followed by another fetch.
    expect(double.registry.count('GET /discovery/fetchs')).toBe(1);
  });

  it('does not repeat what was being answered when its connection broke', async () => {
    const double = await server();
    let broken = 0;
    const url = await front(double, (request, onward) => {
      if (!request.url?.includes('renew')) return onward();
      broken++;
      request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"co');
      setTimeout(() => request.socket.resetAndDestroy(), 20);
    });
    let brokenAtLoss: number | undefined;
    const onEvent = ({ type }: DiscoveryEvent): void => {
      if (type === 'lost') brokenAtLoss ??= broken;
    };
    await client([url], { renewMs: 300, onEvent }).registry.register(instance('h1'));
    // Lost after two failures in a row; had the first been repeated on the side, the server would have seen a third.
    await vi.waitFor(() => expect(brokenAtLoss).toBe(2), patience);
  });

  it('cuts a reply that does not end, and marks what it knows stale', async () => {
    const double = await server();
    const { registry } = client([double.url], { maxReplyBytes: 100_000, pollMs: 500 });
    await registry.register(instance('h1'));
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
    const huge = { status: 200, body: `{"code":0,"data":"${'x'.repeat(10_000_000)}"}` };
    double.registry.garbled.set('/discovery/polls', huge).set('/discovery/fetchs', huge);
    await client([double.url]).registry.register(instance('h2'));
    await vi.waitFor(() => expect(users.stale).toBe(true), patience);
    expect(users.pushed.at(-1)?.reason).toMatch(/reply of more than 100000 bytes/);
    expect(users.hosts).toEqual(expect.arrayContaining(['h1']));
  });

  it.each([
    ['closes within the headers', 'HTTP/1.1 200 OK\r\ncontent-le'],
    ['closes within the body', 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"code":0'],
    ['is no HTTP server', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['says nothing', ''],
  ])('goes on to the next node when one %s', async (_, answer) => {
    const double = await server();
    await client([double.url]).registry.register(instance('h1'));
    const broken = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(answer));
    });
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    ending.push(() => broken.close());
    const url = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`;
    // A random of almost 1 keeps the order as given, the broken one first.
    let draws = 0;
    const users = follow(client([url, double.url], { random: () => (draws++ < 2 ? 0.999 : 0.01) }).registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
  });

  it('tells by which address this host reaches the registry, whether it is up or not', async () => {
    const double = await server();
    const { registry } = client([double.url]);
    await expect(registry.localAddress?.()).resolves.toBe('127.0.0.1');
    await registry.register(instance('h1'));
    await expect(registry.localAddress?.()).resolves.toBe('127.0.0.1');
    await double.kill();
    await expect(client([double.url]).registry.localAddress?.()).resolves.toBe('127.0.0.1');
  });
});

describe('the discovery client and our own registry', () => {
  it('sees instances come, change place and leave, the last one too, without a recheck', async () => {
    const own = createRegistry({ listen: '127.0.0.1:0' });
    const { url } = await own.listen();
    ending.push(() => own.close());
    const options = { recheckMs: Number.POSITIVE_INFINITY, removalHoldMs: 0 };
    const { registry, events } = client([url], options);
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual([]), patience);
    const first = await client([url]).registry.register(instance('h1'));
    await vi.waitFor(() => expect(users.pushed.at(-1)?.instances).toEqual([instance('h1')]), patience);
    const second = await registry.register(instance('h2'));
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1', 'h2']), patience);
    await first.deregister();
    await vi.waitFor(() => expect(users.hosts).toEqual(['h2']), patience);
    await second.deregister();
    await vi.waitFor(() => expect(users.hosts).toEqual([]), patience);
    expect(users.pushed.every(({ stale }) => !stale)).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['registered', 'deregistered']);
  });
});

describe('a process that watches', () => {
  const source = fileURLToPath(new URL('../../src', import.meta.url));

  async function run(code: string): Promise<{ status: number | null; output: string }> {
    const file = join(folder, 'program.mjs');
    await build({
      stdin: { contents: code, resolveDir: folder, loader: 'js' },
      alias: { 'keelson/discovery': join(source, 'discovery/index.ts') },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
      logLevel: 'silent',
    });
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    ending.push(() => child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { status, output };
  }

  it('is not held by a parked poll, a renewal to come or a kept connection', async () => {
    const double = await server();
    await client([double.url]).registry.register(instance('h1'));
    const { status, output } = await run(`
      import { discovery } from 'keelson/discovery';
      const registry = discovery({ nodes: ['${double.url}'], zone: 'sh001', env: 'prod' });
      const own = { ...${JSON.stringify(instance('h2'))} };
      await registry.register(own);
      const hold = setInterval(() => undefined, 1000);
      registry.watch('users', ({ instances }) => {
        console.log(instances.length);
        // The poll is parked some milliseconds after the first list.
        setTimeout(() => clearInterval(hold), 300);
      });
    `);
    // Nothing ends it but having nothing left to do. It would hang for as long as the double lives otherwise.
    expect({ status, output }).toEqual({ status: 0, output: '2\n' });
    expect(double.registry.count('GET /discovery/polls')).toBe(1);
    expect(double.registry.stored('prod', 'users')).toHaveLength(2);
  });

  it('is not held by a registry that is away', async () => {
    const gone = await server();
    await gone.kill();
    const { status, output } = await run(`
      import { discovery } from 'keelson/discovery';
      const registry = discovery({ nodes: ['${gone.url}'], zone: 'sh001', env: 'prod' });
      registry.watch('users', () => console.log('pushed'));
      const registration = await registry.register(${JSON.stringify(instance('h2'))});
      console.log(registration.registered);
    `);
    expect({ status, output }).toEqual({ status: 0, output: 'false\n' });
  });

  it('stays for what it awaits: registering and taking out', async () => {
    const slow = await server();
    const url = await slowFront(slow, 200);
    const { status, output } = await run(`
      import { discovery } from 'keelson/discovery';
      const registry = discovery({ nodes: ['${url}'], zone: 'sh001', env: 'prod' });
      const registration = await registry.register(${JSON.stringify(instance('h2'))});
      console.log(registration.registered);
      await registration.deregister();
      console.log(registration.registered);
    `);
    expect({ status, output }).toEqual({ status: 0, output: 'true\nfalse\n' });
    expect(slow.registry.stored('prod', 'users')).toEqual([]);
  });
});

describe('a snapshot file', () => {
  const path = (): string => join(folder, 'snapshot.json');

  it('serves a cold start while the registry is away, marked stale, and gives way to it', async () => {
    const double = await server();
    // So many that the first list of the new registry has lost most of them: an old list is no measure for it.
    const hosts = ['h1', 'h2', 'h3', 'h4'];
    for (const host of hosts) await client([double.url]).registry.register(instance(host));
    const before = client([double.url], { snapshotFile: path() });
    const seen = follow(before.registry);
    await vi.waitFor(() => expect(seen.hosts).toEqual(hosts), patience);
    await before.registry.close();
    expect(readdirSync(folder)).toEqual(['snapshot.json']);
    expect(statSync(path()).mode & 0o077).toBe(0);

    await double.kill();
    const after = client([double.url], { snapshotFile: path() });
    const users = follow(after.registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(hosts), patience);
    expect(users.pushed[0]).toMatchObject({ stale: true, reason: expect.stringContaining('snapshot') });
    expect(users.pushed[0]?.instances).toEqual(seen.pushed.at(-1)?.instances);

    await vi.waitFor(() => expect(users.pushed.at(-1)?.reason).toContain('ECONNREFUSED'), patience);

    const again = await server(Number(new URL(double.url).port));
    await client([again.url]).registry.register(instance('h9'));
    await vi.waitFor(() => expect([users.hosts, users.stale]).toEqual([['h9'], false]), patience);
  });

  it('is nothing to go by for what is watched while the registry answers, and all there is when it fails', async () => {
    const double = await server();
    const orders = { ...instance('o1'), service: 'orders' };
    const provider = client([double.url]).registry;
    await provider.register(orders);
    const registration = await provider.register(instance('h1'));
    const before = client([double.url], { snapshotFile: path() });
    before.registry.watch('orders', () => undefined);
    const seen = follow(before.registry);
    await vi.waitFor(() => expect(seen.hosts).toEqual(['h1']), patience);
    await before.registry.close();
    expect(readFileSync(path(), 'utf8')).toContain('"o1"');
    await registration.deregister();
    await client([double.url]).registry.register(instance('h2'));

    const { registry } = client([double.url], { snapshotFile: path() });
    let known = false;
    registry.watch('others', ({ stale }) => {
      known = !stale;
    });
    await vi.waitFor(() => expect(known).toBe(true), patience);
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h2']), patience);
    expect(users.pushed).toHaveLength(1);

    await double.kill();
    const late: Resolution[] = [];
    registry.watch('orders', (resolution) => late.push(resolution));
    await vi.waitFor(
      () => expect(late[0]).toMatchObject({ instances: [{ hostname: 'o1' }], stale: true }),
      patience,
    );
  });

  it('is written some time after a change, without being closed', async () => {
    const double = await server();
    await client([double.url]).registry.register(instance('h1'));
    follow(client([double.url], { snapshotFile: path() }).registry);
    await vi.waitFor(() => expect(readFileSync(path(), 'utf8')).toContain('"h1"'), patience);
  });

  it.each([
    ['torn', (whole: string) => whole.slice(0, whole.length / 2)],
    ['empty', () => ''],
    ['garbage', () => '\0\0\0'],
    ['of a later version', (whole: string) => whole.replace('"version":1', '"version":2')],
    ['of another environment', (whole: string) => whole.replace('"env":"prod"', '"env":"uat"')],
    ['wrong inside', (whole: string) => whole.replace('"addresses":[', '"addresses":[7,')],
    ['no object', () => '[]'],
  ])('is ignored with a reason when it is %s', async (_, damage) => {
    const double = await server();
    await client([double.url]).registry.register(instance('h1'));
    const first = client([double.url], { snapshotFile: path() });
    const seen = follow(first.registry);
    await vi.waitFor(() => expect(seen.hosts).toEqual(['h1']), patience);
    await first.registry.close();
    writeFileSync(path(), damage(readFileSync(path(), 'utf8')));
    const { registry, events } = client([double.url], { snapshotFile: path() });
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
    await vi.waitFor(() => expect(events.map(({ type }) => type)).toEqual(['snapshot']), patience);
    expect(users.pushed).toHaveLength(1);
    expect(events[0]?.reason).toContain('was ignored');
  });

  it('does no harm when it cannot be written', async () => {
    const double = await server();
    await client([double.url]).registry.register(instance('h1'));
    const missing = join(folder, 'no', 'such', 'folder.json');
    const { registry, events } = client([double.url], { snapshotFile: missing });
    const users = follow(registry);
    await vi.waitFor(() => expect(users.hosts).toEqual(['h1']), patience);
    await registry.close();
    expect(events.map(({ type }) => type)).toEqual(['snapshot']);
    expect(events[0]?.reason).toContain('was not written');
  });
});
