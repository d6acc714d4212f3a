import { createCall, runWithCall } from 'keelson/core';
import { governedChannel } from 'keelson/grpc';
import { ClientError, type CompatServiceDefinition, createClient, Metadata, Status } from 'nice-grpc';
import { greeter, type Message } from '../../../doubles/grpc-greeter.js';
import { grpcCallee } from '../callees/grpc.js';
import { type Asking, type Ended, mine, type Subject, service } from '../subject.js';
import { statusesOf } from './grpc.js';

interface Options {
  readonly metadata: Metadata;
  readonly signal?: AbortSignal;
}

interface NiceClient {
  Say(message: Message, options: Options): Promise<Message>;
  Count(message: Message, options: Options): AsyncIterable<Message>;
}

const optionsOf = ({ metadata, signal }: Asking): Options => ({
  metadata: Metadata({ ...metadata }),
  ...(signal === undefined ? {} : { signal }),
});

async function endOf(run: () => Promise<Message | undefined>): Promise<Ended> {
  try {
    const message = await run();
    return { ok: true, by: message?.text, native: message };
  } catch (error) {
    return { ok: false, by: undefined, native: error };
  }
}

function niceSubject(kind: 'unary' | 'server stream'): Subject {
  return {
    name: `nice-grpc, ${kind}`,
    callee: grpcCallee,
    natively: {
      ...statusesOf('ClientError'),
      abort: kind === 'unary' ? 'the reason that its caller gave' : 'AbortError',
    },
    tell: (native) => {
      if (native === mine) return 'the reason that its caller gave';
      if (native instanceof ClientError) return `ClientError ${Status[native.code]}`;
      return (native as Error).name;
    },
    connect: (app, policy, clock) => {
      const channel = governedChannel(app, service, { services: [greeter], ...(policy as object) });
      const definition = greeter as unknown as CompatServiceDefinition;
      const client = createClient(definition, channel) as unknown as NiceClient;
      /** It has no deadlines of its own, but that of the inbound call counts. */
      const within = <T>({ timeoutMs }: Asking, run: () => T): T => {
        if (timeoutMs === undefined) return run();
        const inbound = { side: 'server', service: 'caller', operation: 'test' } as const;
        return runWithCall(createCall({ ...inbound, deadline: clock.now() + timeoutMs }), run);
      };
      const whole = (asking: Asking) => within(asking, () => client.Say({}, optionsOf(asking)));
      const parts = (asking: Asking) =>
        within(asking, () => client.Count({}, optionsOf(asking))[Symbol.asyncIterator]());
      const close = () => channel.close();
      if (kind === 'unary') return { call: (asking = {}) => endOf(() => whole(asking)), close };
      return {
        call: (asking = {}) =>
          endOf(async () => {
            const stream = parts(asking);
            let message: Message | undefined;
            // The call begins with the first wish to read.
            const next = () => within(asking, () => stream.next());
            for (let part = await next(); part.done !== true; part = await next()) message = part.value;
            return message;
          }),
        open: async (asking = {}) => {
          const stream = parts(asking);
          return {
            next: async () => {
              const { value, done } = await stream.next();
              return done === true ? undefined : (value as Message).text;
            },
            leave: () => stream.return?.(),
          };
        },
        close,
      };
    },
  };
}

export const niceSubjects = [niceSubject('unary'), niceSubject('server stream')];
