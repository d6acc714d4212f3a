import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { type Call, createCall } from '../core/call.js';
import { systemClock } from '../core/clock.js';
import { runWithCall } from '../core/current.js';
import { inNameOf } from '../core/in-name-of.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import { trustedPeer } from '../core/trust.js';
import {
  type LoadSource,
  loadTeller,
  type ReportLoadOptions,
  reportLoadDefaults,
} from '../http/load-teller.js';
import { inboundPriority } from '../http/priority.js';
import type { App } from '../stack/app.js';
import type { AppServerOptions, FaultTeller } from '../stack/app-server.js';
import type { ServerPolicy } from '../stack/server-stack.js';
import { type GrpcExchange, grpcServerProtocol } from './exchange.js';
import { isHealthMethod } from './health-definition.js';
import { InboundCall, type InboundParts } from './inbound-call.js';
import { InboundMetadata } from './inbound-metadata.js';
import { Intercepted } from './intercepted.js';
import { type GrpcTrust, grpcTruster } from './peer.js';
import { recoverGrpc } from './server-recover.js';
import { grpcServerSemantics } from './server-semantics.js';
import { TiedCalls } from './tied-calls.js';

/** What governs servers: an app. */
export type ServerSource = Pick<App, 'service' | 'server'>;

/** Options of {@link governServer}. */
export interface GovernServerOptions extends ServerPolicy<GrpcExchange, GrpcExchange>, ReportLoadOptions {
  /**
   * Whose priority, baggage and `x-md-global-*` metadata are believed: `'private'` for peers on loopback and private
   * networks. A function is asked for each call, and sees the peer's certificate by `getAuthContext`; what it throws
   * counts as `false`. A deadline ends the call of any client; outgoing calls inherit that of a trusted one.
   *
   * @defaultValue `'private'`
   */
  readonly trust?: GrpcTrust | undefined;
  /**
   * Whom a call counts against, for limits by key: a tenant, a user, an address. What it throws counts as no key.
   *
   * @defaultValue none
   */
  readonly key?: ((exchange: GrpcExchange) => string | undefined) | undefined;
  /**
   * Whether the handler runs as the current call, so that outgoing calls inherit from it by themselves. `false` spares
   * the AsyncLocalStorage; `runWithCall` of `keelson/core` then makes what `callOf` gives current where it is needed.
   *
   * @defaultValue `true`
   */
  readonly context?: boolean | undefined;
  /**
   * Told of each fault of a handler, but neither of refusals nor of what follows from a client that went away. It is told
   * of on the bus as `fault` too. Without it, and while nobody listens to `fault`, faults are written to the console.
   *
   * @defaultValue none: `console.error` with the operation and the error, unless somebody listens to `fault`
   */
  readonly onError?: FaultTeller | undefined;
  /**
   * Longest wait for the request of a method that takes one, in milliseconds, counted from when the call was let in;
   * above 0, `Infinity` for ever. A larger value lets a client that opens calls and sends nothing take places for longer.
   * No effect on methods that take a stream.
   *
   * @defaultValue `60_000`
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Longest that a message on its way out may wait for the client to read, in milliseconds; above 0, `Infinity` for ever.
   * A smaller value frees sooner the places of streams that nobody reads any more, and cuts off clients that think for
   * long. A client that has gone or hangs is found by `grpc.keepalive_time_ms` of the server, not by this.
   *
   * @defaultValue `Infinity`
   */
  readonly stallTimeoutMs?: number | undefined;
  /**
   * How long an async handler that goes on after its client has gone still counts as in flight, in milliseconds; 0 or
   * more. A larger value guards better against clients that give up and ask again. Only of handlers whose promise is
   * known, by `governHandlers` or `governMiddleware`.
   *
   * @defaultValue `30_000`
   */
  readonly abandonedMs?: number | undefined;
}

/** Defaults of {@link GovernServerOptions}. */
export const governServerDefaults = {
  trust: 'private',
  key: undefined,
  context: true,
  requestTimeoutMs: 60_000,
  stallTimeoutMs: Number.POSITIVE_INFINITY,
  abandonedMs: 30_000,
  ...reportLoadDefaults,
} as const;

/** What is decided here; the rest is the app's. */
interface Settings {
  readonly trust: GrpcTrust;
  readonly key: GovernServerOptions['key'];
  readonly context: boolean;
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly abandonedMs: number;
}

