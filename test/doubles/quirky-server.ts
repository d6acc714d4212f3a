import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, systemClock } from 'keelson/core';
import { QuirkyRegistry } from './quirky-registry.js';

/** A double behind a real port. */
export interface QuirkyServer {
  readonly registry: QuirkyRegistry;
  readonly url: string;
  /** How many connections were ever accepted. */
  readonly connections: number;
  /** Closes every connection that waits for a request, as an idle limit does. */
  cutIdle(): void;
  /** Goes away at once, and every connection with it. */
  kill(): Promise<void>;
}

async function formOf(request: http.IncomingMessage): Promise<URLSearchParams> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const form = new URLSearchParams(new URL(request.url ?? '/', 'http://double').search);
  for (const [name, value] of new URLSearchParams(body)) form.append(name, value);
  return form;
}

/** Starts one, on a free port of the loopback unless told where. */
export async function quirkyServer(port = 0, clock: Clock = systemClock): Promise<QuirkyServer> {
  const registry = new QuirkyRegistry(clock);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = http.createServer((request, response) => {
    void (async () => {
      const params = await formOf(request);
      const path = (request.url ?? '/').split('?')[0] as string;
      const timeoutMs = Number(request.headers['x1-bmspy-timeout']);
      const reply = await registry.handle(request.method ?? 'GET', path, params, timeoutMs);
      if (response.destroyed) return;
      response.writeHead(reply.status, { 'content-type': 'application/json; charset=utf-8' });
      response.end(reply.body);
    })();
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    registry,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    cutIdle: () => server.closeIdleConnections(),
    kill: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
