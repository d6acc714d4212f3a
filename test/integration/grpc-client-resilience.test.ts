import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { createApp, memory } from 'keelson';
import { type EjectionEvent, isGovernanceError } from 'keelson/core';
import type { ServiceInstance } from 'keelson/discovery';
import { type GovernedClientOptions, governedClient } from 'keelson/grpc';
import { describe, expect, it, vi } from 'vitest';
import { ended, type GreeterClient, type GreeterHandlers, greeter, say } from '../doubles/grpc-greeter.js';
import { callerOf, echo, inflight, type Replica, replica } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

const { status } = grpc;
const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

const { apps, closers } = tidied();

async function serve(...args: Parameters<typeof replica>): Promise<Replica> {
  const made = await replica(...args);
  closers.push(() => made.close());
  return made;
}

/** An address that nobody listens on any more. */
async function deserted() {
  const made = await replica();
  made.close();
  return made;
}

function clientOf(
  replicas: readonly { readonly url: string }[],
  options: Omit<GovernedClientOptions, 'service'> = {},
) {
  const app = callerOf(replicas.map(({ url }) => url));
  apps.push(app);
  const made = governedClient(app, Greeter, { service: 'greeter', ...options });
  const client = made as unknown as GreeterClient;
  return { app, client };
}

/** One status for every call of a method of one answer, with what is to be told of it. */
const failing =
  (error: Partial<grpc.ServiceError>, seen?: () => void): GreeterHandlers['Say'] =>
  (_, callback) => {
    seen?.();
    callback({ code: status.UNAVAILABLE, ...error });
  };

const counted = async (run: () => Promise<{ readonly code: number }>, times: number) => {
  const codes: Record<number, number> = {};
  for (let i = 0; i < times; i++) {
    const { code } = await run();
    codes[code] = (codes[code] ?? 0) + 1;
  }
  return codes;
};

const generous = { retryBudget: { minPerSecond: 1000 } } as const;

