import type { Attributes } from '@opentelemetry/api';
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
  };
}

type Request = HttpServerExchange['req'];

function schemeOf({ socket }: Request): string {
  return (socket as { encrypted?: unknown } | null | undefined)?.encrypted === true ? 'https' : 'http';
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** `Host: [::1]:8080` → `::1`, 8080. */
function writeHost(into: Attributes, host: string | undefined): void {
  const match = /^(\[[\da-f:.]+\]|[^:\s/]{1,255})(?::(\d{1,5}))?$/i.exec(host ?? '');
  if (match === null) return;
  const address = match[1] as string;
  into['server.address'] = address.startsWith('[') ? address.slice(1, -1) : address;
  if (match[2] !== undefined) into['server.port'] = Number(match[2]);
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
    writeHost(attributes, first(req.headers['host']));
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
  activeAttributes,
  durationAttributes: (exchange, response, call) => {
    const attributes = activeAttributes(exchange);
    const route = templateOf(call);
    if (route !== undefined) attributes['http.route'] = route;
    if (response !== undefined) attributes['http.response.status_code'] = response.res.statusCode;
    return attributes;
  },
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
