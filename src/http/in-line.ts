import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const lines = new WeakMap<Socket, Set<ServerResponse>>();

function dismiss(line: Set<ServerResponse>): void {
  for (const res of line) {
    // One that had its turn is told by Node.
    if (res.socket !== null || res.writableFinished) continue;
    res.destroyed = true;
    res.emit('close');
  }
}

/**
 * Has a pipelined response closed with its connection. While it stands in line behind another it has no socket, and Node
 * forgets it when the connection goes: without this its call would be in flight for ever.
 */
export function closeWithConnection(req: IncomingMessage, res: ServerResponse): void {
  if (res.socket !== null || req.httpVersionMajor !== 1) return;
  const { socket } = req;
  let line = lines.get(socket);
  if (line === undefined) {
    const fresh = new Set<ServerResponse>();
    line = fresh;
    lines.set(socket, fresh);
    socket.once('close', () => dismiss(fresh));
  }
  const own = line;
  own.add(res);
  res.once('close', () => own.delete(res));
}
