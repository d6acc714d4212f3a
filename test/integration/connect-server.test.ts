import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import {
  Code,
  ConnectError,
  type ConnectRouterOptions,
  createClient,
  createConnectRouter,
  createRouterTransport,
  type HandlerContext,
  type Interceptor,
} from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { createApp, currentCall } from 'keelson';
import {
  callOf,
  governedTransport,
  peerContext,
  type ServerInterceptorOptions,
  serverInterceptor,
} from 'keelson/connect';
import { type Call, type FaultEvent, type Gate, GovernanceError, trustedPeer } from 'keelson/core';
import { parseLoad } from 'keelson/http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Greeter } from '../doubles/connect-greeter.js';
import {
  all,
  connect,
  connect1,
  echo,
  type GreeterImpl,
  grpc,
  listening,
  type Speech,
  saying,
  speeches,
} from '../doubles/connect-replicas.js';
import { recordingLimit } from '../doubles/recording-limit.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Given extends ServerInterceptorOptions {
  readonly limit?: number;
  readonly router?: ConnectRouterOptions;
  readonly peers?: boolean;
  readonly listener?: boolean;
}

/** A governed server, and a native client of it. */
async function running(speech: Speech, handlers: GreeterImpl = {}, given: Given = {}) {
  const { limit, router, peers = true, listener = false, ...options } = given;
  const app = createApp({ service: 'greeter', signals: false, drainPauseMs: 0 });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const record = recordingLimit(limit);
  const interceptor = serverInterceptor(app, { limits: [record.gate], queue: false, ...options });
  const routes = connectNodeAdapter({
    ...router,
    interceptors: [interceptor, ...(router?.interceptors ?? [])],
    ...(peers ? { contextValues: peerContext } : {}),
    routes: (to) => void to.service(Greeter, { ...echo, ...handlers }),
  });
  const outer = recordingLimit();
  const handle = listener ? app.listener(routes as never, { limits: [outer.gate], queue: false }) : routes;
  const server = speech.httpVersion === '2' ? http2.createServer(handle) : http.createServer(handle);
  const { url, close } = await listening(server);
  const transport = speech.transport(url);
  closers.push(async () => {
    transport.close();
    close();
    await app.stop();
  });
  const settled = (outcomes: readonly string[]) =>
    vi.waitFor(() => {
      expect(record.outcomes).toEqual(outcomes);
      expect(record.inflight()).toBe(0);
    });
  return { app, faults, record, outer, url, server, client: createClient(Greeter, transport), settled };
}

const errorOf = (answer: Promise<unknown>): Promise<ConnectError> =>
  answer.then(
    () => expect.fail('it was answered'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(ConnectError);
      return error as ConnectError;
    },
  );

const codeOf = async (answer: Promise<unknown>) => (await errorOf(answer)).code;
const asking = { value: '' };
const aMoment = () => new Promise((resolve) => setImmediate(resolve));

