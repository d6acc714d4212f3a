import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { App, AppOptions } from 'keelson';
import { createCall, isGovernanceError, runWithCall } from 'keelson/core';
import { type GovernedClientOptions, governedChannel, governedClient } from 'keelson/grpc';
import { type CompatServiceDefinition, createClient, createClientFactory, Metadata } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  ended,
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  type Message,
  say,
} from '../doubles/grpc-greeter.js';
import { callerOf, echo, idle, inflight, type Replica, replica } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';
import { tracingSdk } from '../doubles/tracing-sdk.js';

const { status } = grpc;
const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

const { apps, closers } = tidied();

async function serve(...args: Parameters<typeof replica>): Promise<Replica> {
  const made = await replica(...args);
  closers.push(() => made.close());
  return made;
}

function appTo(replicas: readonly { readonly url: string }[], options?: Partial<AppOptions>): App {
  const app = callerOf(
    replicas.map(({ url }) => url),
    options,
  );
  apps.push(app);
  return app;
}

function clientOf(app: App, options: Omit<GovernedClientOptions, 'service'> = {}): GreeterClient {
  const client = governedClient(app, Greeter, { service: 'greeter', ...options });
  return client as unknown as GreeterClient;
}

/** Without knowledge of its methods: what generated code does with a channel. */
function overridden(app: App, options?: Parameters<typeof governedChannel>[2]): GreeterClient {
  const channelOverride = governedChannel(app, 'greeter', options);
  return new Greeter('unused', grpc.credentials.createInsecure(), {
    channelOverride,
  }) as unknown as GreeterClient;
}

const collect = (client: GreeterClient, messages: readonly Message[]) =>
  new Promise<Message | grpc.ServiceError>((resolve) => {
    const upload = client.Collect(new grpc.Metadata(), {}, (error, answer) =>
      resolve(error ?? (answer as Message)),
    );
    for (const message of messages) upload.write(message);
    upload.end();
  });

const chat = async (client: GreeterClient, messages: readonly Message[]) => {
  const stream = client.Chat();
  const running = ended(stream);
  for (const message of messages) stream.write(message);
  stream.end();
  return running;
};

