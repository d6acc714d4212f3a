import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as grpc from '@grpc/grpc-js';
import { createApp } from 'keelson';
import type { FaultEvent } from 'keelson/core';
import { callOf, type GovernedHandlers, governHandlers, governServer } from 'keelson/grpc';
import { concurrency } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ended,
  type GreeterHandlers,
  greeter,
  greeterClient,
  type Message,
  say,
} from '../doubles/grpc-greeter.js';

// What handlers do to their streams and answers, and what becomes of it.

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const { status } = grpc;

async function running(
  handlers: Partial<GovernedHandlers<GreeterHandlers>>,
  ...interceptors: grpc.ServerInterceptor[]
) {
  const app = createApp({ service: 'greeter', signals: false });
  const faults: FaultEvent[] = [];
  app.events.on('fault', (event) => faults.push(event));
  const limit = concurrency({ limit: 4 });
  const server = new grpc.Server({
    interceptors: [governServer(app, { limits: [limit], queue: false }), ...interceptors],
  });
  server.addService(greeter, governHandlers<GreeterHandlers>(handlers as GovernedHandlers<GreeterHandlers>));
  const port = await new Promise<number>((resolve) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
  );
  const client = greeterClient(port);
  closers.push(async () => {
    client.close();
    server.forceShutdown();
    await app.stop();
  });
  const empty = () => vi.waitFor(() => expect(limit.snapshot(performance.now()).inflight).toBe(0));
  const errors = () => faults.map(({ error }) => (error as Error).message);
  return { client, faults, errors, empty };
}

/** Sends some messages, and ends. */
function chatting(client: ReturnType<typeof greeterClient>, count: number) {
  const chat = client.Chat(new grpc.Metadata(), { deadline: Date.now() + 5000 });
  for (let i = 1; i <= count; i++) chat.write({ count: i });
  chat.end();
  return ended(chat);
}

describe('a handler that reads by `for await`', () => {
  it('answers every message, and ends the stream after the last', async () => {
    const at = await running({
      Chat: async (call) => {
        for await (const message of call) call.write(message as Message);
        call.write({ text: 'bye' });
        call.end();
      },
    });
    const { code, messages } = await chatting(at.client, 3);
    expect([code, messages]).toEqual([0, [{ count: 1 }, { count: 2 }, { count: 3 }, { text: 'bye' }]]);
    expect(at.faults).toEqual([]);
    await at.empty();
  });

  it('may stop in the middle and still answer', async () => {
    const at = await running({
      Chat: async (call) => {
        for await (const _ of call) break;
        call.write({ text: 'enough' });
        call.end();
      },
      Collect: async (call) => {
        for await (const _ of call) break;
        return { text: 'enough' };
      },
    });
    expect(await chatting(at.client, 2)).toMatchObject({ code: 0, messages: [{ text: 'enough' }] });
    const answer = await new Promise((resolve) => {
      const upload = at.client.Collect(new grpc.Metadata(), {}, (error, value) => resolve(error ?? value));
      upload.write({});
      upload.write({});
    });
    expect(answer).toEqual({ text: 'enough' });
    expect(at.faults).toEqual([]);
    await at.empty();
  });
});

