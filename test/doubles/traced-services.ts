import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Call,
  callKey,
  carrier,
  compose,
  createCall,
  type Endpoint,
  type Handler,
  type Middleware,
} from 'keelson/core';
import {
  exchangeProtocol,
  fetchWire,
  type HttpExchange,
  type HttpHandler,
  type HttpRequest,
  httpProtocol,
  recover,
  serveHandler,
  toListener,
} from 'keelson/http';
import { attemptTracing, httpClientSemantics, httpServerSemantics, tracing } from 'keelson/telemetry';

/** A server on a free port of the loopback. */
export interface Service {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens as it is. */
export async function listening(listener: http.RequestListener): Promise<Service> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** How a traced server is set up. */
export interface TracedServerOptions {
  readonly routes?: readonly string[];
  readonly trust?: boolean;
  readonly inside?: readonly Middleware<HttpExchange, HttpExchange>[];
}

/** A server with nothing but tracing between the wire and the handler. */
export function tracedServer(handler: HttpHandler, options: TracedServerOptions = {}): Promise<Service> {
  const stack = compose<HttpExchange, HttpExchange>(
    [
      tracing({ side: 'server', semantics: httpServerSemantics, protocol: exchangeProtocol }),
      recover(),
      ...(options.inside ?? []),
    ],
    serveHandler(handler),
  );
  const { routes = [], trust = true } = options;
  return listening(toListener(stack, { service: 'shop', routes, trust }));
}

/** An endpoint for an address. */
export function endpointAt(url: string, id = 'e1'): Endpoint {
  return { id, url, weight: 100, metadata: {} };
}

/** The end of a client stack with one endpoint, as `balance` would do it. */
export function leafTo<Req, Res>(url: string, wire: Handler<Req, Res>): Handler<Req, Res> {
  return (request, call) => {
    call.attempt.endpoint = endpointAt(url);
    call.attempt.reason = 'only';
    return wire(request, call);
  };
}

/** How a traced client is set up. */
export interface TracedClientOptions<Req, Res> {
  readonly logicalSpan?: boolean;
  /** Between the call and its tries. */
  readonly between?: readonly Middleware<Req, Res>[];
  readonly service?: string;
}

/** A client of one address by `fetch`, with nothing but tracing. */
export function tracedClient(
  url: string,
  options: TracedClientOptions<HttpRequest, Response> = {},
): (path: string, headers?: Record<string, string>) => Promise<Response> {
  const { logicalSpan = false, between = [], service } = options;
  const semantics = httpClientSemantics;
  const attempt = attemptTracing<HttpRequest, Response>({ semantics, protocol: httpProtocol });
  const { handler: wire } = fetchWire().connect(endpointAt(url));
  const handler = compose<HttpRequest, Response>(
    [tracing<HttpRequest, Response>({ side: 'client', semantics, logicalSpan, service }), ...between],
    leafTo(url, attempt(wire)),
  );
  return (path, headers = {}) =>
    handler({ method: 'GET', path, init: undefined }, clientCall('GET /items/:id', headers));
}

/** A call to the service `users`. */
export function clientCall(operation = 'GET', headers: Record<string, string> = {}): Call {
  return createCall({
    side: 'client',
    service: 'users',
    operation,
    idempotent: true,
    headers: carrier(headers),
  });
}

/** An inbound call of a peer that is believed. */
export function trustedCall(headers: Record<string, string>, operation = 'GET'): Call {
  const call = createCall({ side: 'server', service: 'shop', operation, headers: carrier(headers) });
  call.values.set(callKey<boolean>('keelson.trustedPeer'), true);
  return call;
}

/** Every value of one header as it stood on the wire, before Node joins them. */
export function rawValues(request: http.IncomingMessage, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    if (request.rawHeaders[at]?.toLowerCase() === name) values.push(request.rawHeaders[at + 1] as string);
  }
  return values;
}
