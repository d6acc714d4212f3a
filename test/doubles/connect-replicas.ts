import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { ConnectRouterOptions, ServiceImpl, Transport } from '@connectrpc/connect';
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import { Greeter } from './connect-greeter.js';

export type GreeterImpl = Partial<ServiceImpl<typeof Greeter>>;

/** Answers each method in the plainest way; `count` and `tail` count up to what is asked. */
export const echo: GreeterImpl = {
  say: ({ value }) => ({ value: `hello ${value}` }),
  look: ({ value }) => ({ value: `seen ${value}` }),
  async collect(messages) {
    const all: string[] = [];
    for await (const { value } of messages) all.push(value);
    return { value: all.join(',') };
  },
  async *count({ value }) {
    for (let count = 1; count <= Number(value); count++) yield { value: String(count) };
  },
  async *tail({ value }) {
    for (let count = 1; count <= Number(value); count++) yield { value: String(count) };
  },
  async *chat(messages) {
    for await (const { value } of messages) yield { value: `re: ${value}` };
  },
};

/** A protocol, and the version of HTTP that it is spoken over. */
export interface Speech {
  readonly name: string;
  readonly httpVersion: '1.1' | '2';
  readonly transport: (baseUrl: string, options?: object) => Transport & { close(): void };
}

/** A native transport over HTTP/2, whose connection ends when it is closed. */
const overHttp2 = (
  make: (options: { baseUrl: string; httpVersion: '2'; sessionManager: Http2SessionManager }) => Transport,
) => {
  return (baseUrl: string, options: object = {}) => {
    const sessionManager = new Http2SessionManager(baseUrl);
    const transport = make({ baseUrl, httpVersion: '2', sessionManager, ...options });
    return { ...transport, close: () => sessionManager.abort() };
  };
};

const overHttp1 = (make: (options: { baseUrl: string; httpVersion: '1.1' }) => Transport) => {
  return (baseUrl: string, options: object = {}) => ({
    ...make({ baseUrl, httpVersion: '1.1', ...options }),
    close: () => undefined,
  });
};

export const grpc: Speech = {
  name: 'gRPC over HTTP/2',
  httpVersion: '2',
  transport: overHttp2(createGrpcTransport),
};
export const connect: Speech = {
  name: 'Connect over HTTP/2',
  httpVersion: '2',
  transport: overHttp2(createConnectTransport),
};
export const connect1: Speech = {
  name: 'Connect over HTTP/1.1',
  httpVersion: '1.1',
  transport: overHttp1(createConnectTransport),
};
export const grpcWeb: Speech = {
  name: 'gRPC-web over HTTP/1.1',
  httpVersion: '1.1',
  transport: overHttp1(createGrpcWebTransport),
};

export const speeches: readonly Speech[] = [grpc, connect, connect1, grpcWeb];

export interface Replica {
  readonly url: string;
  readonly server: Server;
  /** Cuts all connections, as the death of a process does, and listens no more. */
  close(): void;
}

/** Listens on a free port of the loopback. */
export async function listening(server: Server): Promise<Replica> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, close };
}

/** A server without any governance. */
export function replica(
  { httpVersion }: Speech,
  handlers: GreeterImpl = {},
  options: ConnectRouterOptions = {},
): Promise<Replica> {
  const routes = connectNodeAdapter({
    ...options,
    routes: (router) => void router.service(Greeter, { ...echo, ...handlers }),
  });
  return listening(httpVersion === '2' ? http2.createServer(routes) : http.createServer(routes));
}

/** All messages of a stream. */
export async function all(messages: AsyncIterable<{ readonly value: string }>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of messages) values.push(value);
  return values;
}

/** Messages of a stream of the caller's. */
export async function* saying(...values: string[]) {
  for (const value of values) yield { value };
}