describe.each([
  ['a client whose class is known', clientOf],
  ['a channel that is given to a client', overridden],
])('the four kinds, by %s', (_, make) => {
  it('are answered natively', async () => {
    const client = make(appTo([await serve()]));
    expect(await say(client, { text: 'you' })).toMatchObject({ code: 0, messages: [{ text: 'hello you' }] });
    expect(await collect(client, [{}, {}, {}])).toEqual({ count: 3 });
    expect(await ended(client.Count({ count: 3 }))).toMatchObject({
      code: 0,
      messages: [{ count: 1 }, { count: 2 }, { count: 3 }],
    });
    expect(await ended(client.Count({ count: 0 }))).toMatchObject({ code: 0, messages: [] });
    expect(await chat(client, [{ text: 'a' }, { text: 'b' }])).toMatchObject({
      code: 0,
      messages: [{ text: 'a' }, { text: 'b' }],
    });
    expect(await chat(client, [])).toMatchObject({ code: 0, messages: [] });
    expect(await collect(client, [])).toEqual({ count: 0 });
  });

  it('carry what was written before anybody reads, and read what the other side says first', async () => {
    const server = await serve({
      Chat: (call) => {
        call.write({ text: 'welcome' });
        call.on('data', (message) => {
          call.write(message);
          call.end();
        });
      },
    });
    const stream = make(appTo([server])).Chat();
    const heard: Message[] = [];
    stream.on('data', (message: Message) => heard.push(message));
    const over = new Promise((resolve) => stream.on('end', resolve));
    await vi.waitFor(() => expect(heard).toEqual([{ text: 'welcome' }]));
    stream.write({ text: 'thanks' });
    await over;
    expect(heard).toEqual([{ text: 'welcome' }, { text: 'thanks' }]);
  });

  it('end with the status of the callee, trailers included', async () => {
    const trailers = new grpc.Metadata();
    trailers.set('why', 'because');
    trailers.set('raw-bin', Buffer.from([0, 255]));
    const refused = { code: status.NOT_FOUND, details: 'no such', metadata: trailers };
    const client = make(
      appTo([
        await serve({
          Say: (_, callback) => callback(refused),
          Collect: (_, callback) => callback(refused),
          Count: (call) => {
            call.write({ count: 1 });
            call.emit('error', refused);
          },
          Chat: (call) => void call.emit('error', refused),
        }),
      ]),
    );
    const error = (await collect(client, [{}])) as grpc.ServiceError;
    expect(error).toBeInstanceOf(Error);
    const ends = [
      await say(client, {}),
      { ...error, code: error.code, messages: [] },
      await ended(client.Count({})),
      await ended(client.Chat()),
    ];
    for (const end of ends) {
      expect(end).toMatchObject({ code: status.NOT_FOUND, details: 'no such' });
      expect(end.metadata.get('why')).toEqual(['because']);
      expect(end.metadata.get('raw-bin')).toEqual([Buffer.from([0, 255])]);
    }
    expect(ends.map(({ messages }) => messages.length)).toEqual([0, 0, 1, 0]);
  });

  it('carry metadata in both directions, bytes among it, and leave the caller its own', async () => {
    const client = make(
      appTo([
        await serve({
          Say: ({ metadata }, callback) => {
            // The deadline goes along natively, and in no other way.
            expect(metadata.get('x-keelson-timeout-ms')).toEqual([]);
            const headers = new grpc.Metadata();
            headers.set('color', `${String(metadata.get('color')[0])} again`);
            headers.set('raw-bin', metadata.get('raw-bin')[0] as Buffer);
            callback(null, { text: String(metadata.get('x-md-service-name')[0]) }, headers);
          },
        }),
      ]),
    );
    const metadata = new grpc.Metadata();
    metadata.set('color', 'blue');
    metadata.set('raw-bin', Buffer.from('bytes'));
    const trailers = new Promise<grpc.StatusObject>((resolve) => {
      const call = client.Say({}, metadata, {}, (_, answer) => expect(answer).toEqual({ text: 'caller' }));
      call.on('status', resolve);
    });
    const { metadata: told } = await trailers;
    expect(told.get('color')).toEqual(['blue again']);
    expect(told.get('raw-bin')).toEqual([Buffer.from('bytes')]);
    expect(Object.keys(metadata.toJSON())).toEqual(['color', 'raw-bin']);
  });

  it('tell who answers', async () => {
    const server = await serve();
    const client = make(appTo([server]));
    const call = client.Chat();
    expect(call.getPeer()).toBe('keelson:greeter');
    call.write({ text: 'x' });
    await new Promise((resolve) => call.once('data', resolve));
    expect(call.getPeer()).toBe(`127.0.0.1:${server.port}`);
    expect(call.getAuthContext()).toEqual({});
    call.end();
    await ended(call);
  });
});

