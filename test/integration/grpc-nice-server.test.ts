import { type App, createApp, currentCall } from 'keelson';
import { type Call, type FaultEvent, GovernanceError } from 'keelson/core';
import {
  type GovernServerOptions,
  governMiddleware,
  governServer,
  grpcServer,
  healthDefinition,
  niceHealth,
  servingStatus,
} from 'keelson/grpc';
import { concurrency } from 'keelson/limiter';
import {
  type CallContext,
  type Client,
  ClientError,
  createChannel,
  createClient,
  createServer,
  ServerError,
  type ServerMiddlewareCall,
  Status,
} from 'nice-grpc';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { greeter, type Message } from '../doubles/grpc-greeter.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.restoreAllMocks();
});

type Context = CallContext & { readonly call: Call | undefined };
interface Greeter {
  Say(request: Message, context: Context): Promise<Message>;
  Collect(requests: AsyncIterable<Message>, context: Context): Promise<Message>;
  Count(request: Message, context: Context): AsyncIterable<Message>;
  Chat(requests: AsyncIterable<Message>, context: Context): AsyncIterable<Message>;
}
type GreeterClient = Client<typeof greeter>;

const echo: Greeter = {
  Say: async ({ text }) => ({ text: `hello ${text}` }),
  async Collect(requests) {
    let count = 0;
    for await (const _ of requests) count++;
    return { count };
  },
  async *Count({ count = 0 }) {
    for (let i = 1; i <= count; i++) yield { count: i };
  },
  async *Chat(requests) {
    yield* requests;
  },
};

interface Running {
  readonly app: App;
  readonly client: GreeterClient;
  readonly port: number;
  readonly faults: FaultEvent[];
  readonly warned: unknown[];
  inflight(): number;
  empty(): Promise<void>;
}

async function running(handlers: Partial<Greeter> = {}, options: GovernServerOptions = {}): Promise<Running> {
  const app = createApp({ service: 'greeter', signals: false, closeTimeoutMs: 200 });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const warned: unknown[] = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warned.push(warning));
  const limit = concurrency({ limit: 4 });
  const server = createServer({
    interceptors: [governServer(app, { limits: [limit], queue: false, ...options })],
  }).use(governMiddleware());
  server.add(greeter, { ...echo, ...handlers });
  server.add(...niceHealth(app));
  const { port } = await app.serve(grpcServer(server), { host: '127.0.0.1' });
  const channel = createChannel(`127.0.0.1:${port}`);
  const client = createClient(greeter, channel);
  closers.push(async () => {
    channel.close();
    await app.stop();
  });
  const inflight = () => limit.snapshot(performance.now()).inflight;
  const empty = () => vi.waitFor(() => expect(inflight()).toBe(0));
  return { app, client, port, faults, warned, inflight, empty };
}

async function* some(...texts: string[]): AsyncIterable<Message> {
  for (const text of texts) yield { text };
}

async function all(messages: AsyncIterable<Message>): Promise<Message[]> {
  const list: Message[] = [];
  for await (const message of messages) list.push(message);
  return list;
}

const failed = async (running: Promise<unknown>): Promise<{ code: Status; details: string }> => {
  const error = await running.then(
    () => new Error('answered'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ClientError) return { code: error.code, details: error.details };
  throw error;
};

describe('a server of nice-grpc', () => {
  it('answers calls of all four kinds, with nothing in flight at the end', async () => {
    const at = await running();
    expect(await at.client.Say({ text: 'you' })).toEqual({ text: 'hello you' });
    expect(await at.client.Collect(some('a', 'b', 'c'))).toEqual({ count: 3 });
    expect(await all(at.client.Count({ count: 2 }))).toEqual([{ count: 1 }, { count: 2 }]);
    expect(await all(at.client.Chat(some('a', 'b')))).toEqual([{ text: 'a' }, { text: 'b' }]);
    await at.empty();
    expect(at.faults).toEqual([]);
    expect(at.warned).toEqual([]);
  });

  it('gives its handlers the call, as current and in their context', async () => {
    const seen: unknown[] = [];
    const at = await running({
      async Say(_request, { call }) {
        await Promise.resolve();
        seen.push(call, currentCall());
        return {};
      },
      async *Count(_request, { call }) {
        yield {};
        seen.push(call, currentCall());
      },
    });
    await at.client.Say({});
    await all(at.client.Count({}));
    expect(seen[0]).toMatchObject({ operation: '/test.Greeter/Say', service: 'greeter' });
    expect(seen[1]).toBe(seen[0]);
    expect(seen[2]).toMatchObject({ operation: '/test.Greeter/Count' });
    expect(seen[3]).toBe(seen[2]);
  });

  it('sheds before it reads', async () => {
    const at = await running({}, { limits: [{ code: 'OVERLOADED', tryAcquire: () => null }] });
    expect((await failed(at.client.Say({}))).code).toBe(Status.RESOURCE_EXHAUSTED);
  });

  it('ends what has no answer in time, and the signal of the handler says so', async () => {
    let aborted = false;
    const at = await running(
      {
        Say: (_request, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              reject(new DOMException('aborted', 'AbortError'));
            });
          }),
      },
      { timeoutMs: 20 },
    );
    expect((await failed(at.client.Say({}))).code).toBe(Status.DEADLINE_EXCEEDED);
    await vi.waitFor(() => expect(aborted).toBe(true));
    await at.empty();
    expect(at.faults).toEqual([]);
  });

  it('counts a handler that goes on after its client has gone until it is done', async () => {
    let finish: (() => void) | undefined;
    const at = await running({
      Say: () =>
        new Promise((resolve) => {
          finish = () => resolve({});
        }),
    });
    const abort = new AbortController();
    const call = at.client.Say({}, { signal: abort.signal });
    await vi.waitFor(() => expect(finish).toBeDefined());
    abort.abort();
    await expect(call).rejects.toThrow();
    expect(at.inflight()).toBe(1);
    finish?.();
    await at.empty();
  });

  it('frees the place of a stream that its reader leaves', async () => {
    let over = false;
    const at = await running({
      async *Count() {
        try {
          for (let count = 1; ; count++) {
            yield { count };
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          over = true;
        }
      },
    });
    for await (const { count } of at.client.Count({})) if (count === 3) break;
    await vi.waitFor(() => expect(over).toBe(true));
    await at.empty();
    expect(at.faults).toEqual([]);
  });
});

