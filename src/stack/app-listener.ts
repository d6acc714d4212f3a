import type { Call } from '../core/call.js';
import type { RejectionCode } from '../core/errors.js';
import { inNameOf } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import { exchangeProtocol, type HttpExchange } from '../http/exchange.js';
import {
  type Aside,
  type HttpListener,
  type ListenerOptions,
  listenerDefaults,
  toListener,
} from '../http/listener.js';
import { type ReportLoadOptions, reportLoadDefaults } from '../http/load-teller.js';
import { recover } from '../http/recover.js';
import type { RefusedRequest } from '../http/reject-early.js';
import { rawHeader } from '../http/reject-request.js';
import { type HttpHandler, serveHandler } from '../http/serve-handler.js';
import { httpRefusals } from '../telemetry/http-refusals.js';
import { httpServerSemantics } from '../telemetry/http-server-semantics.js';
import { knownServiceName, serviceNameHeader } from '../telemetry/service-name.js';
import { appServer, type ServerParts } from './app-server.js';
import { earlyLimits } from './early-limits.js';
import { exchangeSizes } from './http-sizes.js';
import { checkGates, checkOptions, overlay } from './policy-checks.js';
import { type ServerPolicy, serverPolicyDefaults } from './server-stack.js';

/** Options of {@link App.listener}. */
export interface AppListenerOptions
  extends ServerPolicy<HttpExchange, HttpExchange>,
    Pick<ListenerOptions, 'routes' | 'trust' | 'key'>,
    ReportLoadOptions {
  /**
   * Whether the listener itself answers `GET /healthz` and `GET /readyz`, before limits and without spans.
   *
   * @defaultValue `false`
   */
  readonly health?: boolean | undefined;
  /**
   * Whether the handler runs as the current call, so that outgoing calls inherit from it by themselves. `false` spares
   * the AsyncLocalStorage; `runWithCall` of `keelson/core` then makes the handler's third argument current where it is
   * needed.
   *
   * @defaultValue `true`
   */
  readonly context?: boolean | undefined;
  /**
   * Whether limits that can tell are asked before a call is made of a request, while they refuse. What they refuse then
   * costs a fraction: on a server of HTTP/1 that this listener answers alone the answer is written before Node makes a
   * response, which is little more than reading and writing the socket. It is the same answer, but few hear of it: no
   * span, no line of a log, no other listener or instrumentation of the server. The event `rejected`, the metrics
   * `keelson.rejected` and `http.server.request.duration`, and the edges of the app count them, these two with the caller.
   * `false` where each refused request has to be in a trace or log. No effect with limits
   * that cannot tell, which are all but the queue, `bbr` and `concurrency`; nor while nothing is refused.
   *
   * @defaultValue `true`
   */
  readonly rejectEarly?: boolean | undefined;
  /**
   * Told of each fault of a handler: what it throws or rejects with, also after its answer has begun, but neither
   * refusals nor what follows from a client that went away. It is told of on the bus as `fault` too. Without it, and
   * while nobody listens to `fault`, faults are written to the console.
   *
   * @defaultValue none: `console.error` with the operation and the error, unless somebody listens to `fault`
   */
  readonly onError?: ((error: unknown, call: Call) => void) | undefined;
}

/** Defaults of {@link AppListenerOptions}. */
export const appListenerDefaults = {
  ...serverPolicyDefaults,
  routes: listenerDefaults.routes,
  trust: listenerDefaults.trust,
  key: listenerDefaults.key,
  ...reportLoadDefaults,
  health: false,
  context: true,
  rejectEarly: true,
  onError: undefined,
} as const;

type ListenerParts = ServerParts & { readonly health: Aside };

/** What the parts of a listener call themselves, and what its user calls them. */
const names = {
  listener: 'app.listener',
  serveHandler: 'app.listener',
  'app.server': 'app.listener',
  routes: 'app.listener.routes',
};

/** Makes the listener of an app. */
export function appListener(
  handler: HttpHandler,
  given: AppListenerOptions,
  parts: ListenerParts,
): HttpListener {
  return inNameOf(names, () => listenerOf(handler, given, parts));
}

function listenerOf(handler: HttpHandler, given: AppListenerOptions, parts: ListenerParts): HttpListener {
  checkOptions('listener', { known: appListenerDefaults }, given);
  const options = overlay<AppListenerOptions>({}, given);
  const { routes, trust, key, health, context, rejectEarly, reportLoad, loadFormats, onError, ...policy } =
    options;
  if (onError !== undefined && typeof onError !== 'function')
    throw wrongKind('listener.onError', 'a function', onError);
  checkGates('listener.limits', policy.limits, 'queue');
  const { service, events, clock } = parts;
  const { limits } = policy;
  const queue = parts.queues.of('listener', policy.queue, limits);
  const { topology, sizes } = parts.telemetry;
  const stack = appServer<HttpExchange, HttpExchange>(
    (tell) => serveHandler(handler, { context, onLateError: tell, clock }),
    {
      ...policy,
      queue: queue ?? false,
      onError,
      protocol: exchangeProtocol,
      semantics: httpServerSemantics,
      sizes: sizes ? exchangeSizes : undefined,
      recover,
    },
    parts,
  );
  const load = parts.load();
  const measure = policy.metrics === false ? undefined : httpRefusals();
  const onReject = (code: RejectionCode, refused: RefusedRequest): void => {
    load.cameInVain(refused);
    const { req, operation, trusted } = refused;
    const name = trusted ? rawHeader(req, serviceNameHeader) : undefined;
    const caller = name === undefined ? undefined : knownServiceName(name);
    topology?.refused(code, operation, caller);
    measure?.({ req, code, operation, caller });
  };
  const early =
    rejectEarly === false
      ? undefined
      : earlyLimits([...load.watched(limits ?? []), ...(queue ? [queue] : [])], {
          service,
          bus: events,
          clock,
          onReject,
          atEnd: parts.atEnd,
        });
  const aside = health ? parts.health : undefined;
  const told = { load: load.told, reportLoad, loadFormats };
  return toListener(stack, { service, routes, trust, key, early, aside, tied: true, clock, ...told });
}
