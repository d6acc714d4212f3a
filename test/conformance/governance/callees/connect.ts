import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { peerContext, serverInterceptor } from 'keelson/connect';
import { Greeter } from '../../../doubles/connect-greeter.js';
import type { GreeterImpl, Speech } from '../../../doubles/connect-replicas.js';
import type { Callee, Inbound } from '../callee.js';

/** What the test says becomes what a generator yields. */
class Output {
  private readonly parts: string[] = [];
  private state: 'open' | 'ended' | ConnectError = 'open';
  private wake: () => void = () => undefined;

  constructor(context: HandlerContext) {
    context.signal.addEventListener('abort', () => this.close('ended'));
  }
  push(part: string): void {
    this.parts.push(part);
    this.wake();
  }
  close(how: 'ended' | ConnectError): void {
    if (this.state === 'open') this.state = how;
    this.wake();
  }
  async *read() {
    for (;;) {
      for (const value of this.parts.splice(0)) yield { value };
      if (this.state instanceof ConnectError) throw this.state;
      if (this.state === 'ended' && this.parts.length === 0) return;
      if (this.parts.length === 0)
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }
}

function inboundOf(context: HandlerContext, output: Output): Inbound {
  let over = false;
  const end = (how: 'ended' | ConnectError): void => {
    over = true;
    output.close(how);
  };
  return {
    metadata: Object.fromEntries(context.requestHeader),
    leftMs: context.timeoutMs(),
    // It aborts the signal of calls that were answered too.
    onGone: (tell) => context.signal.addEventListener('abort', () => over || tell()),
    answer: (text) => {
      output.push(text);
      end('ended');
    },
    begin: (text) => output.push(text),
    end: () => end('ended'),
    fail: () => end(new ConnectError('broken', Code.Unavailable)),
    shed: (retryAfterMs, as) => {
      if (as === 'any') {
        const headers = { 'retry-after': String(retryAfterMs / 1000) };
        end(new ConnectError('too much', Code.ResourceExhausted, headers));
        return;
      }
      const headers = { 'x-keelson-shed': 'SHUTTING_DOWN', 'retry-after-ms': String(retryAfterMs) };
      end(new ConnectError('too much', Code.Unavailable, headers));
    },
  };
}

/** The only message of an answer. */
async function first(output: Output) {
  for await (const part of output.read()) return part;
  throw new ConnectError('no answer', Code.Internal);
}

async function drained(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

function handlersOf(receive: (inbound: Inbound) => void): GreeterImpl {
  const opened = (context: HandlerContext): Output => {
    const output = new Output(context);
    receive(inboundOf(context, output));
    return output;
  };
  return {
    say: (_, context) => first(opened(context)),
    // What a client still writes when its callee dies is not sent again, so these arrive when all of it is there.
    collect: async (messages, context) => {
      await drained(messages);
      return first(opened(context));
    },
    count: (_, context) => opened(context).read(),
    chat: async function* (messages, context) {
      await drained(messages);
      yield* opened(context).read();
    },
  };
}

/** A server of connect-node, with a method of each kind. */
export const connectCallee = ({ httpVersion }: Speech): Callee => ({
  scheme: httpVersion === '2' ? 'h2c' : 'http',
  make: (receive, app) => {
    const routes = connectNodeAdapter({
      routes: (router) => void router.service(Greeter, handlersOf(receive)),
      contextValues: peerContext,
      ...(app === undefined ? {} : { interceptors: [serverInterceptor(app, { limits: [] })] }),
    });
    const sessions = new Set<http2.ServerHttp2Session>();
    const server = httpVersion === '2' ? http2.createServer(routes) : http.createServer(routes);
    server.on('session', (session) => {
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
    });
    return {
      servable: server,
      listen: async () => {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        return (server.address() as AddressInfo).port;
      },
      closeIdle: () => {
        if ('closeIdleConnections' in server) server.closeIdleConnections();
      },
      close: () => {
        for (const session of sessions) session.destroy();
        if ('closeAllConnections' in server) server.closeAllConnections();
        server.close();
      },
    };
  },
});
