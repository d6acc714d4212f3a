import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type Route, routes } from './endpoints.js';
import type { Engine } from './engine.js';
import { Fields } from './fields.js';
import { HttpExchange } from './http-exchange.js';
import { type Params, readForm, readJson } from './params.js';
import { codes, Refused } from './refused.js';
import { plain, type Reply, refusal } from './reply.js';
import { readBody } from './request-body.js';

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

class Front {
  constructor(private readonly engine: Engine) {}

  serve(request: IncomingMessage, exchange: HttpExchange): void {
    const { url = '/', method } = request;
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const query = mark < 0 ? '' : url.slice(mark + 1);
    const route = routes.get(path);
    const [status, text] = this.outside(request, path, route);
    if (route === undefined || status !== 200) exchange.text(status, `${text}\n`);
    else if (method === 'GET') this.run(route, exchange, () => readParams('', query));
    else void this.servePost(request, exchange, { route, query });
  }

  /** What is answered outside the protocol; 200 and a route: nothing. */
  private outside(
    request: IncomingMessage,
    path: string,
    route: Route | undefined,
  ): readonly [number, string] {
    if ((request.url ?? '').length > this.engine.limits.urlBytes) return [414, '414 uri too long'];
    if (path === '/healthz') return [200, 'ok'];
    if (path === '/readyz') return this.engine.closing ? [503, 'closing'] : [200, 'ok'];
    if (route === undefined) return [404, '404 page not found'];
    if (route.method !== request.method) return [405, '405 method not allowed'];
    if (request.method === 'POST' && fromForeignPage(request))
      return [403, '403 not for pages of other origins'];
    return [200, ''];
  }

  private async servePost(
    request: IncomingMessage,
    exchange: HttpExchange,
    { route, query }: { route: Route; query: string },
  ): Promise<void> {
    const { bodyBytes } = this.engine.limits;
    const body = await readBody(request, bodyBytes);
    if (body === 'gone') return;
    this.run(route, exchange, () => {
      if (body === 'too large')
        throw new Refused(codes.limitExceeded, `body: ${bodyBytes} bytes at most`, { status: 413 });
      return readParams(body.text, query, request.headers['content-type']);
    });
  }

  private run(route: Route, exchange: HttpExchange, read: () => Params): void {
    let reply: Reply | undefined;
    try {
      reply = route.endpoint(this.engine, new Fields(read(), this.engine.limits), exchange);
    } catch (error) {
      if (error instanceof Refused) reply = refusal(error);
      else {
        this.engine.tell('fault', { error: String(error) });
        reply = plain(codes.serverError);
      }
    }
    if (reply) exchange.answer(reply);
  }
}

/**
 * Makes the server that speaks the protocol. It does not listen yet.
 *
 * @param requestTimeoutMs - time a client has to send a whole request
 */
export function httpFront(engine: Engine, requestTimeoutMs: number): Server {
  const { urlBytes, connections } = engine.limits;
  const front = new Front(engine);
  const server = createServer(
    {
      maxHeaderSize: urlBytes + headerBytes,
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(checkIntervalMs, requestTimeoutMs),
      keepAliveTimeout,
    },
    (request, response) => front.serve(request, new HttpExchange(engine, request, response)),
  );
  // A poll that waits is silent as well.
  server.timeout = Math.min(Math.max(silenceTimeoutMs, 2 * engine.pollParkMs), longestMs);
  server.maxConnections = connections;
  return server;
}
