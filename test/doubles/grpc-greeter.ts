import * as grpc from '@grpc/grpc-js';

/** A service with one method of each kind, whose messages are JSON: no proto file, and nothing that hides what is sent. */
export interface Message {
  readonly text?: string | undefined;
  readonly count?: number | undefined;
}

const write = (message: Message) => Buffer.from(JSON.stringify(message));
const read = (bytes: Buffer): Message => JSON.parse(bytes.toString());

const method = <Requests extends boolean, Responses extends boolean>(
  name: string,
  requestStream: Requests,
  responseStream: Responses,
) => ({
  path: `/test.Greeter/${name}`,
  requestStream,
  responseStream,
  requestSerialize: write,
  requestDeserialize: read,
  responseSerialize: write,
  responseDeserialize: read,
  originalName: name.charAt(0).toLowerCase() + name.slice(1),
});

export const greeter = {
  Say: method('Say', false, false),
  Collect: method('Collect', true, false),
  Count: method('Count', false, true),
  Chat: method('Chat', true, true),
};

export interface GreeterHandlers extends grpc.UntypedServiceImplementation {
  Say: grpc.handleUnaryCall<Message, Message>;
  Collect: grpc.handleClientStreamingCall<Message, Message>;
  Count: grpc.handleServerStreamingCall<Message, Message>;
  Chat: grpc.handleBidiStreamingCall<Message, Message>;
}

type Unary = (
  message: Message,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: grpc.requestCallback<Message>,
) => grpc.ClientUnaryCall;

export interface GreeterClient extends grpc.Client {
  Say: Unary;
  Collect(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: grpc.requestCallback<Message>,
  ): grpc.ClientWritableStream<Message>;
  Count(
    message: Message,
    metadata?: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<Message>;
  Chat(metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<Message, Message>;
}

const Client = grpc.makeClientConstructor(greeter, 'Greeter');

export function greeterClient(port: number, options: grpc.ClientOptions = {}): GreeterClient {
  return new Client(
    `127.0.0.1:${port}`,
    grpc.credentials.createInsecure(),
    options,
  ) as unknown as GreeterClient;
}

/** How a call ended, whichever way. */
export interface Ended {
  readonly code: number;
  readonly details: string;
  readonly metadata: grpc.Metadata;
  readonly messages: readonly Message[];
}

const metadataOf = (entries: Record<string, string>) => {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
};

export interface Asking extends grpc.CallOptions {
  readonly metadata?: Record<string, string>;
}

/** Calls a method of one answer and waits for the end. */
export function say(client: GreeterClient, message: Message = {}, asking: Asking = {}): Promise<Ended> {
  const { metadata = {}, ...options } = asking;
  return new Promise((resolve) => {
    let trailers = new grpc.Metadata();
    const messages: Message[] = [];
    const call = client.Say(message, metadataOf(metadata), options, (error, answer) => {
      if (answer) messages.push(answer);
      const { code = 0, details = 'OK' } = error ?? {};
      // The status event comes with or before the callback, except where nothing was sent.
      queueMicrotask(() => resolve({ code, details, metadata: error?.metadata ?? trailers, messages }));
    });
    call.on('status', (status) => {
      trailers = status.metadata;
    });
  });
}

/** Follows a stream to its end. */
export function ended(
  stream: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<Message, Message>,
): Promise<Ended> {
  return new Promise((resolve) => {
    const messages: Message[] = [];
    stream.on('data', (message: Message) => messages.push(message));
    stream.on('error', () => undefined);
    stream.on('status', ({ code, details, metadata }) => resolve({ code, details, metadata, messages }));
  });
}