describe('clients of other makers', () => {
  it('may load their definitions: proto-loader, whose idempotency level counts', async () => {
    const file = fileURLToPath(new URL('../doubles/greeter.proto', import.meta.url));
    const { proto } = grpc.loadPackageDefinition(loadSync(file)) as unknown as {
      proto: { Greeter: grpc.ServiceClientConstructor };
    };
    const servers = new grpc.Server();
    let tries = 0;
    servers.addService(proto.Greeter.service, {
      ...echo,
      Say: ({ request }: { request: Message }, callback: grpc.sendUnaryData<Message>) => {
        tries++;
        if (tries === 1) callback({ code: status.UNAVAILABLE });
        else callback(null, { text: `hello ${request.text}` });
      },
      Count: (call: grpc.ServerWritableStream<Message, Message>) => echo.Count(call),
    });
    const port = await new Promise<number>((resolve, reject) =>
      servers.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    closers.push(() => servers.forceShutdown());
    const app = appTo([{ url: `grpc://127.0.0.1:${port}` }]);
    const client = governedClient(app, proto.Greeter, 'greeter') as unknown as GreeterClient;
    expect(await say(client, { text: 'proto' })).toMatchObject({
      code: 0,
      messages: [{ text: 'hello proto' }],
    });
    expect(tries).toBe(2);
    expect((await ended(client.Count({ count: 2 }))).messages).toMatchObject([{ count: 1 }, { count: 2 }]);
    expect(await collect(client, [{}, {}])).toMatchObject({ count: 2 });
    expect((await chat(client, [{ text: 'x' }])).messages).toMatchObject([{ text: 'x' }]);
  });

  it('may be of nice-grpc: all kinds, middleware, abort, metadata', async () => {
    const seen: unknown[] = [];
    const app = appTo([
      await serve({
        Say: (call, callback) => {
          seen.push(call.metadata.get('color')[0]);
          if (call.request.text === 'wait') call.on('cancelled', () => seen.push('cancelled'));
          else echo.Say(call, callback);
        },
      }),
    ]);
    const channel = governedChannel(app, 'greeter');
    const client = createClientFactory()
      .use(async function* (call, options) {
        return yield* call.next(call.request, {
          ...options,
          metadata: Metadata(options.metadata).set('color', 'blue'),
        });
      })
      .create(greeter as unknown as CompatServiceDefinition, channel) as unknown as {
      Say(message: Message, options?: { signal?: AbortSignal }): Promise<Message>;
      Collect(messages: AsyncIterable<Message>): Promise<Message>;
      Count(message: Message): AsyncIterable<Message>;
      Chat(messages: AsyncIterable<Message>): AsyncIterable<Message>;
    };
    async function* three() {
      for (let count = 1; count <= 3; count++) yield { count };
    }
    const all = async (messages: AsyncIterable<Message>) => {
      const list: Message[] = [];
      for await (const message of messages) list.push(message);
      return list;
    };
    expect(await client.Say({ text: 'nice' })).toEqual({ text: 'hello nice' });
    expect(await client.Collect(three())).toEqual({ count: 3 });
    expect(await all(client.Count({ count: 2 }))).toEqual([{ count: 1 }, { count: 2 }]);
    expect(await all(client.Chat(three()))).toEqual([{ count: 1 }, { count: 2 }, { count: 3 }]);
    const abort = new AbortController();
    const waiting = client.Say({ text: 'wait' }, { signal: abort.signal });
    await vi.waitFor(() => expect(seen).toHaveLength(2));
    expect(inflight(app)).toBe(1);
    abort.abort();
    await expect(waiting).rejects.toThrow('aborted');
    await vi.waitFor(() => expect(seen).toEqual(['blue', 'blue', 'cancelled']));
    for await (const { count } of client.Count({ count: 1000 })) if (count === 3) break;
    await idle(app);
    expect(createClient(greeter as unknown as CompatServiceDefinition, channel)).toBeDefined();
  });

  it('may have interceptors that hold the metadata back', async () => {
    const token: grpc.Interceptor = (options, next) =>
      new grpc.InterceptingCall(next(options), {
        start: (metadata, listener, go) => {
          setImmediate(() => {
            metadata.set('authorization', 'Bearer x');
            go(metadata, listener);
          });
        },
      });
    const seen: unknown[] = [];
    const server = await serve({
      Say: (call, callback) => {
        seen.push(call.metadata.get('authorization')[0]);
        if (seen.length === 1) callback({ code: status.UNAVAILABLE });
        else echo.Say(call, callback);
      },
    });
    const client = clientOf(appTo([server]), { client: { interceptors: [token] }, idempotent: true });
    expect((await say(client, { text: 'held' })).messages).toEqual([{ text: 'hello held' }]);
    const channelOverride = governedChannel(appTo([server]), 'greeter', { timeoutMs: 100 });
    const other = new Greeter('unused', grpc.credentials.createInsecure(), {
      channelOverride,
      interceptors: [token],
    }) as unknown as GreeterClient;
    expect((await say(other, { text: 'too' })).messages).toEqual([{ text: 'hello too' }]);
    expect((await ended(other.Count({ count: 2 }))).messages).toHaveLength(2);
    expect(seen).toEqual(['Bearer x', 'Bearer x', 'Bearer x']);
  });
});

const never: Partial<GreeterHandlers> = {
  Say: () => undefined,
  Collect: () => undefined,
  Count: () => undefined,
  Chat: () => undefined,
};

describe('a deadline', () => {
  it('ends a call that is not answered, and the callee is told of it', async () => {
    const left: number[] = [];
    const server = await serve({
      Say: (call) => void left.push(Number(call.getDeadline()) - Date.now()),
    });
    const client = clientOf(appTo([server]), { timeoutMs: 80 });
    expect(await say(client, {})).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(left).toHaveLength(1);
    expect(left[0]).toBeGreaterThan(0);
    expect(left[0]).toBeLessThanOrEqual(80);
  });

  it('of the caller only shortens what the stack allows', async () => {
    const left: number[] = [];
    const server = await serve({
      Say: (call, callback) => {
        left.push(Number(call.getDeadline()) - Date.now());
        callback(null, {});
      },
    });
    const client = clientOf(appTo([server]), { timeoutMs: 5000 });
    await say(client, {}, { deadline: Date.now() + 1000 });
    await say(client, {}, { deadline: new Date(Date.now() + 60_000) });
    expect(left[0]).toBeLessThanOrEqual(1000);
    expect(left[1]).toBeLessThanOrEqual(5000);
    expect(left[1]).toBeGreaterThan(1000);
    expect(await say(client, {}, { deadline: Date.now() - 1 })).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: expect.stringContaining('had passed'),
    });
    expect(left).toHaveLength(2);
  });

  it('is inherited from the inbound call, by streams too', async () => {
    const left: number[] = [];
    const server = await serve({
      Say: (call, callback) => {
        left.push(Number(call.getDeadline()) - Date.now());
        callback(null, {});
      },
      Count: (call) => {
        left.push(Number(call.getDeadline()) - Date.now());
        call.end();
      },
    });
    const client = clientOf(appTo([server]));
    const inbound = createCall({
      side: 'server',
      service: 'caller',
      operation: 'GET',
      deadline: performance.now() + 700,
      priority: 3,
    });
    await runWithCall(inbound, async () => {
      await say(client, {});
      await ended(client.Count({}));
    });
    for (const ms of left) {
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(701);
    }
    expect(left).toHaveLength(2);
  });

  it('of a stream is its own: the timeout of the stack does not end it', async () => {
    let open: grpc.ServerWritableStream<Message, Message> | undefined;
    const server = await serve({
      ...never,
      Count: (call) => {
        open = call;
      },
    });
    const client = clientOf(appTo([server]), { timeoutMs: 50 });
    const stream = client.Count({});
    const running = ended(stream);
    await vi.waitFor(() => expect(open).toBeDefined());
    expect(open?.getDeadline()).toBe(Number.POSITIVE_INFINITY);
    // As long as that timeout is.
    expect(await say(client, {})).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    open?.write({ count: 1 });
    open?.end();
    expect(await running).toMatchObject({ code: 0, messages: [{ count: 1 }] });
    const limited = await ended(client.Count({}, new grpc.Metadata(), { deadline: Date.now() + 60 }));
    expect(limited).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });

  it('for the beginning of streams can be set', async () => {
    const server = await serve({
      Count: (call) => {
        if (call.request.count === 0) return;
        call.sendMetadata(new grpc.Metadata());
        setTimeout(() => call.end(), 200);
      },
    });
    const client = clientOf(appTo([server]), { streamTimeoutMs: 80, retry: false });
    expect(await ended(client.Count({ count: 0 }))).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(await ended(client.Count({ count: 1 }))).toMatchObject({ code: status.OK });
  });

  it.each(['Collect', 'Count', 'Chat'] as const)('ends a stream that nobody answers: %s', async (kind) => {
    const app = appTo([await serve(never)]);
    const client = clientOf(app);
    const deadline = Date.now() + 60;
    const code = await new Promise((resolve) => {
      if (kind === 'Collect')
        client.Collect(new grpc.Metadata(), { deadline }, (error) => resolve(error?.code)).write({});
      else if (kind === 'Count')
        void ended(client.Count({}, new grpc.Metadata(), { deadline })).then(({ code }) => resolve(code));
      else void ended(client.Chat(new grpc.Metadata(), { deadline })).then(({ code }) => resolve(code));
    });
    expect(code).toBe(status.DEADLINE_EXCEEDED);
  });
});

