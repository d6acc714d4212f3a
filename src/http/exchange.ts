import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';

/** One request on a server together with its response: both what a server handler is given and what it answers. */
export interface HttpExchange {
  /** What came in. */
  readonly req: IncomingMessage;
  /** What goes out. */
  readonly res: ServerResponse;
}

/** A refusal by the handler's own choice (429, or 503 with a shed header) says nothing of its health either way. */
function outcomeOf(res: ServerResponse): Outcome {
  return res.statusCode >= 500 ? 'failure' : 'success';
}

/** What a server knows of its exchanges. An exchange is over when the response is closed, sent or not. */
export const exchangeProtocol: Protocol<HttpExchange, HttpExchange> = {
  classify: (exchange) => (exchange === undefined ? 'failure' : outcomeOf(exchange.res)),
  onEnd: ({ res }, done) => {
    if (res.closed || res.destroyed) return false;
    // Closed without being finished: the client went away, which says nothing of this server.
    res.once('close', () => done(res.writableFinished ? outcomeOf(res) : 'ignored'));
    return true;
  },
};
