import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppState } from './lifecycle.js';

function answer(res: ServerResponse, ok: boolean, state: AppState): void {
  const body = `${JSON.stringify({ status: ok ? 'ok' : 'unavailable', state })}\n`;
  res.writeHead(ok ? 200 : 503, { 'content-type': 'application/json', 'content-length': body.length });
  res.end(body);
}

function pathOf({ method, url = '' }: IncomingMessage): string | undefined {
  return method === 'GET' || method === 'HEAD' ? url.split('?', 1)[0] : undefined;
}

/** Whether a request asks for `/healthz` (the process lives) or `/readyz` (send it traffic). */
export function isHealthRequest(req: IncomingMessage): boolean {
  const path = pathOf(req);
  return path === '/healthz' || path === '/readyz';
}

/**
 * Answers such a request.
 *
 * @returns whether it was one
 */
export function answerHealth(req: IncomingMessage, res: ServerResponse, state: AppState): boolean {
  if (!isHealthRequest(req)) return false;
  answer(res, pathOf(req) === '/healthz' || state === 'ready', state);
  return true;
}