describe('a cancel', () => {
  it('of the caller reaches the callee, whatever the kind', async () => {
    const cancelled: string[] = [];
    const watch = (name: string) => (call: { on(event: 'cancelled', told: () => void): unknown }) => {
      cancelled.push(`began ${name}`);
      call.on('cancelled', () => cancelled.push(name));
    };
    const server = await serve({
      Say: watch('Say'),
      Collect: watch('Collect'),
      Count: watch('Count'),
      Chat: (call) => {
        watch('Chat')(call);
        call.write({ text: 'begun' });
      },
    });
    const app = appTo([server]);
    const client = clientOf(app);
    const codes: (number | undefined)[] = [];
    const done = (error: grpc.ServiceError | null) => void codes.push(error?.code);
    const calls = [
      client.Say({}, new grpc.Metadata(), {}, done),
      client.Collect(new grpc.Metadata(), {}, done),
      client.Count({}),
      client.Chat(),
    ];
    for (const stream of calls.slice(2)) void ended(stream as never).then(({ code }) => codes.push(code));
    await vi.waitFor(() => expect(cancelled).toHaveLength(4));
    expect(inflight(app)).toBe(4);
    for (const call of calls) call.cancel();
    await vi.waitFor(() => expect(codes).toEqual([1, 1, 1, 1]));
    await vi.waitFor(() => expect(cancelled.slice(4).sort()).toEqual(['Chat', 'Collect', 'Count', 'Say']));
  });

  it('before anything was sent ends the call, and sends nothing', async () => {
    let seen = 0;
    const app = appTo([
      await serve({
        Say: (call, callback) => {
          seen++;
          echo.Say(call, callback);
        },
      }),
    ]);
    const client = clientOf(app);
    const code = new Promise((resolve) => {
      const call = client.Say({}, new grpc.Metadata(), {}, (error) => resolve(error?.code));
      call.cancel();
    });
    expect(await code).toBe(status.CANCELLED);
    await idle(app);
    expect(seen).toBe(0);
  });

  it('of the callee is told', async () => {
    const client = clientOf(
      appTo([
        await serve({ Say: (_, callback) => callback({ code: status.CANCELLED, details: 'not here' }) }),
      ]),
    );
    expect(await say(client, {})).toMatchObject({ code: status.CANCELLED, details: 'not here' });
  });

  it('of the inbound call ends what was made for it by `parent`', async () => {
    let inner: Promise<number> | undefined;
    const back = await serve(never);
    const client = clientOf(appTo([back]));
    const front = await serve({
      Say: (call) => {
        inner = say(client, {}, { parent: call as never }).then(({ code }) => code);
      },
    });
    const outer = clientOf(appTo([front])).Say({}, new grpc.Metadata(), {}, () => undefined);
    await vi.waitFor(() => expect(inner).toBeDefined());
    outer.cancel();
    expect(await inner).toBe(status.CANCELLED);
  });
});

