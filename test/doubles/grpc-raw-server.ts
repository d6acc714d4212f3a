import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';

/** What a server does with a call. */
export type RawRoute = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => unknown;

export interface RawServer {
  readonly url: string;
  readonly sessions: Set<http2.ServerHttp2Session>;
  /** Calls so far. */
  readonly calls: { count: number };
  close(): void;
}

export const ok = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** Ends a call with a status and nothing else. */
export function endWith(stream: http2.ServerHttp2Stream, code: number, more: http2.OutgoingHttpHeaders = {}) {
  stream.respond({ ...ok, 'grpc-status': String(code), ...more }, { endStream: true });
}

/** A gRPC server that does what no library would. */
export async function rawServer(route: RawRoute, options: http2.ServerOptions = {}): Promise<RawServer> {
  const server = http2.createServer(options);
  const sessions = new Set<http2.ServerHttp2Session>();
  const calls = { count: 0 };
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    calls.count++;
    stream.on('error', () => undefined);
    route(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  return { url: `grpc://127.0.0.1:${port}`, sessions, calls, close };
}

/** A relay between a client and a server, which can fall silent without a word to either. */
export async function relayTo(port: number) {
  const sockets = new Set<net.Socket>();
  let silent = false;
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!silent) to.write(bytes);
      });
      from.on('close', () => to.destroy());
      from.on('error', () => undefined);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fallSilent: () => {
      silent = true;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