function settingsOf(given: GovernServerOptions): Settings {
  const settings = resolveOptions<Settings>('governServer', governServerDefaults, given, {
    requestTimeoutMs: { above: 0, infinite: true },
    stallTimeoutMs: { above: 0, infinite: true },
    abandonedMs: { min: 0 },
  });
  const { key } = settings;
  if (key !== undefined && typeof key !== 'function') throw wrongKind('governServer.key', 'a function', key);
  return settings;
}

/** Makes the calls of one server. */
function opener(service: string, { trust, key }: Settings): (exchange: InboundCall) => Call {
  const trusts = grpcTruster(trust);
  const keyOf = (exchange: GrpcExchange): string | undefined => {
    try {
      return key?.(exchange);
    } catch {
      return undefined;
    }
  };
  return (exchange) => {
    const headers = new InboundMetadata(exchange.metadata, exchange.leftMs);
    const trusted = trusts(exchange.wire);
    const call = createCall({
      side: 'server',
      service,
      operation: exchange.method.path,
      cancel: exchange.cancel,
      headers,
      priority: trusted ? inboundPriority(headers) : 0,
      key: keyOf(exchange),
    });
    if (trusted) call.values.set(trustedPeer, true);
    return call;
  };
}

/** Joins the stack of the app to the calls of one server. */
function partsOf(app: ServerSource, options: GovernServerOptions): InboundParts {
  if (typeof app?.server !== 'function')
    throw wrongKind('governServer: the first argument', 'an app, as createApp() makes it', app);
  if (typeof options !== 'object' || options === null)
    throw wrongKind('governServer: options', 'an object', options);
  const { trust, key, context, requestTimeoutMs, stallTimeoutMs, abandonedMs, ...others } = options;
  const { reportLoad, loadFormats, ...policy } = others;
  const settings = settingsOf({ trust, key, context, requestTimeoutMs, stallTimeoutMs, abandonedMs });
  let tell: FaultTeller = () => undefined;
  let load: LoadSource | undefined;
  const run = (exchange: GrpcExchange, call: Call) => (exchange as InboundCall).run(call);
  const server: AppServerOptions<GrpcExchange, GrpcExchange> = {
    ...policy,
    protocol: grpcServerProtocol,
    semantics: grpcServerSemantics,
    recover: (told, source) => {
      tell = told;
      load = source;
      return recoverGrpc(told);
    },
  };
  const handler: typeof run = settings.context
    ? (exchange, call) => runWithCall(call, () => run(exchange, call))
    : run;
  const stack = inNameOf({ 'app.server': 'governServer' }, () => app.server(server, handler));
  const clock = systemClock;
  const teller = loadTeller('governServer', { reportLoad, loadFormats }, load);
  return {
    ...settings,
    stack,
    tell,
    teller,
    open: opener(app.service, settings),
    clock,
    tied: new TiedCalls(clock),
  };
}

/**
 * Governs a gRPC server of grpc-js, or of a library that stands on it: makes an interceptor for all methods of all four
 * kinds. Deadline, limits, spans and metrics, fault reports are those of {@link App.server}; outgoing calls of the
 * handlers inherit deadline, trace and metadata.
 *
 * A call that is refused costs no message: limits are asked before anything but the metadata is read. Clients get the
 * status of the refusal, and by trailers that the server sheds and when to come back. Calls of the health service are let
 * through ungoverned.
 *
 * Put it first among the interceptors: what is before it is not governed, and what is after it does not see the status of
 * calls that are answered in the handler's place, refusals and faults. grpc-js shows no interceptor the error that a
 * handler fails with: {@link governHandlers} around the handlers gives each error its status, and lets them be async;
 * without it a plain error goes out as UNKNOWN with its message, as grpc-js does it.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const server = new grpc.Server({ interceptors: [governServer(app)] });
 * server.addService(Greeter.service, governHandlers({ sayHello: async (call) => ({ message: 'hello' }) }));
 * addHealth(server, app);
 * await app.serve(grpcServer(server), { port: 9000 });
 * ```
 *
 * Source: gRPC proposal L112 (interceptors of Node servers). kratos' `transport/grpc` runs its middlewares around each
 * message of a stream; here a stream is one call, and holds its place to its end.
 */
export function governServer(app: ServerSource, options: GovernServerOptions = {}): ServerInterceptor {
  const parts = partsOf(app, options);
  return ({ path, requestStream, responseStream }, wire) =>
    isHealthMethod(path)
      ? new ServerInterceptingCall(wire)
      : new Intercepted(new InboundCall(wire, { path, requestStream, responseStream }, parts));
}
