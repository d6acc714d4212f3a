import { ConnectError } from '@connectrpc/connect';
import type { Call } from '../core/call.js';
import { invoke, type Middleware } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import type { ConnectExchange } from './connect-exchange.js';
import { InboundCall } from './inbound-call.js';

/**
 * Answers calls that were refused or whose handler failed, so that everything outside sees a code. An error that has one
 * was meant for whoever called.
 *
 * @param tell - told of every other error that is answered
 */
export function recoverConnect(
  tell: (error: unknown, call: Call) => void,
): Middleware<ConnectExchange, ConnectExchange> {
  return (next) => (exchange, call) =>
    invoke(next, exchange, call).then(undefined, (error: unknown) => {
      call.values.set(handlerError, error);
      if (exchange instanceof InboundCall) exchange.fail(error);
      if (!(error instanceof ConnectError)) tell(error, call);
      return exchange;
    });
}