describe('a refusal', () => {
  const ask = (client: GreeterClient) =>
    new Promise<grpc.ServiceError & { cause?: unknown }>((resolve) =>
      client.Say({}, new grpc.Metadata(), {}, (error) => resolve(error as grpc.ServiceError)),
    );

  it('is a native error with the status of its code, and tells its cause', async () => {
    const error = await ask(clientOf(appTo([]), { resolveTimeoutMs: 0 }));
    expect(error).toBeInstanceOf(Error);
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.metadata).toBeInstanceOf(grpc.Metadata);
    expect(isGovernanceError(error.cause) && error.cause.code).toBe('NO_ENDPOINT');
  });

  it('of a gate, of a stopped app, of an address that cannot be called', async () => {
    const server = await serve();
    const closed = { code: 'RATE_LIMITED', tryAcquire: () => null } as const;
    const limited = await ask(clientOf(appTo([server]), { limits: [closed] }));
    expect([limited.code, isGovernanceError(limited.cause)]).toEqual([status.RESOURCE_EXHAUSTED, true]);
    const app = appTo([server]);
    const client = clientOf(app);
    await app.stop();
    expect((await ask(client)).code).toBe(status.UNAVAILABLE);
    const insecure = await ask(clientOf(appTo([{ url: 'grpcs://127.0.0.1:9' }])));
    expect([insecure.code, insecure.details]).toEqual([
      status.UNAVAILABLE,
      expect.stringContaining('grpc.ssl_target_name_override'),
    ]);
  });

  it('of a middleware keeps a status that it has, and is INTERNAL without one', async () => {
    const server = await serve();
    const failing = (error: unknown) => () => () => Promise.reject(error);
    const coded = Object.assign(new Error('no'), { code: status.PERMISSION_DENIED, details: 'not you' });
    const app = appTo([server]);
    expect(await ask(clientOf(app, { use: [failing(coded)] }))).toMatchObject({
      code: status.PERMISSION_DENIED,
      details: 'not you',
    });
    expect(await ask(clientOf(app, { use: [failing(new TypeError('a bug'))] }))).toMatchObject({
      code: status.INTERNAL,
      details: 'a bug',
    });
  });

  it('is what metadata that cannot be sent leads to', async () => {
    const app = appTo([await serve()]);
    const writes = clientOf(app, {
      use: [
        (next) => (request, call) => {
          call.headers.set('color', 'grün');
          return next(request, call);
        },
      ],
    });
    expect(await ask(writes)).toMatchObject({
      code: status.INTERNAL,
      details: expect.stringContaining('illegal characters'),
    });
  });
});

