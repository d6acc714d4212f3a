import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createApp } from 'keelson';
import { type GovernedTransportOptions, governedTransport } from 'keelson/connect';
import { isGovernanceError } from 'keelson/core';
import { describe, expect, it, vi } from 'vitest';
import { Greeter } from '../doubles/connect-greeter.js';
import {
  all,
  connect,
  connect1,
  type GreeterImpl,
  grpc,
  grpcWeb,
  listening,
  type Replica,
  replica,
  type Speech,
  saying,
  speeches,
} from '../doubles/connect-replicas.js';
import { idle, inflight } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { apps, closers } = tidied();

async function serve(...args: Parameters<typeof replica>): Promise<Replica> {
  const made = await replica(...args);
  closers.push(() => made.close());
  return made;
}

async function raw(server: net.Server): Promise<Replica> {
  const made = await listening(server);
  closers.push(() => made.close());
  return made;
}

/** A server of HTTP/2 that does what no library would. */
function rawHttp2(route: (stream: http2.ServerHttp2Stream) => unknown): Promise<Replica> {
  const server = http2.createServer();
  server.on('session', (session) => session.on('error', () => undefined));
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    route(stream);
  });
  return raw(server);
}

type Options = Partial<GovernedTransportOptions>;

function clientOf(speech: Speech, replicas: readonly { readonly url: string }[], options: Options = {}) {
  const endpoints = { greeter: replicas.map(({ url }) => url) };
  const app = createApp({ service: 'caller', endpoints, signals: false });
  apps.push(app);
  const own = { transport: speech.transport, gates: () => [], ejection: false, ...options } as const;
  const transport = governedTransport(app, 'greeter', own);
  return { app, transport, client: createClient(Greeter, transport) };
}

const errorOf = (running: Promise<unknown>): Promise<ConnectError> =>
  running.then(
    () => expect.fail('it was answered'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(ConnectError);
      return error as ConnectError;
    },
  );

const codeOf = async (running: Promise<unknown>) => (await errorOf(running)).code;

const asking = { value: '' };
/** A message of gRPC without content. */
const empty = Buffer.alloc(5);
const generous = { retryBudget: { minPerSecond: 1000 } } as const;
const chunk = 'x'.repeat(16_384);
const aMoment = () => new Promise((resolve) => setImmediate(resolve));

/** Answers nothing, or hardly anything, and counts who asks. */
function hanging() {
  const asked = { count: 0 };
  const never = () => {
    asked.count++;
    return new Promise<never>(() => undefined);
  };
  const handlers: GreeterImpl = {
    say: never,
    look: never,
    async *count() {
      yield { value: '1' };
      await never();
    },
  };
  return { asked, handlers };
}

