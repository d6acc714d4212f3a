import http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { type App, createApp, currentCall } from 'keelson';
import { type Call, type FaultEvent, GovernanceError, keyed, trustedPeer } from 'keelson/core';
import {
  callOf,
  type GovernedHandlers,
  type GovernServerOptions,
  governHandlers,
  governServer,
} from 'keelson/grpc';
import { concurrency } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ended,
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  greeterClient,
  say,
} from '../doubles/grpc-greeter.js';
import { frame, open, rawSession } from '../doubles/grpc-raw.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const { status } = grpc;

const echo: GreeterHandlers = {
  Say: ({ request }, callback) => callback(null, { text: `hello ${request.text}` }),
  Collect: (call, callback) => {
    let count = 0;
    call.on('data', () => count++);
    call.on('end', () => callback(null, { count }));
  },
  Count: (call) => {
    for (let count = 1; count <= (call.request.count ?? 0); count++) call.write({ count });
    call.end();
  },
  Chat: (call) => {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },
};

interface Running {
  readonly app: App;
  readonly port: number;
  readonly client: GreeterClient;
  readonly server: grpc.Server;
  readonly faults: FaultEvent[];
  readonly limit: ReturnType<typeof concurrency>;
  /** Until nothing is in flight any more. */
  empty(): Promise<void>;
}

