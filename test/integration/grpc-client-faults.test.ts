import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as grpc from '@grpc/grpc-js';
import type { App } from 'keelson';
import { type GovernedChannelOptions, governedChannel, governedClient } from 'keelson/grpc';
import { describe, expect, it, vi } from 'vitest';
import { ended, type GreeterClient, greeter, type Message, say } from '../doubles/grpc-greeter.js';
import { frame } from '../doubles/grpc-raw.js';
import { endWith, ok, type RawRoute, rawServer, relayTo } from '../doubles/grpc-raw-server.js';
import { callerOf, idle, inflight, type Replica, replica } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { status } = grpc;
const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

const { apps, closers } = tidied();

async function serve(...args: Parameters<typeof replica>): Promise<Replica> {
  const made = await replica(...args);
  closers.push(() => made.close());
  return made;
}

async function raw(route: RawRoute, options?: http2.ServerOptions) {
  const made = await rawServer(route, options);
  closers.push(() => made.close());
  return made;
}

type Target = { readonly url: string };

function appTo(targets: readonly Target[]): App {
  const app = callerOf(targets.map(({ url }) => url));
  apps.push(app);
  return app;
}

function clientOf(targets: readonly Target[], options: GovernedChannelOptions = {}) {
  const app = appTo(targets);
  const client = governedClient(app, Greeter, { service: 'greeter', gates: () => [], ...options });
  return { app, client: client as unknown as GreeterClient };
}

const chunk = 'x'.repeat(16_384);
const aMoment = () => new Promise((resolve) => setImmediate(resolve));

