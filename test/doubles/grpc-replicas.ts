import * as grpc from '@grpc/grpc-js';
import { type App, type AppOptions, createApp } from 'keelson';
import { expect, vi } from 'vitest';
import { type GreeterHandlers, greeter } from './grpc-greeter.js';

/** Answers each method in the plainest way; `Count` counts up to what is asked. */
export const echo: GreeterHandlers = {
  Say: ({ request }, callback) => callback(null, { text: `hello ${request.text}` }),
  Collect: (call, callback) => {
    let count = 0;
    call.on('data', () => count++);
    call.on('end', () => callback(null, { count }));
  },
  Count: (call) => {
    for (let count = 1; count <= (call.request.count ?? 0); count++) call.write({ count });
    call.end();
  },
  Chat: (call) => {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },
};

export interface Replica {
  readonly server: grpc.Server;
  readonly port: number;
  readonly url: string;
  close(): void;
}

interface ReplicaOptions extends grpc.ServerOptions {
  readonly credentials?: grpc.ServerCredentials;
}

/** A server without any governance. */
export async function replica(
  handlers: Partial<GreeterHandlers> = {},
  { credentials = grpc.ServerCredentials.createInsecure(), ...options }: ReplicaOptions = {},
): Promise<Replica> {
  const server = new grpc.Server(options);
  server.addService(greeter, { ...echo, ...handlers } as GreeterHandlers);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { server, port, url: `grpc://127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

/** An app that calls `greeter` at these addresses. */
export function callerOf(urls: readonly string[], options: Partial<AppOptions> = {}): App {
  return createApp({ service: 'caller', endpoints: { greeter: [...urls] }, signals: false, ...options });
}

export const inflight = (app: App): number =>
  app
    .snapshot()
    .flatMap(({ endpoints }) => endpoints)
    .reduce((sum, endpoint) => sum + endpoint.inflight, 0);

/** Until nothing is in flight any more. */
export const idle = (app: App) => vi.waitFor(() => expect(inflight(app)).toBe(0));
