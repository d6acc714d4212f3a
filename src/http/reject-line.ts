import type { EventEmitter } from 'node:events';
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * What is not documented of a connection of `node:http`, and the same in Node 20, 22, 24 and 26. All of it is looked for
 * before it is used; where it is not found, requests are refused by Node's own response.
 */
interface LineSocket extends Socket {
  readonly parser?: LineParser | null;
  readonly server?: Server;
  /** The response that is under way; others stand in line behind it. */
  readonly _httpMessage?: unknown;
  /** Stopped reading because the peer does not. */
  readonly _paused?: boolean;
}
interface LineParser {
  /** The request that is being read; what comes of its body is dropped without one. */
  incoming: IncomingMessage | null;
  /** Told of each request when its headers are complete. One for each connection; gone with it. */
  onIncoming: ((req: IncomingMessage, keepAlive: boolean) => number) | null;
}

/** Whoever knows which requests are turned away. */
export interface LineDoor {
  /** Whether any is, just now. */
  readonly refusing: boolean;
  /** What is to be written in answer to a request; `undefined` to let it come. Must not throw. */
  bytesFor(req: IncomingMessage): Buffer | undefined;
}

const watching = new WeakSet<object>();
const leaving = new WeakSet<object>();
const armed = new WeakSet<Socket>();

/** Says of a listener of `request` that it answers nothing: it need not see what is refused. */
export function onlyWatches(listener: object): void {
  watching.add(listener);
}

/** From now on each response of the server has to say something to its client: none of them is written past Node. */
export function answerInFull(server: object): void {
  leaving.add(server);
}

/** Whether a listener answers all that the server is asked. If not, what is refused may be somebody else's to answer. */
function answersAll(listener: unknown, server: EventEmitter): boolean {
  let found = false;
  for (const other of server.listeners('request')) {
    if (other === listener) found = true;
    else if (!watching.has(other)) return false;
  }
  return found;
}

/** Whether what is written now goes out next, and at once: nothing is before it, and the peer reads. */
function isFree(socket: LineSocket): boolean {
  return (
    (socket._httpMessage === null || socket._httpMessage === undefined) &&
    socket._paused !== true &&
    socket.writable &&
    socket.writableLength === 0
  );
}

/** Whether Node does with this connection what it is known to do. Asked while a request of it is answered. */
function isKnown(req: IncomingMessage, res: ServerResponse, { parser, _httpMessage }: LineSocket): boolean {
  // A class of the user's may have its own ways to answer.
  if (res.constructor !== ServerResponse) return false;
  // Behind others in line nothing can be told yet.
  return _httpMessage === res && parser?.incoming === req && typeof parser.onIncoming === 'function';
}

/**
 * From the next request on asks before Node makes a response, and writes the answer to those that are turned away past it.
 * The request that it is given is answered as usual, which starts Node's clock for idle connections.
 *
 * Only where nothing can tell the difference: one listener, itself known to Node as `listener`, answers all requests; the
 * response before is complete; the peer reads; the connection is to be kept. Everything else takes the usual way, each
 * request anew. Bodies are read and dropped by Node's parser.
 */
export function turnAwayOnLine(
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  listener: unknown,
  door: LineDoor,
): void {
  const socket: LineSocket = req.socket;
  const { parser, server } = socket;
  if (parser === undefined || parser === null || server === undefined || armed.has(socket)) return;
  if (!isKnown(req, res, socket)) return;
  const usual = parser.onIncoming as NonNullable<LineParser['onIncoming']>;
  armed.add(socket);
  /** Whether a request may be answered past Node, and by this listener. */
  const mayAnswer = (next: IncomingMessage): boolean =>
    parser.incoming === next &&
    isFree(socket) &&
    // Counted by Node, and not known here.
    !((server.maxRequestsPerSocket ?? 0) > 0) &&
    !leaving.has(server) &&
    answersAll(listener, server);
  parser.onIncoming = (next, keepAlive) => {
    const answer = keepAlive && door.refusing && mayAnswer(next) ? door.bytesFor(next) : undefined;
    if (answer === undefined) return usual(next, keepAlive);
    parser.incoming = null;
    socket.write(answer);
    return 0;
  };
}
