import type { Server } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import type { Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Bound, Place } from './servable.js';

/** A server of `node:http`, `node:https` or `node:http2`. */
export type AnyHttpServer = Server | SecureServer | Http2Server | Http2SecureServer;

/** Options of {@link App.serve}. */
export interface ServeOptions {
  /**
   * Port to listen on; 0 for any that is free. No effect on a server that already listens.
   *
   * @defaultValue `0`
   */
  readonly port?: number | undefined;
  /**
   * Address to bind to. No effect on a server that already listens.
   *
   * @defaultValue none: all addresses
   */
  readonly host?: string | undefined;
  /**
   * How long an idle connection is kept, in milliseconds; 0 or more, 0 for ever. It should be longer than that of whoever
   * connects (load balancers have 60 s), so that the client's side closes first: a request on a connection that the server
   * is just closing is lost. No effect on HTTP/2 and gRPC.
   *
   * @defaultValue `65_000`
   */
  readonly keepAliveTimeoutMs?: number | undefined;
  /**
   * Whether the server's calls are meant to be governed. An app that serves and has made no listener, by `listener`, `server`
   * or an adapter, warns of that once (`KEELSON_UNGOVERNED`); `false` where that is meant, for example because it only answers
   * health checks.
   *
   * @defaultValue `true`
   */
  readonly governed?: boolean | undefined;
}

/** Defaults of {@link ServeOptions}. */
export const serveDefaults = {
  port: 0,
  host: undefined,
  keepAliveTimeoutMs: 65_000,
  governed: true,
} as const;

/** {@link ServeOptions} with nothing left open. */
export interface ServeSettings extends Place {
  readonly keepAliveTimeoutMs: number;
  readonly governed: boolean;
}

function schemeOf(server: AnyHttpServer): string {
  if ('setSecureContext' in server) return 'https';
  return 'keepAliveTimeout' in server ? 'http' : 'h2c';
}

/** @throws TypeError for a server on a socket without a port */
function boundOf(server: AnyHttpServer): Bound {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new TypeError(`serve: the server must listen on a port, got ${address ?? 'nothing'}`);
  const { address: host, port } = address as AddressInfo;
  return { scheme: schemeOf(server), host, port };
}

function keepAlive(server: AnyHttpServer, timeoutMs: number): void {
  if (!('keepAliveTimeout' in server)) return;
  server.keepAliveTimeout = timeoutMs;
  // Also measured from the moment of connecting: a connection that a load balancer opens ahead has to live as long.
  if (server.headersTimeout > 0) server.headersTimeout = Math.max(server.headersTimeout, timeoutMs + 1000);
}

/** Listens, unless the server already does. Rejects with the platform's error, for example EADDRINUSE. */
export async function listen(
  server: AnyHttpServer,
  settings: Omit<ServeSettings, 'governed'>,
): Promise<Bound> {
  const { port, host, keepAliveTimeoutMs } = settings;
  if (!server.listening) {
    await new Promise<void>((resolve, reject) => {
      const bound = (): void => {
        server.off('error', failed);
        resolve();
      };
      const failed = (error: Error): void => {
        server.off('listening', bound);
        reject(error);
      };
      server.once('listening', bound);
      server.once('error', failed);
      server.listen({ port, ...(host === undefined ? {} : { host }) });
    });
  }
  keepAlive(server, keepAliveTimeoutMs);
  return boundOf(server);
}
