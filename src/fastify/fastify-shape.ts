import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** What of a request of Fastify is looked at. */
export interface FastifyRequestShape {
  /** Node's own. */
  readonly raw: IncomingMessage | Http2ServerRequest;
  /** The route that it matched; without a `url` none did. */
  readonly routeOptions: { readonly url?: string | undefined };
}

/** What of a reply of Fastify is looked at. */
export interface FastifyReplyShape {
  /** Node's own. */
  readonly raw: ServerResponse | Http2ServerResponse;
}

/** What of an instance of Fastify is used. */
export interface FastifyShape {
  /** Runs a function for each request, before its body is parsed. */
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequestShape, reply: FastifyReplyShape, done: () => void) => void,
  ): unknown;
  /** Runs a function for each error, before the error handler. */
  addHook(
    name: 'onError',
    hook: (request: FastifyRequestShape, reply: FastifyReplyShape, error: Error, done: () => void) => void,
  ): unknown;
}

/** A plugin of Fastify. */
export type FastifyPlugin = (fastify: FastifyShape, options: unknown, done: (error?: Error) => void) => void;
