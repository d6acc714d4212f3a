import {
  type CallOptions,
  Code,
  ConnectError,
  createClient,
  type Client as Native,
} from '@connectrpc/connect';
import { governedTransport } from 'keelson/connect';
import { Greeter } from '../../../doubles/connect-greeter.js';
import { connect, connect1, grpc, grpcWeb, type Speech, saying } from '../../../doubles/connect-replicas.js';
import { connectCallee } from '../callees/connect.js';
import { type Asking, type Ended, type Subject, service } from '../subject.js';

type Greeting = Native<typeof Greeter>;
type Message = { readonly value: string };
type Whole = (client: Greeting, options: CallOptions) => Promise<Message>;
type Parts = (client: Greeting, options: CallOptions) => AsyncIterable<Message>;

const optionsOf = ({ timeoutMs, signal, metadata }: Asking): CallOptions => ({
  headers: { ...metadata },
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
  ...(signal === undefined ? {} : { signal }),
});

async function endOf(run: () => Promise<Message | undefined>): Promise<Ended> {
  try {
    const message = await run();
    return { ok: true, by: message?.value, native: message };
  } catch (error) {
    return { ok: false, by: undefined, native: error };
  }
}

async function last(messages: AsyncIterable<Message>): Promise<Message | undefined> {
  let message: Message | undefined;
  for await (const one of messages) message = one;
  return message;
}

/** What a row of the table is made of. */
interface Kind {
  readonly name: string;
  readonly speech: Speech;
  readonly whole?: Whole;
  readonly parts?: Parts;
}

function connectSubject({ name, speech, whole, parts }: Kind): Subject {
  const overHttp1 = speech.httpVersion === '1.1';
  return {
    name: `connect, ${name}, ${speech.name}`,
    callee: connectCallee(speech),
    ownConnections: overHttp1,
    sendsOnce: name === 'client stream' || name === 'both ways',
    leavesSilently: true,
    natively: {
      failure: 'ConnectError Unavailable',
      // What connect-node makes of a reset.
      death: overHttp1 ? 'ConnectError Aborted' : 'ConnectError Canceled',
      overload: 'ConnectError ResourceExhausted',
      abort: 'ConnectError Canceled',
      deadline: 'ConnectError DeadlineExceeded',
      refusal: 'ConnectError Unavailable',
    },
    tell: (native) => (native instanceof ConnectError ? `ConnectError ${Code[native.code]}` : String(native)),
    connect: (app, policy) => {
      const transport = governedTransport(app, service, {
        transport: speech.transport,
        ...(policy as object),
      });
      const client = createClient(Greeter, transport);
      if (parts === undefined)
        return { call: (asking = {}) => endOf(() => (whole as Whole)(client, optionsOf(asking))) };
      return {
        call: (asking = {}) => endOf(() => last(parts(client, optionsOf(asking)))),
        open: async (asking = {}) => {
          let source: AsyncIterator<Message> | undefined = parts(client, optionsOf(asking))[
            Symbol.asyncIterator
          ]();
          return {
            next: async () => {
              const part = await source?.next();
              return part?.done === true ? undefined : part?.value.value;
            },
            leave: () => {
              void source?.return?.();
              source = undefined;
            },
          };
        },
      };
    },
  };
}

const say: Whole = (client, options) => client.say({ value: '' }, options);
const collect: Whole = (client, options) => client.collect(saying(''), options);
const count: Parts = (client, options) => client.count({ value: '' }, options);
const chat: Parts = (client, options) => client.chat(saying(''), options);

export const connectSubjects = [
  connectSubject({ name: 'unary', speech: connect1, whole: say }),
  connectSubject({ name: 'unary', speech: connect, whole: say }),
  connectSubject({ name: 'unary', speech: grpc, whole: say }),
  connectSubject({ name: 'client stream', speech: grpc, whole: collect }),
  connectSubject({ name: 'server stream', speech: connect, parts: count }),
  connectSubject({ name: 'server stream', speech: grpcWeb, parts: count }),
  connectSubject({ name: 'both ways', speech: grpc, parts: chat }),
];
