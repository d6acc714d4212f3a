import type { Interceptor } from '@connectrpc/connect';
import { type Call, createCall } from '../core/call.js';
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
import { type ConnectExchange, connectServerProtocol } from './connect-exchange.js';
import { InboundCall, type InboundParts } from './inbound-call.js';
import { InboundHeaders } from './inbound-headers.js';
import { arrivalOf } from './peer.js';
import { pathOf } from './rpc-method.js';
import { recoverConnect } from './server-recover.js';
import { connectServerSemantics } from './server-semantics.js';
import { type ConnectTrust, connectTruster } from './trust.js';
import { underListener } from './under-listener.js';

/** What governs servers: an app. */
export type ServerSource = Pick<App, 'service' | 'server'>;

/** Options of {@link serverInterceptor}. */
export interface ServerInterceptorOptions
  extends ServerPolicy<ConnectExchange, ConnectExchange>,
    ReportLoadOptions {
  /**
   * Whose deadline, priority, baggage and `x-md-global-*` metadata are believed: `'private'` for peers on loopback and
   * private networks, which are known by `peerContext` only. A function is asked for each call; what it throws counts as
   * `false`. A client's own timeout always ends its call: connect sees to that.
   *
   * @defaultValue `'private'`
   */
  readonly trust?: ConnectTrust | undefined;
  /**
   * Whom a call counts against, for limits by key: a tenant, a user, an address. What it throws counts as no key.
   *
   * @defaultValue none
   */
  readonly key?: ((exchange: ConnectExchange) => string | undefined) | undefined;
  /**
   * Whether the handler runs as the current call, so that outgoing calls inherit from it by themselves. `false` spares
   * the AsyncLocalStorage; `runWithCall` of `keelson/core` then makes what `callOf` gives current where it is needed.
   *
   * @defaultValue `true`
   */
  readonly context?: boolean | undefined;
  /**
   * Told of each fault of a handler: what it throws that is neither a `ConnectError` nor a refusal, nor follows from a
   * client that went away. It is told of on the bus as `fault` too. Without it, and while nobody listens to `fault`,
   * faults are written to the console.
   *
   * @defaultValue none: `console.error` with the operation and the error, unless somebody listens to `fault`
   */
  readonly onError?: FaultTeller | undefined;
  /**
   * How long a handler that goes on after its client has gone, or after its time, still counts as in flight, in
   * milliseconds; 0 or more. A larger value guards better against clients that give up and ask again.
   *
   * @defaultValue `30_000`
   */
  readonly abandonedMs?: number | undefined;
}

/** Defaults of {@link ServerInterceptorOptions}. */
export const serverInterceptorDefaults = {
  trust: 'private',
  key: undefined,
  context: true,
  abandonedMs: 30_000,
  ...reportLoadDefaults,
} as const;

/** What is decided here; the rest is the app's. */
interface Settings {
  readonly trust: ConnectTrust;
  readonly key: ServerInterceptorOptions['key'];
  readonly context: boolean;
  readonly abandonedMs: number;
}

function settingsOf(given: object): Settings {
  const settings = resolveOptions<Settings>('serverInterceptor', serverInterceptorDefaults, given, {
    abandonedMs: { min: 0 },
  });
  const { key } = settings;
  if (key !== undefined && typeof key !== 'function')
    throw wrongKind('serverInterceptor.key', 'a function', key);
  return settings;
}

/** Makes the calls of one server. */
function opener(service: string, { trust, key }: Settings): (exchange: InboundCall) => Call {
  const trusts = connectTruster(trust);
  const keyOf = (exchange: ConnectExchange): string | undefined => {
    try {
      return key?.(exchange);
    } catch {
      return undefined;
    }
  };
  return (exchange) => {
    const headers = new InboundHeaders(exchange.header);
    const trusted = trusts(exchange);
    const call = createCall({
      side: 'server',
      service,
      operation: pathOf(exchange.method),
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
function partsOf(app: ServerSource, options: ServerInterceptorOptions): InboundParts {
  if (typeof app?.server !== 'function')
    throw wrongKind('serverInterceptor: the first argument', 'an app, as createApp() makes it', app);
  if (typeof options !== 'object' || options === null)
    throw wrongKind('serverInterceptor: options', 'an object', options);
  const { trust, key, context, abandonedMs, reportLoad, loadFormats, ...policy } = options;
  const settings = settingsOf({ trust, key, context, abandonedMs });
  let tell: FaultTeller = () => undefined;
  let load: LoadSource | undefined;
  const run = (exchange: ConnectExchange, call: Call) => (exchange as InboundCall).run(call);
  const server: AppServerOptions<ConnectExchange, ConnectExchange> = {
    ...policy,
    protocol: connectServerProtocol,
    semantics: connectServerSemantics,
    recover: (told, source) => {
      tell = told;
      load = source;
      return recoverConnect(told);
    },
  };
  const handler: typeof run = settings.context
    ? (exchange, call) => runWithCall(call, () => run(exchange, call))
    : run;
  const stack = inNameOf({ 'app.server': 'serverInterceptor' }, () => app.server(server, handler));
  const teller = loadTeller('serverInterceptor', { reportLoad, loadFormats }, load);
  return { stack, tell, teller, open: opener(app.service, settings), abandonedMs: settings.abandonedMs };
}

/** Asked by whoever decides whether the server gets calls at all: a limit must not make it look dead. */
const health = 'grpc.health.v1.Health';

/**
 * Governs a server of Connect: makes an interceptor for all methods of all four kinds, over all of its protocols. Deadline,
 * limits, spans and metrics of RPC, fault reports are those of {@link App.server}; outgoing calls of the handlers inherit
 * deadline, trace and metadata. Put it first: what is before it is not governed.
 *
 * Clients get the code of a refusal, and by headers that the server sheds and when to come back. What handlers throw goes
 * out as connect does it: a `ConnectError` as it is, anything else as `internal` without details. A stream holds its place
 * to its end; a handler is told by its signal when nobody waits, and one that suspends its stream is ended then.
 *
 * Connect reads the message of a unary call before it asks interceptors. `app.listener(connectNodeAdapter(…))` governs the
 * same server as one of HTTP, and refuses before that; it sees statuses of HTTP only, which for gRPC and for streams are
 * always 200. Use one of the two. With both, and `peerContext`, the listener governs, and this adds names of operations,
 * {@link callOf} and codes.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const interceptors = [serverInterceptor(app)];
 * const handler = connectNodeAdapter({ routes, interceptors, contextValues: peerContext });
 * await app.serve(http2.createServer(handler), { port: 9000 });
 * ```
 *
 * Source: kratos' `transport/grpc` runs its middlewares around each message of a stream; here a stream is one call.
 */
export function serverInterceptor(app: ServerSource, options: ServerInterceptorOptions = {}): Interceptor {
  const parts = partsOf(app, options);
  return (next) => (request) => {
    const served = arrivalOf(request.contextValues)?.served;
    if (served !== undefined) return underListener(request, next, served);
    if (request.method.parent.typeName === health) return next(request);
    return new InboundCall(request, next, parts).serve();
  };
}
