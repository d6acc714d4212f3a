import type { IncomingMessage, ServerResponse } from 'node:http';

const waiting = new WeakSet<IncomingMessage>();

/** Notes that the client waits for `100 Continue` before it sends its body, and that Node has not told it to go on. */
export function holdContinue(req: IncomingMessage): void {
  waiting.add(req);
}

/** Tells a client that waits to go on: the call was let in. */
export function admitBody(req: IncomingMessage, res: ServerResponse): void {
  if (req.headers.expect !== undefined && waiting.delete(req)) res.writeContinue();
}
