import type { Call } from '../core/call.js';
import { invoke, type Middleware } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import type { GrpcExchange } from './exchange.js';
import { InboundCall } from './inbound-call.js';

/**
 * Answers calls that were refused or whose handler failed, so that everything outside sees a status.
 *
 * @param tell - told of every error that is answered
 */
export function recoverGrpc(
  tell: (error: unknown, call: Call) => void,
): Middleware<GrpcExchange, GrpcExchange> {
  return (next) => (exchange, call) =>
    invoke(next, exchange, call).then(undefined, (error: unknown) => {
      call.values.set(handlerError, error);
      if (exchange instanceof InboundCall) exchange.answer(error);
      tell(error, call);
      return exchange;
    });
}
