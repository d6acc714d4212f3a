import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** What of a context of Hono is looked at. */
export interface HonoContextShape {
  /** What `@hono/node-server` gives: Node's own request and response. */
  readonly env: unknown;
  /** The request; its routes are looked at. */
  readonly req: object;
  /** What a handler threw, once Hono has answered it. */
  readonly error: Error | undefined;
}

/** A middleware of Hono. */
export type HonoMiddleware = (
  c: HonoContextShape,
  next: () => Promise<void>,
) => Promise<Response | undefined>;

/** Node's own. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;
/** Node's own. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Node's own two behind a context. */
export interface NodeBindings {
  readonly incoming: NodeRequest;
  /** None where a connection is being upgraded. */
  readonly outgoing: NodeResponse | undefined;
}

/** They are only there behind `@hono/node-server`: neither in `hono.request()` nor in other runtimes. */
export function nodeBindings({ env }: Pick<HonoContextShape, 'env'>): NodeBindings | undefined {
  const bindings = env as Partial<NodeBindings> | null | undefined;
  return bindings?.incoming === undefined ? undefined : (bindings as NodeBindings);
}
