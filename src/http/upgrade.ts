import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Whether a request asks for another protocol and somebody is there to take its connection over. Such a call is the
 * handshake alone: what comes after it has no end that a response would tell.
 */
export function isUpgrade(req: IncomingMessage): boolean {
  // Node sets it, and its types do not know it.
  return (req as { readonly upgrade?: boolean | null }).upgrade === true;
}

/** Ends the connection of a handshake that was refused once its response went out: no server looks after it any more. */
export function endHandshake(res: ServerResponse): void {
  const { socket } = res;
  res.once('finish', () => socket?.end(() => socket.destroy()));
}
