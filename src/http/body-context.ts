import { AsyncResource } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';

/** What the request of an HTTP/2 stream has besides. */
interface OverHttp2 {
  readonly stream?: { readonly endAfterHeaders?: boolean };
}

function hasBody(req: IncomingMessage): boolean {
  if (req.httpVersionMajor !== 1) return (req as OverHttp2).stream?.endAfterHeaders !== true;
  const { 'content-length': length, 'transfer-encoding': coding } = req.headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}

/**
 * Has whoever listens to the body of a request run as what runs now. Node emits `data` and `end` from its parser, which
 * knows nothing of an AsyncLocalStorage; a body parser in callback style would go on without the current call.
 */
export function keepContext(req: IncomingMessage): void {
  if (!hasBody(req)) return;
  const scope = new AsyncResource('keelson.request');
  const emit = req.emit as (...args: unknown[]) => boolean;
  req.emit = (...args: unknown[]) => scope.runInAsyncScope(emit, req, ...args);
}
