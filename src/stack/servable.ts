import type { Clock } from '../core/clock.js';

/** Where a server is to listen. */
export interface Place {
  /** 0 for any that is free. */
  readonly port: number;
  /** Address to bind to; `undefined` for all. */
  readonly host: string | undefined;
}

/** Where a server listens. */
export interface Bound {
  /** `http` or `https`; `h2c` for HTTP/2 without TLS, which `fetch` does not speak; `grpc` or `grpcs`. */
  readonly scheme: string;
  /** The bound address; may be a wildcard. */
  readonly host: string;
  /** The port, also when 0 was asked for. */
  readonly port: number;
}

/**
 * A server of any kind, as {@link App.serve} sees it. Servers of `node:http`, `node:https` and `node:http2` need none of
 * this; `grpcServer` of `keelson/grpc` makes one of a gRPC server. Write one to serve another wire.
 *
 * The methods are called in the order in which they stand here, each at most once, `withdraw` only in place of the two
 * before it.
 */
export interface Servable {
  /** Listens. Rejects with the platform's error, for example when the port is taken. */
  listen(place: Place): Promise<Bound>;
  /** Asks whoever is connected to go elsewhere, and goes on taking calls: not all have heard of the end yet. */
  leave(): void;
  /** Takes no new calls and waits for those in flight, at most so many milliseconds; then cuts what is left. */
  close(timeoutMs: number, clock: Clock): Promise<void>;
  /** The start failed, in `listen` or after it: leaves the server as it was before. */
  withdraw(clock: Clock): Promise<void>;
}

const methods = ['listen', 'leave', 'close', 'withdraw'] as const;

/** Whether something is a {@link Servable}; a server of `node:http` has no `leave`. */
export function isServable(server: unknown): server is Servable {
  return methods.every((name) => typeof (server as Partial<Servable> | undefined)?.[name] === 'function');
}