describe('a stream that the handler destroys', () => {
  it('by piping from what fails ends with the status of that', async () => {
    const failure = Object.assign(new Error('gone'), { code: status.ABORTED, details: 'gone' });
    const source = () =>
      Readable.from(
        (async function* () {
          yield { count: 1 };
          throw failure;
        })(),
      );
    const at = await running({ Count: (call) => pipeline(source(), call as unknown as Writable) });
    const { code, details } = await ended(
      at.client.Count({}, new grpc.Metadata(), { deadline: Date.now() + 5000 }),
    );
    expect([code, details]).toEqual([status.ABORTED, 'gone']);
    expect(at.faults).toEqual([]);
    await at.empty();
  });

  it.each(['Count', 'Chat'] as const)('without an error is UNKNOWN, and told: %s', async (name) => {
    const at = await running({
      [name]: (call: grpc.ServerWritableStream<Message, Message>) => call.destroy(),
    });
    const options = { deadline: Date.now() + 5000 };
    const stream =
      name === 'Count'
        ? at.client.Count({}, new grpc.Metadata(), options)
        : at.client.Chat(undefined, options);
    expect((await ended(stream)).code).toBe(status.UNKNOWN);
    expect(at.errors()).toEqual([`/test.Greeter/${name}: the stream was destroyed before its end`]);
    await at.empty();
  });

  it('because its client has gone is nothing to tell', async () => {
    let reason: unknown;
    const at = await running({
      Chat: (call) => {
        const cancel = callOf(call)?.cancel;
        cancel?.onAbort(() => {
          reason = cancel.reason;
          call.destroy();
        });
        call.write({});
      },
    });
    const chat = at.client.Chat();
    chat.on('error', () => undefined);
    chat.once('data', () => chat.cancel());
    await vi.waitFor(() => expect(reason).toMatchObject({ code: 'CANCELLED' }));
    await at.empty();
    expect(at.faults).toEqual([]);
  });
});

describe('a handler of one answer', () => {
  it('that returns none is UNKNOWN, and told, unless it has a callback to come back to', async () => {
    const forgetful = await running({ Say: async () => undefined });
    expect((await say(forgetful.client, {}, { deadline: Date.now() + 5000 })).code).toBe(status.UNKNOWN);
    expect(forgetful.errors()).toEqual(['the handler returned nothing; an empty message is {}']);
    await forgetful.empty();
    const late = await running({
      Say: async (_call, callback) => void setImmediate(callback, null, { text: 'late' }),
    });
    expect((await say(late.client)).messages).toEqual([{ text: 'late' }]);
    expect(late.faults).toEqual([]);
  });

  it('that fails after its answer is told of, and the answer stands', async () => {
    const at = await running({
      Say: (_call, callback) => {
        callback(null, { text: 'first' });
        callback(new Error('second'));
        throw new Error('third');
      },
    });
    expect(await say(at.client)).toMatchObject({ code: 0, messages: [{ text: 'first' }] });
    expect(at.errors()).toEqual(['second', 'third']);
    await at.empty();
  });

  it('that fails with a number which is no status is UNKNOWN, and told', async () => {
    const at = await running({
      Say: ({ request }, callback) => {
        const timeout = new DOMException('secret', 'TimeoutError');
        if (request.text === 'given') callback(timeout as Error);
        else throw timeout;
      },
    });
    for (const text of ['given', 'thrown'])
      expect(await say(at.client, { text })).toMatchObject({ code: 2, details: 'Unknown error' });
    expect(at.errors()).toEqual(['secret', 'secret']);
    await at.empty();
  });

  it('that passes on what its callee answered does not say that this server sheds', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-keelson-shed', 'OVERLOADED');
    metadata.set('grpc-retry-pushback-ms', '9000');
    metadata.set('x-why', 'because');
    const at = await running({
      Say: (_call, callback) => callback({ code: status.UNAVAILABLE, details: 'no', metadata }),
    });
    const answer = await say(at.client);
    expect([answer.code, answer.metadata.get('x-why')]).toEqual([status.UNAVAILABLE, ['because']]);
    expect(answer.metadata.get('x-keelson-shed')).toEqual([]);
    expect(answer.metadata.get('grpc-retry-pushback-ms')).toEqual([]);
  });
});

it('an interceptor of the user\u2019s may put other metadata in place of what came', async () => {
  const named: grpc.ServerInterceptor = (_, call) =>
    new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, go) => {
            const own = metadata.clone();
            own.set('x-user', 'ada');
            go(own);
          },
        }),
    });
  const error = new Error('secret');
  const at = await running(
    {
      Say: async (call) => {
        expect(call.metadata.get('x-user')).toEqual(['ada']);
        expect(callOf(call)?.operation).toBe('/test.Greeter/Say');
        throw error;
      },
    },
    named,
  );
  expect(await say(at.client)).toMatchObject({ code: status.UNKNOWN, details: 'Unknown error' });
  expect(at.faults).toEqual([{ where: 'handler of /test.Greeter/Say', error }]);
  await at.empty();
});
