import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { discovery, type ServiceInstance } from 'keelson/discovery';
import { createRegistry } from 'keelson/registry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { rawClient, rawGet } from '../doubles/raw-client.js';

// Real processes and real signals. The children run what `npm run build` made.

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Message {
  readonly service?: string;
  readonly state?: string;
  readonly port?: number;
  readonly url?: string;
  readonly heard?: string;
  readonly worker?: number;
  readonly pid?: number;
}

class Child {
  readonly messages: Message[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = '';

  constructor(readonly process: ChildProcess) {
    process.on('message', (message) => this.messages.push(message as Message));
    process.stdout?.on('data', (text) => (this.output += text));
    process.stderr?.on('data', (text) => (this.output += text));
    this.exited = once(process, 'exit').then(([code, signal]) => ({ code, signal }));
    closers.push(() => void process.kill('SIGKILL'));
  }
  /** The first message that fits; rejects when the child ends before. */
  said(fits: (message: Message) => boolean): Promise<Message> {
    return vi.waitFor(
      () => {
        const found = this.messages.find(fits);
        if (found) return found;
        if (this.process.exitCode !== null) throw new Error(`ended: ${this.output}`);
        throw new Error(`not said: ${JSON.stringify(this.messages)} ${this.output}`);
      },
      { timeout: 20_000, interval: 5 },
    );
  }
  get states(): string[] {
    return this.messages.flatMap(({ state }) => state ?? []);
  }
}

function run(name: string, env: Record<string, unknown>): Child {
  const variables = Object.entries(env).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  // The usual environment of a service: what says "test" would change its defaults.
  const { VITEST: _a, NODE_ENV: _b, VITEST_WORKER_ID: _c, VITEST_POOL_ID: _d, ...usual } = process.env;
  return new Child(
    fork(fixture(name), [], {
      env: { ...usual, ...Object.fromEntries(variables) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    }),
  );
}

const service = async (options: object = {}) => {
  const child = run('service.mjs', { SERVICE_OPTIONS: { drainPauseMs: 0, ...options } });
  const { port } = await child.said((message) => message.port !== undefined);
  return { child, port: port as number };
};

async function registry() {
  const server = createRegistry({ listen: '127.0.0.1:0' });
  const { url } = await server.listen();
  const client = discovery({ nodes: [url], pollGapMs: 10, removalHoldMs: 0 });
  let instances: readonly ServiceInstance[] = [];
  client.watch('users', (resolution) => {
    instances = resolution.instances;
  });
  closers.push(() => server.close());
  closers.push(() => client.close());
  return { url, instances: () => instances };
}

it('was built', () => {
  expect(existsSync(fileURLToPath(new URL('../../dist/esm/index.js', import.meta.url)))).toBe(true);
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: deregisters at once, drains, and ends as without us',
    async (signal) => {
      const { url, instances } = await registry();
      const { child, port } = await service({ registry: url, drainPauseMs: 400 });
      await vi.waitFor(() => expect(instances()).toHaveLength(1), { timeout: 10_000 });
      const sentAt = performance.now();
      child.process.kill(signal);
      await vi.waitFor(() => expect(instances()).toHaveLength(0), { timeout: 10_000, interval: 5 });
      const tookMs = performance.now() - sentAt;
      // It goes on serving while others hear of it.
      const late = await fetch(`http://127.0.0.1:${port}/`);
      expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
      expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
      expect(await child.exited).toEqual({ code: null, signal });
      expect(child.states).toEqual(['starting', 'ready', 'draining', 'stopped']);
      // "Within a second" is promised; a machine that is busy otherwise is given more.
      expect(tookMs).toBeLessThan(5000);
    },
  );

  it('lets calls in flight finish', async () => {
    const { child, port } = await service();
    const raw = await rawClient(port);
    raw.socket.write(rawGet('/slow'));
    const health = await fetch(`http://127.0.0.1:${port}/healthz`);
    expect(health.status).toBe(200);
    child.process.kill('SIGTERM');
    expect(await raw.closed()).toMatch(/slow$/);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('cuts calls that hang after closeTimeoutMs', async () => {
    const { child, port } = await service({ closeTimeoutMs: 100 });
    const raw = await rawClient(port);
    raw.socket.write(rawGet('/hang'));
    await fetch(`http://127.0.0.1:${port}/healthz`);
    child.process.kill('SIGTERM');
    expect(await raw.closed()).toBe('');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('that comes a second time ends the process at once', async () => {
    const { child } = await service({ drainPauseMs: 600_000 });
    child.process.kill('SIGTERM');
    await child.said(({ state }) => state === 'draining');
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.states).not.toContain('stopped');
  });

  it('does nothing of ours with signals: false', async () => {
    const { child } = await service({ signals: false, drainPauseMs: 600_000 });
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.states).not.toContain('draining');
  });

  it('ends all apps of the process before the process', async () => {
    const { child } = await service({ apps: 3 });
    await child.said(({ service: name, port }) => name === 'users-2' && port !== undefined);
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.states.filter((state) => state === 'stopped')).toHaveLength(3);
  });

  it('is left to whoever else handles it, once the app has stopped', async () => {
    const { child } = await service({ mode: 'own-handler' });
    child.process.kill('SIGTERM');
    await child.said(({ state }) => state === 'stopped');
    await vi.waitFor(
      () => expect(child.messages.filter(({ heard }) => heard !== undefined)).toHaveLength(2),
      {
        timeout: 10_000,
      },
    );
    child.process.disconnect();
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  it('does what it did before once the app has stopped', async () => {
    const { child } = await service();
    child.process.send('stop');
    // With nothing left to do the process ends by itself.
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.states.at(-1)).toBe('stopped');
  });
});

describe('a process that serves', () => {
  it('is held by its server', async () => {
    const { child, port } = await service({ mode: 'unheld' });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('ok');
    expect(child.process.exitCode).toBeNull();
  });
});

describe('a process that only calls others', () => {
  it.each([
    ['after its calls', {}],
    ['after its calls, stopped', { stop: true }],
    ['that found nobody', { away: true }],
  ])('ends by itself %s', async (_, { stop = false, away = false }: { stop?: boolean; away?: boolean }) => {
    const { url } = await registry();
    const { child: users } = await service({ registry: url });
    const options = { registry: away ? 'http://127.0.0.1:1' : url, stop, calls: 2 };
    const child = run('client.mjs', { CLIENT_OPTIONS: options });
    child.process.disconnect();
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const line = away ? 'NO_ENDPOINT\n' : '200 ok\n';
    expect(child.output).toBe(`${line}${line}done\n`);
    users.process.kill('SIGKILL');
    await users.exited;
  });
});

describe('workers of one port', () => {
  it('register one by one, and leave one by one', async () => {
    const { url, instances } = await registry();
    const child = run('workers.mjs', { SERVICE_OPTIONS: { registry: url, workers: 2 } });
    await vi.waitFor(() => expect(instances()).toHaveLength(2), { timeout: 20_000 });
    const [one, two] = instances();
    expect(one?.addresses).toEqual(two?.addresses);
    const names = instances().map(({ hostname }) => hostname);
    expect(names.map((name) => name.replace(/.*-\d+-/, '')).sort()).toEqual(['w1', 'w2']);
    const { pid } = await child.said(({ worker }) => worker === 1);
    process.kill(pid as number, 'SIGTERM');
    await vi.waitFor(() => expect(instances().map(({ hostname }) => hostname)).toHaveLength(1), {
      timeout: 20_000,
    });
    expect(instances()[0]?.hostname).toMatch(/-w2$/);
    const answer = await fetch(instances()[0]?.addresses[0] as string);
    expect(answer.status).toBe(200);
    child.process.disconnect();
    await child.exited;
  });
});

/** Makes a process the first of its own space; needs rights that few machines give to tests. */
const isolated = ['unshare', '--pid', '--fork', '--kill-child'] as const;
const able = spawnSync(isolated[0], [...isolated.slice(1), 'true']).status === 0;

describe.runIf(able)('the first process of a container', () => {
  it('is ended by a signal too', async () => {
    const [command, ...args] = isolated;
    const child = new Child(
      spawn(command, [...args, process.execPath, fixture('service.mjs')], {
        env: { ...process.env, SERVICE_OPTIONS: '{"drainPauseMs":0}' },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      }),
    );
    await child.said((message) => message.port !== undefined);
    const { pid } = child.process;
    const [inner] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(inner), 'SIGTERM');
    expect(await child.exited).toEqual({ code: 143, signal: null });
  });
});
