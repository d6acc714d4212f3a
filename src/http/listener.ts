import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createCall } from '../core/call.js';
import { type CancelSource, cancelSource } from '../core/cancel.js';
import { type Clock, systemClock } from '../core/clock.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import { aboutOption } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import { callOver } from '../core/over.js';
import { trustedPeer } from '../core/trust.js';
import { type HttpExchange, openExchange, tellLoad, whenClosed } from './exchange.js';
import { inboundHeaders, type Trust, truster } from './inbound.js';
import {
  type LoadSource,
  type LoadTeller,
  loadTeller,
  type ReportLoadOptions,
  reportLoadDefaults,
  sentOf,
  untold,
} from './load-teller.js';
import { idempotentMethods } from './method.js';
import { type OrcaFormat, orcaFormatOf, orcaRequestHeader } from './orca.js';
import { inboundPriority, parsePriority, priorityHeader } from './priority.js';
import { EarlyRejects, type RefusedRequest, type RejectEarly } from './reject-early.js';
import { rawHeader } from './reject-request.js';
import { replyWithError } from './reply.js';
import { routeTable } from './routes.js';
import { wentOut } from './server-response.js';
import { TiedServer } from './tied-server.js';
import { isUpgrade } from './upgrade.js';

/** Options of {@link toListener}. */
export interface ListenerOptions extends ReportLoadOptions {
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
  /**
   * Refuses requests before calls are made of them; see {@link RejectEarly}. Where the listener alone answers what a
   * server of HTTP/1 is asked, it does so before Node makes a response. No middleware hears of such a request, and no
   * span or log of one around the listener.
   *
   * @defaultValue none
   */
  readonly early?: RejectEarly | undefined;
  /**
   * Requests that are answered at once, without a call: health checks. Never refused.
   *
   * @defaultValue none
   */
  readonly aside?: Aside | undefined;
  /**
   * Tells how loaded this process is, for answers to tell it; see {@link ReportLoadOptions}.
   *
   * @defaultValue none
   */
  readonly load?: LoadSource | undefined;
  /**
   * Whether copies of tied calls are known as such: their senders, if trusted, are told when they start, and may take them
   * back until then. Only for handlers that ask before they start, as {@link serveHandler} does: any other would run copies
   * that must not run.
   *
   * @defaultValue `false`
   */
  readonly tied?: boolean | undefined;
  /**
   * Tells the time and waits, for `tied`.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Requests that are answered without a call. */
export interface Aside {
  /** Whether a request is one. */
  matches(req: IncomingMessage): boolean;
  /** Answers one. */
  answer(req: IncomingMessage, res: ServerResponse): void;
}

/** Defaults of {@link ListenerOptions}. */
export const listenerDefaults = {
  routes: [],
  trust: 'private',
  key: undefined,
  early: undefined,
  aside: undefined,
  load: undefined,
  tied: false,
  clock: systemClock,
  ...reportLoadDefaults,
} as const;

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
  if (typeof key !== 'function') throw wrongKind('listener.key', 'a function', key);
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

/** The priority off the headers as they came, which spares Node's record of them. */
function earlyPriority(req: IncomingMessage, trusts: (req: IncomingMessage) => boolean): number {
  const text = rawHeader(req, priorityHeader);
  return text !== undefined && trusts(req) ? parsePriority(text) : 0;
}

/** What is asked of a request before a call is made of it. */
class EarlyAsk implements RefusedRequest {
  readonly operation: string;
  readonly priority: number;

  constructor(
    readonly req: IncomingMessage,
    operation: string | undefined,
    readonly key: string | undefined,
    private readonly trusts: (req: IncomingMessage) => boolean,
  ) {
    this.operation = operation ?? nameOf(req.method ?? 'GET');
    this.priority = earlyPriority(req, trusts);
  }
  get trusted(): boolean {
    return this.trusts(this.req);
  }
}

/** Whom a server refuses most, when it has most to tell. */
function withLoad(early: RejectEarly, teller: LoadTeller | undefined): RejectEarly {
  if (teller === undefined) return early;
  const load = teller.headers(undefined);
  return {
    ...early,
    headers: (trusted) => ({
      ...early.headers?.(trusted),
      ...(teller.tells(trusted) ? sentOf(load()) : {}),
    }),
  };
}

const tellNothing = () => untold;

/** Of a header that is sent twice Node makes one text, which is no format. */
function formatAskedBy({ headers }: IncomingMessage): OrcaFormat | undefined {
  const asked = headers[orcaRequestHeader];
  return typeof asked === 'string' ? orcaFormatOf(asked) : undefined;
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
  if (typeof options !== 'object' || options === null)
    throw wrongKind('listener: options', 'an object', options);
  const { service, aside } = options;
  const operationOf = operationReader(options.routes ?? listenerDefaults.routes);
  const trusts = truster(options.trust ?? listenerDefaults.trust);
  const keyOf = keyReader(options.key);
  const teller = loadTeller('listener', options, options.load);
  if (typeof (options.tied ?? false) !== 'boolean')
    throw aboutOption(new TypeError(`listener.tied must be a boolean, got ${String(options.tied)}`));
  const tied = options.tied === true ? new TiedServer(trusts, options.clock ?? systemClock) : undefined;
  const early =
    options.early &&
    new EarlyRejects(withLoad(options.early, teller), {
      exempt: (req) => aside?.matches(req) === true || tied?.matches(req) === true,
      ask: (req) => {
        tied?.unwrap(req);
        return new EarlyAsk(req, operationOf(req), keyOf(req), trusts);
      },
      trusts,
    });
  const listen = (req: IncomingMessage, res: ServerResponse): void => {
    if (aside?.matches(req)) {
      aside.answer(req, res);
      return;
    }
    if (tied?.matches(req)) {
      tied.answer(req, res);
      return;
    }
    tied?.unwrap(req);
    if (early?.turnsAway(req, res, listen)) return;
    const exchange = openExchange(req, res);
    const method = req.method ?? 'GET';
    const trusted = trusts(req);
    const headers = inboundHeaders(req);
    const cancel = followConnection(exchange, service);
    const call = createCall({
      side: 'server',
      service,
      operation: operationOf(req) ?? nameOf(method),
      cancel,
      idempotent: idempotentMethods.has(method),
      headers,
      priority: trusted ? inboundPriority(headers) : 0,
      key: keyOf(req),
    });
    // What goes on over an upgraded connection has not the time of the handshake.
    if (isUpgrade(req)) call.values.set(callOver, true);
    else whenClosed(exchange, () => call.values.set(callOver, true));
    if (trusted) call.values.set(trustedPeer, true);
    if (teller?.tells(trusted)) tellLoad(exchange, teller.headers(formatAskedBy(req)));
    else if (options.load !== undefined) tellLoad(exchange, tellNothing);
    if (trusted && tied?.enter(exchange, call, cancel) === false) return;
    invoke(handler, exchange, call).catch((error: unknown) => replyWithError(exchange, error));
  };
  // Those of HTTP/2 are no subclasses, but made to be used as if they were.
  return listen as HttpListener;
}