describe('a server', () => {
  it('that accepts and never says a word: its calls end in time', async () => {
    const mute = net.createServer();
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const sockets: net.Socket[] = [];
    mute.on('connection', (socket) => sockets.push(socket));
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
    const url = `grpc://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const { client } = clientOf([{ url }], { timeoutMs: 100 });
    expect((await say(client, {})).code).toBe(status.DEADLINE_EXCEEDED);
    const stream = client.Chat(new grpc.Metadata(), { deadline: Date.now() + 100 });
    expect((await ended(stream)).code).toBe(status.DEADLINE_EXCEEDED);
  });

  it.each([
    [http2.constants.NGHTTP2_NO_ERROR, status.INTERNAL],
    [http2.constants.NGHTTP2_REFUSED_STREAM, status.UNAVAILABLE],
    [http2.constants.NGHTTP2_CANCEL, status.CANCELLED],
    [http2.constants.NGHTTP2_INTERNAL_ERROR, status.INTERNAL],
    [http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, status.RESOURCE_EXHAUSTED],
  ])('that resets every stream with %i: a clear status, and nothing stays', async (reset, code) => {
    const server = await raw((stream) => stream.close(reset));
    const { client } = clientOf([server], { ejection: false });
    const ends = await Promise.all([
      ...Array.from({ length: 50 }, () => say(client, {})),
      ...Array.from({ length: 50 }, () => ended(client.Count({}))),
      ...Array.from({ length: 50 }, () => ended(client.Chat())),
    ]);
    expect(new Set(ends.map((end) => end.code))).toEqual(new Set([code]));
  });

  it('that goes away in the middle of a stream: what came is there, and the status is clear', async () => {
    const server = await serve({ Count: (call) => void call.write({ count: 1 }) });
    const { app, client } = clientOf([server]);
    const stream = client.Count({});
    const running = ended(stream);
    await vi.waitFor(() => expect(inflight(app)).toBe(1));
    await new Promise((resolve) => stream.once('data', resolve));
    server.close();
    const end = await running;
    expect(end.messages).toEqual([{ count: 1 }]);
    expect([status.UNAVAILABLE, status.INTERNAL, status.CANCELLED]).toContain(end.code);
  });

  it('that says GOAWAY: streams under way go on, those it did not look at are sent elsewhere', async () => {
    let first: http2.ServerHttp2Stream | undefined;
    const server = await raw((stream) => {
      if (first === undefined) {
        first = stream;
        stream.respond(ok, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.write(frame({ count: 1 }));
        return;
      }
      if (server.calls.count === 2) stream.session?.goaway(0, 1);
      else endWith(stream, 0);
    });
    const { client } = clientOf([server]);
    const stream = client.Count({});
    const running = ended(stream);
    await new Promise((resolve) => stream.once('data', resolve));
    const other = await ended(client.Count({}));
    expect(other.code).toBe(status.OK);
    expect(server.calls.count).toBe(3);
    first?.end(frame({ count: 2 }));
    expect(await running).toMatchObject({ code: 0, messages: [{ count: 1 }, { count: 2 }] });
  });

  it('that falls silent is found by keepalive', async () => {
    const server = await serve({ Count: (call) => void call.write({ count: 1 }) });
    const relay = await relayTo(server.port);
    closers.push(() => relay.close());
    const { client } = clientOf([relay], { keepaliveTimeMs: 1000, keepaliveTimeoutMs: 50 });
    const stream = client.Count({});
    const running = ended(stream);
    await new Promise((resolve) => stream.once('data', resolve));
    relay.fallSilent();
    expect(await running).toMatchObject({ code: status.UNAVAILABLE, messages: [{ count: 1 }] });
  });

  it('that is no gRPC server: the status of its HTTP answer', async () => {
    const server = await raw((stream) => {
      stream.respond({ ':status': 503 });
      stream.end('<html>');
    });
    const { client } = clientOf([server]);
    expect((await say(client, {})).code).toBe(status.UNAVAILABLE);
  });

  it('that ends a call without a status, or with one that is none', async () => {
    const server = await raw((stream) => endWith(stream, 77));
    const bare = await raw((stream) => stream.respond(ok, { endStream: true }));
    expect((await say(clientOf([server]).client, {})).code).toBe(77);
    expect((await say(clientOf([bare]).client, {})).code).not.toBe(status.OK);
  });

  it('that answers a method of one answer with two', async () => {
    const server = await raw((stream) => {
      stream.respond(ok, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat([frame({ text: 'a' }), frame({ text: 'b' })]));
    });
    const { client } = clientOf([server]);
    expect((await say(client, {})).code).toBe(status.UNIMPLEMENTED);
  });

  it('that sends headers for a method of one answer, and fails after that', async () => {
    let calls = 0;
    const server = await raw((stream) => {
      stream.respond(ok, { waitForTrailers: true });
      calls++;
      const fails = calls === 1;
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': fails ? '14' : '0' }));
      setImmediate(() => (fails ? stream.end() : stream.end(frame({ text: 'second' }))));
    });
    const { client } = clientOf([server], { idempotent: true, ejection: false });
    expect(await say(client, {})).toMatchObject({ code: 0, messages: [{ text: 'second' }] });
  });
});

describe('a message over the limit', () => {
  it.each([
    ['received', { 'grpc.max_receive_message_length': 1000 }],
    ['sent', { 'grpc.max_send_message_length': 1000 }],
  ])('%s: RESOURCE_EXHAUSTED, and no other try', async (_, channelOptions) => {
    let asked = 0;
    const server = await serve({
      Say: ({ request: { text } }, callback) => {
        asked++;
        callback(null, { text });
      },
    });
    const { client } = clientOf([server, await serve()], {
      idempotent: true,
      channelOptions,
      retryBudget: { minPerSecond: 1000 },
    });
    for (let i = 0; i < 4; i++) {
      expect((await say(client, { text: chunk })).code).toBe(status.RESOURCE_EXHAUSTED);
      expect((await say(client, { text: 'small' })).code).toBe(status.OK);
    }
    expect(asked).toBeLessThanOrEqual(8);
  });

  it('for the server: its status, and no other try', async () => {
    const limited = { 'grpc.max_receive_message_length': 1000 };
    const targets = [await serve({}, limited), await serve({}, limited)];
    const { client } = clientOf(targets, { idempotent: true });
    expect((await say(client, { text: chunk })).code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('metadata', () => {
  it('of a megabyte ends the call, in either direction', async () => {
    const big = 'x'.repeat(1_000_000);
    const { client } = clientOf([await serve()], { timeoutMs: 5000, retry: false });
    expect((await say(client, {}, { metadata: { big } })).code).not.toBe(status.OK);
    const loud = await raw((stream) => endWith(stream, 0, { big }), { maxSendHeaderBlockLength: 2_000_000 });
    expect((await say(clientOf([loud], { timeoutMs: 300 }).client, {})).code).not.toBe(status.OK);
    // The channel is of use again.
    await vi.waitFor(async () => expect((await say(client, {})).code).toBe(status.OK));
  });

  it('that is not ASCII is left out by grpc-js, and the call goes on', async () => {
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    closers.push(() => grpc.setLogVerbosity(grpc.logVerbosity.ERROR));
    const server = await raw((stream) => endWith(stream, 5, { odd: 'grün', even: 'green' }));
    const { metadata, code } = await say(clientOf([server]).client, {});
    expect([code, metadata.get('odd'), metadata.get('even')]).toEqual([status.NOT_FOUND, [], ['green']]);
  });
});

/** A server that never stops, and counts what it got rid of. */
async function endless() {
  const sent = { count: 0, cancelled: 0 };
  const server = await serve({
    Count: (call) => {
      let running = true;
      call.on('cancelled', () => {
        running = false;
        sent.cancelled++;
      });
      const more = () => {
        while (running && call.write({ text: chunk })) sent.count++;
        if (running) call.once('drain', more);
      };
      more();
    },
  });
  return { server, sent };
}

describe('a reader', () => {
  it('that is slow slows the server down', async () => {
    const { server, sent } = await endless();
    const { client } = clientOf([server]);
    const stream = client.Count({});
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('readable', resolve));
    let before = -1;
    await vi.waitFor(() => {
      const still = before === sent.count;
      before = sent.count;
      expect(still).toBe(true);
    });
    // Windows and buffers of a few hundred kilobytes; without backpressure there would be no end.
    expect(sent.count * chunk.length).toBeLessThan(4_000_000);
    stream.cancel();
    await vi.waitFor(() => expect(sent.cancelled).toBe(1));
  });

  it('that leaves in the middle ends the stream at once: break, destroy', async () => {
    const { server, sent } = await endless();
    const { app, client } = clientOf([server]);
    for await (const message of client.Count({})) {
      expect((message as Message).text).toBe(chunk);
      break;
    }
    await vi.waitFor(() => expect(sent.cancelled).toBe(1));
    const stream = client.Count({});
    await new Promise((resolve) => stream.once('data', resolve));
    stream.destroy();
    await vi.waitFor(() => expect(sent.cancelled).toBe(2));
    await idle(app);
  });

  it('that leaves a client which does not notice is found by the garbage collector', async () => {
    const { server, sent } = await endless();
    const app = appTo([server]);
    const channelOverride = governedChannel(app, 'greeter');
    const client = new Greeter('', grpc.credentials.createInsecure(), {
      channelOverride,
    }) as unknown as GreeterClient;
    const leave = async () => {
      for await (const _ of client.Count({})) break;
    };
    await leave();
    client.Count({});
    await vi.waitFor(() => expect(inflight(app)).toBe(2));
    await vi.waitFor(
      async () => {
        collect();
        await aMoment();
        expect(sent.cancelled).toBe(2);
      },
      { timeout: 10_000 },
    );
    await idle(app);
  });

  it('that only listens keeps its stream, though nobody else holds it', async () => {
    let open: grpc.ServerWritableStream<Message, Message> | undefined;
    const server = await serve({
      Count: (call) => {
        open = call;
        call.write({ count: 0 });
      },
      Collect: (call, callback) => {
        call.on('data', () => undefined);
        call.on('end', () => setImmediate(() => callback(null, { text: 'all' })));
        call.sendMetadata(new grpc.Metadata());
      },
    });
    const app = appTo([server]);
    const client = new Greeter('', grpc.credentials.createInsecure(), {
      channelOverride: governedChannel(app, 'greeter'),
    }) as unknown as GreeterClient;
    const heard: (number | undefined)[] = [];
    client.Count({}).on('data', ({ count }: Message) => heard.push(count));
    for (let count = 1; count <= 5; count++) {
      await vi.waitFor(() => expect(heard).toHaveLength(count));
      collect();
      await aMoment();
      collect();
      open?.write({ count });
    }
    await vi.waitFor(() => expect(heard).toEqual([0, 1, 2, 3, 4, 5]));
    open?.end();
    const answered: unknown[] = [];
    for (let i = 0; i < 20; i++) {
      client
        .Collect(new grpc.Metadata(), {}, (error, answer) => answered.push(error ?? answer?.text))
        .end({});
      collect();
      await aMoment();
    }
    await vi.waitFor(() => expect(answered).toEqual(Array(20).fill('all')));
  });
});

describe('a writer', () => {
  it('is slowed down by a server that does not read, and what is kept is bounded', async () => {
    let reading: (() => void) | undefined;
    let read = 0;
    const server = await serve({
      Collect: (call, callback) => {
        reading = () => {
          call.on('data', () => read++);
          call.on('end', () => callback(null, { count: read }));
        };
      },
    });
    const { app, client } = clientOf([server]);
    let taken = 0;
    const answer = new Promise<Message | undefined>((resolve) => {
      const upload = client.Collect(new grpc.Metadata(), {}, (_, done) => resolve(done));
      const write = (left: number) => {
        if (left === 0) upload.end();
        else
          upload.write({ text: chunk }, () => {
            taken++;
            write(left - 1);
          });
      };
      write(200);
    });
    await vi.waitFor(() => expect(reading).toBeDefined());
    let before = -1;
    await vi.waitFor(() => {
      const still = before === taken;
      before = taken;
      expect(still).toBe(true);
    });
    expect(taken * chunk.length).toBeLessThan(1_500_000);
    expect(inflight(app)).toBe(1);
    reading?.();
    expect(await answer).toEqual({ count: 200 });
  });

  it('goes on when its call has ended', async () => {
    const server = await serve({ Chat: (call) => void call.emit('error', { code: status.ABORTED }) });
    const { client } = clientOf([server]);
    const stream = client.Chat();
    expect((await ended(stream)).code).toBe(status.ABORTED);
    await new Promise<void>((resolve) => stream.write({ text: 'late' }, () => resolve()));
    stream.end();
  });
});
