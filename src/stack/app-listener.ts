import type { RequestListener } from 'node:http';
import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Gate } from '../core/gate.js';
import { exchangeProtocol, type HttpExchange } from '../http/exchange.js';
import { type ListenerOptions, toListener } from '../http/listener.js';
import { recover } from '../http/recover.js';
import { type HttpHandler, serveHandler } from '../http/serve-handler.js';
import { bbr } from '../limiter/bbr.js';
import { type LoadSignal, loadSignal } from '../limiter/load.js';
import { httpServerSemantics } from '../telemetry/http-server-semantics.js';
import { type ServerPolicy, serverStack } from './server-stack.js';

/** Options of {@link App.listener}. */
export interface AppListenerOptions
  extends ServerPolicy<HttpExchange, HttpExchange>,
    Pick<ListenerOptions, 'routes' | 'trust'> {
  /**
   * Whether the listener itself answers `GET /healthz` and `GET /readyz`, before limits and without spans.
   *
   * @defaultValue `false`
   */
  readonly health?: boolean | undefined;
  /**
   * Whether the handler runs as the current call, so that outgoing calls inherit from it by themselves. `false` spares
   * the AsyncLocalStorage; the handler then passes its third argument on by hand.
   *
   * @defaultValue `true`
   */
  readonly context?: boolean | undefined;
}

/** Defaults of {@link AppListenerOptions}. */
export const appListenerDefaults = { health: false, context: true } as const;

interface Shared {
  readonly service: string;
  readonly bus: Bus;
  readonly clock: Clock;
}

/** Calls that come at once after a pause of the machine are no overload yet: twice what `bbr` would let in unseen. */
const burst = 20;

/** The limiter of a server that names none: adaptive, one for the whole server. */
function usualLimit({ service, bus }: Shared, load: LoadSignal): Gate {
  return bbr({
    load,
    minLimit: burst,
    onTransition: (shedding) => bus.emit('shedding', { service, shedding }),
  });
}

/** Makes the listener of an app. @returns it, and what stops its load signal */
export function appListener(
  handler: HttpHandler,
  options: AppListenerOptions & Shared,
): { readonly listener: RequestListener; readonly close: () => void } {
  const { service, bus, clock, routes, trust, context = appListenerDefaults.context } = options;
  const load = options.limits === undefined ? loadSignal({ clock }) : undefined;
  const limits = options.limits ?? (load ? [usualLimit(options, load)] : []);
  const stack = serverStack(
    {
      ...options,
      limits,
      protocol: exchangeProtocol,
      semantics: httpServerSemantics,
      recover: recover((error) => bus.emit('fault', { where: `${service} handler`, error })),
    },
    serveHandler(handler, context),
  );
  const stop = load?.start();
  return { listener: toListener(stack, { service, routes, trust }), close: () => stop?.() };
}
