import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { type App, createApp } from 'keelson';
import { governedClient } from 'keelson/grpc';
import { createRegistry } from 'keelson/registry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type GreeterClient, greeter } from '../doubles/grpc-greeter.js';
import { idle } from '../doubles/grpc-replicas.js';

// Real processes, killed and restarted under load. The replicas run what `npm run build` made.
// `npm run bench -- --only grpc-faults` does the same to stock grpc-js, side by side.

const perSecond = 150;
const workMs = 10;
const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** One replica, and whoever comes in its place at its port. */
class Replica {
  private child: ChildProcess | undefined;
  private port = 0;

  constructor(private readonly registry: string) {
    closers.push(() => this.end('SIGKILL'));
  }

  /** Resolves when it is registered. */
  async start(): Promise<void> {
    const { VITEST: _a, NODE_ENV: _b, ...usual } = process.env;
    const options = { registry: this.registry, port: this.port, workMs, drainPauseMs: 300 };
    const child = fork(fileURLToPath(new URL('fixtures/governed-greeter.mjs', import.meta.url)), [], {
      env: { ...usual, REPLICA_OPTIONS: JSON.stringify(options) },
      execArgv: [],
    });
    this.child = child;
    const over = new AbortController();
    const failed = once(child, 'exit', { signal: over.signal }).then(([code, signal]) => {
      throw new Error(`the replica ended with ${code ?? signal} before it listened`);
    });
    const [told] = (await Promise.race([once(child, 'message'), failed])) as [{ port: number }];
    over.abort();
    this.port = told.port;
  }

  /** Resolves when it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

async function replicas(): Promise<{ url: string; all: readonly Replica[] }> {
  const registry = createRegistry({ listen: '127.0.0.1:0' });
  const { url } = await registry.listen();
  closers.push(() => registry.close());
  const all = [new Replica(url), new Replica(url), new Replica(url)];
  await Promise.all(all.map((replica) => replica.start()));
  return { url, all };
}

function callerOf(registry: string): { app: App; client: GreeterClient } {
  const app = createApp({ service: 'caller', registry, signals: false });
  closers.push(() => app.stop());
  return { app, client: governedClient(app, Greeter, 'greeter') as unknown as GreeterClient };
}

const known = (app: App): number => app.snapshot()[0]?.endpoints.length ?? 0;
const all = (app: App) => vi.waitFor(() => expect(known(app)).toBe(3), { timeout: 15_000, interval: 5 });

/** Calls at a steady rate, whether or not others were answered; and counts how they end. */
function openLoop(client: GreeterClient, mayRepeat: boolean) {
  const ends: Record<string, number> = {};
  let answered = 0;
  let underWay = 0;
  let running = true;

  function send(): void {
    underWay++;
    const metadata = new grpc.Metadata({ idempotentRequest: mayRepeat });
    client.Say({ text: 'you' }, metadata, {}, (error, answer) => {
      underWay--;
      answered++;
      const end = error ? `${grpc.status[error.code]} ${error.details}` : answer?.text;
      ends[String(end)] = (ends[String(end)] ?? 0) + 1;
    });
  }
  const everyMs = 1000 / perSecond;
  let due = performance.now();
  const pump = (): void => {
    if (!running) return;
    const now = performance.now();
    // A machine that stands still for long must not be followed by a flood.
    due = Math.max(due, now - 100);
    for (; due <= now; due += everyMs) send();
    setTimeout(pump, due - now);
  };
  pump();

  const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 });
  return {
    /** Until so many more calls are over. */
    more(count: number): Promise<void> {
      const goal = answered + count;
      return until(() => expect(answered).toBeGreaterThanOrEqual(goal));
    },
    async stop(): Promise<{ ends: Record<string, number>; calls: number }> {
      running = false;
      await until(() => expect(underWay).toBe(0));
      return { ends, calls: answered };
    },
  };
}

describe('of three replicas under load', { timeout: 60_000 }, () => {
  it('one that is killed costs no idempotent call, and serves again when it is back', async () => {
    const cluster = await replicas();
    const { app, client } = callerOf(cluster.url);
    const traffic = openLoop(client, true);
    await all(app);
    await traffic.more(150);
    const victim = cluster.all[0] as Replica;
    await victim.end('SIGKILL');
    await traffic.more(150);
    await victim.start();
    await traffic.more(300);
    const { ends, calls } = await traffic.stop();
    expect(ends).toEqual({ 'hello you': calls });
    await idle(app);
  });

  it('each is restarted in order, and no call fails, idempotent or not', async () => {
    const cluster = await replicas();
    const { app, client } = callerOf(cluster.url);
    const traffic = openLoop(client, false);
    await all(app);
    await traffic.more(100);
    for (const replica of cluster.all) {
      await replica.end('SIGTERM');
      await traffic.more(20);
      await replica.start();
      await all(app);
      await traffic.more(60);
    }
    const { ends, calls } = await traffic.stop();
    expect(ends).toEqual({ 'hello you': calls });
    await idle(app);
  });
});
