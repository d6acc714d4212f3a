import type { Call } from './call.js';
import { wrongKind } from './options.js';

/**
 * Answers one call. A client is one, a server runs one. It never throws synchronously: a failure is a rejection.
 *
 * @typeParam Req - the wire's request, for example a `Request`
 * @typeParam Res - the wire's response
 */
export type Handler<in Req, out Res> = (request: Req, call: Call) => Promise<Res>;

/**
 * Wraps a handler: transforms a call or waits (trace, deadline, retry, queue). What only admits or refuses is a
 * `Gate`, which `guard` turns into a middleware.
 *
 * In a list the first is outermost, on clients and servers alike.
 */
export type Middleware<Req, Res> = (next: Handler<Req, Res>) => Handler<Req, Res>;

/**
 * Joins middlewares and a leaf into one handler, once; nothing is composed per call.
 *
 * @param middlewares - the first is outermost; `undefined` and `false` entries are left out, so that a stack can
 * be written as one list of conditions
 * @param leaf - what the innermost middleware calls
 * @throws TypeError when a middleware returns no handler
 * @example
 * ```ts
 * const handler = compose([tracing(), retry()], leaf);
 * ```
 */
export function compose<Req, Res>(
  middlewares: readonly (Middleware<Req, Res> | undefined | false)[],
  leaf: Handler<Req, Res>,
): Handler<Req, Res> {
  let handler = leaf;
  for (let i = middlewares.length - 1; i >= 0; i--) {
    const middleware = middlewares[i];
    if (!middleware) continue;
    handler = middleware(handler);
    if (typeof handler !== 'function')
      throw wrongKind(`${middleware.name || 'middleware'}: what it returns`, 'a handler', handler);
  }
  return handler;
}

/** Calls a handler that may, against its contract, throw or answer synchronously; the outcome becomes a promise. */
export function invoke<Req, Res>(handler: Handler<Req, Res>, request: Req, call: Call): Promise<Res> {
  try {
    const running: unknown = handler(request, call);
    return running instanceof Promise ? running : Promise.resolve(running as Res);
  } catch (error) {
    return Promise.reject(error);
  }
}
