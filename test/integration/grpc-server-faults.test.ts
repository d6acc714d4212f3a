import net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { createApp } from 'keelson';
import type { FaultEvent } from 'keelson/core';
import { callOf, type GovernServerOptions, governHandlers, governServer } from 'keelson/grpc';
import { concurrency } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ended,
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  greeterClient,
  type Message,
  say,
} from '../doubles/grpc-greeter.js';
import { answerOf, frame, open, rawSession } from '../doubles/grpc-raw.js';

// What breaks the rules gets a clear status, or a clear end, and leaves nothing behind.

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.restoreAllMocks();
});

const { status } = grpc;
const path = '/test.Greeter/Say';

interface Running {
  readonly port: number;
  readonly client: GreeterClient;
  readonly faults: FaultEvent[];
  inflight(): number;
  /** Nothing is in flight, and the server answers. */
  sound(): Promise<void>;
}

async function running(
  handlers: Partial<GreeterHandlers> = {},
  { wire = {}, ...options }: GovernServerOptions & { wire?: grpc.ServerOptions } = {},
): Promise<Running> {
  const app = createApp({ service: 'greeter', signals: false });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const limit = concurrency({ limit: 100 });
  const server = new grpc.Server({
    ...wire,
    interceptors: [governServer(app, { limits: [limit], queue: false, ...options })],
  });
  const all: Partial<GreeterHandlers> = {
    Say: ({ request }, callback) => callback(null, request),
    ...handlers,
    Ping: (_call: unknown, callback: grpc.sendUnaryData<Message>) => callback(null, { text: 'pong' }),
  };
  const Ping = { ...greeter.Say, path: '/test.Greeter/Ping', originalName: 'ping' };
  server.addService({ ...greeter, Ping }, all as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
  );
  const client = greeterClient(port, { 'grpc.max_send_message_length': -1 });
  closers.push(async () => {
    client.close();
    server.forceShutdown();
    await app.stop();
  });
  const inflight = () => limit.snapshot(performance.now()).inflight;
  const sound = async () => {
    await vi.waitFor(() => expect(inflight()).toBe(0));
    const session = await rawSession(port);
    const stream = open(session, '/test.Greeter/Ping');
    stream.end(frame({}));
    expect((await answerOf(stream)).status).toBe('0');
    session.destroy();
    await vi.waitFor(() => expect(inflight()).toBe(0));
  };
  return { port, client, faults, inflight, sound };
}

async function session(port: number) {
  const made = await rawSession(port, { maxSendHeaderBlockLength: 2 ** 24 });
  closers.push(() => made.destroy());
  return made;
}

describe('metadata', () => {
  it('that is not ASCII is left out, and the call goes on', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    let seen: Record<string, unknown> = {};
    const at = await running({
      Say: (call, callback) => {
        seen = call.metadata.getMap();
        expect(callOf(call)?.headers.get('x-md-global-name')).toBeUndefined();
        callback(null, {});
      },
    });
    const stream = open(await session(at.port), path, {
      'x-md-global-name': 'zo\u00eb',
      'x-plain': 'yes',
      'x-bytes-bin': Buffer.from('zo\u00eb').toString('base64'),
    });
    stream.end(frame({}));
    expect((await answerOf(stream)).status).toBe('0');
    expect(seen).toMatchObject({ 'x-plain': 'yes', 'x-bytes-bin': Buffer.from('zo\u00eb') });
    expect(seen['x-md-global-name']).toBeUndefined();
    expect(logged).toHaveBeenCalled();
    await at.sound();
  });

  it('of 1 MB ends the call, not the server', async () => {
    const at = await running();
    const stream = open(await session(at.port), path, { 'x-big': 'x'.repeat(1_000_000) });
    stream.end(frame({}));
    const { status: answered, headers, reset } = await answerOf(stream);
    expect(answered).not.toBe('0');
    expect(reset !== 0 || String(headers?.[':status']) !== '200').toBe(true);
    await at.sound();
  });

  it('of 1 MB sent by a client of grpc-js is an error at the client', async () => {
    const at = await running();
    const answer = await say(at.client, {}, { metadata: { 'x-big': 'x'.repeat(1_000_000) } });
    expect(answer.code).not.toBe(status.OK);
    expect(answer.details).not.toBe('');
    await at.sound();
  });

  it.each(['soon', '-5m', '', '123456789S'])('with the timeout %j does no harm', async (timeout) => {
    const at = await running();
    const stream = open(await session(at.port), path, { 'grpc-timeout': timeout });
    stream.end(frame({}));
    const { status: answered } = await answerOf(stream);
    // grpc-js finds a number in some of these, and refuses the others.
    expect([String(status.OK), String(status.INTERNAL), String(status.DEADLINE_EXCEEDED)]).toContain(
      answered,
    );
    await at.sound();
  });

  it('with no time left is refused before the handler', async () => {
    let ran = false;
    const at = await running({
      Say: (_call, callback) => {
        ran = true;
        callback(null, {});
      },
    });
    const stream = open(await session(at.port), path, { 'grpc-timeout': '1n' });
    stream.end(frame({}));
    expect((await answerOf(stream)).status).toBe(String(status.DEADLINE_EXCEEDED));
    expect(ran).toBe(false);
    await at.sound();
  });
});

