import * as grpc from '@grpc/grpc-js';
import { governedClient } from 'keelson/grpc';
import { type GreeterClient, greeter, type Message } from '../../../doubles/grpc-greeter.js';
import { grpcCallee } from '../callees/grpc.js';
import { type Asking, type Client, type Ended, type Misfortune, type Subject, service } from '../subject.js';

const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');

/** A call of grpc-js, of whichever kind. */
type Native = Pick<grpc.ClientUnaryCall, 'cancel'>;

function metadataOf(entries: Asking['metadata']): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries ?? {})) metadata.set(name, value);
  return metadata;
}

function optionsOf({ timeoutMs }: Asking): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

/** grpc-js knows no signals: whoever has one does this. */
function cancelBy(signal: AbortSignal | undefined, call: Native): () => void {
  const cancel = (): void => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  return () => signal?.removeEventListener('abort', cancel);
}

const endOf = (error: unknown, message: Message | undefined): Ended =>
  error === null || error === undefined
    ? { ok: true, by: message?.text, native: message }
    : { ok: false, by: undefined, native: error };

type Start = (client: GreeterClient, asking: Asking, done: grpc.requestCallback<Message>) => Native;
type Streaming = grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<Message, Message>;
type Open = (client: GreeterClient, asking: Asking) => Streaming;

const say: Start = (client, asking, done) =>
  client.Say({}, metadataOf(asking.metadata), optionsOf(asking), done);
const collect: Start = (client, asking, done) => {
  const upload = client.Collect(metadataOf(asking.metadata), optionsOf(asking), done);
  upload.write({});
  upload.end();
  return upload;
};
const count: Open = (client, asking) => client.Count({}, metadataOf(asking.metadata), optionsOf(asking));
const chat: Open = (client, asking) => {
  const stream = client.Chat(metadataOf(asking.metadata), optionsOf(asking));
  stream.write({});
  stream.end();
  return stream;
};

function single(client: GreeterClient, start: Start): Client {
  return {
    call: (asking = {}) =>
      new Promise((resolve) => {
        const call = start(client, asking, (error, message) => {
          forget();
          resolve(endOf(error, message));
        });
        const forget = cancelBy(asking.signal, call);
      }),
    close: () => client.close(),
  };
}

function streaming(client: GreeterClient, open: Open): Client {
  return {
    call: (asking = {}) =>
      new Promise((resolve) => {
        const stream = open(client, asking);
        const forget = cancelBy(asking.signal, stream);
        let message: Message | undefined;
        const done = (error?: unknown): void => {
          forget();
          resolve(endOf(error, message));
        };
        stream.on('data', (one: Message) => {
          message = one;
        });
        stream.on('error', done).on('end', done);
      }),
    open: async (asking = {}) => {
      const stream = open(client, asking);
      const forget = cancelBy(asking.signal, stream);
      stream.once('close', forget);
      const parts = stream[Symbol.asyncIterator]();
      return {
        next: async () => {
          const { value, done } = await parts.next();
          return done === true ? undefined : (value as Message).text;
        },
        leave: () => parts.return?.(),
      };
    },
    close: () => client.close(),
  };
}

/** Of whatever talks gRPC in the words of its statuses. */
export const statusesOf = (kind: string): Record<Misfortune, string> => ({
  failure: `${kind} UNAVAILABLE`,
  death: `${kind} UNAVAILABLE`,
  overload: `${kind} RESOURCE_EXHAUSTED`,
  abort: `${kind} CANCELLED`,
  deadline: `${kind} DEADLINE_EXCEEDED`,
  refusal: `${kind} UNAVAILABLE`,
});

function tell(native: unknown): string {
  const { code, metadata } = native as grpc.ServiceError;
  const whole = native instanceof Error && metadata instanceof grpc.Metadata;
  return whole ? `ServiceError ${grpc.status[code]}` : String(native);
}

function grpcSubject(kind: string, make: (client: GreeterClient) => Client): Subject {
  return {
    name: `grpc-js, ${kind}`,
    callee: grpcCallee,
    natively: statusesOf('ServiceError'),
    tell,
    connect: (app, policy) => {
      const client = governedClient(app, Greeter, { service, ...(policy as object) });
      return make(client as unknown as GreeterClient);
    },
  };
}

export const grpcSubjects = [
  grpcSubject('unary', (client) => single(client, say)),
  grpcSubject('client stream', (client) => single(client, collect)),
  grpcSubject('server stream', (client) => streaming(client, count)),
  grpcSubject('both ways', (client) => streaming(client, chat)),
];