describe('a channel', () => {
  it('tells how its endpoints are connected, and connects when asked', async () => {
    const server = await serve();
    const channel = governedChannel(appTo([server]), 'greeter');
    const { connectivityState } = grpc;
    expect(channel.getTarget()).toBe('keelson:greeter');
    expect(channel.getConnectivityState(false)).toBe(connectivityState.IDLE);
    const client = new Greeter('', grpc.credentials.createInsecure(), { channelOverride: channel });
    await new Promise<void>((resolve, reject) =>
      client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve())),
    );
    expect(channel.getConnectivityState(false)).toBe(connectivityState.READY);
    const changed = new Promise((resolve) =>
      channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, resolve),
    );
    server.close();
    await changed;
    expect(channel.getConnectivityState(false)).not.toBe(connectivityState.READY);
    client.close();
    expect(channel.getConnectivityState(true)).toBe(connectivityState.SHUTDOWN);
    expect(() =>
      client.makeUnaryRequest(
        '/a/b',
        () => Buffer.alloc(0),
        () => 0,
        {},
        () => undefined,
      ),
    ).toThrow('shut down');
    expect(() => channel.watchConnectivityState(0, 0, () => undefined)).toThrow('shut down');
  });

  it('waits for endpoints that are not known yet, no longer than it may', async () => {
    const app = appTo([]);
    const client = clientOf(app);
    const ready = (ms: number) =>
      new Promise<Error | undefined>((resolve) => client.waitForReady(Date.now() + ms, resolve));
    expect(await ready(30)).toBeInstanceOf(Error);
    const dead = await serve();
    dead.close();
    const away = clientOf(appTo([dead]));
    expect(
      await new Promise<Error | undefined>((resolve) => away.waitForReady(Date.now() + 60, resolve)),
    ).toBeInstanceOf(Error);
  });

  it('refuses options that cannot be', async () => {
    const app = appTo([await serve()]);
    expect(() => governedChannel(app, 'greeter', { streamTimeoutMs: 0 })).toThrow(RangeError);
    expect(() => governedChannel(app, 'greeter', { keepaliveTimeMs: 10 })).toThrow(RangeError);
    expect(() => governedChannel(app, 'greeter', { idempotent: [1] as never })).toThrow(TypeError);
    expect(() => governedChannel(app, 'greeter', { services: [null] as never })).toThrow(TypeError);
    expect(() => governedChannel(app, 'greeter', { nonsense: 1 } as never)).toThrow('nonsense');
    expect(() => governedChannel(app, 'nobody')).toThrow(TypeError);
  });
});

