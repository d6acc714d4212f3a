import * as grpc from '@grpc/grpc-js';
import { governServer, grpcServer } from 'keelson/grpc';
import { type GreeterHandlers, greeter, type Message } from '../../../doubles/grpc-greeter.js';
import type { Callee, Inbound } from '../callee.js';

/** What the four kinds of calls have in common. */
interface ServerCall {
  readonly metadata: grpc.Metadata;
  getDeadline(): grpc.Deadline;
  sendMetadata(metadata: grpc.Metadata): void;
  on(event: 'cancelled', told: () => void): unknown;
}

/** How a call of one kind is answered. */
interface Way {
  answer(text: string): void;
  begin(text: string): void;
  end(): void;
  error(status: Partial<grpc.StatusObject>): void;
}

function inboundOf(call: ServerCall, way: Way): Inbound {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(call.metadata.getMap())) metadata[name] = String(value);
  const deadline = Number(call.getDeadline());
  return {
    ...way,
    metadata,
    leftMs: deadline === Number.POSITIVE_INFINITY ? undefined : deadline - Date.now(),
    onGone: (tell) => void call.on('cancelled', tell),
    fail: () => way.error({ code: grpc.status.UNAVAILABLE, details: 'broken' }),
    shed: (retryAfterMs, as) => {
      const trailers = new grpc.Metadata();
      trailers.set('grpc-retry-pushback-ms', String(retryAfterMs));
      if (as === 'keelson') trailers.set('x-keelson-shed', 'SHUTTING_DOWN');
      const code = as === 'keelson' ? grpc.status.UNAVAILABLE : grpc.status.RESOURCE_EXHAUSTED;
      way.error({ code, details: 'too much', metadata: trailers });
    },
  };
}

type Unary = grpc.ServerUnaryCall<Message, Message> | grpc.ServerReadableStream<Message, Message>;

function whole(call: Unary, done: grpc.sendUnaryData<Message>): Way {
  let text = '';
  return {
    answer: (given) => done(null, { text: given }),
    begin: (given) => {
      text = given;
      call.sendMetadata(new grpc.Metadata());
    },
    end: () => done(null, { text }),
    error: (status) => done(status),
  };
}

type Streaming = grpc.ServerWritableStream<Message, Message> | grpc.ServerDuplexStream<Message, Message>;

function parts(call: Streaming): Way {
  return {
    answer: (text) => {
      call.write({ text });
      call.end();
    },
    begin: (text) => void call.write({ text }),
    end: () => void call.end(),
    error: (status) => void call.emit('error', status),
  };
}

/** A server of grpc-js, with a method of each kind. */
export const grpcCallee: Callee = {
  scheme: 'grpc',
  make: (receive, app) => {
    const handlers: GreeterHandlers = {
      Say: (call, done) => receive(inboundOf(call as unknown as ServerCall, whole(call, done))),
      // What a client still writes when its callee dies is not sent again, so these arrive when all of it is there.
      Collect: (call, done) => {
        call.on('end', () => receive(inboundOf(call as unknown as ServerCall, whole(call, done)))).resume();
      },
      Count: (call) => receive(inboundOf(call as unknown as ServerCall, parts(call))),
      Chat: (call) => {
        call.on('end', () => receive(inboundOf(call as unknown as ServerCall, parts(call)))).resume();
      },
    };
    const server = new grpc.Server(
      app === undefined ? {} : { interceptors: [governServer(app, { limits: [] })] },
    );
    server.addService(greeter, handlers);
    return {
      servable: grpcServer(server),
      listen: () =>
        new Promise<number>((resolve, reject) =>
          server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
            error ? reject(error) : resolve(port),
          ),
        ),
      closeIdle: () => undefined,
      close: () => server.forceShutdown(),
    };
  },
};
