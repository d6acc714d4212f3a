import * as grpc from '@grpc/grpc-js';
import {
  callOf,
  type GovernedContext,
  type GovernedHandlers,
  governHandlers,
  governMiddleware,
  governServer,
  grpcServer,
} from 'keelson/grpc';
import { createServer } from 'nice-grpc';
import {
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  greeterClient,
  type Message,
} from '../../../doubles/grpc-greeter.js';
import type { Asker, Reply, Request, ServerRow, Work } from '../server-row.js';

const words = {
  fault: 'UNKNOWN',
  overload: 'RESOURCE_EXHAUSTED',
  deadline: 'DEADLINE_EXCEEDED',
  calleeOverloaded: 'RESOURCE_EXHAUSTED',
};

function replyOf(status: grpc.StatusObject, text: string | undefined): Reply {
  const told = status.metadata.get('grpc-retry-pushback-ms')[0];
  return {
    status: status.code === grpc.status.OK ? 'ok' : (grpc.status[status.code] ?? ''),
    text,
    shed: status.metadata.get('x-keelson-shed')[0]?.toString(),
    retryAfterMs: told === undefined ? undefined : Number(told),
  };
}

type Start = (
  client: GreeterClient,
  given: readonly [Message, grpc.Metadata, grpc.CallOptions],
  heard: (message: Message) => void,
) => grpc.ClientUnaryCall | grpc.ClientReadableStream<Message>;

const say: Start = (client, given, heard) =>
  client.Say(...given, (_, message) => {
    if (message !== undefined) heard(message);
  });

const count: Start = (client, given, heard) =>
  client
    .Count(...given)
    .on('data', heard)
    .on('error', () => undefined);

function askerBy(start: Start): (port: number) => Asker {
  return (port) => {
    // Each server has a connection of its own, for ports are used again.
    const client = greeterClient(port, { 'grpc.use_local_subchannel_pool': 1 });
    return {
      ask: (what, { leftMs, metadata = {}, signal }: Request = {}) =>
        new Promise<Reply>((resolve, reject) => {
          const sent = new grpc.Metadata();
          for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
          const options = leftMs === undefined ? {} : { deadline: Date.now() + leftMs };
          let text: string | undefined;
          const call = start(client, [{ text: what }, sent, options], (message) => {
            text = message.text;
          });
          signal?.addEventListener('abort', () => call.cancel());
          call.on('status', (status) => {
            // What a single answer is told by comes after its status.
            if (status.code === grpc.status.CANCELLED) reject(new Error(status.details));
            else setImmediate(() => resolve(replyOf(status, text)));
          });
        }),
      close: () => client.close(),
    };
  };
}

function handlersOf(work: Work): GreeterHandlers {
  const handlers: Partial<GovernedHandlers<GreeterHandlers>> = {
    Say: async (call) => ({ text: await work(call.request.text ?? '', callOf(call)) }),
    Count: async (call) => {
      call.write({ text: await work(call.request.text ?? '', callOf(call)) });
      call.end();
    },
  };
  return governHandlers<GreeterHandlers>(handlers as GovernedHandlers<GreeterHandlers>);
}

const grpcJs = (name: string, method: string, start: Start): ServerRow => ({
  name: `grpc-js, ${name}`,
  operation: `/test.Greeter/${method}`,
  words,
  make: async (app, work, governing) => {
    const server = new grpc.Server({ interceptors: [governServer(app, governing)] });
    server.addService(greeter, handlersOf(work));
    return grpcServer(server);
  },
  asker: askerBy(start),
});

const nice = (name: string, method: string, start: Start): ServerRow => ({
  name: `nice-grpc, ${name}`,
  operation: `/test.Greeter/${method}`,
  words,
  make: async (app, work, governing) => {
    const server = createServer({ interceptors: [governServer(app, governing)] }).use(governMiddleware());
    server.add(greeter, {
      Say: async ({ text }: Message, { call }: GovernedContext) => ({ text: await work(text ?? '', call) }),
      async *Count({ text }: Message, { call }: GovernedContext) {
        yield { text: await work(text ?? '', call) };
      },
      Collect: async () => ({}),
      async *Chat() {},
    });
    return grpcServer(server);
  },
  asker: askerBy(start),
});

export const grpcRows = [
  grpcJs('unary', 'Say', say),
  grpcJs('server stream', 'Count', count),
  nice('unary', 'Say', say),
  nice('server stream', 'Count', count),
];
