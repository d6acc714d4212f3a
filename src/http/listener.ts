import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createCall } from '../core/call.js';
import { type CancelSource, cancelSource } from '../core/cancel.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import { trustedPeer } from '../core/trust.js';
import type { HttpExchange } from './exchange.js';
import { inboundHeaders, type Trust, truster } from './inbound.js';
import { idempotentMethods } from './method.js';
import { inboundPriority } from './priority.js';
import { replyWithError } from './reply.js';
import { routeTable } from './routes.js';

/** Options of {@link toListener}. */
export interface ListenerOptions {
  /** Logical name of this service. */
  readonly service: string;
  /**
   * Route templates, first match wins: `/users/:id`, `POST /orders`. They name the operation before routing has
   * happened; without a match it is the method alone, until the handler calls `nameOperation`.
   *
   * @defaultValue `[]`
   */
  readonly routes?: readonly string[] | undefined;
  /**
   * Whose deadline, priority and `x-md-global-*` metadata are believed: `'private'` for peers on loopback and
   * private networks. Give `false` where the internet comes in, also through a proxy on a private network.
   *
   * @defaultValue `'private'`
   */
  readonly trust?: Trust | undefined;
}

/** Defaults of {@link ListenerOptions}. */
export const listenerDefaults = { routes: [], trust: 'private' } as const;

/** Aborts the call when the connection goes before the response is finished. Only then is an error made. */
function followConnection(res: ServerResponse, service: string): CancelSource {
  const cancel = cancelSource();
  res.once('close', () => {
    if (!res.writableFinished)
      cancel.abort(refusal('CANCELLED', `${service}: the client went away`, { service, side: 'server' }));
  });
  return cancel;
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/**
 * Turns a governed handler into what `http.createServer` takes. Makes the call: operation by route template,
 * cancellation by the connection, headers, trust, priority. Whatever the handler rejects with becomes a response.
 *
 * @param handler - a server stack
 * @throws TypeError for a route or a trust that cannot be understood
 */
export function toListener(
  handler: Handler<HttpExchange, HttpExchange>,
  options: ListenerOptions,
): RequestListener {
  const { service } = options;
  const operationOf = routeTable(options.routes ?? listenerDefaults.routes);
  const trusts = truster(options.trust ?? listenerDefaults.trust);
  return (req: IncomingMessage, res: ServerResponse) => {
    const method = req.method ?? 'GET';
    const trusted = trusts(req);
    const headers = inboundHeaders(req);
    const call = createCall({
      side: 'server',
      service,
      operation: operationOf(method, pathOf(req.url ?? '/')) ?? method,
      cancel: followConnection(res, service),
      idempotent: idempotentMethods.has(method),
      headers,
      priority: trusted ? inboundPriority(headers) : 0,
    });
    if (trusted) call.values.set(trustedPeer, true);
    const exchange = { req, res };
    invoke(handler, exchange, call).catch((error: unknown) => replyWithError(exchange, error));
  };
}