describe('a message', () => {
  it('over the limit is RESOURCE_EXHAUSTED, and never reaches the handler', async () => {
    let ran = false;
    const at = await running(
      {
        Say: (_call, callback) => {
          ran = true;
          callback(null, {});
        },
      },
      { wire: { 'grpc.max_receive_message_length': 1000 } },
    );
    const answer = await say(at.client, { text: 'x'.repeat(2000) });
    expect(answer.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(ran).toBe(false);
    await at.sound();
  });

  it('over the limit in the middle of a stream ends it', async () => {
    const at = await running(
      { Chat: (call) => void call.on('data', (message) => call.write(message)) },
      { wire: { 'grpc.max_receive_message_length': 1000 } },
    );
    const chat = at.client.Chat();
    const chatted = ended(chat);
    chat.write({ text: 'small' });
    await new Promise((resolve) => chat.once('data', resolve));
    chat.write({ text: 'x'.repeat(2000) });
    expect((await chatted).code).toBe(status.RESOURCE_EXHAUSTED);
    await at.sound();
  });

  it.each([
    ['that is no message', Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]), status.INTERNAL],
    ['that cannot be decompressed', Buffer.from([1, 0, 0, 0, 1, 1]), status.INTERNAL],
    ['that is not there', Buffer.alloc(0), status.UNIMPLEMENTED],
    [
      'after another, where one is wanted',
      Buffer.concat([frame({ a: 1 }), frame({ a: 2 })]),
      status.UNIMPLEMENTED,
    ],
  ])('%s has a status', async (_, bytes, code) => {
    const at = await running();
    const stream = open(await session(at.port), path, { 'grpc-encoding': 'gzip' });
    stream.end(bytes);
    expect((await answerOf(stream)).status).toBe(String(code));
    await at.sound();
  });

  it('in a compression that nobody knows is UNIMPLEMENTED', async () => {
    const at = await running();
    const stream = open(await session(at.port), path, { 'grpc-encoding': 'zip' });
    stream.end(Buffer.from([1, 0, 0, 0, 1, 1]));
    expect((await answerOf(stream)).status).toBe(String(status.UNIMPLEMENTED));
    await at.sound();
  });

  it('that the handler cannot send is INTERNAL', async () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    const at = await running({ Say: (_call, callback) => callback(null, loop as Message) });
    expect((await say(at.client)).code).toBe(status.INTERNAL);
    await at.sound();
  });

  it('that is larger than the server may send is RESOURCE_EXHAUSTED', async () => {
    const at = await running(
      { Say: (_call, callback) => callback(null, { text: 'x'.repeat(2000) }) },
      { wire: { 'grpc.max_send_message_length': 1000 } },
    );
    expect((await say(at.client)).code).toBe(status.RESOURCE_EXHAUSTED);
    await at.sound();
  });
});

