import type { Attributes } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { isGovernanceError } from '../core/errors.js';
import { durationBuckets, httpSpanName, methodAttributes, methodOf, templateOf } from './http-method.js';
import { redactSignatures } from './http-url.js';
import type { Semantics } from './semantics.js';

/** What is looked at in a server's exchange; that of keelson's HTTP wire fits, and any other over `node:http`. */
export interface HttpServerExchange {
  /** What came in; `IncomingMessage` fits. */
  readonly req: {
    /** `GET`. */
    readonly method?: string | undefined;
    /** Path and query. */
    readonly url?: string | undefined;
    /** `1.1`. */
    readonly httpVersion?: string | undefined;
    /** Names in lower case. */
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    /** Where it came from; a TLS socket has `encrypted`. */
    readonly socket?:
      | { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }
      | null
      | undefined;
  };
  /** What goes out; `ServerResponse` fits. */
  readonly res: {
    /** Status code, as soon as it is decided. */
    readonly statusCode: number;
    /** Adds a header; left out: nothing is told in headers. */
    appendHeader?(name: string, value: string): unknown;
    /** Whether it is too late for headers. */
    readonly headersSent?: boolean | undefined;
  };
}

type Request = HttpServerExchange['req'];

function schemeOf({ socket }: Request): string {
  return (socket as { encrypted?: unknown } | null | undefined)?.encrypted === true ? 'https' : 'http';
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** `Host: [::1]:8080` → `::1`, 8080. Most requests have the host of the one before, which is not read again. */
let lastHost = '';
let lastAddress: string | undefined;
let lastPort: number | undefined;

function writeHost(into: Attributes, host: string): void {
  if (host !== lastHost) {
    const match = /^(\[[\da-f:.]+\]|[^:\s/]{1,255})(?::(\d{1,5}))?$/i.exec(host);
    const address = match?.[1];
    lastAddress = address?.startsWith('[') ? address.slice(1, -1) : address;
    lastPort = match?.[2] === undefined ? undefined : Number(match[2]);
    lastHost = host;
  }
  if (lastAddress !== undefined) into['server.address'] = lastAddress;
  if (lastPort !== undefined) into['server.port'] = lastPort;
}

function writePeer(into: Attributes, { socket }: Request): void {
  if (typeof socket?.remoteAddress !== 'string') return;
  // Not what a `Forwarded` header says: whether that can be believed is nothing that is known here.
  into['client.address'] = socket.remoteAddress;
  into['network.peer.address'] = socket.remoteAddress;
  if (socket.remotePort !== undefined) into['network.peer.port'] = socket.remotePort;
}

function writeTarget(into: Attributes, url: string): void {
  const query = url.indexOf('?');
  into['url.path'] = query < 0 ? url : url.slice(0, query);
  if (query >= 0) into['url.query'] = redactSignatures(url.slice(query + 1));
}

function activeAttributes({ req }: HttpServerExchange): Attributes {
  return { 'http.request.method': methodOf(req.method), 'url.scheme': schemeOf(req) };
}

function routeAttributes(exchange: HttpServerExchange, call: Pick<Call, 'operation'>): Attributes {
  const attributes = activeAttributes(exchange);
  const route = templateOf(call);
  if (route !== undefined) attributes['http.route'] = route;
  return attributes;
}

/** What the measurement of an answered request tells. */
export function servedAttributes(exchange: HttpServerExchange, call: Pick<Call, 'operation'>): Attributes {
  const attributes = routeAttributes(exchange, call);
  attributes['http.response.status_code'] = exchange.res.statusCode;
  return attributes;
}

/**
 * The semantic conventions for HTTP servers, stable since 1.23: names of spans, attributes, measurements.
 *
 * `http.route` is the template of the operation. A response of 500 or more is an error; 4xx is the client's.
 */
export const httpServerSemantics: Semantics<HttpServerExchange, HttpServerExchange> = {
  spanName: ({ req }, call) => httpSpanName(req.method, call),
  requestAttributes: ({ req }) => {
    const attributes = methodAttributes(req.method);
    writeTarget(attributes, req.url ?? '/');
    attributes['url.scheme'] = schemeOf(req);
    writeHost(attributes, first(req.headers['host']) ?? '');
    writePeer(attributes, req);
    if (req.httpVersion !== undefined) attributes['network.protocol.version'] = req.httpVersion;
    const agent = first(req.headers['user-agent']);
    if (agent !== undefined) attributes['user_agent.original'] = agent;
    return attributes;
  },
  responseAttributes: ({ res }, call) => {
    const route = templateOf(call);
    return route === undefined
      ? { 'http.response.status_code': res.statusCode }
      : { 'http.response.status_code': res.statusCode, 'http.route': route };
  },
  errorAttributes: (error, call) => {
    const route = templateOf(call);
    return {
      // Nothing was answered yet; this is what the wire will answer.
      'http.response.status_code': isGovernanceError(error) ? error.httpStatus : 500,
      ...(route === undefined ? {} : { 'http.route': route }),
    };
  },
  errorType: ({ res }) => (res.statusCode >= 500 ? String(res.statusCode) : undefined),
  route: templateOf,
  addResponseHeader: ({ res }, name, value) => {
    if (res.headersSent !== true) res.appendHeader?.(name, value);
  },
  access: ({ req, res }) => ({
    method: req.method,
    target: req.url,
    protocol: req.httpVersion === undefined ? 'HTTP' : `HTTP/${req.httpVersion}`,
    // Of one that went away before the answer began there is none.
    status: res.headersSent === false ? undefined : res.statusCode,
    peer: req.socket?.remoteAddress,
    agent: first(req.headers['user-agent']),
  }),
  activeAttributes,
  durationAttributes: (exchange, response, call) =>
    response === undefined ? routeAttributes(exchange, call) : servedAttributes(response, call),
  duration: {
    name: 'http.server.request.duration',
    description: 'Duration of HTTP server requests.',
    unit: 's',
    buckets: durationBuckets,
  },
  active: {
    name: 'http.server.active_requests',
    description: 'Number of active HTTP server requests.',
    unit: '{request}',
  },
};
