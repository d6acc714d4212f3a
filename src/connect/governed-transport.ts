import type { Transport } from '@connectrpc/connect';
import { inNameOf } from '../core/in-name-of.js';
import { checkNumber, wrongKind } from '../core/options.js';
import type { App } from '../stack/app.js';
import type { AppClientOptions } from '../stack/app-client.js';
import { Caller } from './caller.js';
import { connectClientSemantics } from './client-semantics.js';
import { ClientTransport } from './client-transport.js';
import type { ConnectAnswer } from './connect-answer.js';
import type { ConnectRequest } from './connect-request.js';
import { connectWire, type TransportFactory } from './connect-wire.js';
import { type IdempotentMethods, idempotentBy } from './idempotent.js';

/** What makes clients: an app. */
export type ClientSource = Pick<App, 'client'>;

/** Options of {@link governedTransport}: how calls are governed, how they are carried, what is known of their methods. */
export interface GovernedTransportOptions
  extends Omit<AppClientOptions<ConnectRequest, ConnectAnswer>, 'wire' | 'semantics' | 'caller'> {
  /**
   * Makes the transport of one instance, once when it appears: `(baseUrl) => createGrpcTransport({ baseUrl })`. Protocol,
   * limits of sizes, TLS and keepalive (`pingIntervalMs`) are what you give to it; its interceptors run for each attempt.
   * If it has a method `close`, that is called when the instance has left and its last call ended; without it connections
   * go by their idle timeout. Its second argument is the endpoint: where addresses are of several kinds, its `url` tells.
   */
  readonly transport: TransportFactory;
  /**
   * Which addresses of an instance are called, by scheme. `h2c` and `grpc` are written `http` for transports, and `grpcs`
   * is written `https`. Narrow it where instances have several addresses and the transport speaks to one kind.
   *
   * @defaultValue `['http', 'https', 'h2c', 'grpc', 'grpcs']`
   */
  readonly schemes?: readonly string[] | undefined;
  /**
   * Which methods may be sent twice, so that their calls are tried again and hedged: all or none, those in a list (`Get` or
   * `/users.v1.Users/Get`), or those that a function says. Besides: methods whose proto file says so by
   * `idempotency_level`, and single calls by {@link governance}. A call that nobody can have seen is tried again in any
   * case.
   *
   * @defaultValue `false`
   */
  readonly idempotent?: IdempotentMethods | undefined;
  /**
   * Time of a call with a stream in either direction until its first answer, in milliseconds; above 0, `Infinity` for
   * none. It takes the place of `timeoutMs`, which is for calls of one message and one answer: a stream may rightly be
   * silent. A stream that has begun is ended only by its own timeout. A larger value waits longer for a server that never
   * answers.
   *
   * @defaultValue `Infinity`
   */
  readonly streamTimeoutMs?: number | undefined;
}

/** Defaults of {@link GovernedTransportOptions}; the others are those of the client stack. */
export const governedTransportDefaults = {
  schemes: ['http', 'https', 'h2c', 'grpc', 'grpcs'],
  idempotent: false,
  streamTimeoutMs: Number.POSITIVE_INFINITY,
} as const;

function checkSchemes(schemes: readonly string[]): readonly string[] {
  const known: readonly string[] = governedTransportDefaults.schemes;
  if (!Array.isArray(schemes) || schemes.length === 0)
    throw new TypeError('governedTransport.schemes must be a list that is not empty');
  const unknown = schemes.find((scheme) => !known.includes(scheme));
  if (unknown === undefined) return schemes;
  throw new RangeError(
    `governedTransport.schemes: each must be one of ${known.join(', ')}, got ${String(unknown)}`,
  );
}

/**
 * Makes a transport to a service that is found by discovery, for `createClient` of Connect. It stands on native transports,
 * one for each instance, of whichever protocol. Make it once for a service; each has endpoints and experience of its own.
 *
 * All four kinds of calls are governed as HTTP is: each is sent to an endpoint that balancer and breaker choose; calls that
 * may be sent twice are tried again and hedged, streams until their first message. A stream holds its place at its endpoint
 * until it ends. Of what a caller streams one message is kept: of longer ones only the beginning is sent elsewhere.
 *
 * Errors are a native `ConnectError`; one that is a refusal has the GovernanceError as `cause`, one that follows from the
 * caller's own abort is `canceled`, with the caller's reason as `cause`.
 *
 * `timeoutMs` of a call goes before that of the policy, and the deadline of the inbound call before both; it travels in the
 * header of the protocol. Headers come with the first message of an answer, or before it to whoever sends a stream.
 *
 * A stream is over when it has been read to its end or was cancelled by its `signal`. One that its reader leaves is
 * cancelled when the garbage collector finds it, for clients of Connect tell nobody of a `break`.
 *
 * There is no interceptor for a transport that exists already: over HTTP/2 a transport of connect-node refuses any
 * address but that of its own connection, so that nothing could be balanced.
 *
 * @throws TypeError or RangeError for options that are out of range; TypeError when the service can be found nowhere
 * @example
 * ```ts
 * const transport = governedTransport(app, 'users', {
 *   transport: (baseUrl) => createGrpcTransport({ baseUrl }),
 * });
 * const users = createClient(Users, transport);
 * const user = await users.get({ id: 42n }, { timeoutMs: 500 });
 * ```
 *
 * Source: codes follow connectrpc.com "Protocol"; pushback and where an answer commits follow gRPC proposals A6 and A54.
 */
export function governedTransport(
  app: ClientSource,
  service: string,
  options: GovernedTransportOptions,
): Transport {
  if (typeof app?.client !== 'function')
    throw wrongKind('governedTransport: the first argument', 'an app, as createApp() makes it', app);
  if (typeof options !== 'object' || options === null)
    throw wrongKind('governedTransport: options', 'an object with a transport', options);
  const {
    transport,
    schemes = governedTransportDefaults.schemes,
    idempotent = governedTransportDefaults.idempotent,
    streamTimeoutMs = governedTransportDefaults.streamTimeoutMs,
    ...policy
  } = options;
  if (typeof transport !== 'function')
    throw wrongKind('governedTransport.transport', 'a function of the base URL', transport);
  checkNumber('governedTransport.streamTimeoutMs', streamTimeoutMs, { above: 0, infinite: true });
  const mayRepeat = idempotentBy(idempotent);
  const wire = connectWire(transport, checkSchemes(schemes));
  const governed = { ...policy, wire, semantics: connectClientSemantics };
  const { handler, clock } = inNameOf({ 'app.client': 'governedTransport' }, () =>
    app.client<ConnectRequest, ConnectAnswer>(service, governed),
  );
  const caller = new Caller({ service, clock, idempotent: mayRepeat, streamTimeoutMs });
  // The types of messages are whatever the method says, which no implementation can know.
  return new ClientTransport(handler, caller) as unknown as Transport;
}