/** Waits until its call is given up. */
const untilAborted = ({ signal }: HandlerContext) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe.each(speeches)('a server, asked by $name', (speech) => {
  it('answers the kinds, and ends with nothing in flight', async () => {
    const { client, faults, record, settled } = await running(speech);
    expect((await client.say({ value: 'you' })).value).toBe('hello you');
    expect((await client.collect(saying('a', 'b'))).value).toBe('a,b');
    expect(await all(client.count({ value: '3' }))).toEqual(['1', '2', '3']);
    expect(await all(client.count({ value: '0' }))).toEqual([]);
    if (speech.httpVersion === '2') {
      expect(await all(client.chat(saying('a', 'b')))).toEqual(['re: a', 're: b']);
      await settled(Array(5).fill('success'));
    } else await settled(Array(4).fill('success'));
    expect(record.asked.slice(0, 2)).toEqual(['/test.Greeter/Say', '/test.Greeter/Collect']);
    expect(faults).toEqual([]);
  });

  it('runs handlers as the current call, all along a stream, and tells it by the context', async () => {
    const calls: (Call | undefined)[] = [];
    const current: (Call | undefined)[] = [];
    const note = (context: HandlerContext) => {
      calls.push(callOf(context));
      current.push(currentCall());
    };
    const { client } = await running(speech, {
      async say(_, context) {
        note(context);
        await aMoment();
        note(context);
        return asking;
      },
      async *count(_, context) {
        for (let count = 0; count < 3; count++) {
          note(context);
          yield asking;
          await aMoment();
        }
        note(context);
      },
    });
    await client.say(asking, { timeoutMs: 5000 });
    await all(client.count(asking));
    expect(calls).toHaveLength(6);
    expect(current).toEqual(calls);
    expect(calls[0]).toMatchObject({ side: 'server', service: 'greeter', operation: '/test.Greeter/Say' });
    expect((calls[0] as Call).deadline - performance.now()).toBeLessThanOrEqual(5000);
    expect((calls[2] as Call).deadline).toBe(Number.POSITIVE_INFINITY);
    expect(calls[0]?.values.get(trustedPeer)).toBe(true);
  });

  it('refuses what is too much by a code, and says when to come back', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    const { client, record, settled } = await running(
      speech,
      {
        async *count() {
          asked++;
          yield { value: '1' };
          await held;
        },
      },
      { limit: 1 },
    );
    const counting = all(client.count(asking));
    await vi.waitFor(() => expect(record.inflight()).toBe(1));
    const refused = [client.say(asking), all(client.count(asking)), client.collect(saying('a'))];
    for (const error of await Promise.all(refused.map(errorOf))) {
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(error.metadata.get('x-keelson-shed')).toBe('OVERLOADED');
    }
    expect(asked).toBe(1);
    release();
    expect(await counting).toEqual(['1']);
    await settled(['success']);
    expect((await client.say({ value: 'x' })).value).toBe('hello x');
  });

  it('answers errors by their code, and tells faults', async () => {
    const secret = new RangeError('secret');
    const refuse = () => {
      throw new GovernanceError('PERMISSION_DENIED', 'not you', { side: 'server' });
    };
    const { client, faults, settled } = await running(speech, {
      say: () => {
        throw new ConnectError('no such', Code.NotFound, { why: 'because' });
      },
      look: () => {
        throw secret;
      },
      collect: refuse,
      async *count() {
        yield asking;
        refuse();
      },
      async *tail() {
        yield asking;
        throw secret;
      },
    });
    const missing = await errorOf(client.say(asking));
    expect(missing).toMatchObject({ code: Code.NotFound, rawMessage: 'no such' });
    expect(missing.metadata.get('why')).toBe('because');
    expect(await errorOf(client.look(asking))).toMatchObject({
      code: Code.Internal,
      rawMessage: 'internal error',
    });
    expect(await codeOf(client.collect(saying('a')))).toBe(Code.PermissionDenied);
    expect(await codeOf(all(client.count(asking)))).toBe(Code.PermissionDenied);
    expect(await codeOf(all(client.tail(asking)))).toBe(Code.Internal);
    await settled(['success', 'failure', 'ignored', 'success', 'failure']);
    expect(faults.map(({ where, error }) => [where, error])).toEqual([
      ['handler of /test.Greeter/Look', secret],
      ['handler of /test.Greeter/Tail', secret],
    ]);
  });

  it('ends calls by its own time, whether or not the handler heeds it', async () => {
    const reasons: unknown[] = [];
    const deaf = ({ signal }: HandlerContext) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason));
      return new Promise<never>(() => undefined);
    };
    const { client, settled } = await running(
      speech,
      {
        say: (_, context) => deaf(context),
        async *count(_, context) {
          await deaf(context);
          yield asking;
        },
      },
      { timeoutMs: 50, abandonedMs: 50 },
    );
    expect(await codeOf(client.say(asking))).toBe(Code.DeadlineExceeded);
    expect(await codeOf(all(client.count(asking)))).toBe(Code.DeadlineExceeded);
    await settled(['failure', 'failure']);
    expect(reasons.map((reason) => (reason as ConnectError).code)).toEqual(
      Array(2).fill(Code.DeadlineExceeded),
    );
  });

  it.each([true, false])('ends calls by the time of the client, trusted: %s', async (trust) => {
    const signals: AbortSignal[] = [];
    const deaf = ({ signal }: HandlerContext) => {
      signals.push(signal);
      return new Promise<never>(() => undefined);
    };
    const { client, record } = await running(
      speech,
      {
        say: (_, context) => deaf(context),
        async *count(_, context) {
          yield asking;
          await deaf(context);
        },
      },
      { trust, abandonedMs: 20 },
    );
    // The first call has to connect, and must not use up its time by that.
    await client.look(asking);
    expect(await codeOf(client.say(asking, { timeoutMs: 150 }))).toBe(Code.DeadlineExceeded);
    expect(await codeOf(all(client.count(asking, { timeoutMs: 150 })))).toBe(Code.DeadlineExceeded);
    await vi.waitFor(() => expect(record.outcomes).toHaveLength(3));
    expect(record.inflight()).toBe(0);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    // Whichever was first, the end of the time here or the client that left.
    for (const outcome of record.outcomes.slice(1)) expect(['failure', 'ignored']).toContain(outcome);
  });

  it('lets go of a call whose client has gone, in the handler and in the stream', async () => {
    let cleaned = 0;
    let entered = 0;
    const { client, settled, faults, record } = await running(speech, {
      say: (_, context) => {
        entered++;
        return untilAborted(context);
      },
      async *count(_, context) {
        try {
          yield { value: '1' };
          entered++;
          await untilAborted(context);
        } finally {
          cleaned++;
        }
      },
      async *tail() {
        try {
          // Suspended where it is when the client goes away: nobody but the server can end it.
          for (;;) yield { value: 'x'.repeat(100_000) };
        } finally {
          cleaned++;
        }
      },
    });
    const leaving = new AbortController();
    const { signal } = leaving;
    const ends = [
      codeOf(client.say(asking, { signal })),
      codeOf(all(client.count(asking, { signal }))),
      codeOf(
        (async () => {
          for await (const _ of client.tail(asking, { signal })) await new Promise(() => undefined);
        })(),
      ),
    ];
    await vi.waitFor(() => expect(entered).toBe(2));
    await vi.waitFor(() => expect(record.inflight()).toBe(3));
    leaving.abort();
    expect(await Promise.all(ends.slice(0, 2))).toEqual([Code.Canceled, Code.Canceled]);
    await settled(['ignored', 'ignored', 'ignored']);
    await vi.waitFor(() => expect(cleaned).toBe(2));
    expect(faults).toEqual([]);
  });

  it('does not pass on what a callee says of itself', async () => {
    const full: Gate = { code: 'OVERLOADED', tryAcquire: () => null };
    const overloaded = await running(speech, {}, { limits: [full], queue: false });
    const app = createApp({
      service: 'between',
      endpoints: { greeter: [overloaded.url] },
      signals: false,
    });
    closers.push(() => app.stop());
    const transport = governedTransport(app, 'greeter', { transport: speech.transport, retry: false });
    const behind = createClient(Greeter, transport);
    const { client, settled } = await running(speech, { say: (request) => behind.say(request) });
    const error = await errorOf(client.say(asking));
    expect(error.code).toBe(Code.ResourceExhausted);
    const told = [...error.metadata.keys()].filter((name) => /keelson|retry|pushback/.test(name));
    expect(told).toEqual(['x-keelson-load']);
    // Its own, for it refuses nobody.
    expect(parseLoad(error.metadata.get('x-keelson-load'))?.admitRatio).toBeUndefined();
    await settled(['ignored']);
    const direct = await errorOf(overloaded.client.say(asking));
    expect(direct.metadata.get('x-keelson-shed')).toBe('OVERLOADED');
  });

  it('takes metadata and priority from peers that it trusts', async () => {
    const seen: (readonly [string, number])[] = [];
    const handlers: GreeterImpl = {
      say: (_, context) => {
        const call = callOf(context) as Call;
        seen.push([String(call.values.get(trustedPeer)), call.priority]);
        return asking;
      },
    };
    const headers = { 'x-md-global-priority': '5' };
    const peersOf: string[] = [];
    for (const given of [
      {},
      { peers: false },
      { trust: false },
      {
        trust: ({ peer }) => {
          peersOf.push(peer?.address ?? 'unknown');
          return true;
        },
      },
      {
        trust: () => {
          throw new Error('no');
        },
      },
    ] satisfies Given[]) {
      const { client } = await running(speech, handlers, given);
      await client.say(asking, { headers });
    }
    expect(seen).toEqual([
      ['true', 5],
      ['undefined', 0],
      ['undefined', 0],
      ['true', 5],
      ['undefined', 0],
    ]);
    expect(peersOf).toEqual(['127.0.0.1']);
  });

  it('leaves a request to the listener that governs it, and adds what that cannot know', async () => {
    const calls: (Call | undefined)[] = [];
    const secret = new RangeError('secret');
    const { client, record, outer, faults } = await running(
      speech,
      {
        say: (_, context) => {
          calls.push(callOf(context), currentCall());
          return asking;
        },
        look: () => {
          throw new GovernanceError('RATE_LIMITED', 'later', { side: 'server', retryAfterMs: 1500 });
        },
        async *count() {
          yield asking;
          throw new GovernanceError('UNAUTHENTICATED', 'who', { side: 'server' });
        },
        async *tail() {
          yield asking;
          throw secret;
        },
      },
      { listener: true },
    );
    await client.say(asking);
    expect(calls[0]).toBe(calls[1]);
    expect(calls[0]?.operation).toBe('POST /test.Greeter/Say');
    const later = await errorOf(client.look(asking));
    expect(later.code).toBe(Code.ResourceExhausted);
    expect(later.metadata.get('retry-after-ms')).toBe('1500');
    expect(await codeOf(all(client.count(asking)))).toBe(Code.Unauthenticated);
    expect(await codeOf(all(client.tail(asking)))).toBe(Code.Internal);
    await vi.waitFor(() => expect(outer.inflight()).toBe(0));
    expect(outer.outcomes).toHaveLength(4);
    expect(record.outcomes).toEqual([]);
    expect(faults).toEqual([{ where: 'handler of POST /test.Greeter/Tail', error: secret }]);
  });
});

