import type { IncomingMessage } from 'node:http';
import { isGovernanceError } from '../core/errors.js';
import { refusalHeaders, refusalText } from '../core/refusal-reply.js';
import { type HttpExchange, loadTold } from './exchange.js';
import { sentOf } from './load-teller.js';
import { smallBodyBytes } from './reject-request.js';
import { servedCall } from './served-call.js';
import { breakOff, dropLateAnswer, endUpload, isOver, spareConnection } from './server-response.js';
import { endHandshake, isUpgrade } from './upgrade.js';

export { retryAfterMsHeader, shedHeader } from '../core/refusal-reply.js';

/** Whether the client may go on to send what nobody will read. */
function uploads({ complete, headers, readableDidRead, httpVersionMajor }: IncomingMessage): boolean {
  if (complete) return false;
  // Node leaves the rest to whoever began to read, and that handler would wait for it.
  if (readableDidRead) return true;
  if (httpVersionMajor !== 1) return false;
  // One that waits to be told to go on may send its next request in place of the body.
  if (headers.expect !== undefined || headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > smallBodyBytes;
}

/**
 * Stays of what was prepared: of the connection, about whoever reads the answer, or about the call, whatever is answered: which
 * span served it is asked most where it failed.
 */
const lasting =
  /^(?:connection|vary|access-control-.+|timing-allow-origin|server-timing|traceresponse|x-trace-id)$/;

function send(exchange: HttpExchange, error: unknown): void {
  const { req, res } = exchange;
  const refusal = isGovernanceError(error) ? error : undefined;
  // What the handler had prepared belongs to an answer that is not given.
  for (const name of res.getHeaderNames()) if (!lasting.test(name)) res.removeHeader(name);
  if (req.httpVersionMajor === 1) res.statusMessage = '';
  const body = Buffer.from(refusal ? refusalText(refusal) : 'internal error\n');
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
    ...sentOf(loadTold(exchange)?.() ?? []),
    ...(refusal ? refusalHeaders(refusal) : {}),
  };
  if (uploads(req)) {
    if (req.httpVersionMajor === 1) headers['connection'] = 'close';
    endUpload(req, res);
  } else if (isUpgrade(req)) {
    headers['connection'] = 'close';
    endHandshake(res);
  }
  res.writeHead(refusal?.httpStatus ?? 500, headers);
  res.end(body);
}

/**
 * Answers a call that ended in an error: a refusal with its status, `Retry-After` and shed header, anything else
 * with 500 and no details. A response that has begun cannot be taken back: its connection is cut, so that the client
 * does not take half a body for a whole one. Never throws.
 *
 * From then on the response is deaf: what a handler that runs on still does to it has no effect.
 */
export function replyWithError(exchange: HttpExchange, error: unknown): void {
  const { req, res } = exchange;
  if (res.writableEnded || isOver(res)) return;
  try {
    if (res.headersSent) breakOff(res);
    else {
      send(exchange, error);
      if (servedCall(req) !== undefined) spareConnection(req);
    }
  } catch {
    // A patched response, for example: no answer is better than half of one.
    breakOff(res);
  }
  dropLateAnswer(res);
}