async function running(
  handlers: Partial<GreeterHandlers> = {},
  { wire = {}, ...options }: GovernServerOptions & { wire?: grpc.ServerOptions } = {},
): Promise<Running> {
  const app = createApp({ service: 'greeter', signals: false });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const limit = concurrency({ limit: 4 });
  const server = new grpc.Server({
    ...wire,
    interceptors: [governServer(app, { limits: [limit], queue: false, ...options })],
  });
  server.addService(greeter, { ...echo, ...(handlers as GreeterHandlers) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = greeterClient(port);
  closers.push(async () => {
    client.close();
    server.forceShutdown();
    await app.stop();
  });
  const empty = () => vi.waitFor(() => expect(limit.snapshot(performance.now()).inflight).toBe(0));
  return { app, port, client, server, faults, limit, empty };
}

const inflight = ({ limit }: Running) => limit.snapshot(performance.now()).inflight;

/** Wraps the handlers that are given; the types are those of the service. */
const governed = (handlers: Partial<GovernedHandlers<GreeterHandlers>>) =>
  governHandlers<GreeterHandlers>(handlers as GovernedHandlers<GreeterHandlers>);

/** Sees each call that is let in. */
function spy() {
  const calls: Call[] = [];
  const current: (Call | undefined)[] = [];
  const note = (call: { readonly metadata: grpc.Metadata }) => {
    const found = callOf(call);
    if (found) calls.push(found);
    current.push(currentCall());
  };
  return { calls, current, note };
}

describe('the four kinds', () => {
  it('are answered, and end with nothing in flight', async () => {
    const at = await running();
    const { client } = at;
    expect(await say(client, { text: 'you' })).toMatchObject({ code: 0, messages: [{ text: 'hello you' }] });
    expect(await ended(client.Count({ count: 3 }))).toMatchObject({
      code: 0,
      messages: [{ count: 1 }, { count: 2 }, { count: 3 }],
    });
    const chat = client.Chat();
    const chatted = ended(chat);
    for (const text of ['a', 'b']) chat.write({ text });
    chat.end();
    expect(await chatted).toMatchObject({ code: 0, messages: [{ text: 'a' }, { text: 'b' }] });
    const collected = new Promise((resolve) => {
      const upload = client.Collect(new grpc.Metadata(), {}, (_, answer) => resolve(answer));
      for (let i = 0; i < 5; i++) upload.write({ text: 'x' });
      upload.end();
    });
    expect(await collected).toEqual({ count: 5 });
    await at.empty();
    expect(at.faults).toEqual([]);
  });

  it.each(['Say', 'Collect', 'Count', 'Chat'] as const)(
    'run their handlers as the current call: %s',
    async (name) => {
      const { calls, current, note } = spy();
      const watched = (call: never, callback: never) => {
        note(call);
        queueMicrotask(() => current.push(currentCall()));
        (echo[name] as (call: never, callback: never) => void)(call, callback);
      };
      const at = await running({ [name]: watched } as Partial<GreeterHandlers>);
      if (name === 'Say') await say(at.client);
      if (name === 'Count') await ended(at.client.Count({ count: 1 }));
      if (name === 'Chat') {
        const chat = at.client.Chat();
        chat.end();
        await ended(chat);
      }
      if (name === 'Collect')
        await new Promise((resolve) => at.client.Collect(new grpc.Metadata(), {}, resolve).end());
      expect(calls).toHaveLength(1);
      expect(current).toEqual([calls[0], calls[0]]);
      expect(calls[0]).toMatchObject({
        side: 'server',
        service: 'greeter',
        operation: `/test.Greeter/${name}`,
      });
      await at.empty();
    },
  );

  it('see messages that come later as part of the call too', async () => {
    const seen: (Call | undefined)[] = [];
    const at = await running({
      Chat: (call) => {
        call.on('data', () => {
          seen.push(currentCall());
          call.end();
        });
      },
    });
    const chat = at.client.Chat();
    const chatted = ended(chat);
    await vi.waitFor(() => expect(inflight(at)).toBe(1));
    chat.write({ text: 'late' });
    await chatted;
    expect(seen).toHaveLength(1);
    expect(seen[0]?.operation).toBe('/test.Greeter/Chat');
  });

  it('are not the current call where no context is wanted, and callOf still knows them', async () => {
    const { calls, current, note } = spy();
    const at = await running(
      {
        Say: (call, callback) => {
          note(call);
          callback(null, {});
        },
      },
      { context: false },
    );
    await say(at.client);
    expect(calls).toHaveLength(1);
    expect(current).toEqual([undefined]);
  });
});

describe('a limiter', () => {
  it('refuses before a message is read, with the status and the trailers of a server that sheds', async () => {
    let read = 0;
    const full = { code: 'OVERLOADED' as const, tryAcquire: () => null, retryAfterMs: () => 120.5 };
    const app = createApp({ service: 'greeter', signals: false });
    const server = new grpc.Server({ interceptors: [governServer(app, { limits: [full], queue: false })] });
    const Say = {
      ...greeter.Say,
      requestDeserialize: (bytes: Buffer) => JSON.parse(String(++read && bytes)),
    };
    server.addService({ ...greeter, Say }, echo);
    const port = await new Promise<number>((resolve) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    const client = greeterClient(port);
    closers.push(() => {
      client.close();
      server.forceShutdown();
      return app.stop();
    });
    const answer = await say(client, { text: 'x'.repeat(100_000) });
    expect(answer.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(answer.metadata.get('x-keelson-shed')).toEqual(['OVERLOADED']);
    expect(answer.metadata.get('grpc-retry-pushback-ms')).toEqual(['121']);
    expect(read).toBe(0);
  });

  it('holds the place of a stream to its end, not to its first message', async () => {
    let open: grpc.ServerWritableStream<unknown, unknown> | undefined;
    const at = await running({
      Count: (call) => {
        open = call;
        call.write({ count: 1 });
      },
    });
    const stream = at.client.Count({});
    const done = ended(stream);
    await new Promise((resolve) => stream.once('data', resolve));
    expect(inflight(at)).toBe(1);
    open?.end();
    await done;
    await at.empty();
  });

  it('counts by key', async () => {
    const keys: string[] = [];
    const gate = keyed(
      (key) => {
        keys.push(key);
        return { code: 'RATE_LIMITED', tryAcquire: () => null };
      },
      { by: 'key' },
    );
    const key = ({ metadata }: { metadata: grpc.Metadata }) => metadata.get('x-tenant')[0] as string;
    const { client } = await running({}, { limits: [gate], queue: false, key });
    expect((await say(client, {}, { metadata: { 'x-tenant': 'acme' } })).code).toBe(
      status.RESOURCE_EXHAUSTED,
    );
    expect(keys).toEqual(['acme']);
  });

  it('takes a key that throws for none', async () => {
    const { client } = await running(
      {},
      {
        key: () => {
          throw new Error('no');
        },
      },
    );
    expect((await say(client)).code).toBe(0);
  });
});

describe('a deadline', () => {
  const hang: Partial<GreeterHandlers> = { Say: () => undefined, Count: () => undefined };

  it('of the client reaches the handler, and what it calls', async () => {
    const { calls, note } = spy();
    const at = await running({
      Say: (call, callback) => {
        note(call);
        callback(null, {});
      },
    });
    const before = performance.now();
    await say(at.client, {}, { deadline: Date.now() + 5000 });
    expect(calls[0]?.deadline).toBeGreaterThan(before);
    expect(calls[0]?.deadline).toBeLessThanOrEqual(performance.now() + 5000);
    await say(at.client);
    expect(calls[1]?.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  it('of the server ends a call whose handler hangs, tells the handler, and frees its place', async () => {
    let aborted: unknown;
    let cancelled = false;
    const at = await running(
      {
        Say: (call) => {
          const cancel = callOf(call)?.cancel;
          cancel?.onAbort(() => {
            aborted = cancel.reason;
          });
          call.on('cancelled', () => {
            cancelled = true;
          });
        },
      },
      { timeoutMs: 20 },
    );
    expect((await say(at.client)).code).toBe(status.DEADLINE_EXCEEDED);
    expect(aborted).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.waitFor(() => expect(cancelled).toBe(true));
    await at.empty();
    expect(at.faults).toEqual([]);
  });

  it.each(['Say', 'Count'] as const)('of the client ends %s', async (name) => {
    const at = await running(hang);
    const deadline = Date.now() + 30;
    const answer =
      name === 'Say'
        ? await say(at.client, {}, { deadline })
        : await ended(at.client.Count({}, new grpc.Metadata(), { deadline }));
    expect(answer.code).toBe(status.DEADLINE_EXCEEDED);
    await at.empty();
  });

  it('ends a stream whose client stopped to read, although its status cannot go out', async () => {
    let aborted: unknown;
    let destroyed = false;
    const at = await running({
      Count: (call) => {
        const cancel = callOf(call)?.cancel;
        cancel?.onAbort(() => {
          aborted = cancel.reason;
        });
        call.on('close', () => {
          destroyed = true;
        });
        const text = 'x'.repeat(60_000);
        const write = (): void => {
          while (!call.destroyed && call.write({ text }));
          if (!call.destroyed) call.once('drain', write);
        };
        write();
      },
    });
    const session = await rawSession(at.port);
    closers.push(() => session.destroy());
    open(session, '/test.Greeter/Count', { 'grpc-timeout': '60m' }).end(frame({}));
    await vi.waitFor(() => expect(aborted).toMatchObject({ code: 'DEADLINE_EXCEEDED' }));
    await at.empty();
    await vi.waitFor(() => expect(destroyed).toBe(true));
  });
});

describe('trust', () => {
  const asked = async (options: GovernServerOptions) => {
    const { calls, note } = spy();
    const at = await running(
      {
        Say: (call, callback) => {
          note(call);
          callback(null, {});
        },
      },
      options,
    );
    await say(at.client, {}, { metadata: { 'x-md-global-priority': '7' }, deadline: Date.now() + 5000 });
    const [call] = calls;
    return { trusted: call?.values.get(trustedPeer), priority: call?.priority, deadline: call?.deadline };
  };

  it.each([
    ['private', 7],
    [true, 7],
    [false, 0],
    [(call: grpc.ServerInterceptingCallInterface) => call.getPeer().startsWith('127.0.0.1:'), 7],
    [
      () => {
        throw new Error('no');
      },
      0,
    ],
  ] as const)('%s: the priority is %i', async (trust, priority) => {
    const seen = await asked({ trust });
    expect(seen.priority).toBe(priority);
    expect(seen.trusted).toBe(priority === 0 ? undefined : true);
  });

  it('that cannot be understood is refused', () => {
    const app = createApp({ service: 'greeter', signals: false });
    expect(() => governServer(app, { trust: 'public' as never })).toThrow(TypeError);
    expect(() => governServer(app, { key: 3 as never })).toThrow(TypeError);
    expect(() => governServer(app, { requestTimeoutMs: 0 })).toThrow(RangeError);
    expect(() => governServer(app, { nonsense: 1 } as never)).toThrow(/nonsense is not an option/);
  });
});

describe('an error of a handler', () => {
  const fails: [string, (error: unknown) => Partial<GovernedHandlers<GreeterHandlers>>][] = [
    [
      'thrown',
      (error) => ({
        Say: () => {
          throw error;
        },
      }),
    ],
    ['rejected', (error) => ({ Say: () => Promise.reject(error) })],
    ['given to the callback', (error) => ({ Say: (_call, callback) => callback(error as Error) })],
    [
      'given to the callback late',
      (error) => ({ Say: (_call, callback) => void setImmediate(callback, error as Error) }),
    ],
  ];

  describe.each(fails)('%s', (_, failing) => {
    it('is UNKNOWN without details, and told once', async () => {
      const error = new Error('secret');
      const at = await running(governed(failing(error)));
      expect(await say(at.client)).toMatchObject({ code: status.UNKNOWN, details: 'Unknown error' });
      expect(at.faults).toEqual([{ where: 'handler of /test.Greeter/Say', error }]);
      await at.empty();
    });

    it('has the status of a refusal, which is no fault', async () => {
      const at = await running(governed(failing(new GovernanceError('NO_ENDPOINT', 'users: nobody there'))));
      expect((await say(at.client)).code).toBe(status.UNAVAILABLE);
      expect(at.faults).toEqual([]);
      await at.empty();
    });

    it('that says its own status passes as it is', async () => {
      const metadata = new grpc.Metadata();
      metadata.set('x-why', 'because');
      const error = Object.assign(new Error('5 NOT_FOUND: no such user'), {
        code: status.NOT_FOUND,
        details: 'no such user',
        metadata,
      });
      const at = await running(governed(failing(error)));
      const answer = await say(at.client);
      expect(answer).toMatchObject({ code: status.NOT_FOUND, details: 'no such user' });
      expect(answer.metadata.get('x-why')).toEqual(['because']);
      expect(at.faults).toEqual([]);
      await at.empty();
    });
  });

  const breaks: [string, (error: unknown) => Partial<GovernedHandlers<GreeterHandlers>>][] = [
    [
      'rejected',
      (error) => ({
        Count: async (call) => {
          call.write({ count: 1 });
          throw error;
        },
      }),
    ],
    [
      'emitted',
      (error) => ({
        Count: (call) => {
          call.write({ count: 1 });
          call.emit('error', error);
        },
      }),
    ],
    [
      'given to destroy',
      (error) => ({
        Count: (call) => {
          call.write({ count: 1 }, () => call.destroy(error as Error));
        },
      }),
    ],
  ];

  it.each(breaks)('of a stream that has begun, %s, ends it with UNKNOWN and is told', async (_, breaking) => {
    const error = new Error('secret');
    const at = await running(governed(breaking(error)));
    const answer = await ended(at.client.Count({}));
    expect(answer).toMatchObject({ code: status.UNKNOWN, details: 'Unknown error' });
    expect(at.faults).toEqual([{ where: 'handler of /test.Greeter/Count', error }]);
    await at.empty();
  });

  it('of a stream that says its own status passes as it is', async () => {
    const error = Object.assign(new Error('no'), { code: status.ABORTED, details: 'no' });
    const at = await running(
      governed({
        Chat: async () => {
          throw error;
        },
      }),
    );
    const chat = at.client.Chat();
    expect(await ended(chat)).toMatchObject({ code: status.ABORTED, details: 'no' });
    expect(at.faults).toEqual([]);
    await at.empty();
  });

  it('without governHandlers goes out as grpc-js does it, and is told as far as it is known', async () => {
    const at = await running({ Say: (_call, callback) => callback(new Error('plain')) });
    expect(await say(at.client)).toMatchObject({ code: status.UNKNOWN, details: 'plain' });
    expect(at.faults).toHaveLength(1);
    expect(String(at.faults[0]?.error)).toContain('plain');
  });

  it('on a server that is not governed has its status all the same', async () => {
    const server = new grpc.Server();
    server.addService(
      greeter,
      governed({ Say: () => Promise.reject(new GovernanceError('RATE_LIMITED', 'x')) }),
    );
    const port = await new Promise<number>((resolve) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    const client = greeterClient(port);
    closers.push(() => {
      client.close();
      server.forceShutdown();
    });
    expect((await say(client)).code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await ended(client.Chat())).code).toBe(status.UNIMPLEMENTED);
  });

  it('details that cannot be encoded go out in part', async () => {
    const details = `half \ud800 pair`;
    const at = await running({ Say: (_call, callback) => callback({ code: status.ABORTED, details }) });
    expect(await say(at.client)).toMatchObject({ code: status.ABORTED, details: 'half \ufffd pair' });
  });
});

describe('async handlers', () => {
  it('of one answer return it, and may be methods of a class', async () => {
    class Greeter {
      private readonly greeting = 'servus';
      async Say({ request }: grpc.ServerUnaryCall<{ text?: string }, unknown>) {
        await Promise.resolve();
        return { text: `${this.greeting} ${request.text}` };
      }
    }
    const at = await running(governHandlers(new Greeter()));
    expect((await say(at.client, { text: 'du' })).messages).toEqual([{ text: 'servus du' }]);
    await at.empty();
  });

  it('that go on after their client has gone count until they are done', async () => {
    let finish: (() => void) | undefined;
    const at = await running(
      governed({
        Say: () =>
          new Promise((resolve) => {
            finish = () => resolve({});
          }),
      }),
    );
    const call = at.client.Say({}, new grpc.Metadata(), {}, () => undefined);
    await vi.waitFor(() => expect(finish).toBeDefined());
    const gone = new Promise((resolve) => call.on('status', resolve));
    call.cancel();
    await gone;
    await say(at.client, {}, { deadline: Date.now() + 20 });
    expect(inflight(at)).toBeGreaterThan(0);
    finish?.();
    await vi.waitFor(() => expect(inflight(at)).toBeLessThan(2));
  });

  it('that never end count for so long only', async () => {
    const at = await running(governed({ Say: () => new Promise(() => undefined) }), { abandonedMs: 10 });
    expect((await say(at.client, {}, { deadline: Date.now() + 20 })).code).toBe(status.DEADLINE_EXCEEDED);
    await at.empty();
  });
});

describe('cancellation', () => {
  it.each(['Say', 'Collect', 'Count', 'Chat'] as const)('by the client ends %s', async (name) => {
    let reason: unknown;
    let cancelled = 0;
    const hang = (call: grpc.ServerUnaryCall<unknown, unknown>) => {
      const cancel = callOf(call)?.cancel;
      cancel?.onAbort(() => {
        reason = cancel.reason;
      });
      call.on('cancelled', () => cancelled++);
    };
    const at = await running({ [name]: hang } as unknown as Partial<GreeterHandlers>);
    const open = () => {
      if (name === 'Say') return at.client.Say({}, new grpc.Metadata(), {}, () => undefined);
      if (name === 'Collect') return at.client.Collect(new grpc.Metadata(), {}, () => undefined);
      const stream = name === 'Count' ? at.client.Count({}) : at.client.Chat();
      stream.on('error', () => undefined);
      return stream;
    };
    const call = open();
    await vi.waitFor(() => expect(inflight(at)).toBe(1));
    call.cancel();
    await vi.waitFor(() => expect(cancelled).toBe(1));
    expect(reason).toMatchObject({ code: 'CANCELLED', side: 'server' });
    await at.empty();
    expect(at.faults).toEqual([]);
  });

  it('reaches the signal that the handler works with', async () => {
    let signal: AbortSignal | undefined;
    const at = await running({
      Say: (call) => {
        signal = callOf(call)?.cancel.signal;
      },
    });
    const call = at.client.Say({}, new grpc.Metadata(), {}, () => undefined);
    await vi.waitFor(() => expect(signal).toBeDefined());
    call.cancel();
    await vi.waitFor(() => expect(signal?.aborted).toBe(true));
  });

  it('is not what a call that is over looks like', async () => {
    const { calls, note } = spy();
    const at = await running({
      Say: (call, callback) => {
        note(call);
        callback(null, {});
      },
    });
    await say(at.client);
    await at.empty();
    expect(calls[0]?.cancel.aborted).toBe(false);
  });
});

describe('what a handler calls', () => {
  async function backend(): Promise<{ url: string; headers: http.IncomingHttpHeaders[] }> {
    const headers: http.IncomingHttpHeaders[] = [];
    const server = http.createServer((req, res) => {
      headers.push(req.headers);
      res.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers };
  }

  it.each([true, false])('inherits deadline and metadata, of a peer that is trusted: %s', async (trust) => {
    const { url, headers } = await backend();
    const caller = createApp({ service: 'caller', signals: false, endpoints: { backend: [url] } });
    closers.push(() => caller.stop());
    const users = caller.fetch('backend');
    const at = await running(
      governed({
        Say: async () => ({ text: await (await users('/')).text() }),
        Chat: async (call) => {
          for await (const _ of call) call.write({ text: await (await users('/')).text() });
          call.end();
        },
      }),
      { trust },
    );
    const metadata = { 'x-md-global-colour': 'blue', 'x-md-local-hop': 'one' };
    const deadline = Date.now() + 5000;
    expect((await say(at.client, {}, { metadata, deadline })).messages).toEqual([{ text: 'ok' }]);
    const chat = at.client.Chat(new grpc.Metadata(), { deadline });
    const chatted = ended(chat);
    chat.end({ text: 'x' });
    expect((await chatted).messages).toEqual([{ text: 'ok' }]);
    expect(headers).toHaveLength(2);
    expect(headers[0]?.['x-md-global-colour']).toBe(trust ? 'blue' : undefined);
    expect(headers[0]?.['x-md-local-hop']).toBeUndefined();
    for (const sent of headers) {
      const leftMs = Number(sent['x-keelson-timeout-ms']);
      if (trust) expect(leftMs).toBeLessThanOrEqual(5000);
      else expect(leftMs).toBeGreaterThan(5000);
    }
    await at.empty();
  });

  it('and cannot be reached makes the status of the refusal', async () => {
    const caller = createApp({ service: 'caller', signals: false, endpoints: { backend: [] } });
    closers.push(() => caller.stop());
    const users = caller.fetch('backend', { resolveTimeoutMs: 10 });
    const at = await running(governed({ Say: async () => ({ text: await (await users('/')).text() }) }));
    const answer = await say(at.client);
    expect(answer.code).toBe(status.UNAVAILABLE);
    // That a callee of its own shed is not passed on as if this server did.
    expect(answer.metadata.get('x-keelson-shed')).toEqual([]);
    expect(at.faults).toEqual([]);
  });
});
