import type { Channel } from '@grpc/grpc-js';
import { inNameOf } from '../core/in-name-of.js';
import { checkNumber, wrongKind } from '../core/options.js';
import type { App } from '../stack/app.js';
import type { AppClientOptions } from '../stack/app-client.js';
import { ClientChannel } from './client-channel.js';
import { grpcClientSemantics } from './client-semantics.js';
import type { GrpcAnswer } from './grpc-answer.js';
import type { GrpcRequest } from './grpc-request.js';
import { grpcWire } from './grpc-wire.js';
import { type IdempotentMethods, idempotentBy } from './idempotent.js';
import { Line } from './line.js';
import { checkMethods, checkPatterns } from './meant-methods.js';
import { methodTable, type ServiceLike } from './method-table.js';
import type { GrpcWireOptions } from './wire-options.js';

/** What makes clients: an app. */
export type ClientSource = Pick<App, 'client'>;

/** Options of {@link governedChannel}: how calls are governed, how they are carried, what is known of their methods. */
export interface GovernedChannelOptions
  extends Omit<AppClientOptions<GrpcRequest, GrpcAnswer>, 'wire' | 'semantics' | 'caller'>,
    GrpcWireOptions {
  /**
   * Which methods may be sent twice, so that their calls are tried again and hedged: all or none, those in a list (`GetUser`
   * or `/users.Users/GetUser`), or those that a function of the path says. Besides: methods that `services` declare
   * idempotent, and calls whose `Metadata` has the option `idempotentRequest`. A call that nobody can have seen is tried
   * again in any case.
   *
   * @defaultValue `false`
   */
  readonly idempotent?: IdempotentMethods | undefined;
  /**
   * Definitions of the services that are called, as generated code has them. Known methods need not be guessed by how the
   * client behaves, which fails when its interceptors hold messages back, and their `idempotency_level` counts.
   *
   * @defaultValue `[]`
   */
  readonly services?: readonly ServiceLike[] | undefined;
  /**
   * Time of a call with a stream in either direction until its answer begins, in milliseconds; above 0, `Infinity` for none.
   * It takes the place of `timeoutMs`, which is for calls of one message and one answer: a stream may rightly be silent. A
   * stream that has begun is ended only by its own deadline. A larger value waits longer for a server that never answers.
   * `perTryTimeoutMs` is for streams too: leave it out where they may be silent.
   *
   * @defaultValue `Infinity`
   */
  readonly streamTimeoutMs?: number | undefined;
  /**
   * Most of what a call sends that is kept for being sent again, in bytes; 0 or more. A larger value costs memory for each
   * call under way; a call that sends more is not tried again.
   *
   * @defaultValue `262_144`
   */
  readonly replayBufferBytes?: number | undefined;
}

/** Defaults of {@link GovernedChannelOptions}; the others are those of {@link GrpcWireOptions} and of the client stack. */
export const governedChannelDefaults = {
  idempotent: false,
  services: [],
  streamTimeoutMs: Number.POSITIVE_INFINITY,
  replayBufferBytes: 262_144,
} as const;

/**
 * Makes a channel to a service that is found by discovery: generated clients of grpc-js take it as `channelOverride`,
 * nice-grpc's `createClient` as its channel. Make it once for a service; each has endpoints and experience of its own.
 *
 * All four kinds of calls are governed as HTTP is: each is sent to an endpoint that balancer and breaker choose, over a
 * channel of that endpoint; calls that may be sent twice are tried again and hedged. A stream is chosen an endpoint once and
 * holds its place there until it ends. What comes back is native: streams, `ServiceError`, metadata, `getPeer()`. Refusals
 * are a `ServiceError` with the status of their code and the GovernanceError as `cause`.
 *
 * A call's deadline (`CallOptions.deadline`, that of the inbound call, that of `parent`) only shortens `timeoutMs`: set that
 * to what the slowest method may take. It travels as `grpc-timeout`.
 *
 * A stream is over when it has been read to its end or was cancelled. One that its reader leaves is cancelled when the
 * garbage collector finds it; {@link governedClient} notices at once.
 *
 * @throws TypeError or RangeError for options that are out of range; TypeError when the service can be found nowhere
 * @example
 * ```ts
 * const channel = governedChannel(app, 'users', { idempotent: ['GetUser'] });
 * const users = new UsersClient(channel.getTarget(), credentials.createInsecure(), { channelOverride: channel });
 * const same = createClient(UsersDefinition, channel); // nice-grpc
 * ```
 *
 * Source: statuses, pushback and where an answer commits follow gRPC proposals A6 and A54. Unlike grpc-js' own policies,
 * retries draw on one budget with hedges, and nothing is sent twice that was not declared idempotent, unless unseen.
 */
export function governedChannel(
  app: ClientSource,
  service: string,
  options: GovernedChannelOptions = {},
): Channel {
  if (typeof app?.client !== 'function')
    throw wrongKind('governedChannel: the first argument', 'an app, as createApp() makes it', app);
  if (typeof options !== 'object' || options === null)
    throw wrongKind('governedChannel: options', 'an object', options);
  const {
    idempotent = governedChannelDefaults.idempotent,
    services = governedChannelDefaults.services,
    streamTimeoutMs = governedChannelDefaults.streamTimeoutMs,
    replayBufferBytes = governedChannelDefaults.replayBufferBytes,
    ...others
  } = options;
  checkNumber('governedChannel.streamTimeoutMs', streamTimeoutMs, { above: 0, infinite: true });
  checkNumber('governedChannel.replayBufferBytes', replayBufferBytes, { min: 0, integer: true });
  const methods = methodTable(services);
  const mayRepeat = idempotentBy(idempotent);
  checkMethods('governedChannel.idempotent', idempotent, methods);
  if (others.tied) checkPatterns('governedChannel.tied.routes', others.tied.routes, methods);
  const { credentials, keepaliveTimeMs, keepaliveTimeoutMs, maxReconnectMs, channelOptions, ...policy } =
    others;
  const carried = {
    credentials,
    keepaliveTimeMs,
    keepaliveTimeoutMs,
    maxReconnectMs,
    // grpc-js keeps as much, for streams that were refused.
    channelOptions: { 'grpc.per_rpc_retry_buffer_size': replayBufferBytes, ...channelOptions },
  };
  const names = { 'app.client': 'governedChannel', grpcWire: 'governedChannel' };
  const wire = inNameOf(names, () => grpcWire(carried));
  const governed = { ...policy, wire, semantics: grpcClientSemantics };
  const stack = inNameOf(names, () => app.client<GrpcRequest, GrpcAnswer>(service, governed));
  const line = new Line({
    service,
    target: `keelson:${service}`,
    clock: stack.clock,
    handler: stack.handler,
    methods,
    mayRepeat,
    streamTimeoutMs,
    replayBufferBytes,
  });
  // grpc-js knows channels by their interface, nice-grpc by the name of the class; a class with private fields cannot be
  // implemented by another.
  return new ClientChannel(line, wire.connectivity, () => stack.close()) as unknown as Channel;
}
