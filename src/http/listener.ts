import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createCall } from '../core/call.js';
import { type CancelSource, cancelSource } from '../core/cancel.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import { callOver } from '../core/over.js';
import { trustedPeer } from '../core/trust.js';
import { type HttpExchange, openExchange, whenClosed } from './exchange.js';
import { inboundHeaders, type Trust, truster } from './inbound.js';
import { idempotentMethods } from './method.js';
import { inboundPriority } from './priority.js';
import { replyWithError } from './reply.js';
import { routeTable } from './routes.js';
import { wentOut } from './server-response.js';
import { isUpgrade } from './upgrade.js';

/** Options of {@link toListener}. */
export interface ListenerOptions {
  /** Logical name of this service. */
  readonly service: string;
  /**
   * Route templates, first match wins: `/users/:id`, `POST /orders`. They name the operation before routing has
   * happened; without a match it is the method alone, until the handler calls `nameOperation`. Or a function that gives
   * the template of a request, never its path, or `undefined`; what it throws counts as no match.
   *
   * @defaultValue `[]`
   */
  readonly routes?: readonly string[] | ((req: IncomingMessage) => string | undefined) | undefined;
  /**
   * Whose deadline, priority, baggage and `x-md-global-*` metadata are believed: `'private'` for peers on loopback and
   * private networks. Give `false` where the internet comes in, also through a proxy on a private network. A function is
   * asked for each request; what it throws counts as `false`.
   *
   * @defaultValue `'private'`
   */
  readonly trust?: Trust | undefined;
  /**
   * Whom a call counts against, for limits by key: a tenant, a user, an address. What it throws counts as no key.
   *
   * @defaultValue none
   */
  readonly key?: ((req: IncomingMessage) => string | undefined) | undefined;
}

/** Defaults of {@link ListenerOptions}. */
export const listenerDefaults = { routes: [], trust: 'private', key: undefined } as const;

/** What `http.createServer` takes, and `http2.createServer`, whose requests and responses have the form of HTTP/1. */
export type HttpListener = (
  req: IncomingMessage | Http2ServerRequest,
  res: ServerResponse | Http2ServerResponse,
) => void;

/** Aborts the call when the connection goes before the response is finished. Only then is an error made. */
function followConnection(exchange: HttpExchange, service: string): CancelSource {
  const cancel = cancelSource();
  whenClosed(exchange, () => {
    if (!wentOut(exchange.res))
      cancel.abort(refusal('CANCELLED', `${service}: the client went away`, { service, side: 'server' }));
  });
  return cancel;
}

const knownMethods: ReadonlySet<string> = new Set(METHODS);

/** The parser of HTTP/1 knows all its methods; over HTTP/2 anything comes, and operations are of low cardinality. */
function nameOf(method: string): string {
  return knownMethods.has(method) ? method : '_OTHER';
}

type Reader = (req: IncomingMessage) => string | undefined;

/** What a function of the user's says of a request. One that throws must not cost the call. */
function safely(read: Reader): Reader {
  return (req) => {
    try {
      return read(req);
    } catch {
      return undefined;
    }
  };
}

function keyReader(key: ListenerOptions['key']): Reader {
  if (key === undefined) return () => undefined;
  if (typeof key !== 'function') throw new TypeError(`listener.key must be a function, got ${String(key)}`);
  return safely(key);
}

/** Names the operation of a request by its template; without one, `undefined`. */
function operationReader(routes: NonNullable<ListenerOptions['routes']>): Reader {
  if (typeof routes !== 'function') {
    const operationOf = routeTable(routes);
    return (req) => operationOf(nameOf(req.method ?? 'GET'), req.url ?? '/');
  }
  const templateOf = safely(routes);
  return (req) => {
    const template = templateOf(req);
    return template === undefined ? undefined : `${nameOf(req.method ?? 'GET')} ${template}`;
  };
}

/**
 * Turns a governed handler into what `http.createServer` takes. Makes the call: operation by route template,
 * cancellation by the connection, headers, trust, priority. Whatever the handler rejects with becomes a response.
 *
 * @param handler - a server stack
 * @throws TypeError for a route, a trust or a key that cannot be understood
 */
export function toListener(
  handler: Handler<HttpExchange, HttpExchange>,
  options: ListenerOptions,
): HttpListener {
  const { service } = options;
  const operationOf = operationReader(options.routes ?? listenerDefaults.routes);
  const trusts = truster(options.trust ?? listenerDefaults.trust);
  const keyOf = keyReader(options.key);
  const listen = (req: IncomingMessage, res: ServerResponse): void => {
    const exchange = openExchange(req, res);
    const method = req.method ?? 'GET';
    const trusted = trusts(req);
    const headers = inboundHeaders(req);
    const call = createCall({
      side: 'server',
      service,
      operation: operationOf(req) ?? nameOf(method),
      cancel: followConnection(exchange, service),
      idempotent: idempotentMethods.has(method),
      headers,
      priority: trusted ? inboundPriority(headers) : 0,
      key: keyOf(req),
    });
    // What goes on over an upgraded connection has not the time of the handshake.
    if (isUpgrade(req)) call.values.set(callOver, true);
    else whenClosed(exchange, () => call.values.set(callOver, true));
    if (trusted) call.values.set(trustedPeer, true);
    invoke(handler, exchange, call).catch((error: unknown) => replyWithError(exchange, error));
  };
  // Those of HTTP/2 are no subclasses, but made to be used as if they were.
  return listen as HttpListener;
}