describe.each(speeches)('over $name, a server', (speech) => {
  it('that accepts and never says a word: calls end in time', async () => {
    const mute = await raw(net.createServer(() => undefined));
    const { client } = clientOf(speech, [mute], { timeoutMs: 60, streamTimeoutMs: 60 });
    const codes = await Promise.all([
      codeOf(client.say(asking)),
      codeOf(client.collect(saying('a'))),
      codeOf(all(client.count(asking))),
      codeOf(all(client.chat(saying('a')))),
      codeOf(all(client.count(asking, { timeoutMs: 40 }))),
    ]);
    expect(codes).toEqual(Array(5).fill(Code.DeadlineExceeded));
  });

  it('that dies in the middle: a call that may be sent twice is, others and streams that have begun fail', async () => {
    const { asked, handlers } = hanging();
    const bad = await serve(speech, handlers);
    const { app, client } = clientOf(speech, [bad], { ...generous, timeoutMs: 5000 });
    const ends = [client.say(asking), client.look(asking), all(client.count(asking))].map(errorOf);
    await vi.waitFor(() => expect(asked.count).toBe(3));
    expect(inflight(app)).toBe(3);
    bad.close();
    const errors = await Promise.all(ends);
    // What connect-node makes of a lost connection: of HTTP/2, of HTTP/1.
    const lost = [Code.Canceled, Code.Aborted, Code.Internal];
    expect(lost).toContain(errors[0]?.code);
    // Sent again to the only instance there is, which is gone.
    expect(errors[1]?.code).toBe(Code.Unavailable);
    expect(lost).toContain(errors[2]?.code);
  });

  it('that dies: another takes over', async () => {
    const { asked, handlers } = hanging();
    const bad = await serve(speech, handlers);
    const { client } = clientOf(speech, [bad, await serve(speech)], { ...generous, timeoutMs: 5000 });
    const answers = Array.from({ length: 10 }, () => client.look({ value: 'x' }));
    await vi.waitFor(() => expect(asked.count).toBeGreaterThan(0));
    bad.close();
    for (const { value } of await Promise.all(answers)) expect(value).toBe('seen x');
  });

  it('a message over the limit, received, sent, or for the server: resource_exhausted, and no other try', async () => {
    let asked = 0;
    const server = await serve(
      speech,
      {
        look: ({ value }) => {
          asked++;
          return { value: value === 'big' ? 'y'.repeat(5000) : value };
        },
      },
      { readMaxBytes: 20_000 },
    );
    const limits = { readMaxBytes: 1000, writeMaxBytes: 40_000 };
    const { client } = clientOf(speech, [server], {
      ...generous,
      transport: (baseUrl) => speech.transport(baseUrl, limits),
    });
    for (const value of ['big', 'z'.repeat(30_000), 'z'.repeat(50_000)]) {
      expect(await codeOf(client.look({ value }))).toBe(Code.ResourceExhausted);
      expect((await client.look({ value: 'small' })).value).toBe('small');
    }
    expect(asked).toBe(4);
  });

  it('headers that cannot be sent: a clear code, and the next call goes well', async () => {
    const { client } = clientOf(speech, [await serve(speech)], { timeoutMs: 3000, retry: false });
    const wide = await errorOf(client.say(asking, { headers: { odd: '日本' } }));
    expect(wide.code).toBe(Code.Internal);
    expect(wide.cause).toBeInstanceOf(TypeError);
    const big = { headers: { big: 'x'.repeat(1_000_000) } };
    expect([Code.Internal, Code.Unknown, Code.Aborted]).toContain(await codeOf(client.say(asking, big)));
    await vi.waitFor(async () => expect((await client.say({ value: 'x' })).value).toBe('hello x'));
    expect((await client.say({ value: 'x' }, { headers: { odd: 'grün' } })).value).toBe('hello x');
  });

  it('a reader that leaves by return ends the stream at once', async () => {
    const left: unknown[] = [];
    const server = await serve(speech, {
      async *count(_, { signal }) {
        signal.addEventListener('abort', () => left.push(signal.reason));
        for (let count = 1; ; count++) {
          yield { value: String(count) };
          await aMoment();
          if (signal.aborted) return;
        }
      },
    });
    const { app, transport } = clientOf(speech, [server]);
    const open = () =>
      transport.stream(Greeter.method.count, undefined, undefined, undefined, saying('') as never);
    for await (const message of (await open()).message) {
      expect(message).toMatchObject({ value: '1' });
      break;
    }
    await vi.waitFor(() => expect(left).toHaveLength(1));
    const unread = (await open()).message[Symbol.asyncIterator]();
    await vi.waitFor(() => expect(inflight(app)).toBe(1));
    await unread.return?.();
    expect(await unread.next()).toEqual({ done: true, value: undefined });
    await vi.waitFor(() => expect(left).toHaveLength(2));
    await idle(app);
  });

  it('a reader that leaves a client which does not notice is found by the garbage collector', async () => {
    let left = 0;
    const server = await serve(speech, {
      async *count(_, { signal }) {
        signal.addEventListener('abort', () => left++);
        yield { value: '1' };
        yield { value: '2' };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const { app, client } = clientOf(speech, [server]);
    const leave = async () => {
      for await (const _ of client.count(asking)) break;
    };
    await leave();
    client.count(asking);
    await vi.waitFor(() => expect(inflight(app)).toBe(2));
    await vi.waitFor(
      async () => {
        collect();
        await aMoment();
        expect(left).toBe(2);
      },
      { timeout: 10_000 },
    );
    await idle(app);
  });

  it('a reader that only waits keeps its stream, though nobody else holds it', async () => {
    const steps: (() => void)[] = [];
    const server = await serve(speech, {
      async *count() {
        for (let count = 1; count <= 3; count++) {
          yield { value: String(count) };
          await new Promise<void>((resolve) => steps.push(resolve));
        }
      },
    });
    const { client } = clientOf(speech, [server]);
    const heard: string[] = [];
    let over = false;
    const read = (messages: AsyncIterator<{ readonly value: string }>): void => {
      const told = ({ done, value }: IteratorResult<{ readonly value: string }>) => {
        if (done) over = true;
        else {
          heard.push(value.value);
          read(messages);
        }
      };
      messages.next().then(told, () => undefined);
    };
    read(client.count(asking)[Symbol.asyncIterator]());
    for (let count = 1; count <= 3; count++) {
      await vi.waitFor(() => expect(steps).toHaveLength(count));
      for (let i = 0; i < 3; i++) {
        collect();
        await aMoment();
      }
      steps[count - 1]?.();
    }
    await vi.waitFor(() => expect(over).toBe(true));
    expect(heard).toEqual(['1', '2', '3']);
  });
});

describe('over HTTP/2, a server', () => {
  const two = [grpc, connect];
  const { constants } = http2;

  it.each(
    two.flatMap((speech) => [
      { speech, reset: constants.NGHTTP2_REFUSED_STREAM, code: Code.Internal },
      { speech, reset: constants.NGHTTP2_CANCEL, code: Code.Canceled },
      { speech, reset: constants.NGHTTP2_INTERNAL_ERROR, code: Code.Internal },
      { speech, reset: constants.NGHTTP2_ENHANCE_YOUR_CALM, code: Code.Internal },
    ]),
  )(
    'that resets every stream of $speech.name with $reset: a clear code, and nothing stays',
    async (given) => {
      const { speech, reset, code } = given;
      const server = await rawHttp2((stream) => stream.close(reset));
      const { client } = clientOf(speech, [server], { retry: false });
      const codes = await Promise.all([
        ...Array.from({ length: 30 }, () => codeOf(client.say(asking))),
        ...Array.from({ length: 30 }, () => codeOf(all(client.count(asking)))),
        ...Array.from({ length: 30 }, () => codeOf(all(client.chat(saying('a'))))),
      ]);
      expect(new Set(codes)).toEqual(new Set([code]));
    },
  );

  it.each(two)('that refuses streams unseen: any call is sent again ($name)', async (speech) => {
    const server = await rawHttp2((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    const { client } = clientOf(speech, [server, await serve(speech)], generous);
    for (let i = 0; i < 10; i++) expect((await client.say({ value: 'x' })).value).toBe('hello x');
  });

  it.each(two)('that closes streams without a word: their time ends them ($name)', async (speech) => {
    const server = await rawHttp2((stream) => stream.close(constants.NGHTTP2_NO_ERROR));
    const { client } = clientOf(speech, [server], { timeoutMs: 60, streamTimeoutMs: 60 });
    expect(await codeOf(client.say(asking))).toBe(Code.DeadlineExceeded);
    const error = await errorOf(all(client.count(asking)));
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(isGovernanceError(error.cause)).toBe(true);
  });

  it('that says GOAWAY: the stream under way goes on, the next call goes over another connection', async () => {
    let first: http2.ServerHttp2Stream | undefined;
    let sessions = 0;
    const answer = (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    };
    const server = await rawHttp2((stream) => {
      answer(stream);
      if (first === undefined) {
        first = stream;
        stream.write(empty);
        stream.session?.goaway();
      } else stream.end(empty);
    });
    server.server.on('session', () => sessions++);
    const { client } = clientOf(grpc, [server]);
    const read: string[] = [];
    const counting = (async () => {
      for await (const { value } of client.count(asking)) read.push(value);
    })();
    await vi.waitFor(() => expect(read).toHaveLength(1));
    expect(await all(client.count(asking))).toEqual(['']);
    expect(sessions).toBe(2);
    first?.end(empty);
    await counting;
    expect(read).toHaveLength(2);
  });

  it('that says GOAWAY: what it did not look at goes over another connection, whatever the policy', async () => {
    let calls = 0;
    const server = await rawHttp2((stream) => {
      calls++;
      if (calls === 1 || calls > 2) {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      }
      // The first stays open, the second is refused, unseen by its number.
      if (calls === 1) stream.write(empty);
      else if (calls === 2) stream.session?.goaway(0, 1);
      else stream.end(empty);
    });
    const { client } = clientOf(grpc, [server], { retry: false });
    const leaving = new AbortController();
    const read: string[] = [];
    const counting = codeOf(
      (async () => {
        for await (const { value } of client.count(asking, { signal: leaving.signal })) read.push(value);
      })(),
    );
    await vi.waitFor(() => expect(read).toHaveLength(1));
    expect((await client.say(asking)).value).toBe('');
    expect(calls).toBe(3);
    leaving.abort();
    expect(await counting).toBe(Code.Canceled);
  });

  it('that is no server of RPC: the code of its HTTP answer', async () => {
    const html = await rawHttp2((stream) => {
      stream.respond({ ':status': 503 });
      stream.end('<html>');
    });
    for (const speech of two) {
      const { client } = clientOf(speech, [html]);
      expect(await codeOf(client.say(asking))).toBe(Code.Unavailable);
      expect(await codeOf(all(client.count(asking)))).toBe(Code.Unavailable);
    }
  });

  it('that answers a method of one answer with two, or with none', async () => {
    for (const messages of [[empty, empty], []]) {
      const server = await rawHttp2((stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.concat(messages));
      });
      const { client } = clientOf(grpc, [server]);
      expect(await codeOf(client.say(asking))).toBe(Code.Unimplemented);
      expect(await codeOf(client.collect(saying('a')))).toBe(Code.Unimplemented);
    }
  });

  it('that sends headers early lets whoever waits for them go on', async () => {
    const server = await rawHttp2((stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', color: 'blue' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.once('data', () => stream.end(empty));
    });
    const { client } = clientOf(grpc, [server]);
    let color: string | null = null;
    let headed: () => void = () => undefined;
    const headers = new Promise<void>((resolve) => {
      headed = resolve;
    });
    const chat = client.chat(
      (async function* () {
        await headers;
        yield { value: 'after the headers' };
      })(),
      {
        onHeader: (header) => {
          color = header.get('color');
          headed();
        },
      },
    );
    expect(await all(chat)).toEqual(['']);
    expect(color).toBe('blue');
  });
});

describe('over HTTP/1.1, a server', () => {
  it.each([connect1, grpcWeb])('that cuts connections: a clear code ($name)', async (speech) => {
    const server = await raw(http.createServer((req) => req.socket.destroy()));
    const { client } = clientOf(speech, [server], { retry: false });
    const codes = await Promise.all([
      ...Array.from({ length: 10 }, () => codeOf(client.say(asking))),
      ...Array.from({ length: 10 }, () => codeOf(all(client.count(asking)))),
      ...Array.from({ length: 10 }, () => codeOf(client.collect(saying('a')))),
    ]);
    for (const code of codes) expect([Code.Aborted, Code.Internal]).toContain(code);
  });

  it('that does not speak bidirectional streams says so', async () => {
    const { client } = clientOf(connect1, [await serve(connect1)]);
    expect(await codeOf(all(client.chat(saying('a'))))).toBe(Code.Unknown);
  });
});

describe('a writer', () => {
  const failing = (seen: () => void): GreeterImpl => {
    const fail = async (messages: AsyncIterable<{ readonly value: string }>): Promise<never> => {
      await all(messages);
      seen();
      throw new ConnectError('no', Code.Unavailable);
    };
    return {
      collect: fail,
      async *chat(messages) {
        yield await fail(messages);
      },
    };
  };

  it('of one message has it sent again, if it may be; of more has not', async () => {
    let seen = 0;
    const server = await serve(
      grpc,
      failing(() => seen++),
    );
    const { client } = clientOf(grpc, [server], { ...generous, idempotent: ['Collect', 'Chat'] });
    const asked = async (...ends: Promise<unknown>[]) => {
      seen = 0;
      for (const end of ends) expect(await codeOf(end)).toBe(Code.Unavailable);
      return seen;
    };
    expect(await asked(client.collect(saying('a')))).toBe(2);
    expect(await asked(all(client.chat(saying('a'))))).toBe(2);
    expect(await asked(client.collect(saying('a', 'b', 'c')))).toBe(1);
    expect(await asked(all(client.chat(saying('a', 'b', 'c'))))).toBe(1);
    const other = clientOf(grpc, [server], generous).client;
    expect(await asked(other.collect(saying('a')))).toBe(1);
  });

  it('that was told headers hears of no other answer', async () => {
    let calls = 0;
    const server = await rawHttp2((stream) => {
      calls++;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
      setImmediate(() => stream.end());
    });
    const { client } = clientOf(grpc, [server], { ...generous, idempotent: true });
    let headed = 0;
    const waiting = async function* () {
      await vi.waitFor(() => expect(headed).toBe(1));
      yield asking;
    };
    const chat = client.chat(waiting(), { onHeader: () => headed++ });
    expect(await codeOf(all(chat))).toBe(Code.Unavailable);
    expect([calls, headed]).toEqual([1, 1]);
  });

  it('is told that nobody reads any more, and why', async () => {
    const server = await serve(grpc, {
      chat: () => {
        throw new ConnectError('no chat', Code.PermissionDenied);
      },
    });
    const { client } = clientOf(grpc, [server]);
    let ended = 0;
    const endless = async function* () {
      try {
        for (;;) {
          yield { value: chunk };
          await aMoment();
        }
      } finally {
        ended++;
      }
    };
    expect(await codeOf(all(client.chat(endless())))).toBe(Code.PermissionDenied);
    await vi.waitFor(() => expect(ended).toBe(1));
  });

  it('is told when its call is refused before anything was sent', async () => {
    const { client } = clientOf(grpc, [], { resolveTimeoutMs: 10 });
    const told: unknown[] = [];
    const messages: AsyncIterable<{ value: string }> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => undefined),
        throw: async (error: unknown) => {
          told.push(error);
          return { done: true, value: undefined };
        },
        return: async () => {
          told.push('return');
          return { done: true, value: undefined };
        },
      }),
    };
    const error = await errorOf(client.collect(messages));
    expect(told).toEqual([expect.objectContaining({ code: error.code }), 'return']);
  });

  it('that throws ends its call', async () => {
    const { client } = clientOf(grpc, [await serve(grpc)], generous);
    const breaking = async function* () {
      yield { value: 'a' };
      throw new RangeError('mine');
    };
    const error = await errorOf(client.collect(breaking()));
    expect(error.rawMessage).toBe('mine');
    expect(error.cause).toBeInstanceOf(RangeError);
    const iterator = { next: () => expect.fail('against the contract') };
    const sync = await errorOf(client.collect({ [Symbol.asyncIterator]: () => iterator }));
    expect(sync.rawMessage).toContain('against the contract');
    const none = await errorOf(client.collect(undefined as never));
    expect(none.code).toBe(Code.Internal);
  });

  it('is slowed down by a server that does not read', async () => {
    let reading: (() => void) | undefined;
    const server = await serve(grpc, {
      async collect(messages) {
        await new Promise<void>((resolve) => {
          reading = resolve;
        });
        let count = 0;
        for await (const _ of messages) count++;
        return { value: String(count) };
      },
    });
    const { client } = clientOf(grpc, [server]);
    let taken = 0;
    const many = async function* () {
      for (; taken < 300; taken++) yield { value: chunk };
    };
    const answer = client.collect(many());
    await vi.waitFor(() => expect(reading).toBeDefined());
    let before = -1;
    await vi.waitFor(() => {
      const still = before === taken;
      before = taken;
      expect(still).toBe(true);
    });
    expect(taken * chunk.length).toBeLessThan(3_000_000);
    reading?.();
    expect((await answer).value).toBe('300');
  });
});
