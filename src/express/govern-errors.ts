import type { IncomingMessage, ServerResponse } from 'node:http';
import { servedCall } from '../http/served-call.js';

/** An error-handling middleware of Express, which knows it by its four parameters. */
export type ExpressErrorMiddleware = (
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Tells of the errors that handlers throw, reject with or pass to `next`: on the app's bus and to `onError` if they are
 * faults, and on the span. It answers none: that is left to the error handlers behind it, and to Express.
 *
 * Use it after the routes and before error handlers of your own. Without it errors are answered and counted just the same,
 * by their status, but only Express writes them to the console.
 *
 * @example
 * ```ts
 * shop.use(governErrors());
 * ```
 */
export function governErrors(): ExpressErrorMiddleware {
  return (error, req, _res, next) => {
    servedCall(req)?.note(error);
    next(error);
  };
}
