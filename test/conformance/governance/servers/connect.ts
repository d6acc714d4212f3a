import http from 'node:http';
import http2 from 'node:http2';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { callOf, peerContext, serverInterceptor } from 'keelson/connect';
import { Greeter } from '../../../doubles/connect-greeter.js';
import { connect1, grpc, type Speech } from '../../../doubles/connect-replicas.js';
import type { Asker, Reply, ServerRow } from '../server-row.js';

function replyOf(error: unknown): Reply {
  const { code, metadata } = error as ConnectError;
  if (!(error instanceof ConnectError) || code === Code.Canceled) throw error;
  const told = metadata.get('grpc-retry-pushback-ms') ?? metadata.get('retry-after-ms');
  return {
    status: Code[code] ?? '',
    text: undefined,
    shed: metadata.get('x-keelson-shed') ?? undefined,
    retryAfterMs: told === null ? undefined : Number(told),
  };
}

const askerOf =
  ({ transport: make }: Speech, kind: 'say' | 'count') =>
  (port: number): Asker => {
    const transport = make(`http://127.0.0.1:${port}`);
    const client = createClient(Greeter, transport);
    return {
      ask: async (what, { leftMs, metadata, signal } = {}) => {
        const options = {
          headers: { ...metadata },
          ...(leftMs === undefined ? {} : { timeoutMs: leftMs }),
          ...(signal === undefined ? {} : { signal }),
        };
        let text: string | undefined;
        try {
          if (kind === 'say') text = (await client.say({ value: what }, options)).value;
          else for await (const { value } of client.count({ value: what }, options)) text = value;
        } catch (error) {
          return replyOf(error);
        }
        return { status: 'ok', text, shed: undefined, retryAfterMs: undefined };
      },
      close: () => transport.close(),
    };
  };

const row = (speech: Speech, kind: 'say' | 'count'): ServerRow => ({
  name: `connect, ${kind === 'say' ? 'unary' : 'server stream'}, ${speech.name}`,
  operation: `/test.Greeter/${kind === 'say' ? 'Say' : 'Count'}`,
  words: {
    fault: 'Internal',
    overload: 'ResourceExhausted',
    deadline: 'DeadlineExceeded',
    calleeOverloaded: 'ResourceExhausted',
  },
  make: async (app, work, governing) => {
    const routes = connectNodeAdapter({
      interceptors: [serverInterceptor(app, governing)],
      contextValues: peerContext,
      routes: (router) =>
        void router.service(Greeter, {
          say: async ({ value }, context) => ({ value: await work(value, callOf(context)) }),
          async *count({ value }, context) {
            yield { value: await work(value, callOf(context)) };
          },
        }),
    });
    return speech.httpVersion === '2' ? http2.createServer(routes) : http.createServer(routes);
  },
  asker: askerOf(speech, kind),
});

export const connectRows = [
  row(connect1, 'say'),
  row(connect1, 'count'),
  row(grpc, 'say'),
  row(grpc, 'count'),
];
