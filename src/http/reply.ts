import type { IncomingMessage, ServerResponse } from 'node:http';
import { type GovernanceError, isGovernanceError } from '../core/errors.js';

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

/** The client still sends a body that nobody will read. */
function bodyPending(req: IncomingMessage): boolean {
  return (
    !req.complete &&
    (req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length']) > 0)
  );
}

/**
 * Answers a call that ended in an error: a refusal with its status, `Retry-After` and shed header, anything else
 * with 500 and no details. A response that has begun cannot be taken back: its connection is cut, so that the client
 * does not take half a body for a whole one.
 */
export function replyWithError(
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  error: unknown,
): void {
  if (res.writableEnded || res.destroyed) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const refusal = isGovernanceError(error) ? error : undefined;
  // What the handler had prepared belongs to an answer that is not given.
  for (const name of res.getHeaderNames()) if (name !== 'connection') res.removeHeader(name);
  const body = refusal ? `${refusal.code}\n` : 'internal error\n';
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
    ...(refusal ? headersFor(refusal) : {}),
  };
  // Without this the server would read the refused upload to its end, which may never come.
  if (req.httpVersionMajor === 1 && bodyPending(req)) headers['connection'] = 'close';
  res.writeHead(refusal?.httpStatus ?? 500, headers);
  res.end(body);
}
