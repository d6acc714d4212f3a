import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { closeWithConnection } from './in-line.js';
import type { Pairs } from './load-teller.js';
import { closeWithStream } from './lost-stream.js';
import { isOver, noteClose, wasBrokenOff, wasShed, wentOut } from './server-response.js';
import { isUpgrade } from './upgrade.js';

/** One request on a server together with its response: both what a server handler is given and what it answers. */
export interface HttpExchange {
  /** What came in. */
  readonly req: IncomingMessage;
  /** What goes out. */
  readonly res: ServerResponse;
}

/** An exchange that has one listener on its response for all who want to know its end: Node warns of a leak at eleven. */
class OpenExchange implements HttpExchange {
  /** What is told of the load; see {@link tellLoad}. */
  load: (() => Pairs) | undefined = undefined;
  private readonly runs: (() => void)[] = [];
  private closed = false;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
  ) {
    closeWithConnection(req, res);
    closeWithStream(res);
    // Not `once`, which costs as much as all the rest of this: who closes twice is not heard twice.
    res.on('close', () => this.close());
  }
  add(run: () => void): void {
    this.runs.push(run);
  }
  private close(): void {
    if (this.closed) return;
    this.closed = true;
    noteClose(this.res);
    for (const run of this.runs) {
      try {
        run();
      } catch {
        // A gate of the user's: the others have to be told, and nobody waits for this one.
      }
    }
  }
}

/** Makes the exchange of one request. */
export function openExchange(req: IncomingMessage, res: ServerResponse): HttpExchange {
  return new OpenExchange(req, res);
}

/** Lets the answer of an open exchange tell how loaded the server is, by headers that are asked for when it is written. */
export function tellLoad(exchange: HttpExchange, headers: () => Pairs): void {
  if (exchange instanceof OpenExchange) exchange.load = headers;
}

/** What the answer of an exchange is to tell of the load, if it is to tell anything. */
export function loadTold(exchange: HttpExchange): (() => Pairs) | undefined {
  return exchange instanceof OpenExchange ? exchange.load : undefined;
}

/** Runs a function when an exchange that is open is over. In the order in which they were added. */
export function whenClosed(exchange: HttpExchange, run: () => void): void {
  if (exchange instanceof OpenExchange) exchange.add(run);
  else exchange.res.once('close', run);
}

/** A refusal of the handler's own (429, or 503 with the shed header) says nothing of its health either way. */
function outcomeOf(res: ServerResponse): Outcome {
  const { statusCode } = res;
  if (statusCode === 429 || (statusCode === 503 && wasShed(res))) return 'ignored';
  return statusCode >= 500 ? 'failure' : 'success';
}

function outcomeAtClose(res: ServerResponse): Outcome {
  if (wentOut(res)) return outcomeOf(res);
  // Else the client went away, which says nothing of this server.
  return wasBrokenOff(res) ? 'failure' : 'ignored';
}

function classify({ req, res }: HttpExchange): Outcome {
  // A handshake tells nothing of how long calls take.
  if (isUpgrade(req)) return 'ignored';
  return isOver(res) ? outcomeAtClose(res) : outcomeOf(res);
}

/** What a server knows of its exchanges. An exchange is over when the response is closed, sent or not. */
export const exchangeProtocol: Protocol<HttpExchange, HttpExchange> = {
  classify: (exchange) => (exchange === undefined ? 'failure' : classify(exchange)),
  onEnd: (exchange, done) => {
    const { req, res } = exchange;
    if (isOver(res) || isUpgrade(req)) return false;
    whenClosed(exchange, () => done(outcomeAtClose(res)));
    return true;
  },
};
