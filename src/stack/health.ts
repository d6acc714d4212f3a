import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppState } from './lifecycle.js';

function answer(res: ServerResponse, ok: boolean, state: AppState): void {
  const body = `${JSON.stringify({ status: ok ? 'ok' : 'unavailable', state })}\n`;
  res.writeHead(ok ? 200 : 503, { 'content-type': 'application/json', 'content-length': body.length });
  res.end(body);
}

/**
 * Answers `/healthz` (the process lives) and `/readyz` (send it traffic).
 *
 * @returns whether the request was one of them
 */
export function answerHealth(req: IncomingMessage, res: ServerResponse, state: AppState): boolean {
  const path = (req.url ?? '').split('?', 1)[0];
  if (req.method !== 'GET' && req.method !== 'HEAD') return false;
  if (path === '/healthz') answer(res, true, state);
  else if (path === '/readyz') answer(res, state === 'ready', state);
  else return false;
  return true;
}
