import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { callerOf } from './caller.js';
import { type Route, routes } from './endpoints.js';
import type { Engine } from './engine.js';
import { isNamed } from './host-names.js';
import { HttpExchange } from './http-exchange.js';
import { type Params, readForm, readJson } from './params.js';
import { codes, Refused } from './refused.js';
import { refusal } from './reply.js';
import { readBody } from './request-body.js';
import { runRoute, tellRefused } from './run-route.js';
import type { TlsSettings } from './tls-files.js';

/** Bytes of headers besides the path and query. */
const headerBytes = 16_384;
/** How often connections are looked at for requests that do not end; milliseconds. */
const checkIntervalMs = 2_000;
/** Idle time of a kept connection; above what clients wait between two polls, so that it is they who close first. */
const keepAliveTimeout = 75_000;
/** Least silence after which a connection with a request under way is cut. Ends readers that never read. */
const silenceTimeoutMs = 120_000;
/** What the platform's timers take. */
const longestMs = 2 ** 31 - 1;

/** Pages of other sites may post forms to loopback without asking anybody; no client of the protocol sends an Origin. */
function fromForeignPage({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers;
  return origin !== undefined && origin.replace(/^https?:\/\//, '') !== host;
}

/** The body's parameters come before those of the query, as Go's form parser has it. */
function readParams(body: string, query: string, type = ''): Params {
  const params: Params = new Map();
  const mediaType = type.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'application/json') readJson(body, params);
  else if (mediaType === 'application/x-www-form-urlencoded') readForm(body, params);
  readForm(query, params);
  return params;
}

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

class Front {
  constructor(private readonly engine: Engine) {}

  serve(request: IncomingMessage, response: ServerResponse): void {
    const { url = '/', method } = request;
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const query = mark < 0 ? '' : url.slice(mark + 1);
    const route = routes.get(path);
    const exchange = new HttpExchange(this.engine, { request, response, path });
    const [status, text] = this.outside(request, path, route);
    if (status !== 200 || text !== '') exchange.text(status, `${text}\n`);
    else if (!this.admit(request, exchange, route)) return;
    else if (route === undefined) exchange.text(200, this.engine.metrics(), metricsType);
    else if (method === 'GET') runRoute(this.engine, route, { exchange, read: () => readParams('', query) });
    else void this.servePost(request, exchange, { route, query });
  }

  /** What is answered outside the protocol, and to everybody; 200 and nothing: it is not for here. */
  private outside(
    request: IncomingMessage,
    path: string,
    route: Route | undefined,
  ): readonly [number, string] {
    if ((request.url ?? '').length > this.engine.limits.urlBytes) return [414, '414 uri too long'];
    if (path === '/healthz') return [200, 'ok'];
    if (path === '/readyz') return this.readiness();
    if (route === undefined && path !== '/metrics') return [404, '404 page not found'];
    if ((route?.method ?? 'GET') !== request.method) return [405, '405 method not allowed'];
    const { names } = this.engine;
    if (names && !isNamed(names, request.headers.host))
      return [403, '403 not under this name: only as localhost, an address, or what it advertises'];
    if (request.method === 'POST' && fromForeignPage(request))
      return [403, '403 not for pages of other origins'];
    return [200, ''];
  }

  /** @returns whether it may go on; otherwise it is answered */
  private admit(request: IncomingMessage, exchange: HttpExchange, route: Route | undefined): boolean {
    const { access } = this.engine;
    try {
      exchange.caller = access.admit(request, request.method === 'POST');
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      exchange.caller = callerOf(request, '');
      if (route) tellRefused(this.engine, route, { error, exchange });
      exchange.answer(refusal(error));
      return false;
    }
  }

  private readiness(): readonly [number, string] {
    if (this.engine.closing) return [503, 'closing'];
    return this.engine.replication?.synced === false ? [503, 'hearing from its peers'] : [200, 'ok'];
  }

  private async servePost(
    request: IncomingMessage,
    exchange: HttpExchange,
    { route, query }: { route: Route; query: string },
  ): Promise<void> {
    const { bodyBytes } = this.engine.limits;
    const body = await readBody(request, bodyBytes);
    if (body === 'gone') return;
    const read = (): Params => {
      if (body === 'too large')
        throw new Refused(codes.limitExceeded, `body: ${bodyBytes} bytes at most`, { status: 413 });
      return readParams(body.text, query, request.headers['content-type']);
    };
    runRoute(this.engine, route, { exchange, read });
  }
}

/** The server of either scheme. */
export type FrontServer = Server | SecureServer;

/**
 * Makes the server that speaks the protocol. It does not listen yet.
 *
 * @param requestTimeoutMs - time a client has to send a whole request
 * @param tls - absent: it speaks plain HTTP
 */
export function httpFront(
  engine: Engine,
  { requestTimeoutMs, tls }: { readonly requestTimeoutMs: number; readonly tls: TlsSettings | undefined },
): FrontServer {
  const { urlBytes, connections } = engine.limits;
  const front = new Front(engine);
  const options = {
    maxHeaderSize: urlBytes + headerBytes,
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(checkIntervalMs, requestTimeoutMs),
    keepAliveTimeout,
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => front.serve(request, response);
  const secure = { ...options, ...tls, handshakeTimeout: requestTimeoutMs };
  const server = tls
    ? createSecureServer({ ...secure, requestCert: tls.ca !== undefined, minVersion: 'TLSv1.2' }, serve)
    : createServer(options, serve);
  // A poll that waits is silent as well.
  server.timeout = Math.min(Math.max(silenceTimeoutMs, 2 * engine.pollParkMs), longestMs);
  server.maxConnections = connections;
  return server;
}
