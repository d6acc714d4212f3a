import { isIPv6 } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { wrongKind } from '../core/options.js';
import type { Bound, Place, Servable } from '../stack/servable.js';

/** A server of nice-grpc; only what is needed of it. */
export interface NiceServer {
  /** Binds to `host:port`, resolves with the port. */
  listen(address: string, credentials?: ServerCredentials): Promise<number>;
  /** Takes no new calls and waits for those in flight. */
  shutdown(): Promise<void>;
  /** Ends all calls. */
  forceShutdown(): void;
}

/** Longest time a timer of the platform takes, in milliseconds: 24 days. */
const longestMs = 2_147_483_647;

/** grpc-js tells by its text only why an address cannot be bound. */
const codeIn = (error: Error): string | undefined => /\bE[A-Z]{4,}\b/.exec(error.message)?.[0];

const noSuchFamily: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/** The two kinds of servers under one form. */
interface Binding {
  bind(address: string): Promise<number>;
  /** Tells clients by GOAWAY to connect anew. */
  leave(address: string): void;
  unbind(address: string): void;
  shutdown(): Promise<void>;
  cut(): void;
}

function grpcJs(server: Server, credentials: ServerCredentials): Binding {
  return {
    bind: (address) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error, port) => {
          if (error) reject(error);
          else resolve(port);
        });
      }),
    leave: (address) => server.drain(address, longestMs),
    unbind: (address) => server.unbind(address),
    shutdown: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
    cut: () => server.forceShutdown(),
  };
}

/** It shows nothing of the server inside: whoever is connected hears of the end when it closes. */
function nice(server: NiceServer, credentials: ServerCredentials): Binding {
  return {
    bind: (address) => server.listen(address, credentials),
    leave: () => undefined,
    unbind: () => server.forceShutdown(),
    shutdown: () => server.shutdown(),
    cut: () => server.forceShutdown(),
  };
}

function addressFor(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

class GrpcServer implements Servable {
  private address: string | undefined;

  constructor(
    private readonly binding: Binding,
    private readonly scheme: string,
  ) {}

  async listen({ host, port }: Place): Promise<Bound> {
    if (host !== undefined) return this.bind(host, port);
    try {
      return await this.bind('::', port);
    } catch (error) {
      // A machine without IPv6.
      if (noSuchFamily.has((error as NodeJS.ErrnoException).code)) return this.bind('0.0.0.0', port);
      throw error;
    }
  }

  leave(): void {
    if (this.address !== undefined) this.binding.leave(this.address);
  }

  async close(timeoutMs: number, clock: Clock): Promise<void> {
    const { binding } = this;
    await new Promise<void>((resolve) => {
      const cut = clock.after(timeoutMs, () => {
        binding.cut();
        resolve();
      });
      const done = (): void => {
        cut.cancel();
        resolve();
      };
      binding.shutdown().then(done, done);
    });
  }

  async withdraw(): Promise<void> {
    if (this.address !== undefined) this.binding.unbind(this.address);
    this.address = undefined;
  }

  private async bind(host: string, port: number): Promise<Bound> {
    try {
      const bound = await this.binding.bind(addressFor(host, port));
      this.address = addressFor(host, bound);
      return { scheme: this.scheme, host, port: bound };
    } catch (error) {
      const code = codeIn(error as Error);
      throw code === undefined ? error : Object.assign(error as Error, { code });
    }
  }
}

function isSecure(credentials: ServerCredentials): boolean {
  // The library offers no other way to ask.
  return credentials._isSecure();
}

/**
 * Makes of a gRPC server what `app.serve` takes: it listens, is registered as `grpc://…` or `grpcs://…`, and at the
 * end is deregistered, drained (clients are told by GOAWAY to connect elsewhere, calls in flight finish) and closed.
 *
 * The server has its services and its interceptors already, and is not bound: `serve` does that, once. One of nice-grpc
 * tells its clients only when it closes.
 *
 * @param server - `new grpc.Server(…)`, or what `createServer` of nice-grpc makes
 * @param credentials - `ServerCredentials.createSsl(…)` for TLS; without it there is none
 * @throws TypeError for what is no such server
 * @example
 * ```ts
 * await app.serve(grpcServer(server), { port: 9000 });
 * ```
 */
export function grpcServer(
  server: Server | NiceServer,
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Servable {
  if (typeof server !== 'object' || server === null)
    throw wrongKind('grpcServer: the first argument', 'a server of grpc-js or of nice-grpc', server);
  const scheme = isSecure(credentials) ? 'grpcs' : 'grpc';
  if ('bindAsync' in server) return new GrpcServer(grpcJs(server, credentials), scheme);
  if ('listen' in server && 'forceShutdown' in server)
    return new GrpcServer(nice(server, credentials), scheme);
  throw new TypeError('grpcServer: the server must be one of grpc-js or of nice-grpc');
}