describe('a trace', () => {
  it('goes along: one span for each try, which its callee is told of', async () => {
    const sdk = tracingSdk();
    closers.push(() => sdk.stop());
    const parents: unknown[] = [];
    const server = await serve({
      Say: (call, callback) => {
        parents.push(call.metadata.get('traceparent')[0]);
        if (parents.length === 1) callback({ code: status.UNAVAILABLE });
        else echo.Say(call, callback);
      },
    });
    const client = clientOf(appTo([server]), { idempotent: true });
    expect((await say(client, { text: 'x' })).code).toBe(0);
    expect((await ended(client.Count({ count: 1 }))).code).toBe(0);
    const spans = await vi.waitFor(() => {
      const made = sdk.ofKind('CLIENT');
      expect(made).toHaveLength(3);
      return made;
    });
    expect(spans.map(({ name, attributes }) => [name, attributes['rpc.response.status_code']])).toEqual([
      ['test.Greeter/Say', 'UNAVAILABLE'],
      ['test.Greeter/Say', 'OK'],
      ['test.Greeter/Count', 'OK'],
    ]);
    expect(spans[0]?.attributes).toMatchObject({
      'rpc.system.name': 'grpc',
      'rpc.method': 'test.Greeter/Say',
      'server.address': 'greeter',
      'network.peer.port': server.port,
      'error.type': 'UNAVAILABLE',
    });
    const told = spans.slice(0, 2).map((span) => {
      const { traceId, spanId } = span.spanContext();
      return `00-${traceId}-${spanId}`;
    });
    expect(parents.map((parent) => String(parent).slice(0, -3))).toEqual(told);
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-grpc-'));
  const pem = (name: string) => readFileSync(join(folder, name));

  beforeAll(() => {
    const subject = ['-subj', '/CN=greeter.internal', '-addext', 'subjectAltName=DNS:greeter.internal'];
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', ...curve, ...files, ...subject], {
      stdio: 'ignore',
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is spoken with addresses grpcs, by the credentials and the name that are given', async () => {
    const key = { private_key: pem('key.pem'), cert_chain: pem('cert.pem') };
    const server = await serve({}, { credentials: grpc.ServerCredentials.createSsl(null, [key]) });
    const target = { url: server.url.replace('grpc:', 'grpcs:') };
    const credentials = grpc.credentials.createSsl(pem('cert.pem'));
    const named = { 'grpc.ssl_target_name_override': 'greeter.internal' };
    const client = clientOf(appTo([target]), { credentials, channelOptions: named });
    expect((await say(client, { text: 'you' })).messages).toEqual([{ text: 'hello you' }]);
    const call = client.Chat();
    call.end({ text: 'x' });
    await new Promise((resolve) => call.once('data', resolve));
    expect(call.getAuthContext()?.transportSecurityType).toBe('ssl');
    await ended(call);
    const other = { 'grpc.ssl_target_name_override': 'orders.internal' };
    const wrong = clientOf(appTo([target]), { credentials, channelOptions: other });
    expect((await say(wrong, {})).code).toBe(status.UNAVAILABLE);
    expect((await say(clientOf(appTo([target]), { channelOptions: named }), {})).code).toBe(
      status.UNAVAILABLE,
    );
  });
});
