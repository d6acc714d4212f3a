import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** What a fake request says. */
export interface FakeRequest {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly remoteAddress?: string | undefined;
  /** Whether all of it has come. */
  readonly complete?: boolean;
}

/** Node's own request and response over a socket that is none. */
export interface FakeExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** What was written so far. */
  readonly written: () => string;
  /** The connection goes. */
  readonly disconnect: () => void;
}

export function fakeExchange(request: FakeRequest = {}): FakeExchange {
  let written = '';
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => {
      written += String(chunk);
      done();
    },
  }) as Duplex & { remoteAddress?: string | undefined };
  socket.remoteAddress = request.remoteAddress;
  const req = new IncomingMessage(socket as unknown as Socket);
  req.method = request.method ?? 'GET';
  req.url = request.url ?? '/';
  req.httpVersion = '1.1';
  req.httpVersionMajor = 1;
  req.httpVersionMinor = 1;
  req.complete = request.complete ?? true;
  Object.assign(req.headers, request.headers);
  const res = new ServerResponse(req);
  res.assignSocket(socket as unknown as Socket);
  // What Node's server does when a response went out.
  res.once('finish', () => res.detachSocket(socket as unknown as Socket));
  res.once('finish', () => {
    res.destroyed = true;
    res.emit('close');
  });
  return { req, res, written: () => written, disconnect: () => void socket.destroy() };
}
