import type { IncomingMessage, ServerResponse } from 'node:http';
import { type GovernanceError, isGovernanceError } from '../core/errors.js';
import { breakOff, dropLateAnswer, endUpload, isOver } from './server-response.js';

/** Names the code of a refusal, so that a keelson client can tell a shed call from a failed one. */
export const shedHeader = 'x-keelson-shed';

/** Exact time to stay away, in milliseconds, beside `Retry-After`, which has whole seconds only. */
export const retryAfterMsHeader = 'retry-after-ms';

/** Refusals that say "not now", in contrast to "I failed". */
const shedCodes: ReadonlySet<string> = new Set([
  'OVERLOADED',
  'RATE_LIMITED',
  'SHUTTING_DOWN',
  'BREAKER_OPEN',
]);

function headersFor(error: GovernanceError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.side !== 'server') return headers;
  const { code, retryAfterMs } = error;
  if (!shedCodes.has(code)) return headers;
  headers[shedHeader] = code;
  if (retryAfterMs !== undefined) headers[retryAfterMsHeader] = String(Math.ceil(retryAfterMs));
  // Whole seconds, and never 0, which would invite the caller to come back at once.
  headers['retry-after'] = String(Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1000)));
  return headers;
}

/** A body up to this size Node reads and drops by itself, and the connection lives on; bytes. */
const smallBodyBytes = 65_536;

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

function send(req: IncomingMessage, res: ServerResponse, error: unknown): void {
  const refusal = isGovernanceError(error) ? error : undefined;
  // What the handler had prepared belongs to an answer that is not given.
  for (const name of res.getHeaderNames()) if (name !== 'connection') res.removeHeader(name);
  if (req.httpVersionMajor === 1) res.statusMessage = '';
  const body = refusal ? `${refusal.code}\n` : 'internal error\n';
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
    ...(refusal ? headersFor(refusal) : {}),
  };
  if (uploads(req)) {
    if (req.httpVersionMajor === 1) headers['connection'] = 'close';
    endUpload(req, res);
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
export function replyWithError(
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  error: unknown,
): void {
  if (res.writableEnded || isOver(res)) return;
  try {
    if (res.headersSent) breakOff(res);
    else send(req, res, error);
  } catch {
    // A patched response, for example: no answer is better than half of one.
    breakOff(res);
  }
  dropLateAnswer(res);
}