describe('another try', () => {
  it('goes to another endpoint, for calls that may be sent twice', async () => {
    const bad = await serve({ Say: failing({}) });
    const good = await serve();
    const { client } = clientOf([bad, good], {
      idempotent: ['Say'],
      ejection: false,
      gates: () => [],
      ...generous,
    });
    expect(await counted(() => say(client, { text: 'x' }), 30)).toEqual({ 0: 30 });
  });

  it('is not made of a call that may not', async () => {
    let seen = 0;
    const bad = await serve({ Say: failing({ details: 'no' }, () => seen++) });
    const { client } = clientOf([bad], { ejection: false, gates: () => [] });
    expect(await say(client, {})).toMatchObject({ code: status.UNAVAILABLE, details: 'no' });
    expect(seen).toBe(1);
    const named = clientOf([bad], {
      idempotent: (path) => path === '/test.Greeter/Other',
      gates: () => [],
    }).client;
    await say(named, {});
    expect(seen).toBe(2);
    const marked = new Promise((resolve) =>
      named.Say({}, new grpc.Metadata({ idempotentRequest: true }), {}, resolve),
    );
    await marked;
    expect(seen).toBe(4);
  });

  it('is made of any call that nobody can have seen: of all kinds', async () => {
    const options = { ejection: false, gates: () => [], ...generous } as const;
    const { client } = clientOf([await deserted(), await serve()], options);
    expect(await counted(() => say(client, { text: 'x' }), 10)).toEqual({ 0: 10 });
    expect(await counted(() => ended(client.Count({ count: 2 })), 10)).toEqual({ 0: 10 });
    for (let i = 0; i < 10; i++) {
      const stream = client.Chat();
      const running = ended(stream);
      stream.write({ text: 'a' });
      stream.write({ text: 'b' });
      stream.end();
      expect(await running).toMatchObject({ code: 0, messages: [{ text: 'a' }, { text: 'b' }] });
      const answer = await new Promise((resolve) => {
        const upload = client.Collect(new grpc.Metadata(), {}, (error, done) => resolve(error ?? done));
        upload.write({});
        upload.write({}, () => upload.end());
      });
      expect(answer).toEqual({ count: 2 });
    }
  });

  it('is not made of what was too much to keep', async () => {
    let seen = 0;
    const bad = await serve({ Say: failing({}, () => seen++) });
    const { client } = clientOf([bad, bad], {
      idempotent: true,
      replayBufferBytes: 1000,
      gates: () => [],
      ...generous,
    });
    expect((await say(client, { text: 'x'.repeat(2000) })).code).toBe(status.UNAVAILABLE);
    expect(seen).toBe(1);
    expect((await say(client, { text: 'x' })).code).toBe(status.UNAVAILABLE);
    expect(seen).toBe(3);
  });

  it('of a stream is made until it has begun', async () => {
    let fails = 0;
    const early = await serve({
      Count: (call) => {
        fails++;
        call.emit('error', { code: status.UNAVAILABLE });
      },
    });
    const options = { idempotent: true, ejection: false, gates: () => [], ...generous } as const;
    const { client } = clientOf([early, await serve()], options);
    expect(await counted(() => ended(client.Count({ count: 3 })), 20)).toEqual({ 0: 20 });
    expect(fails).toBeGreaterThan(0);
    const late = await serve({
      Count: (call) => {
        call.write({ count: 1 });
        setImmediate(() => call.emit('error', { code: status.UNAVAILABLE, details: 'late' }));
      },
    });
    expect(await ended(clientOf([late, late], options).client.Count({}))).toMatchObject({
      code: status.UNAVAILABLE,
      details: 'late',
      messages: [{ count: 1 }],
    });
  });

  it('is not made of a stream that was seen while it is written', async () => {
    let seen = 0;
    const bad = await serve({
      Chat: (call) => {
        call.once('data', () => {
          seen++;
          call.emit('error', { code: status.UNAVAILABLE });
        });
      },
    });
    const { client } = clientOf([bad, await serve()], { idempotent: true, ...generous, gates: () => [] });
    const codes = await counted(() => {
      const stream = client.Chat();
      stream.write({});
      const running = ended(stream);
      stream.once('data', () => stream.end());
      return running;
    }, 12);
    expect(codes[status.UNAVAILABLE]).toBe(seen);
    expect(seen).toBeGreaterThan(0);
  });

  it('heeds the pushback of the callee', async () => {
    let seen = 0;
    const answers: (string | undefined)[] = [];
    const server = await serve({
      Say: (_, callback) => {
        seen++;
        const metadata = new grpc.Metadata();
        const pushback = answers.shift();
        if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
        callback({ code: status.UNAVAILABLE, metadata });
      },
    });
    const { client } = clientOf([server], {
      idempotent: true,
      ejection: false,
      gates: () => [],
      ...generous,
    });
    for (const [pushback, tries] of [
      [undefined, 2],
      ['1', 2],
      ['-1', 1],
      ['never', 1],
      ['60000', 1],
    ] as const) {
      seen = 0;
      answers.push(pushback);
      await say(client, {});
      expect([pushback, seen]).toEqual([pushback, tries]);
    }
  });

  it('of a call that was shed needs another endpoint', async () => {
    let shed = 0;
    const full = await serve({ Say: failing({ code: status.RESOURCE_EXHAUSTED }, () => shed++) });
    const alone = clientOf([full], { idempotent: true, ...generous }).client;
    expect((await say(alone, {})).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(shed).toBe(1);
    const { client } = clientOf([full, await serve()], {
      idempotent: true,
      ejection: false,
      gates: () => [],
      ...generous,
    });
    expect(await counted(() => say(client, {}), 20)).toEqual({ 0: 20 });
  });

  it('is made of one whose own timeout ended it', async () => {
    const hung = await serve({ Say: () => undefined });
    const { client } = clientOf([hung, await serve()], {
      idempotent: true,
      perTryTimeoutMs: 50,
      ejection: false,
      gates: () => [],
      ...generous,
    });
    expect(await counted(() => say(client, { text: 'x' }), 6)).toEqual({ 0: 6 });
  });
});

describe('a hedge', () => {
  it('is answered by whoever is first; the other is cancelled', async () => {
    let cancelled = 0;
    let asked = 0;
    const hung: Partial<GreeterHandlers> = {
      Say: (call) => {
        asked++;
        call.on('cancelled', () => cancelled++);
      },
      Count: (call) => {
        asked++;
        call.on('cancelled', () => cancelled++);
      },
    };
    const { client } = clientOf([await serve(hung), await serve()], {
      idempotent: true,
      retry: false,
      hedge: { delayMs: 20 },
      ejection: false,
      gates: () => [],
      ...generous,
    });
    expect(await counted(() => say(client, { text: 'x' }), 6)).toEqual({ 0: 6 });
    const counts = await Promise.all([1, 2, 3, 4].map(() => ended(client.Count({ count: 2 }))));
    for (const { code, messages } of counts) expect([code, messages.length]).toEqual([0, 2]);
    expect(asked).toBeGreaterThan(0);
    await vi.waitFor(() => expect(cancelled).toBe(asked));
  });

  it('is not made of a call that may not be sent twice', async () => {
    let asked = 0;
    const slow = await serve({
      Say: (call, callback) => {
        asked++;
        setTimeout(() => echo.Say(call, callback), 60);
      },
    });
    const { client } = clientOf([slow, slow], { hedge: { delayMs: 5 }, ...generous });
    await say(client, {});
    expect(asked).toBe(1);
  });
});

describe('an endpoint', () => {
  it('that fails is ejected, and the breaker opens', async () => {
    const bad = await serve({ Say: failing({}) });
    const { app, client } = clientOf([bad, await serve(), await serve()], {
      gates: () => [],
      // The balancer asks one that fails only once in a while, so more of them would take long.
      ejection: { consecutiveFailures: 2 },
    });
    const ejections: EjectionEvent[] = [];
    app.events.on('ejection', (event) => ejections.push(event));
    let failures = 0;
    for (let i = 0; i < 1000 && ejections.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const ends = await Promise.all(Array.from({ length: 20 }, () => say(client, {})));
      failures += ends.filter(({ code }) => code !== 0).length;
    }
    expect(ejections).toMatchObject([
      { service: 'greeter', ejected: true, endpoint: expect.stringContaining(bad.url) },
    ]);
    expect(failures).toBeGreaterThanOrEqual(2);
    expect(await counted(() => say(client, {}), 30)).toEqual({ 0: 30 });
    const alone = clientOf([bad]);
    const refused: unknown[] = [];
    for (let i = 0; i < 60; i++) {
      const error = await new Promise<{ cause?: unknown } | null>((resolve) =>
        alone.client.Say({}, new grpc.Metadata(), {}, resolve),
      );
      if (isGovernanceError(error?.cause)) refused.push(error.cause.code);
    }
    expect(new Set(refused)).toEqual(new Set(['BREAKER_OPEN']));
  });

  it('that answers with what was wrong with the request is not to blame', async () => {
    const strict = await serve({ Say: failing({ code: status.INVALID_ARGUMENT }) });
    const { app, client } = clientOf([strict, await serve()]);
    const ejections: EjectionEvent[] = [];
    app.events.on('ejection', (event) => ejections.push(event));
    let blamed = 0;
    while (blamed < 20) {
      const ends = await Promise.all(Array.from({ length: 10 }, () => say(client, {})));
      blamed += ends.filter(({ code }) => code === status.INVALID_ARGUMENT).length;
    }
    expect(ejections).toEqual([]);
  });
});

/** Keeps a number of calls under way until it is stopped, and counts how they end. */
function load(client: GreeterClient, workers: number) {
  const codes: Record<string, number> = {};
  let running = true;
  let calls = 0;
  const work = async () => {
    while (running) {
      const { code, details } = await say(client, { text: 'x' });
      calls++;
      const name = code === 0 ? 'OK' : `${code} ${details}`;
      codes[name] = (codes[name] ?? 0) + 1;
    }
  };
  const all = Promise.all(Array.from({ length: workers }, work));
  return {
    /** Until so many more calls have ended. */
    more: (count: number) => {
      const goal = calls + count;
      return vi.waitFor(() => expect(calls).toBeGreaterThanOrEqual(goal), { timeout: 15_000, interval: 5 });
    },
    stop: async () => {
      running = false;
      await all;
      return { codes, calls };
    },
  };
}

const instanceOf = (id: string, { url }: Replica): ServiceInstance => ({
  id,
  service: 'greeter',
  hostname: id,
  addresses: [url],
  version: '',
  zone: '',
  env: '',
  region: '',
  weight: 100,
  status: 'up',
  metadata: {},
});

describe('a replica', () => {
  it('that drains (GOAWAY) costs no idempotent call, though nobody was told', async () => {
    const replicas = [await serve(), await serve(), await serve()];
    const { app, client } = clientOf(replicas, { idempotent: true });
    const traffic = load(client, 8);
    await traffic.more(100);
    const { server } = replicas[0] as Replica;
    await new Promise<void>((resolve, reject) =>
      server.tryShutdown((error) => (error ? reject(error) : resolve())),
    );
    await traffic.more(300);
    const { codes, calls } = await traffic.stop();
    expect(codes).toEqual({ OK: calls });
    expect(inflight(app)).toBe(0);
  });

  it('after replica is replaced, and no call fails, idempotent or not', async () => {
    const registry = memory();
    let made = 0;
    const start = async () => {
      const server = await serve();
      return { server, registration: await registry.register(instanceOf(String(made++), server)) };
    };
    const running = [await start(), await start(), await start()];
    const app = createApp({ service: 'caller', registry, signals: false });
    apps.push(app);
    const client = governedClient(app, Greeter, 'greeter') as unknown as GreeterClient;
    const traffic = load(client, 8);
    await traffic.more(100);
    for (const { server, registration } of running) {
      await start();
      await registration.deregister();
      await new Promise<void>((resolve, reject) =>
        server.server.tryShutdown((error) => (error ? reject(error) : resolve())),
      );
      await traffic.more(100);
    }
    const { codes, calls } = await traffic.stop();
    expect(codes).toEqual({ OK: calls });
  });

  it('that is killed costs no idempotent call', async () => {
    const children: { readonly child: ChildProcess; readonly url: string }[] = [];
    for (let i = 0; i < 3; i++) {
      const child = fork(fileURLToPath(new URL('./fixtures/greeter.mjs', import.meta.url)), [], {
        execArgv: [],
      });
      closers.push(() => void child.kill('SIGKILL'));
      const [{ port }] = (await once(child, 'message')) as [{ port: number }];
      children.push({ child, url: `grpc://127.0.0.1:${port}` });
    }
    const { client } = clientOf(children, { idempotent: true });
    const traffic = load(client, 8);
    await traffic.more(200);
    const { child } = children[0] as (typeof children)[number];
    child.kill('SIGKILL');
    await once(child, 'exit');
    await traffic.more(400);
    const { codes, calls } = await traffic.stop();
    expect(codes).toEqual({ OK: calls });
  });

  it('that leaves lets its calls end, and its connection goes', async () => {
    const registry = memory();
    let answer: (() => void) | undefined;
    const hung = await serve({
      Say: (call, callback) => {
        answer = () => echo.Say(call, callback);
      },
    });
    const registration = await registry.register(instanceOf('one', hung));
    const app = createApp({ service: 'caller', registry, signals: false });
    apps.push(app);
    const client = governedClient(app, Greeter, 'greeter') as unknown as GreeterClient;
    const running = say(client, { text: 'last' });
    await vi.waitFor(() => expect(answer).toBeDefined());
    await registration.deregister();
    await vi.waitFor(() => expect(app.snapshot()[0]?.endpoints).toEqual([]));
    answer?.();
    expect(await running).toMatchObject({ code: 0, messages: [{ text: 'hello last' }] });
    // Ends only when no connection is left.
    await new Promise((resolve) => hung.server.tryShutdown(resolve));
  });
});