describe('a client', () => {
  it('that connects and sends nothing takes no place', async () => {
    const at = await running();
    const socket = net.connect(at.port, '127.0.0.1');
    closers.push(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    await at.sound();
  });

  it('that sends what is not HTTP/2 is let go', async () => {
    const at = await running();
    const socket = net.connect(at.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.resume();
    await closed;
    await at.sound();
  });

  it('that opens a call and sends no request is ended with a status', async () => {
    const at = await running({}, { requestTimeoutMs: 30 });
    const stream = open(await session(at.port), path);
    const { status: answered, headers } = await answerOf(stream);
    expect(answered).toBe(String(status.CANCELLED));
    expect(headers?.['grpc-message']).toContain('did%20not%20arrive');
    await at.sound();
  });

  it('that opens a call, sends no request and goes leaves nothing', async () => {
    const at = await running();
    const made = await session(at.port);
    open(made, path);
    await vi.waitFor(() => expect(at.inflight()).toBe(1));
    made.destroy();
    await at.sound();
  });

  it('that does not read is cut where the server wants it so', async () => {
    let reason: unknown;
    const at = await running(
      {
        Count: (call) => {
          const cancel = callOf(call)?.cancel;
          cancel?.onAbort(() => {
            reason = cancel.reason;
          });
          const text = 'x'.repeat(60_000);
          const write = (): void => {
            while (!call.destroyed && call.write({ text }));
            if (!call.destroyed) call.once('drain', write);
          };
          write();
        },
      },
      { stallTimeoutMs: 30 },
    );
    open(await session(at.port), '/test.Greeter/Count').end(frame({}));
    await vi.waitFor(() => expect(reason).toMatchObject({ code: 'CANCELLED' }));
    await at.sound();
  });

  it('that leaves in the middle of a stream ends it, also in the loop of an async handler', async () => {
    let left = false;
    const at = await running(
      governHandlers<GreeterHandlers>({
        Chat: async (call: grpc.ServerDuplexStream<Message, Message>) => {
          try {
            for await (const message of call) call.write(message);
          } finally {
            left = true;
          }
        },
      } as never),
    );
    const made = await session(at.port);
    const stream = open(made, '/test.Greeter/Chat');
    stream.write(frame({ text: 'x' }));
    await new Promise((resolve) => stream.once('data', resolve));
    made.destroy();
    await vi.waitFor(() => expect(left).toBe(true));
    await at.sound();
    expect(at.faults).toEqual([]);
  });

  it.each([
    ['before the request', false],
    ['after the request', true],
  ])('that floods with resets %s leaves nothing in flight', async (_, send) => {
    const at = await running({ Say: () => undefined });
    for (let round = 0; round < 4; round++) {
      const made = await session(at.port);
      const ends: Promise<unknown>[] = [];
      for (let i = 0; i < 250 && !made.destroyed; i++) {
        const stream = open(made, path);
        ends.push(new Promise((resolve) => stream.on('close', resolve)));
        if (send) stream.end(frame({}));
        stream.close(8);
      }
      await Promise.all(ends);
      made.destroy();
    }
    await at.sound();
    expect(at.faults).toEqual([]);
  });

  it('that is refused and goes on to send is heard no more', async () => {
    let read = 0;
    const gate = { code: 'OVERLOADED' as const, tryAcquire: () => null };
    const at = await running({ Collect: () => void read++ }, { limits: [gate], queue: false });
    const stream = open(await session(at.port), '/test.Greeter/Collect');
    const answer = answerOf(stream);
    for (let i = 0; i < 50; i++) stream.write(frame({ text: 'x'.repeat(10_000) }));
    stream.end();
    expect((await answer).status).toBe(String(status.RESOURCE_EXHAUSTED));
    expect(read).toBe(0);
    expect(at.faults).toEqual([]);
  });
});

describe('a handler', () => {
  it('that answers twice, or after the end, is heard once', async () => {
    const at = await running(
      governHandlers<GreeterHandlers>({
        Say: async (_call: unknown, callback: grpc.sendUnaryData<Message>) => {
          callback(null, { text: 'first' });
          callback(null, { text: 'second' });
          callback({ code: status.ABORTED, details: 'third' });
          return { text: 'fourth' };
        },
      } as never),
    );
    expect(await say(at.client)).toMatchObject({ code: status.OK, messages: [{ text: 'first' }] });
    await at.sound();
  });

  it('that answers after its deadline is not heard, and harms nobody', async () => {
    let answer: (() => void) | undefined;
    const at = await running(
      {
        Say: (_call, callback) => {
          answer = () => callback(null, { text: 'late' });
        },
        Count: (call) => {
          answer = () => {
            call.write({ count: 1 });
            call.end();
          };
        },
      },
      { timeoutMs: 20 },
    );
    expect((await say(at.client)).code).toBe(status.DEADLINE_EXCEEDED);
    answer?.();
    expect((await ended(at.client.Count({}))).code).toBe(status.DEADLINE_EXCEEDED);
    answer?.();
    await at.sound();
  });
});
