import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from '../core/call.js';
import { runWithCall } from '../core/current.js';
import type { Handler } from '../core/handler.js';
import type { HttpExchange } from './exchange.js';

/** What a user writes: a `node:http` listener that may be async, and that may look at the call. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse, call: Call) => unknown;

/** Resolves when an answer has begun or can no longer be given: a handler in callback style answers after it returned. */
function answered(exchange: HttpExchange): HttpExchange | Promise<HttpExchange> {
  const { res } = exchange;
  if (res.headersSent || res.closed || res.destroyed) return exchange;
  return new Promise((resolve) => {
    res.once('close', () => resolve(exchange));
  });
}

/**
 * Makes the innermost handler of a server from a `node:http` listener. It runs as the current call, so that outgoing
 * calls inherit deadline, trace and metadata.
 *
 * @param listener - sync or async; what it throws or rejects with fails the call
 * @param context - `false`: no AsyncLocalStorage; the handler passes its call on by hand
 */
export function serveHandler(listener: HttpHandler, context = true): Handler<HttpExchange, HttpExchange> {
  const run = (exchange: HttpExchange, call: Call): Promise<HttpExchange> => {
    const result = listener(exchange.req, exchange.res, call);
    if (result instanceof Promise) return result.then(() => answered(exchange));
    return Promise.resolve(answered(exchange));
  };
  return context ? (exchange, call) => runWithCall(call, () => run(exchange, call)) : run;
}