describe('an error of a handler of nice-grpc', () => {
  const kinds = [
    ['unary', (at: Running) => at.client.Say({})],
    ['a stream', (at: Running) => all(at.client.Count({}))],
  ] as const;

  const throwing = (error: unknown): Partial<Greeter> => ({
    Say: async () => {
      throw error;
    },
    // biome-ignore lint/correctness/useYield: it fails before its first message
    async *Count() {
      throw error;
    },
  });

  it.each(kinds)('is UNKNOWN without details, and told as a fault: %s', async (_, call) => {
    const error = new Error('secret');
    const at = await running(throwing(error));
    expect(await failed(call(at))).toEqual({ code: Status.UNKNOWN, details: 'Unknown error' });
    expect(at.faults.map((fault) => fault.error)).toEqual([error]);
    expect(at.warned).toEqual([]);
    await at.empty();
  });

  it.each(kinds)('has the status of a refusal: %s', async (_, call) => {
    const at = await running(throwing(new GovernanceError('BREAKER_OPEN', 'users: open')));
    expect((await failed(call(at))).code).toBe(Status.UNAVAILABLE);
    expect(at.faults).toEqual([]);
    await at.empty();
  });

  it.each(kinds)('that is a ServerError passes as it is: %s', async (_, call) => {
    const at = await running(throwing(new ServerError(Status.NOT_FOUND, 'no such user')));
    expect(await failed(call(at))).toEqual({ code: Status.NOT_FOUND, details: 'no such user' });
    expect(at.faults).toEqual([]);
    await at.empty();
  });
});

describe('the middleware', () => {
  it('lets others of the user stand beside it, on both ends', async () => {
    const app = createApp({ service: 'greeter', signals: false });
    const order: string[] = [];
    const server = createServer({ interceptors: [governServer(app, { queue: false })] })
      .use(governMiddleware())
      .use(async function* own<Request, Response>(
        call: ServerMiddlewareCall<Request, Response>,
        context: CallContext & { readonly call?: Call | undefined },
      ) {
        order.push(`server ${context.call?.operation}`);
        return yield* call.next(call.request as never, context);
      });
    server.add(greeter, echo);
    const port = await server.listen('127.0.0.1:0');
    closers.push(() => {
      server.forceShutdown();
      return app.stop();
    });
    const channel = createChannel(`127.0.0.1:${port}`);
    closers.push(() => channel.close());
    const client = createClient(greeter, channel);
    expect(await client.Say({ text: 'x' })).toEqual({ text: 'hello x' });
    expect(order).toEqual(['server /test.Greeter/Say']);
  });

  it('on a server that nothing governs changes nothing', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const server = createServer().use(governMiddleware());
    server.add(
      greeter as never,
      {
        ...echo,
        Collect: async () => {
          throw new Error('secret');
        },
      } as never,
    );
    const port = await server.listen('127.0.0.1:0');
    closers.push(() => server.forceShutdown());
    const channel = createChannel(`127.0.0.1:${port}`);
    closers.push(() => channel.close());
    const client = createClient(greeter, channel);
    expect(await client.Say({ text: 'x' })).toEqual({ text: 'hello x' });
    expect((await failed(client.Collect(some()))).code).toBe(Status.UNKNOWN);
    expect(warned).toHaveBeenCalled();
  });
});

describe('the health service of nice-grpc', () => {
  it('tells the state, and ends what is watched when the app stops', async () => {
    const at = await running();
    const channel = createChannel(`127.0.0.1:${at.port}`);
    closers.push(() => channel.close());
    const health = createClient(healthDefinition, channel);
    expect(await health.Check({ service: '' })).toEqual({ status: servingStatus.SERVING });
    expect((await failed(health.Check({ service: 'test.Other' }))).code).toBe(Status.NOT_FOUND);
    const seen: number[] = [];
    const watched = (async () => {
      for await (const answer of health.Watch({ service: '' })) seen.push(answer.status);
    })();
    await vi.waitFor(() => expect(seen).toEqual([servingStatus.SERVING]));
    await at.app.stop();
    await watched;
    expect(seen).toEqual([servingStatus.SERVING, servingStatus.NOT_SERVING]);
    expect(at.app.events.has('lifecycle')).toBe(false);
  });
});

it('a server of nice-grpc whose port is taken can be served on another', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const { port } = await running();
  const app = createApp({ service: 'second', signals: false });
  closers.push(() => app.stop());
  const server = createServer({ interceptors: [governServer(app)] }).use(governMiddleware());
  server.add(greeter, echo);
  await expect(app.serve(grpcServer(server), { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  expect((await app.serve(grpcServer(server), { host: '127.0.0.1' })).port).not.toBe(port);
});
