import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../core/clock.js';

/** A server of `node:http` or `node:https`. */
export type AnyHttpServer = Server | SecureServer;

/** Where a server listens. */
export interface Bound {
  /** `http` or `https`. */
  readonly scheme: string;
  /** The bound address; may be a wildcard. */
  readonly host: string;
  /** The port, also when 0 was asked for. */
  readonly port: number;
}

/** Longer than the idle timeout of common load balancers (60 s), so that the client side closes first. */
const keepAliveTimeoutMs = 65_000;

function isSecure(server: AnyHttpServer): boolean {
  return 'setSecureContext' in server;
}

function boundOf(server: AnyHttpServer): Bound {
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new TypeError(
      `serve: the server must listen on a port, got ${address === null ? 'nothing' : address}`,
    );
  }
  return {
    scheme: isSecure(server) ? 'https' : 'http',
    host: address.address,
    port: (address as AddressInfo).port,
  };
}

/** Listens, unless the server already does. Rejects with the platform's error, for example EADDRINUSE. */
export async function listen(server: AnyHttpServer, port: number, host: string | undefined): Promise<Bound> {
  server.keepAliveTimeout = keepAliveTimeoutMs;
  if (!server.listening) {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }
  return boundOf(server);
}

/** From now on every response asks its client to close the connection, so that the next request goes elsewhere. */
export function askToLeave(server: AnyHttpServer): void {
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('connection', 'close');
  });
}

/** Takes no new connections and waits for the requests in flight, at most so long; then cuts what is left. */
export function closeServer(server: AnyHttpServer, timeoutMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cut = clock.after(timeoutMs, () => {
      server.closeAllConnections();
      // Upgraded sockets are not the server's any more: it would wait for them for ever.
      resolve();
    });
    server.close(() => {
      cut.cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
