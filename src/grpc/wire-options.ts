import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';

/** How calls are carried to the instances of a service. */
export interface GrpcWireOptions {
  /**
   * How to speak TLS with instances, and what to show them. They are used for all instances, whatever the scheme of their
   * address.
   *
   * @defaultValue `undefined`, that is none for addresses `grpc://…`, TLS with the platform's authorities for `grpcs://…`
   */
  readonly credentials?: ChannelCredentials | undefined;
  /**
   * How long a connection with calls on it may be silent before it is asked for a sign of life, in milliseconds; 1000 or
   * more. A smaller value finds a peer sooner that has gone without a word, which only streams without a deadline need.
   * Servers in Go close connections that ask more often than every five minutes, unless they are told otherwise.
   *
   * @defaultValue `300_000`
   */
  readonly keepaliveTimeMs?: number | undefined;
  /**
   * How long that sign may take before the connection counts as dead and its calls fail with UNAVAILABLE, in milliseconds;
   * above 0.
   *
   * @defaultValue `20_000`
   */
  readonly keepaliveTimeoutMs?: number | undefined;
  /**
   * Longest pause between two attempts to connect to an instance, in milliseconds; 100 or more. Attempts begin 100 ms apart
   * and become rarer. A larger value asks less of an instance that is away, and notices later that it is back. Calls fail
   * at once meanwhile, so that they can go elsewhere.
   *
   * @defaultValue `5000`
   */
  readonly maxReconnectMs?: number | undefined;
  /**
   * Options of grpc-js for the channel of each instance: limits of message sizes, user agent, compression. They go before
   * everything above. `grpc.service_config` is not for this: retries and hedges of its own would multiply ours.
   *
   * @defaultValue `{}`
   */
  readonly channelOptions?: ChannelOptions | undefined;
}

/** Defaults of {@link GrpcWireOptions}. */
export const grpcWireDefaults = {
  credentials: undefined,
  keepaliveTimeMs: 300_000,
  keepaliveTimeoutMs: 20_000,
  maxReconnectMs: 5000,
  channelOptions: {},
} as const;

/** {@link GrpcWireOptions} with nothing left open. */
export interface GrpcWireSettings {
  readonly credentials: ChannelCredentials | undefined;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly maxReconnectMs: number;
  readonly channelOptions: ChannelOptions;
}
