import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import axios, { type AxiosInstance, type CreateAxiosDefaults } from 'axios';
import { type App, type AppOptions, createApp } from 'keelson';
import { type GovernAxiosOptions, governAxios } from 'keelson/axios';
import type { Gate, Outcome } from 'keelson/core';
import { expect, vi } from 'vitest';

/** What a server does with a request. */
export type Act = (req: IncomingMessage, res: ServerResponse) => unknown;

/** One server on the loopback that notes what it is asked. */
export interface Replica {
  readonly url: string;
  readonly host: string;
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly headers: http.IncomingHttpHeaders;
  }[];
  /** How many of its requests have come to their end, one way or another. */
  closed: number;
  act: Act;
  close(): Promise<void>;
}

/** Starts a server. */
export async function replica(act: Act = (_, res) => res.end('ok')): Promise<Replica> {
  const sockets = new Set<Socket>();
  const made = { url: '', host: '', requests: [], closed: 0, act, close: () => Promise.resolve() } as {
    -readonly [K in keyof Replica]: Replica[K];
  };
  const server = http.createServer((req, res) => {
    made.requests.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers });
    res.on('close', () => made.closed++);
    void made.act(req, res);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  made.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  made.url = `http://${made.host}`;
  made.close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return made;
}

/** What a test makes of an axios instance and its replicas. */
export interface Governed {
  readonly app: App;
  readonly users: AxiosInstance;
  /** How attempts ended, as a gate of the endpoint hears it: at the response, and at the end. */
  readonly observed: Outcome[];
  readonly released: Outcome[];
  /** Resolves when nothing is in flight any more. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** An instance over replicas of one service. */
export function governed(
  replicas: readonly Replica[],
  defaults: CreateAxiosDefaults,
  more: { readonly options?: Partial<GovernAxiosOptions>; readonly app?: Partial<AppOptions> } = {},
): Governed {
  const observed: Outcome[] = [];
  const released: Outcome[] = [];
  const gate: Gate = {
    code: 'OVERLOADED',
    tryAcquire: () => ({
      observe: (outcome) => void observed.push(outcome),
      release: (outcome) => void released.push(outcome),
    }),
  };
  const app = createApp({
    service: 'shop',
    signals: false,
    endpoints: { users: replicas.map(({ url }) => url) },
    ...more.app,
  });
  const users = governAxios(axios.create({ baseURL: 'http://users', ...defaults }), app, {
    service: 'users',
    gates: () => [gate],
    retry: { baseMs: 0 },
    ejection: false,
    ...more.options,
  });
  const inflight = () =>
    app.snapshot().flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.inflight));
  const idle = () =>
    vi.waitFor(() => expect(inflight().every((count) => count === 0)).toBe(true), {
      timeout: 10_000,
      interval: 5,
    });
  return { app, users, observed, released, idle, stop: () => app.stop() };
}
