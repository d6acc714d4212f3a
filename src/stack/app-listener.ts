import type { Call } from '../core/call.js';
import { exchangeProtocol, type HttpExchange } from '../http/exchange.js';
import { type HttpListener, type ListenerOptions, listenerDefaults, toListener } from '../http/listener.js';
import { recover } from '../http/recover.js';
import { type HttpHandler, serveHandler } from '../http/serve-handler.js';
import { httpServerSemantics } from '../telemetry/http-server-semantics.js';
import { appServer, type ServerParts } from './app-server.js';
import { checkOptions, overlay } from './policy-checks.js';
import { type ServerPolicy, serverPolicyDefaults } from './server-stack.js';

/** Options of {@link App.listener}. */
export interface AppListenerOptions
  extends ServerPolicy<HttpExchange, HttpExchange>,
    Pick<ListenerOptions, 'routes' | 'trust' | 'key'> {
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
  ...listenerDefaults,
  health: false,
  context: true,
  onError: undefined,
} as const;

/** Makes the listener of an app. */
export function appListener(
  handler: HttpHandler,
  given: AppListenerOptions,
  parts: ServerParts,
): HttpListener {
  checkOptions('listener', { known: appListenerDefaults }, given);
  const {
    routes,
    trust,
    key,
    health: _,
    context,
    onError,
    ...policy
  } = overlay<AppListenerOptions>({}, given);
  if (onError !== undefined && typeof onError !== 'function')
    throw new TypeError(`listener.onError must be a function, got ${String(onError)}`);
  const stack = appServer<HttpExchange, HttpExchange>(
    (tell) => serveHandler(handler, { context, onLateError: tell, clock: parts.clock }),
    { ...policy, onError, protocol: exchangeProtocol, semantics: httpServerSemantics, recover },
    parts,
  );
  return toListener(stack, { service: parts.service, routes, trust, key });
}
