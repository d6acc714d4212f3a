import type { ServerHttp2Stream } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { type GovernedClientOptions, governedClient } from 'keelson/grpc';
import { expect, it, vi } from 'vitest';
import { ended, type GreeterClient, greeter, type Message, say } from '../doubles/grpc-greeter.js';
import { rawServer } from '../doubles/grpc-raw-server.js';
import { callerOf, replica } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

// Moments in which two things happen at once.

const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

const { apps, closers } = tidied();

function clientOf(urls: readonly string[], options: Omit<GovernedClientOptions, 'service'> = {}) {
  const app = callerOf(urls);
  apps.push(app);
  const client = governedClient(app, Greeter, { service: 'greeter', gates: () => [], ...options });
  return { app, client: client as unknown as GreeterClient };
}

it('a cancel in the moment of the start reaches the callee, which has the call by then', async () => {
  const open = new Set<ServerHttp2Stream>();
  let opened = 0;
  const server = await rawServer((stream) => {
    opened++;
    open.add(stream);
    stream.on('close', () => open.delete(stream));
    stream.resume();
  });
  closers.push(() => server.close());
  const { client } = clientOf([server.url]);
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve())),
  );
  for (let moments = 0; moments < 30; moments++) {
    const chat = client.Chat();
    const over = ended(chat);
    chat.write({});
    for (let i = 0; i < moments; i++) await Promise.resolve();
    chat.cancel();
    expect((await over).code).toBe(grpc.status.CANCELLED);
  }
  const last = client.Chat();
  last.on('error', () => undefined);
  const before = opened;
  await vi.waitFor(() => expect(opened).toBeGreaterThan(before));
  last.cancel();
  await vi.waitFor(() => expect(open.size).toBe(0));
});

it('a stream that was unseen once is not sent a second time while it is written', async () => {
  let opened = 0;
  const serve = async () => {
    const made = await replica({
      Chat: (call) => {
        opened++;
        const heard: Message[] = [];
        call.on('data', (message) => heard.push(message));
        call.on('end', () => {
          for (const message of heard) call.write(message);
          call.end();
        });
      },
    });
    closers.push(() => made.close());
    return made.url;
  };
  const deserted = await replica();
  deserted.close();
  const { client } = clientOf([deserted.url, await serve(), await serve()], {
    idempotent: true,
    ejection: false,
    hedge: { delayMs: 1, maxHedges: 2 },
    retry: { attempts: 3, baseMs: 0 },
    retryBudget: { minPerSecond: 1000 },
  });
  const chats = 20;
  const answers = await Promise.all(
    Array.from({ length: chats }, async () => {
      const chat = client.Chat();
      const over = ended(chat);
      for (let count = 0; count < 5; count++) {
        chat.write({ count });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      chat.end();
      return over;
    }),
  );
  for (const { code, messages } of answers)
    expect([code, messages.map(({ count }) => count)]).toEqual([0, [0, 1, 2, 3, 4]]);
  expect(opened).toBe(chats);
});

it('a client that is closed is forgotten by its app, and its calls end', async () => {
  let answer: (() => void) | undefined;
  const server = await replica({
    Say: (_call, callback) => {
      answer = () => callback(null, {});
    },
  });
  closers.push(() => server.close());
  const { app, client } = clientOf([server.url]);
  const running = say(client);
  await vi.waitFor(() => expect(answer).toBeDefined());
  client.close();
  expect(app.snapshot()).toEqual([]);
  answer?.();
  expect((await running).code).toBe(0);
});
