import type { IncomingMessage, ServerResponse } from 'node:http';

/** What of a context of Koa is looked at. */
export interface KoaContextShape {
  /** Node's own request. */
  readonly req: IncomingMessage;
  /** Node's own response. */
  readonly res: ServerResponse;
  /** Set to `false`, Koa leaves the response alone. */
  respond?: boolean | undefined;
}

/** A middleware of Koa. */
export type KoaMiddleware = (ctx: KoaContextShape, next: () => Promise<unknown>) => Promise<void>;