describe('a server', () => {
  it('can be served by the app', async () => {
    const app = createApp({ service: 'greeter', signals: false, drainPauseMs: 0 });
    const handler = connectNodeAdapter({
      interceptors: [serverInterceptor(app)],
      contextValues: peerContext,
      routes: (to) => void to.service(Greeter, echo),
    });
    const { url } = await app.serve(http2.createServer(handler), { port: 0, host: '127.0.0.1' });
    const caller = createApp({ service: 'caller', endpoints: { greeter: [url] }, signals: false });
    const transport = governedTransport(caller, 'greeter', { transport: connect.transport });
    const client = createClient(Greeter, transport);
    expect((await client.say({ value: 'x' })).value).toBe('hello x');
    expect(await all(client.chat(saying('a')))).toEqual(['re: a']);
    await caller.stop();
    await app.stop();
  });

  it('keeps the interceptors after it, and the errors that those before it see', async () => {
    const order: string[] = [];
    const noting =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        order.push(`${name} ${request.method.name}`);
        return next(request);
      };
    const { client } = await running(grpc, {}, { router: { interceptors: [noting('inner')] } });
    await client.say(asking);
    await all(client.count({ value: '1' }));
    expect(order).toEqual(['inner Say', 'inner Count']);
  });

  it('of which the owner shuts down says so', async () => {
    const closing = new AbortController();
    let entered = 0;
    const { client, settled } = await running(
      connect,
      {
        say: (_, context) => {
          entered++;
          return untilAborted(context);
        },
      },
      { router: { shutdownSignal: closing.signal } },
    );
    const answer = codeOf(client.say(asking));
    await vi.waitFor(() => expect(entered).toBe(1));
    closing.abort(new ConnectError('closing', Code.Unavailable));
    expect(await answer).toBe(Code.Unavailable);
    await settled(['ignored']);
  });

  it('lets the health service through', async () => {
    const { record, app } = await running(grpc);
    const { healthDefinition } = await import('keelson/grpc');
    expect(healthDefinition.Check.path).toMatch(/^\/grpc\.health\.v1\.Health\//);
    const interceptor = serverInterceptor(app, { limits: [record.gate], queue: false });
    const answer = { stream: false };
    const handler = interceptor(async () => answer as never);
    const request = {
      method: { parent: { typeName: 'grpc.health.v1.Health' } },
      contextValues: { get: () => undefined },
    };
    expect(await handler(request as never)).toBe(answer);
    expect(record.asked).toEqual([]);
  });

  it('runs in memory too', async () => {
    const app = createApp({ service: 'greeter', signals: false });
    closers.push(() => app.stop());
    const record = recordingLimit();
    const transport = createRouterTransport((to) => void to.service(Greeter, echo), {
      router: { interceptors: [serverInterceptor(app, { limits: [record.gate], queue: false })] },
    });
    const client = createClient(Greeter, transport);
    expect((await client.say({ value: 'x' })).value).toBe('hello x');
    expect(await all(client.count({ value: '2' }))).toEqual(['1', '2']);
    expect(record.outcomes).toEqual(['success', 'success']);
    expect(createConnectRouter().handlers).toEqual([]);
  });

  it('that gets half a request, or none, holds no place', async () => {
    const { url, record } = await running(connect1);
    const { port, hostname } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    socket.write('POST /test.Greeter/Say HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n');
    socket.write('content-length: 100\r\n\r\nabc');
    await aMoment();
    socket.destroy();
    await aMoment();
    expect(record.asked).toEqual([]);
  });
});

describe('options', () => {
  it.each([
    [{ trust: 'all' }, TypeError],
    [{ key: 'x' }, TypeError],
    [{ abandonedMs: -1 }, RangeError],
    [{ timeoutMs: 0 }, RangeError],
    [{ nonsense: 1 }, TypeError],
  ])('%o cannot work', (options, kind) => {
    const app = createApp({ service: 'greeter', signals: false });
    closers.push(() => app.stop());
    expect(() => serverInterceptor(app, options as ServerInterceptorOptions)).toThrow(kind);
  });
});
