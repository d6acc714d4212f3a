import type { Call } from '../core/call.js';
import { invoke, type Middleware } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import type { HttpExchange } from './exchange.js';
import { replyWithError } from './reply.js';

/**
 * Answers calls whose handler failed, so that everything outside sees a response with a status. A refusal is answered
 * with its own status, anything else with 500 and without details.
 *
 * @param onError - told of every error that is answered, refusals included; what it throws is dropped
 */
export function recover(
  onError?: (error: unknown, call: Call) => void,
): Middleware<HttpExchange, HttpExchange> {
  return (next) => (exchange, call) =>
    invoke(next, exchange, call).then(undefined, (error: unknown) => {
      call.values.set(handlerError, error);
      replyWithError(exchange, error);
      try {
        onError?.(error, call);
      } catch {
        // The call is answered, and whoever reports errors has nobody to report to.
      }
      return exchange;
    });
}
